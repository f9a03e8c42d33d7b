"""A page on this machine to try a model: speak or upload, type the words, and see what the model says and why.

Comes in: a saved model. Goes out: a web page at 127.0.0.1. Nothing is sent elsewhere, and uploads are deleted.

    texts.py     every word of the page, in English and Korean
    limits.py    an upload is checked before it is decoded
    pictures.py  a prediction -> the valence-arousal plane, and emotions over time
    page.py      the page and what its buttons do
    server.py    the page at 127.0.0.1: this machine only, bounded requests, a folder for uploads that goes at the end
    commands.py  ``python -m erc app``
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
