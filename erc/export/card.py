"""A model and the run that trained it -> the text of its model card, as the Hugging Face Hub reads one.

Figures are those of ``result.json``; their intervals are computed from ``predictions.csv``, as those of a grid's table. What
goes in are counts, shares and names of corpora: no segment, dialogue, speaker, transcript or path.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from erc import __version__
from erc.data import CORPORA, SAMPLE_RATE
from erc.export.onnx import shortest_audio
from erc.export.parity import Parity
from erc.model import EmotionModelConfig, SavedModel
from erc.report import (
    PROTOCOLS,
    Table,
    ends_text,
    groups_of,
    intervals,
    load,
    metrics_of,
    short,
    table_to_markdown,
)
from erc.training import read_config

LANGUAGES = {"HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "THAI": "th", "GREEK": "el"}
"""Scripts of the transcripts that are used for one language; the others say nothing about the language."""

HUB_METRICS = {"weighted_f1": ("f1", "weighted"), "micro_f1": ("f1", "micro"), "macro_f1": ("f1", "macro")}
"""Type and averaging, as the hub names them; a metric that is not here keeps its own name."""

NOT_KNOWN = "not known"


class Figures(NamedTuple):
    """What the run says of the reported fold."""

    overall: str
    """A table in Markdown: each metric with its interval, the majority row, one rater."""
    by_emotion: str
    by_corpus: str
    """Empty where there is one corpus."""
    by_group: str
    """By sex of the speaker and kind of speech; empty where the corpora do not tell."""
    held_out: str
    """Sessions, dialogues and speakers, counted."""
    results: list[EvalResult]


def model_card(saved: SavedModel, run: Path | None = None, parity: Parity | None = None) -> str:
    """Text of ``README.md``.

    Args:
        saved: The model.
        run: Folder of the run that trained it, with ``result.json`` and ``predictions.csv``; None where it is not known.
        parity: Of ``model.onnx``; None where there is none.

    Raises:
        FileNotFoundError: The run's files are damaged.
        ValueError: The run is not that of the model.
    """
    facts: dict[str, Any] = dict(saved.config.training or {})
    result: dict[str, Any] = {}
    figures = None
    if run is not None:
        (row,) = load(run)
        (finished,) = row.runs.values()
        result = finished.result
        if facts.get("fingerprint", result["fingerprint"]) != result["fingerprint"]:
            raise ValueError(
                f"A card's figures are of its model: {run / 'result.json'} is of another run than the model beside it. "
                "Export the folder as the run left it."
            )
        figures = _figures(row, _task(saved.config), result, finished.predictions)
    facts |= {name: result[name] for name in ("fusion", "target", "protocol", "is_synthetic") if name in result}
    corpora = facts.get("corpora") or result.get("trained_on") or result.get("corpora") or []
    is_synthetic = bool(facts.get("is_synthetic", False))
    encoders, goes_on = _encoders(run, saved.speech_modalities)
    # weights follow the terms of what they were made of; those that this program made alone have its own
    is_free = is_synthetic and bool(encoders) and not goes_on and set(encoders.values()) <= {"tiny", "spectrogram"}
    title = f"Emotion recognition from {' and '.join(_MODALITIES[name] for name in saved.speech_modalities)}"
    text = _template().render(
        front_matter=_front_matter(saved.config, title, facts, is_free, encoders, figures),
        title=title,
        modalities=list(saved.speech_modalities),
        reads_signals=saved.config.signals is not None,
        n_parameters=sum(value.numel() for value in saved.model.parameters()),
        labels=saved.config.labels,
        label_table=table_to_markdown(
            Table(["id", "label"], [[str(i), name] for i, name in enumerate(saved.config.labels.emotions)])
        ),
        facts=facts,
        corpora=corpora,
        is_synthetic=is_synthetic,
        is_free=is_free,
        encoders=encoders,
        goes_on=goes_on,
        result=result,
        figures=figures,
        protocol=PROTOCOLS.get(str(facts.get("protocol", "")), "").replace(" (optimistic)", ""),
        is_chosen_on_reported=facts.get("protocol") == "paper",
        max_seconds=saved.config.max_samples / SAMPLE_RATE,
        max_tokens=saved.config.max_tokens,
        versions=result.get("versions") or {"erc": facts.get("erc_version", __version__)},
        parity=parity,
        onnx_names=_onnx_names(saved),
        min_seconds=shortest_audio(saved) / SAMPLE_RATE,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


_MODALITIES = {"audio": "speech", "text": "its transcript"}


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"short": short, "percent": lambda value: f"{100 * value:.0f} %"}
    return environment.get_template("card.md.j2")


def _front_matter(
    config: EmotionModelConfig,
    title: str,
    facts: dict[str, Any],
    is_free: bool,
    encoders: dict[str, str],
    figures: Figures | None,
) -> str:
    """Lines of YAML that the hub reads."""
    languages = {
        LANGUAGES[name] for name, share in facts.get("scripts", {}).items() if name in LANGUAGES and share > 0.2
    }
    has_audio = config.audio_config is not None or config.spectrogram is not None
    has_text = config.text_config is not None
    bases = [name for name in encoders.values() if "/" in name]
    data = ModelCardData(
        license="mit" if is_free else "other",
        license_name=None if is_free else "terms-of-the-training-corpora",
        language=sorted(languages) or None,
        library_name="erc",
        pipeline_tag=_task(config),
        tags=[
            "speech-emotion-recognition",
            "emotion",
            "valence-arousal",
            *(["multimodal"] if has_audio and has_text else []),
            *(["synthetic-data"] if facts.get("is_synthetic") else []),
        ],
        base_model=bases or None,
        model_name=f"{title} ({facts.get('fusion', NOT_KNOWN)}, {facts.get('target', NOT_KNOWN)})" if figures else None,
        eval_results=figures.results if figures else None,
    )
    return data.to_yaml()


def _task(config: EmotionModelConfig) -> str:
    """The hub's word for what the model does."""
    return (
        "text-classification" if config.audio_config is None and config.spectrogram is None else "audio-classification"
    )


