"""Corpora on disk -> table of segments -> data set on disk -> batch. Knows no model and no metric.

    options.py       checks of the options that the data set and the doctor share
    corpora.py       KEMDy19 and KEMDy20 as frozen facts; where a corpus is found, whether it is synthetic
    segments.py      the table of segments: its columns, segments that cannot be used, notes
    source_files.py  files of a corpus, opened safely: regular, inside the corpus, not too large
    kemdy_rows.py    one row of an annotation CSV -> one record
    completeness.py  rows that were lost: against the other gender's file and against the wavs
    kemdy.py         annotation CSVs -> table of segments
    folds.py         sessions -> folds; fold and mode -> segments
    media.py         wav -> waveform, txt -> transcript
    manifest.py      what a build holds: written last, read with distrust
    build.py         table + media -> Arrow shards and a manifest on disk
    collate.py       rows -> batch: normalised, padded, masked, tokenised
    sampler.py       the order in which batches come

Conventions: a waveform is 16 kHz mono 16-bit; a segment's labels are counted from its ten raters.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
