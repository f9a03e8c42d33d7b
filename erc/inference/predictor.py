"""``Predictor``: own speech -> emotions, valence and arousal, with a saved model.

predictor = Predictor.from_pretrained("runs/demo/tensor_mixer_peakl/fold0-seed42")
predictor("a.wav", text="정말 좋아요")
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from erc.inference.ensemble import Ensemble, Predicted, contribution
from erc.inference.remarks import on_the_prediction, on_the_sound, on_the_text
from erc.inference.sound import Sound
from erc.inference.sources import find_models
from erc.inference.windows import SLACK, check_window, of_the_whole, windows_of
from erc.labels import LabelSpace, entropy
from erc.model import SavedModel, Transcriber, load_model

AHEAD = 8
"""So many batches of stretches are read before they are sorted by length and predicted."""


class Request(NamedTuple):
    """One thing to predict."""

    audio: Any = None
    text: str | None = None
    sampling_rate: float | None = None
    start: float = 0.0
    """Where it begins in ``audio``, in seconds."""
    end: float = math.nan
    """Where it ends; NaN: with ``audio``."""


class _Piece(NamedTuple):
    """A stretch that the model reads at once."""

    item: int
    span: tuple[float, float]
    row: dict[str, Any]


class Predictor:
    """Predicts emotions, valence and arousal of speech and its transcript.

    Args:
        models: One or more saved models, which are averaged (probabilities, and valence and arousal).
        transcriber: Hears the words of speech that comes without a transcript.
        device: As torch names it; null: a GPU where there is one.

    Attributes:
        label_space: Emotions, dimensions and their scale.
        modalities: What the model reads: ``audio``, ``text`` or both.
        max_seconds: Longest audio that the model reads at once; longer audio is read window by window.
        training: Facts of the training; see ``erc.model.EmotionModelConfig``.

    Raises:
        ValueError: The models differ in their label spaces or in what they read.
    """

    def __init__(
        self, models: Sequence[SavedModel], transcriber: Transcriber | None = None, device: str | None = None
    ) -> None:
        self._ensemble = Ensemble(list(models), device or _best_device())
        self.transcriber = transcriber
        self.label_space: LabelSpace = self._ensemble.label_space
        self.modalities = self._ensemble.modalities
        self.max_seconds = self._ensemble.max_seconds
        self.training = self._ensemble.training

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path | Sequence[str | Path],
        transcriber: str | None = None,
        device: str | None = None,
    ) -> Predictor:
        """Loads one model or several.

        Args:
            path: Folder of a finished run, a saved model, a row of a grid (its folds are averaged), or a list of these.
            transcriber: Hub id or directory of a recogniser (``AutoModelForCTC``) for speech without a transcript.
            device: See ``Predictor``.

        Raises:
            FileNotFoundError: A path is no model.
            OSError: A file is damaged.
            ValueError: See ``Predictor``; or the weights are not those of the model.
        """
        models = [load_model(folder) for folder in find_models(path)]
        device = device or _best_device()
        return cls(models, None if transcriber is None else Transcriber(transcriber, device), device)

    def __call__(
        self,
        audio: Any = None,
        text: str | Sequence[str | None] | None = None,
        *,
        sampling_rate: int | None = None,
        batch_size: int = 8,
        window: float | None = None,
        stride: float | None = None,
        return_embedding: bool = False,
        return_contributions: bool = False,
    ) -> Any:
        """Predicts one segment, or a list of them.

        Args:
            audio: Path of a wav, flac, ogg or mp3; an array, with ``sampling_rate``; a dictionary with ``array`` (or ``raw``)
                and ``sampling_rate``; or a list of these. None for a model that reads text alone.
            text: What is said, or a list of it. None: the transcriber hears it.
            sampling_rate: Of arrays, in Hz.
            batch_size: Segments a batch; it changes no prediction by more than rounding (1e-4).
            window: Reads audio in windows of so many seconds, each with the whole transcript (or with what the transcriber
                hears in it). None: audio that is longer than ``max_seconds`` is read in windows of that length.
            stride: Seconds from one window to the next; None: half a window.
            return_embedding: Adds ``embedding``, (D,) float32: the vector in front of the heads. Of several models they stand
                side by side.
            return_contributions: Adds ``contributions``: for each modality what it adds to the ``score`` of the likeliest emotion
                and to each dimension, which is the prediction minus the one without that modality. A model that was trained
                without modality dropout has not learned to do without one: take it as a hint. Source: Li, Monroe and Jurafsky
                (2016), Understanding neural networks through representation erasure, arXiv 1612.08220.

        Returns:
            A dictionary, or a list of them: ``emotions`` (a list of ``label`` and ``score``, the likeliest first), the
            dimensions of the label space (``valence``, ``arousal``: on the raters' scale, not clipped), ``entropy`` of the
            probabilities in nats (0: certain; ln K: says nothing), ``text``, ``transcript_source`` (human or asr),
            ``notes`` on what is unusual, what ``return_…`` asks for, and for audio in windows ``windows`` with the same of each
            one but ``contributions``, its ``start`` and its ``end``. What is said of the whole is the mean over the windows.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The audio cannot be read, a transcript is missing, or an argument is out of its range.
        """
        is_list = isinstance(audio, list | tuple) or (audio is None and isinstance(text, list | tuple))
        audios = list(audio) if isinstance(audio, list | tuple) else [audio]
        texts: list[Any] = (
            list(text) if isinstance(text, list | tuple) else [text] * (len(audios) if text is None else 1)
        )
        if audio is None:
            audios = [None] * len(texts)
        if len(texts) != len(audios):
            raise ValueError(
                f"Each segment has its transcript: got {len(audios)} of audio and {len(texts)} of text. Give a list of texts."
            )
        requests = [Request(one, words, sampling_rate) for one, words in zip(audios, texts, strict=True)]
        found = []
        for one in self.stream(requests, batch_size, window, stride, return_embedding, return_contributions):
            if isinstance(one, Exception):
                raise one
            found.append(one)
        return found if is_list else found[0]

    def stream(
        self,
        requests: Iterable[Request],
        batch_size: int = 8,
        window: float | None = None,
        stride: float | None = None,
        return_embedding: bool = False,
        return_contributions: bool = False,
    ) -> Iterator[dict[str, Any] | Exception]:
        """Predictions one after the other, in the order of the requests; memory does not grow with their number.

        A request that cannot be used gives its error (a ValueError or an OSError) in its place, and the others go on.
        """
        stride = self.check_options(batch_size, window, stride)
        removed = self.modalities if return_contributions else ()
        waiting: list[dict[str, Any] | Exception] = []
        pieces: list[_Piece] = []
        for request in requests:
            try:
                item = self._prepared(request, window, stride)
                waiting.append(item)
            except (ValueError, OSError) as err:
                waiting.append(err)
                continue
            for span, row in self._rows(item):
                if isinstance(row, Exception):
                    waiting[-1] = row
                    pieces = [piece for piece in pieces if piece.item != len(waiting) - 1]
                    break
                pieces.append(_Piece(len(waiting) - 1, span, row))
                if len(pieces) >= AHEAD * batch_size:
                    self._predict(pieces, waiting, batch_size, return_embedding, removed)
                    pieces = []
            if not pieces:
                yield from self._told(waiting, return_embedding)
                waiting = []
        self._predict(pieces, waiting, batch_size, return_embedding, removed)
        yield from self._told(waiting, return_embedding)

    def check_options(self, batch_size: int, window: float | None, stride: float | None) -> float | None:
        """The stride of windows, if there are windows; ValueError where a number is out of its range."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is a whole number, 1 or more: got {batch_size!r}.")
        if window is not None:
            return check_window(window, stride, self.max_seconds)
        if stride is not None:
            raise ValueError("A stride is one of windows: give window, too.")
        return None

    # --- one request ------------------------------------------------------------------------------------------------------
    def _prepared(self, request: Request, window: float | None, stride: float | None) -> dict[str, Any]:
        """What is known of a request before anything is decoded."""
        item: dict[str, Any] = {
            "text": request.text,
            "notes": [],
            "predicted": [],
            "spans": [],
            "heard": [],
            "without": {},
        }
        if "text" in self.modalities:
            self._check_text(request)
            item["hears"] = request.text is None
        if "audio" in self.modalities or item.get("hears"):
            if request.audio is None:
                raise ValueError("The model reads audio: expected a file or an array, got none.")
            sound = item["sound"] = Sound(request.audio, request.sampling_rate, request.start, request.end)
            item["is_windowed"] = window is not None or sound.seconds > self.max_seconds + SLACK
            length = window or self.max_seconds
            item["spans"] = windows_of(sound.seconds, length, stride or length / 2)
            if window is None and item["is_windowed"] and "audio" in self.modalities:
                item["notes"].append(
                    f"The audio has {sound.seconds:.1f} s and was read in {len(item['spans'])} windows of {length:g} s, because "
                    "the model reads no more at once; what is said of the whole is their mean."
                )
        else:
            item["spans"], item["is_windowed"] = [(0.0, 0.0)], False
        return item

    def _check_text(self, request: Request) -> None:
        if request.text is None and self.transcriber is None:
            other = "an audio-only model (rows of a table named audio_only)"
            raise ValueError(
                "The model reads what is said: expected text, got none. Give the transcript, load the model with a transcriber "
                f"(transcriber=…; --text=auto), or use {other}."
            )
        if request.text is not None and not isinstance(request.text, str):
            raise ValueError(f"A transcript is a string: got {type(request.text).__name__}.")
        if request.text and any("\ud800" <= character <= "\udfff" for character in request.text):
            raise ValueError(
                "A transcript is Unicode text: expected characters, got a lone surrogate. Decode it as UTF-8."
            )

    def _rows(self, item: dict[str, Any]) -> Iterator[tuple[tuple[float, float], Any]]:
        """Each stretch of a request, when it has been decoded: what the model reads, or what is wrong with it."""
        spans = item["spans"]
        stretches: Any = item["sound"].stretches(spans) if "sound" in item else enumerate([None] * len(spans))
        try:
            for place, waveform in stretches:
                row: dict[str, Any] = {"segment_id": ""}
                if "text" in self.modalities:
                    hears = item["hears"]
                    row["transcript"] = self.transcriber(waveform) if hears and self.transcriber else item["text"]
                    if hears:
                        item["heard"].append(row["transcript"])
                if waveform is not None:
                    item["is_silent"] = item.get("is_silent", True) and not waveform.any()
                if "audio" in self.modalities:
                    row["waveform"] = waveform
                yield spans[place], row
        except (ValueError, OSError) as err:
            yield (math.nan, math.nan), err

    def _predict(
        self, pieces: list[_Piece], waiting: list[Any], batch_size: int, keeps: bool, removed: Sequence[str]
    ) -> None:
        """Adds the predictions of the stretches to what they belong to."""
        if not pieces:
            return
        rows = [piece.row for piece in pieces]
        predicted = self._ensemble.predict(rows, batch_size)
        for i, piece in enumerate(pieces):
            embedding = predicted.embedding[i].copy() if keeps else np.zeros(0, dtype=np.float32)
            waiting[piece.item]["predicted"].append(
                (piece.span, Predicted(predicted.probabilities[i], predicted.va[i], embedding))
            )
        for modality in removed:
            others = self._ensemble.predict(rows, batch_size, without=modality)
            for i, piece in enumerate(pieces):
                found = waiting[piece.item]["without"].setdefault(modality, [])
                found.append((others.probabilities[i], others.va[i]))

    # --- what is told -----------------------------------------------------------------------------------------------------
    def _told(self, waiting: list[Any], keeps: bool) -> Iterator[dict[str, Any] | Exception]:
        for item in waiting:
            yield item if isinstance(item, Exception) else self._answer(item, keeps)

    def _answer(self, item: dict[str, Any], keeps: bool) -> dict[str, Any]:
        stretches = item["predicted"]
        whole = Predicted(*(of_the_whole(np.stack(one)) for one in zip(*(each for _, each in stretches), strict=True)))
        answer = self._figures(whole)
        notes = item["notes"]
        if "text" in self.modalities:
            answer["text"] = " / ".join(item["heard"]) if item["hears"] else item["text"]
            answer["transcript_source"] = "asr" if item["hears"] else "human"
            if (n_empty := item["heard"].count("")) and item["is_windowed"]:
                notes.append(f"In {n_empty} of {len(item['heard'])} windows no word was heard.")
            notes += on_the_text(answer["text"], self.training)
        if "audio" in self.modalities:
            sound = item["sound"]
            seconds = stretches[0][0][1] - stretches[0][0][0] if item["is_windowed"] else sound.seconds
            notes += on_the_sound(sound.rate, seconds, item["is_silent"], self.training, item["is_windowed"])
        if self._ensemble.reads_signals:
            notes.append(
                "The model was trained with bio-signals; here it uses what it learned for segments without them."
            )
        answer["notes"] = notes + on_the_prediction(answer["entropy"], self.label_space.n_emotions, self.training)
        if keeps:
            answer["embedding"] = whole.embedding.astype(np.float32)
        for modality, parts in item["without"].items():
            probabilities, va = (of_the_whole(np.stack(one)) for one in zip(*parts, strict=True))
            added = contribution(whole, probabilities, va, self.label_space)
            answer.setdefault("contributions", {})[modality] = added
        if item["is_windowed"] and "audio" in self.modalities:
            answer["windows"] = []
            for i, ((start, end), each) in enumerate(stretches):
                one = {"start": round(start, 3), "end": round(end, 3), **self._figures(each)}
                one |= {"text": item["heard"][i]} if item.get("hears") else {}
                one |= {"embedding": each.embedding} if keeps else {}
                answer["windows"].append(one)
        return answer

    def _figures(self, predicted: Predicted) -> dict[str, Any]:
        scores = dict(zip(self.label_space.emotions, map(float, predicted.probabilities), strict=True))
        ranked = sorted(scores.items(), key=lambda pair: -pair[1])
        dimensions = dict(zip(self.label_space.dimensions, map(float, predicted.va), strict=True))
        return {
            "emotions": [{"label": label, "score": score} for label, score in ranked],
            **dimensions,
            "entropy": float(entropy(predicted.probabilities)),
        }


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
