"""A finished run and its reported fold -> how well the same model does where sound or words are worse, or missing.

Comes in: a run folder. Goes out: predictions under each condition, and ``robustness.csv``: every metric beside the clean one.

    effects.py     a metric under a condition; robustness.csv, written and read
    sounds.py      a waveform -> the same one with noise, in a room, clipped, or as a telephone carries it
    words.py       a transcript -> one with missing or wrong words
    conditions.py  the list of conditions, and what each of them changes
    scoring.py     the run's model reads its reported fold under each condition
    table.py       predictions -> metrics and paired differences

Convention: what is drawn for a segment is a function of (seed, segment), whatever it is batched with.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
