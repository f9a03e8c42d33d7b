"""A finished run -> a folder to share: the saved model, a model card made from the run, and ONNX if asked for.

    parity.py      how far ONNX and PyTorch agree, and how long each takes
    onnx.py        a saved model -> model.onnx, compared with PyTorch
    card.py        a model and its run -> README.md of the folder, a model card; card.md.j2 is its text
    checkpoint.py  a run folder that has a checkpoint only -> a saved model
    commands.py    ``python -m erc export``

``erc.Predictor`` reads the folder, and so does ``AutoModel`` of transformers once ``erc`` is imported.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