def _encoders(run: Path | None, modalities: tuple[str, ...]) -> tuple[dict[str, str], bool]:
    """Hub id of the encoder of each modality; whether training began with a saved model instead.

    A directory of the machine is not named.
    """
    if run is None or not (run / "config.yaml").is_file():
        return {}, False
    config = read_config(run)
    if config.get("model", {}).get("init_from"):
        return {}, True
    options = config.get("encoders", {})
    found = {modality: str(options.get(modality, {}).get("name", NOT_KNOWN)) for modality in modalities}
    is_public = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?").fullmatch
    return {
        modality: name if is_public(name) and not Path(name).exists() else "a local directory"
        for modality, name in found.items()
    }, False


def _figures(row: Any, task: str, result: dict[str, Any], predictions: pd.DataFrame) -> Figures:
    titles, found = metrics_of(row), intervals(row)
    selected, majority, human = result["selected"]["metrics"], result["majority"], result["human"]
    header = ["", "this model", "95 % interval", "majority label", *(["one rater"] if human else [])]
    lines, results = [], []
    for metric, title in titles.items():
        ends = found[metric].dialogues
        lines.append(
            [
                title,
                _text(selected.get(metric)),
                ends_text(float(ends.low), float(ends.high)),
                _text(majority.get(metric)),
            ]
            + ([_text(human.get(metric))] if human else [])
        )
        if selected.get(metric) is not None:
            kind, average = HUB_METRICS.get(metric, (metric, None))
            results.append(
                EvalResult(
                    task_type=task,
                    dataset_type="-".join(result["corpora"]),
                    dataset_name=", ".join(result["corpora"]) + (" (synthetic)" if result["is_synthetic"] else ""),
                    dataset_split=f"fold {result['fold']}, reported",
                    metric_type=kind,
                    metric_config=average,
                    metric_name=title,
                    metric_value=round(selected[metric], 4),
                )
            )
    emotions = row.label_space.emotions
    shares = _shares(predictions, row.label_space.n_emotions)
    by_emotion = [
        [name, _text(selected.get(f"f1_{name}")), f"{100 * share:.0f} %"]
        for name, share in zip(emotions, shares, strict=True)
    ]
    groups = {
        f"{kind}: {group}": result["metrics_by_group"][f"{kind}:{group}"]
        for kind, names in groups_of([row]).items()
        for group in names
    }
    by_corpus = result["selected"]["metrics_by_corpus"]
    return Figures(
        table_to_markdown(Table(header, lines)),
        table_to_markdown(Table(["emotion", "F1", "share of the reported segments"], by_emotion)),
        _part_table("corpus", by_corpus, titles) if len(by_corpus) > 1 else "",
        _part_table("group", groups, titles) if groups else "",
        _held_out(predictions),
        results,
    )


def _shares(predictions: pd.DataFrame, n_emotions: int) -> np.ndarray:
    """(K,) share of each emotion among the segments that have one without a tie."""
    labels = predictions.loc[~predictions["is_tied"] & (predictions["hard_label"] >= 0), "hard_label"]
    return np.bincount(labels, minlength=n_emotions) / max(len(labels), 1)


def _part_table(kind: str, parts: dict[str, dict[str, float]], titles: dict[str, str]) -> str:
    lines = [[name, *(_text(metrics.get(metric)) for metric in titles)] for name, metrics in parts.items()]
    return table_to_markdown(Table([kind, *titles.values()], lines))


def _text(value: float | None) -> str:
    return short(float("nan") if value is None else float(value))


def _held_out(predictions: pd.DataFrame) -> str:
    """How many sessions, dialogues and speakers were held out; a session of KEMD is named by its number, which is no speaker."""
    counts = []
    for corpus, table in predictions.groupby("corpus"):
        sessions = table["session"].unique()
        text = _count(len(sessions), "session")
        if corpus in CORPORA:
            text += f" ({', '.join(map(str, sorted(sessions)))})"
        dialogues, speakers = table["dialogue"].nunique(), table["speaker"].nunique()
        counts.append(f"{corpus}: {text}, {_count(dialogues, 'dialogue')}, {_count(speakers, 'speaker')}")
    return "; ".join(counts)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _onnx_names(saved: SavedModel) -> list[tuple[str, str, str]]:
    """Name, type and shape of each input of ``model.onnx``."""
    modalities = saved.model.emotion_model.encoders
    found = []
    if "audio" in modalities:
        found += [
            ("input_values", "float32", "(batch, samples)"),
            ("audio_attention_mask", "int64", "(batch, samples)"),
        ]
    if "text" in modalities:
        found += [("input_ids", "int64", "(batch, tokens)"), ("attention_mask", "int64", "(batch, tokens)")]
    return found
