"""Synthetic corpora in the on-disk format of KEMDy19 and KEMDy20_v1_1, known defects included.

Comes in: a size and a seed. Goes out: folders laid out as the licensed corpora, so that every command runs without a
licence. Layout, columns, spellings and defects follow the corpora's on-disk format; voices, words and the raters'
confusions are invented. A release folder is marked as synthetic by ``erc.data.SYNTHETIC_NOTE``. Numbers computed on
synthetic corpora say nothing about people.

Each segment has a *latent* emotion, and ten raters guess at it. Pitch, pitch movement, tempo, spectral tilt and tremor
carry it, and so do the words. Loudness alone would not: the learner normalises it away. KEMDy19's emotions are about as
frequent as in the corpus. KEMDy20's are flattened (about 60 % neutral instead of 87 %), because a corpus this small would
hold too few of the others to learn.

Conventions: seconds, hertz and semitones. Every session draws from random streams of its own, so a session's bytes
depend neither on the other sessions nor on the other corpus.
Shapes: N segments, R raters (10), K emotions (7), L audio samples.

    layout.py            sessions, dialogues, segments and their known defects
    ratings.py           ten raters' emotions, valence and arousal
    annotation_files.py  ratings -> annotation CSVs
    voice.py             latent emotion -> audio
    words.py             latent emotion -> transcript
    bio.py               bio-signal CSVs of straight lines
    signals.py           bio-signal CSVs that answer arousal
    examples.py          a few segments as sound files, to try a model with
    corpora.py           all of it -> folders

``python -m erc synthetic --root=data``
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
