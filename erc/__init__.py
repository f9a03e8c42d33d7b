"""Multimodal emotion recognition from speech and its transcript.

The modules stand in the order in which the data flows; README, "Code structure", lists them.
Nothing heavy is imported here, so that ``python -m fire erc.datasets HF_KEMD ...`` starts fast: ``Predictor`` is imported
when it is asked for, and ``transformers`` hears of the saved models when it is imported itself.
"""

from erc.registration import register as _register

__version__ = "0.1.0"

_register()


def __getattr__(name: str) -> object:
    """``erc.Predictor``, imported when it is first asked for: it needs torch."""
    if name == "Predictor":
        from erc.inference import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
