"""What a configuration may build, group by group: a yaml is input, and ``_target_`` runs code."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

BUILDABLE = {
    "dataset": {"erc.datasets.HF_KEMD", "erc.manifests.HF_Manifest", "erc.cross_corpora.HF_CrossCorpus"},
    "dataloader": {"erc.training.loaders.SegmentData", "erc.data.collate.Collator"},
    "encoders": {
        "erc.model.encoders.AudioEncoder",
        "erc.model.encoders.TextEncoder",
        "erc.model.signal_encoder.SignalEncoder",
        "erc.model.spectrogram.SpectrogramEncoder",
    },
    "fusion": {"erc.model.fusion.*", "erc.training.classical.EgemapsSVM"},
    "model": {
        "erc.model.fine_tuning.build_model",
        "erc.model.emotion_model.EmotionModel",  # runs of before there was build_model
        "erc.model.encoders.AudioEncoder",
        "erc.model.encoders.TextEncoder",
        "erc.model.signal_encoder.SignalEncoder",
        "erc.model.spectrogram.SpectrogramEncoder",
        "erc.model.fusion.*",
        "erc.training.classical.EgemapsSVM",
    },
    "loss": {"erc.training.losses.*"},
    "optim": {"erc.training.optim.build_optimizer"},
    "scheduler": {
        "erc.training.optim.constant",
        "erc.training.optim.cosine_restarts",
        "erc.training.optim.cosine_warmup",
        "erc.training.optim.plateau",
    },
    "callbacks": {
        "erc.training.checkpoints.RunCheckpoint",
        "erc.training.history.EpochHistory",
        "erc.training.untrained.UntrainedEmbeddings",
    },
    "synthetic": {"erc.synthetic.corpora.write"},
}
"""What each group of options may build of this package, by the file that defines it.

``*`` stands for every class of a folder or file: a new fusion is one file, a new loss one class. Anything else that is new
gets a line here.
"""

FOREIGN = {
    "callbacks": {
        "pytorch_lightning.callbacks.EarlyStopping",
        "pytorch_lightning.callbacks.LearningRateMonitor",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "pytorch_lightning.callbacks.RichProgressBar",
        "pytorch_lightning.callbacks.TQDMProgressBar",
    },
    "logger": {"pytorch_lightning.loggers.TensorBoardLogger", "pytorch_lightning.loggers.WandbLogger"},
    "trainer": {"pytorch_lightning.Trainer", "pytorch_lightning.strategies.DDPStrategy"},
}
"""What each group may build of other packages: a yaml is input, and ``_target_`` runs code."""


_COUNT = Annotated[int, Ge(1)]
_SHARE_OR_COUNT = _COUNT | Annotated[float, Interval(gt=0, le=1)]

RANGES: dict[str, dict[str, Any]] = {
    "Trainer": {
        "precision": Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true"]
        | Literal["32", "bf16", "16", "64", 32, 16, 64]
        | None,
        "max_epochs": _COUNT,
        "min_epochs": _COUNT | None,
        "max_steps": Literal[-1] | _COUNT,
        "min_steps": _COUNT | None,
        "gradient_clip_val": Annotated[float, Gt(0)] | None,
        "accumulate_grad_batches": _COUNT,
        "log_every_n_steps": _COUNT | None,
        "num_sanity_val_steps": Annotated[int, Ge(-1)] | None,
        "check_val_every_n_epoch": _COUNT | None,
        "val_check_interval": _SHARE_OR_COUNT | None,
        "limit_train_batches": _SHARE_OR_COUNT | None,
        "limit_val_batches": _SHARE_OR_COUNT | None,
        "limit_test_batches": _SHARE_OR_COUNT | None,
        "overfit_batches": Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, le=1)],
        "num_nodes": _COUNT,
    },
    "EarlyStopping": {
        "patience": Annotated[int, Ge(0)],
        "min_delta": Annotated[float, Ge(0)],
        "mode": Literal["min", "max"],
    },
    "ModelCheckpoint": {
        "save_top_k": Literal[-1] | _COUNT,
        "every_n_epochs": _COUNT | None,
        "every_n_train_steps": _COUNT | None,
        "mode": Literal["min", "max"],
    },
}
"""Ranges of Lightning's arguments, by class: Lightning declares none, and takes a negative norm for no clipping."""


def locate(target: str, group: str) -> Callable:
    """The function or class that a ``_target_`` names.

    Args:
        target: Dotted name.
        group: Top-level option that the node stands in; it decides what may be built there.

    Raises:
        ValueError: It may not be built in that group, or does not exist.
    """
    if not isinstance(target, str):
        raise ValueError(f"expected a dotted name, got {target!r}")
    ours, foreign = BUILDABLE.get(group, set()), FOREIGN.get(group, set())
    refusal = (
        f"{target!r} may not be built from a configuration in the group {group!r}; allowed are "
        f"{', '.join(sorted(ours | foreign)) or 'none'}"
    )
    if target not in foreign and not (target.startswith("erc.") and ours):
        raise ValueError(refusal)
    module_name, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as err:
        raise ValueError(f"{target!r} does not exist ({err})") from err
    if target in foreign:
        return found
    # a room's face and a file hold names of other files, too: what counts is the file that defines it
    home = f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', None)}"
    is_listed = home in ours or (
        inspect.isclass(found) and any(one.endswith(".*") and home.startswith(one[:-1]) for one in ours)
    )
    if not is_listed or name.startswith("_"):
        raise ValueError(refusal)
    return found


def type_hints(called: Callable) -> dict[str, Any]:
    """Types and ranges of the parameters; one that cannot be had at run time (imported for type checkers only) counts as any."""
    function = inspect.unwrap(called.__init__ if inspect.isclass(called) else called)
    hints = {}
    for name, annotation in function.__annotations__.items():
        try:
            hints[name] = eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation
        except NameError:
            hints[name] = Any
    if inspect.isclass(called):
        for one in reversed(called.__mro__):
            hints |= RANGES.get(one.__name__, {})
    return hints
