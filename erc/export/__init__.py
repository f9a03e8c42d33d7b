"""A finished run -> a folder to share: the saved model, a model card made from the run, and ONNX if asked for.

card.py      a run's results -> README.md of the folder, a model card
card.md.j2   its text
onnx.py      a saved model -> model.onnx, compared with PyTorch
parity.py    how far ONNX and PyTorch agree, and how long each takes
commands.py  ``python -m erc export``
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
