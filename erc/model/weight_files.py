"""The weights of a saved model on disk: one file, or one for the frozen layers of each encoder and one for all else.

Frozen layers are gigabytes and the same in every run that has these encoders. So their file lies once in a folder that runs share,
and a saved model has a hard link to it: a second name of the same bytes, so that the model's folder is whole, may be moved and
copied, and stays whole when the shared folder is removed. Both forms are Hugging Face's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from erc.data import file_checksum
from erc.files import make_private, sweep_temporaries, waited_lock
from erc.model.emotion_model import EmotionModel

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

TRAINED = "model-trained.safetensors"
"""Beside a file ``model-MODALITY-frozen.safetensors`` for each encoder that has frozen layers."""

PREFIX = "emotion_model."
"""In front of the names of the weights in a saved model."""

MAX_BYTES = 1 << 40

Weights = dict[str, torch.Tensor]


def cuts_of(model: EmotionModel) -> dict[str, Any]:
    """The cut of each encoder that has one (option ``train_last``), by modality."""
    found = {modality: getattr(encoder, "cut", None) for modality, encoder in model.encoders.items()}
    return {modality: cut for modality, cut in found.items() if cut is not None}


def frozen_names(model: EmotionModel) -> dict[str, set[str]]:
    """Names of the weights below the cut of each encoder that has one, by modality."""
    named = model.state_dict(keep_vars=True)  # without buffers that are computed anew
    found = {}
    for modality, cut in cuts_of(model).items():
        frozen = {id(value) for value in cut.frozen()}
        found[modality] = {name for name, value in named.items() if id(value) in frozen}
    return found


class SharedWeights:
    """A folder of frozen weights that several runs have in common.

    Args:
        folder: It need not be there yet.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def lacking_bytes(self, model: EmotionModel, out: str | Path) -> int:
        """Bytes that the frozen weights of a model will take when it is saved.

        Args:
            model: Its encoders may have cuts.
            out: A folder of the disk on which the model is saved; where it cannot have links to this folder, they take their bytes
                anew.
        """
        frozen = frozen_names(model)
        if not frozen:
            return 0
        state, total, cuts, is_linked = model.state_dict(), 0, cuts_of(model), self.links_to(Path(out))
        for modality, names in frozen.items():
            if not is_linked or self._found(modality, cuts[modality].fingerprint()) is None:
                total += sum(state[name].nbytes for name in names)
        return total

    def links_to(self, out: Path) -> bool:
        """Whether a file in this folder can have a second name in another one, or in the nearest above it that is there."""
        place = next(one for one in (out.absolute(), *out.absolute().parents) if one.is_dir())
        # no name that another process would sweep
        names = [folder / f".link-{os.getpid()}" for folder in (self.folder, place)]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            make_private(self.folder)
            names[0].touch()
            os.link(*names)
            return True
        except OSError:
            return False
        finally:
            for name in names:
                with contextlib.suppress(OSError):
                    name.unlink()

    def link(self, modality: str, fingerprint: str, weights: Weights, target: Path) -> None:
        """Gives frozen weights another name; writes them first where they are not here.

        Where that fails, the trained model is not lost: its frozen weights are written under the new name alone, which is said. It
        fails where the model is on another disk, or on one without hard links, and where this folder may only be read.

        Args:
            modality: Of the encoder.
            fingerprint: Of what is below its cut.
            weights: By their names in the saved model.
            target: The new name.

        Raises:
            OSError: The disk is full.
        """
        reason = "no hard link can be made"
        if self.links_to(target.parent):
            try:
                os.link(self._source(modality, fingerprint, weights), target)
                return
            except OSError as err:
                reason = str(err)
        _save(weights, target)
        print(
            f"{target.name} takes {target.stat().st_size:,} bytes of its own and is no link to a file in {self.folder}: {reason}. Runs "
            "share frozen weights where dataset.cache_dir is on their disk and can be written to.",
            file=sys.stderr,
        )

    def _source(self, modality: str, fingerprint: str, weights: Weights) -> Path:
        """The shared file. One process at a time writes it, and others wait."""
        with waited_lock(self.folder / "lock", f"writing frozen weights to {self.folder}"):
            found = self._found(modality, fingerprint)
            if found is not None and file_checksum(found, MAX_BYTES) == found.stem.rpartition("-")[2]:
                return found
            if found is not None:
                _put_aside(found)
            sweep_temporaries(self.folder)
            for left in self.folder.glob(".tmp*"):  # safetensors' own name for a file that it writes
                left.unlink()
            return self._written(f"{modality}-{fingerprint}", weights)

    def _found(self, modality: str, fingerprint: str) -> Path | None:
        return next(iter(sorted(self.folder.glob(f"{modality}-{fingerprint}-*.safetensors"))), None)

    def _written(self, name: str, weights: Weights) -> Path:
        draft = self.folder / f".{name}.tmp-{os.getpid()}"
        try:
            _save(weights, draft)
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
            whole = self.folder / f"{name}-{file_checksum(draft, MAX_BYTES)}.safetensors"
            os.replace(draft, whole)
        finally:
            draft.unlink(missing_ok=True)
        return whole


