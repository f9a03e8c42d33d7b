"""A saved model and own speech -> emotion, valence and arousal. No label, no corpus and no Hydra is needed.

Comes in: sound files or arrays, and words. Goes out: dictionaries, or a table of predictions.

    windows.py      a sound's length -> the stretches that the model reads, and what is said of the whole
    sound.py        any sound -> stretches at 16 kHz, read as they are needed
    remarks.py      what is unusual about an input or a prediction, in plain sentences
    sources.py      run folders, saved models and rows of a grid -> folders of saved models
    ensemble.py     one model or several -> probabilities and dimensions of prepared segments
    predictor.py    ``Predictor``: the door for Python
    table_rows.py   a table of segments, or a folder -> rows, in chunks
    table_run.py    rows -> a table of predictions that goes on after a kill
    commands.py     ``python -m erc predict``
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
