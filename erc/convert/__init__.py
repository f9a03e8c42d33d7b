"""A corpus as it is distributed -> one table of segments, ``segments.csv``.

Comes in: the unpacked folder of a corpus. Goes out: a manifest, which ``erc.datasets.HF_Manifest`` reads. No audio is copied
or changed. Every mistake in the corpus's files is told, all of them together, and then nothing is written. The counts
found are printed beside the published ones.

    python -m erc convert crema_d --root=/corpora/CREMA-D

    segments_file.py    what the corpora share: collects mistakes, compares counts, writes the table
    crema_d_rows.py     CREMA-D: votes of 4 to 12 raters
    emodb_rows.py       EmoDB: the label is in the file's name
    ravdess_rows.py     RAVDESS: the label is in the file's name
    iemocap_rows.py     IEMOCAP: votes of three raters, valence, activation, dominance
    meld_rows.py        MELD: one label a row, audio in videos, official partition
    msp_podcast_rows.py MSP-Podcast: votes of each rater, dimensions on 1 to 7, official partition
    commands.py         the commands
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