def _put_aside(damaged: Path) -> None:
    """Takes a damaged file out of use, and says which saved models have the same damage."""
    n_models = damaged.stat().st_nlink - 1
    if not n_models:
        print(f"{damaged} is damaged: it is written again.", file=sys.stderr)
        damaged.unlink()
        return
    kept = damaged.with_name(f"{damaged.name}.damaged")
    os.replace(damaged, kept)
    print(
        f"{damaged} is damaged, and so are the {n_models} saved models that share it. It is written again, and the damaged file is "
        f"kept: find RUNS -samefile {shlex.quote(str(kept))} names the models. Train these cells again.",
        file=sys.stderr,
    )


def _save(weights: Weights, path: Path) -> None:
    try:
        save_file(weights, path, metadata={"format": "pt"})
    except SafetensorError as err:
        raise OSError(
            f"Weights must be written whole: {path}: {err}. Make room on that disk, and start again."
        ) from err


def write_weights(weights: Weights, model: EmotionModel, folder: Path, shared: SharedWeights | None) -> None:
    """Writes the weights of a saved model: one file; with shared weights, several and their index, where a part is frozen.

    Args:
        weights: By their names in the saved model.
        model: Whose they are.
        folder: Of the saved model.
        shared: Frozen weights of all runs.
    """
    frozen = frozen_names(model)
    if shared is None or not frozen:
        _save(weights, folder / WEIGHTS)
        return
    file_of, cuts = dict.fromkeys(weights, TRAINED), cuts_of(model)
    for modality, names in frozen.items():
        file = f"model-{modality}-frozen.safetensors"
        part = {PREFIX + name: weights[PREFIX + name] for name in sorted(names)}
        file_of |= dict.fromkeys(part, file)
        shared.link(modality, cuts[modality].fingerprint(), part, folder / file)
    _save({name: weights[name] for name, file in file_of.items() if file == TRAINED}, folder / TRAINED)
    index = {"metadata": {"total_size": sum(one.nbytes for one in weights.values())}, "weight_map": file_of}
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def weight_files(folder: str | Path) -> list[Path]:
    """The files that hold a saved model's weights; they need not be there.

    Raises:
        OSError: Their index is damaged.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        return [folder / WEIGHTS]
    try:
        named = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({str(name) for name in named})
        if not names or any(Path(name).name != name for name in names):
            raise ValueError(f"expected names of files beside it, got {', '.join(names) or 'none'}")
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise OSError(
            f"A saved model's files must be as they were written: {folder / INDEX}: {type(err).__name__}: {err}. Save or fetch it "
            "again."
        ) from err
    return [folder / name for name in names]


def weights_checksum(folder: str | Path) -> str:
    """Of a saved model's weights: that of the file, or those of the files, joined by dashes.

    Raises:
        OSError: One of them cannot be read.
    """
    return "-".join(file_checksum(one, MAX_BYTES) for one in weight_files(folder))


def copy_weights(folder: Path, out: Path) -> None:
    """Copies a saved model's weights into one file of another folder."""
    files = weight_files(folder)
    if len(files) == 1:
        shutil.copyfile(files[0], out / WEIGHTS)
        return
    merged = {name: value for one in files for name, value in load_file(one).items()}
    _save(merged, out / WEIGHTS)
