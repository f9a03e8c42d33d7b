"""The model of a finished run reads its reported fold under each condition; a finished condition is not scored again.

Comes in: a run folder with its saved model, and the corpora that its ``config.yaml`` names. Goes out:
``<out>/predictions/<condition>.csv`` with the columns of the run's own ``predictions.csv``. The run folder is only read.
Conventions: batches are those of the run, so that ``clean`` gives the predictions of the run on the same kind of machine.
A modality is removed by its mask, False for every segment of the batch; its values stay, and so do all other numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from erc.data import InputBatch, InputCollator, LengthBucketSampler, file_checksum, inputs_on
from erc.datasets import SegmentDataset
from erc.evaluation import predictions_table, read_predictions
from erc.files import write_atomically
from erc.labels import LabelSpace
from erc.model import MODEL, SavedModel, Transcriber, load_model, weights_checksum
from erc.robustness.conditions import Condition, Material, conditions
from erc.robustness.sounds import Voices
from erc.robustness.words import count_errors
from erc.training import finished_result, make_loader, open_view, precision_of_run, read_config

IDENTITY = "identity.json"

DECIDING = ("sounds.py", "words.py", "conditions.py")
"""Files of this room that decide what is changed, and how."""

AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
"""Number format of the model by ``trainer.precision`` of its run; float32 for any other."""

MAX_FILE = 1 << 40
"""Bytes."""


class Scored(NamedTuple):
    """A condition that is scored."""

    condition: Condition
    table: pd.DataFrame | None
    """Predictions, as ``predictions.csv``; None where the model does not read the modality of the condition."""
    word_error_rate: float | None = None
    """Of the words that the model read, against the transcripts; None where the condition leaves the words."""


def score_conditions(
    run: str | Path,
    out: str | Path,
    transcriber: str | None = None,
    seed: int = 42,
    device: str | None = None,
) -> list[Scored]:
    """Scores a run's model under every condition that is not scored yet.

    Args:
        run: Folder of a finished run.
        out: Folder of the predictions.
        transcriber: Hub id or directory of a recogniser, whose words the model then reads as well.
        seed: Of everything that is drawn.
        device: As torch names it; a GPU where there is one if not given.

    Returns:
        The conditions in the order of the table.

    Raises:
        FileExistsError: ``out`` holds predictions of another model, other data or another seed.
        FileNotFoundError: There is no finished run with a saved model, or its corpora are not there.
        ValueError: ``out`` lies in the run folder.
    """
    run, out = Path(run), Path(out)
    _check_folders(run, out)
    config = read_config(run)
    if (n_threads := config.get("n_threads")) is not None:
        torch.set_num_threads(n_threads)  # the order of a sum, and so the last digit, depends on it
    view = open_view(config)
    _claim(out, run, view, seed, transcriber)
    listed = conditions(with_transcriber=transcriber is not None)
    model = ConditionedModel(run, config, view, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    heard = None if transcriber is None else Transcriber(transcriber, model.device)
    material = material_of(view.ds, seed, heard)
    found = []
    with tqdm(listed, desc="robustness", unit="condition") as bar:
        for condition in bar:
            bar.set_postfix_str(condition.title)
            found.append(_scored(condition, model, material, out / "predictions", view.label_space))
    return found


def material_of(ds: Any, seed: int, transcriber: Callable[[np.ndarray], str] | None = None) -> Material:
    """What the changes draw from: voices and words of the segments of a ``datasets.Dataset``."""
    texts = ds.select_columns(["segment_id", "transcript"]).to_pandas().sort_values("segment_id")["transcript"]
    return Material(seed, Voices(ds), [word for text in texts for word in text.split()], transcriber)


def _check_folders(run: Path, out: Path) -> None:
    """Raises an error unless the run is a finished one with a saved model, and ``out`` lies outside of it."""
    if finished_result(run) is None or not (run / MODEL).is_dir():
        raise FileNotFoundError(
            f"Robustness is that of a finished run with a saved model: expected a valid result.json and {MODEL}/, {run} lacks one of "
            "them. Name the folder of such a run; one without a network (egemaps_svm) has no saved model."
        )
    if out.resolve().is_relative_to(run.resolve()):
        raise ValueError(f"A run folder stays as it is: expected a folder outside {run}, got {out} (--out).")


def _claim(out: Path, run: Path, view: SegmentDataset, seed: int, transcriber: str | None) -> None:
    """Writes down what the predictions are of; raises FileExistsError where those that are there are of something else."""
    code = "".join(file_checksum(Path(__file__).with_name(name), MAX_FILE) for name in DECIDING)
    identity = {
        "weights": weights_checksum(run / MODEL),
        "data": view.fingerprint,
        "segments": hashlib.sha256("\n".join(sorted(view.ds["segment_id"])).encode()).hexdigest(),
        "seed": seed,
        "code": hashlib.sha256(code.encode()).hexdigest(),
    }
    path = out / IDENTITY
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    identity["transcriber"] = transcriber or stored.get("transcriber")
    if any((out / "predictions").glob("*.csv")):
        differing = [name for name, value in identity.items() if stored.get(name) not in (None, value)]
        if differing or not stored:
            raise FileExistsError(
                f"Predictions that are there are gone on with: expected those of this model, data, seed and program, {out} holds "
                f"others ({', '.join(differing) or 'without identity.json'}). Remove that folder, or choose another --out."
            )
    (out / "predictions").mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(identity, indent=1) + "\n")


class ConditionedModel:
    """The saved model of a run, and the batches of its reported fold.

    Args:
        run: The run folder.
        config: Its ``config.yaml``.
        view: The segments that are scored.
        device: As torch names it.

    Attributes:
        modalities: What the model reads.
        device: As given.
    """

    def __init__(self, run: Path, config: dict[str, Any], view: SegmentDataset, device: str) -> None:
        saved: SavedModel = load_model(run / MODEL)
        self._model = saved.model.emotion_model.to(device).eval()
        self.modalities = tuple(self._model.encoders)
        self.device = device
        self._collate = InputCollator(
            **saved.processors,
            max_samples=saved.config.max_samples,
            max_tokens=saved.config.max_tokens,
            signals=view.signals,
        )
        self._ds = view.ds
        lengths = view.ds.with_format("numpy")["n_samples"][:].clip(max=saved.config.max_samples)
        self._sampler = LengthBucketSampler(lengths, config["dataloader"]["batch_size"], shuffle=False)
        precision = precision_of_run(config["trainer"], finished_result(run) or {})
        self._dtype = AUTOCAST.get(str(precision))

    def predict(self, condition: Condition, material: Material) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
        """Predictions of all segments under one condition.

        Returns:
            segment_id (N,), emotion_probs (N, K) and pred_va (N, R); and word errors and words, 0 and 0 where the condition
            leaves the words.
        """
        changed = _Changed(self._collate, condition, material)
        loader = make_loader(self._ds, cast("InputCollator", changed), self._sampler)
        parts = [self._batch(batch, condition) for batch in loader]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, changed.counted()

    def _batch(self, batch: InputBatch, condition: Condition) -> dict[str, np.ndarray]:
        inputs = inputs_on(self.device, batch["inputs"], condition.modality if condition.removes else None)
        with torch.inference_mode(), self._precision():
            said = self._model(inputs)
        return {
            "segment_id": np.array(batch["segment_id"]),
            "emotion_probs": said.probabilities().cpu().numpy(),
            "pred_va": said.va.double().cpu().numpy(),
        }

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self._dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=self._dtype)


class _Changed:
    """Rows -> the batch of the changed rows; counts the errors in their words."""

    def __init__(self, collate: InputCollator, condition: Condition, material: Material) -> None:
        self._collate, self._condition, self._material = collate, condition, material
        self._counts: list[tuple[int, int]] = []
        self.columns = collate.columns

    def __call__(self, rows: Sequence[dict[str, Any]]) -> InputBatch:
        change, material = self._condition.change, self._material
        if change is None:
            return self._collate(rows)
        changed = [change(row, material) for row in rows]
        if self._condition.modality == "text":
            pairs = zip(rows, changed, strict=True)
            self._counts += [count_errors(row["transcript"], one["transcript"]) for row, one in pairs]
        return self._collate(changed)

    def counted(self) -> tuple[int, int]:
        """Word errors and words so far."""
        return sum(errors for errors, _ in self._counts), sum(words for _, words in self._counts)


def _scored(
    condition: Condition, model: ConditionedModel, material: Material, folder: Path, space: LabelSpace
) -> Scored:
    """Predictions under one condition: read where they are there, else made and written, the rate of errors first."""
    if condition.modality and condition.modality not in model.modalities:
        return Scored(condition, None)
    path, rate_path = folder / f"{condition.name}.csv", folder / f"{condition.name}.json"
    if not path.is_file():
        gathered, (n_errors, n_words) = model.predict(condition, material)
        if n_words:
            write_atomically(rate_path, json.dumps({"word_errors": n_errors, "words": n_words}) + "\n")
        write_atomically(path, predictions_table(model._ds, space, gathered).to_csv(index=False))
    try:
        table = read_predictions(path, space)
    except ValueError as err:
        raise ValueError(
            f"Predictions must be those that were written: {path}: {err}. Remove the file, and start the command again."
        ) from err
    counted = json.loads(rate_path.read_text(encoding="utf-8")) if rate_path.is_file() else None
    return Scored(condition, table, counted and counted["word_errors"] / counted["words"])
