"""A finished run -> a folder to share: the saved model, a model card made from the run, and ONNX if asked for.

Comes in: a run folder or a saved model. Goes out: a folder that ``erc.Predictor`` and ``AutoModel`` read.

    parity.py    how far ONNX and PyTorch agree, and how long each takes
    onnx.py      a saved model -> model.onnx, compared with PyTorch
    card.py      a run's results -> README.md of the folder, a model card
    card.md.j2   its text
    commands.py  ``python -m erc export``
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
