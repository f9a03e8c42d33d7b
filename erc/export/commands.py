"""``python -m erc export``: a trained model -> a folder to share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from erc.export.card import model_card
from erc.export.checkpoint import save_checkpoint
from erc.export.onnx import check_packages, export_onnx
from erc.export.parity import Parity
from erc.files import atomic_folder
from erc.inference import find_models
from erc.model import SavedModel, copy_weights, load_model, model_folder, predict_command
from erc.training import BEST, override_value


def export(run: str, out: str, onnx: bool = False) -> None:
    """Writes a model into a folder to share: weights, tokenizer, feature extractor, a model card, and ONNX if asked for.

    Args:
        run: Folder of a run, or a saved model. Of an unfinished run, and of one of an older version, the selected checkpoint
            is taken.
        out: The folder to write; it must not be there yet, or be empty.
        onnx: Adds ``model.onnx``, which is compared with PyTorch first.

    Raises:
        FileExistsError: The folder has something in it.
        FileNotFoundError: There is no model.
        ImportError: ONNX is asked for and a package is missing.
        ValueError: Several models are named, or ONNX cannot say what PyTorch says.
    """
    source, target = Path(str(run)), Path(str(out))
    _check_out(target)
    if onnx:
        check_packages()
    with _saved_model(source) as folder, atomic_folder(target) as temporary:
        saved = load_model(folder)
        modalities = saved.speech_modalities
        _copy_model(saved, folder, temporary)
        if onnx:
            print("Writing ONNX and comparing it with PyTorch: a large model takes minutes.", flush=True)
        parity = export_onnx(saved, temporary) if onnx else None
        card = model_card(saved, _finished_run(source), parity)
        (temporary / "README.md").write_text(card, encoding="utf-8")
    print(_told(target, modalities, parity))


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f"An export goes into a folder of its own: expected a new or an empty folder, got {out}, which is neither. Name "
            "another one with --out."
        )


def _copy_model(saved: SavedModel, folder: Path, out: Path) -> None:
    """Copies the files of a saved model. Whatever else is in its folder stays there: what is written anew names the files."""
    saved.config.save_pretrained(out)
    saved.processor.save_pretrained(out)
    for file in [*out.iterdir()]:
        shutil.copyfile(folder / file.name, file)
    copy_weights(folder, out)


@contextmanager
def _saved_model(source: Path) -> Iterator[Path]:
    """Folder of the one saved model that is named; for the block only where it is made of a checkpoint."""
    if model_folder(source) is None and (source / BEST).is_file():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "model")
            save_checkpoint(source, folder)
            yield folder
        return
    found = find_models(source)
    if len(found) > 1:
        raise ValueError(
            f"An export is of one model: {source} holds {len(found)}. Name the folder of one of them: {found[0].parent}."
        )
    yield found[0]


def _finished_run(source: Path) -> Path | None:
    """The run folder with the result of a model: the folder that is named, or the one around its ``model/``."""
    folders = (source, source.absolute().parent) if model_folder(source) == source else (source,)
    return next((folder for folder in folders if (folder / "result.json").is_file()), None)


def _told(out: Path, modalities: tuple[str, ...], parity: Parity | None) -> str:
    """What the folder holds, and the lines that use it."""
    files = sorted(out.iterdir())
    width = max(len(file.name) for file in files)
    lines = [f"{out}:", *(f"  {file.name:<{width}}  {file.stat().st_size:>13,} bytes" for file in files)]
    if parity is not None:
        lines.append(
            f"ONNX and PyTorch agree: over {parity.n_inputs} batches probabilities differ by at most {parity.probability:.0e}, "
            f"dimensions by {parity.va:.0e}. A batch of 8: ONNX Runtime {1000 * parity.onnx_seconds:.0f} ms, PyTorch "
            f"{1000 * parity.pytorch_seconds:.0f} ms."
        )
    lines += [
        f"To use it:     {predict_command(out, modalities)}" if "audio" in modalities else "",
        f"In Python:     from erc import Predictor; predictor = Predictor.from_pretrained({str(out)!r})",
        f"transformers:  import erc; from transformers import AutoModel; model = AutoModel.from_pretrained({str(out)!r})",
        f"Fine-tuning:   python train.py model.init_from={override_value(out)} (with the fusion and the encoders of its run)",
        "Read README.md in it, its model card, before you share it: the weights follow the terms of the training corpora.",
    ]
    return "\n".join(filter(None, lines))
