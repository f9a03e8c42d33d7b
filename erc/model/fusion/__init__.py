"""Fusions: sequences of the modalities -> one vector per segment. One file per row of the paper's table.

    base.py             what every fusion has: ``Fusion``
    mixer.py            MLP-Mixer, a part of the Tensor Mixer
    tensor_mixer.py     outer product of audio and text, read by the mixer
    concat.py           audio and text side by side
    cross_attention.py  audio attends to text, and text to audio
    audio_only.py       audio alone
    text_only.py        text alone
    tensor_mixer_3.py   outer product of audio, text and bio-signals, read by the mixer
    concat_3.py         audio, text and bio-signals side by side
    cross_attention_3.py  each of the three attends to the two others
    signals_only.py     bio-signals alone

A new fusion is one file here, with a subclass of ``Fusion``, and one yaml in ``config/fusion/``. The yaml's
``_target_: erc.model.fusion.<Class>`` finds the class in the file that defines it.
"""

import importlib
import pkgutil


def __getattr__(name: str) -> type:
    """The fusion of that name. Its file is imported when the name is first asked for."""
    if not name.startswith("_"):
        for file in pkgutil.iter_modules(__path__):
            module = importlib.import_module(f"{__name__}.{file.name}")
            found = vars(module).get(name)
            if isinstance(found, type) and found.__module__ == module.__name__:
                return found
    raise AttributeError(f"No file of {__name__} defines {name!r}.")
