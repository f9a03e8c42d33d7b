"""Corpora on disk -> table of segments -> data set on disk -> batch. Knows no model and no metric.

    options.py       checks of the options that the data set and the doctor share
    corpora.py       KEMDy19 and KEMDy20 as frozen facts; where a corpus is found, whether it is synthetic
    segments.py      the table of segments: its columns, segments that cannot be used, notes
    source_files.py  files of a corpus, opened safely: regular, inside the corpus, not too large
    kemdy_rows.py    one row of an annotation CSV -> one record
    completeness.py  rows that were lost: against the other gender's file and against the wavs
    kemdy.py         annotation CSVs -> table of segments
    folds.py         sessions -> folds; fold and mode -> segments
    scripts.py       scripts of the letters of a text
    media.py         wav -> waveform, txt -> transcript
    checksums.py     content of the wavs and txts, known without reading them again
    manifest.py      what a build holds: written last, read with distrust
    build.py         table + media -> Arrow shards and a manifest on disk
    table_files.py   any corpus: CSV, Parquet or JSON lines -> cells as text, with their lines
    rated_labels.py  any corpus: emotion and dimension columns -> label space, votes, ratings
    segment_rows.py  any corpus: the other columns -> files, times, ids, names, folds
    made_folds.py    any corpus: folds over speakers where a table brings none
    segment_list.py  any corpus: a table of segments as a whole, every mistake named
    sound_cuts.py    any corpus: stretches of a sound file -> waveforms
    segment_build.py any corpus: table of segments + audio -> a build
    signal_files.py  bio-signal CSVs of KEMDy19 and KEMDy20 -> recordings
    heart_beats.py   electrocardiogram or inter-beat intervals -> beats, heart rate and its variability
    signal_features.py recordings -> features of each segment
    signal_sequences.py recordings -> a normalised sequence of each segment at 4 Hz
    signal_build.py  table of segments + bio-signals -> a build beside that of the audio
    collate.py       rows -> batch: normalised, padded, masked, tokenised
    sampler.py       the order in which batches come

Conventions: a waveform is 16 kHz mono 16-bit; a segment's labels are counted from its raters.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
