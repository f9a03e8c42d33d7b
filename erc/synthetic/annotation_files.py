"""Drawn segments -> text of the annotation CSVs, with the headers and spellings of the real files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from erc.data import EMOTIONS, KEMDY19, KEMDY20, N_RATERS, Corpus
from erc.labels import count_votes
from erc.synthetic.layout import MISNUMBERED, Segment

BIO_FORMATS = (".7g", ".8g", ".8g")
"""Of ECG (a float32), EDA (up to six decimals) and TEMP (two decimals)."""

RATERS = {  # KEMDy19 changes them after session 10; the names of its second ten are not published
    "kemdy19-1": "Eval01F Eval02M Eval03F Eval04F Eval05M Eval06M Eval07M Eval08F Eval09M Eval10F",
    "kemdy19-2": "Eval11M Eval12F Eval13F Eval14M Eval15F Eval16M Eval17F Eval18M Eval19F Eval20M",
    "kemdy20": "Eval01F Eval02M Eval03M Eval04F Eval05M Eval06F Eval07F Eval08M Eval09F Eval10M",
}

TIE_ORDER = {
    "kemdy19": ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"),
    "kemdy20": ("happy", "surprise", "angry", "neutral", "disgust", "fear", "sad"),
}
"""Order in which each corpus names tied emotions."""


def total_cells(corpus: Corpus, ratings: np.ndarray, va: np.ndarray) -> list[str]:
    """Cells of the total evaluation: plurality of the votes (ties in the corpus's order), mean valence, mean arousal."""
    votes = count_votes(ratings[None], len(EMOTIONS))[0]
    winners = {EMOTIONS[k] for k in np.flatnonzero(votes == votes.max())}
    label = ";".join(spell(corpus, emotion) for emotion in TIE_ORDER[corpus.name] if emotion in winners)
    return [label, *(f"{total / N_RATERS:g}" for total in va.sum(axis=0).tolist())]


def spell(corpus: Corpus, emotion: str) -> str:
    """An emotion as the corpus spells it: KEMDy20 has ``disqust`` throughout."""
    return "disqust" if corpus is KEMDY20 and emotion == "disgust" else emotion


def header(corpus: Corpus, session: int) -> list[list[str]]:
    """The two header lines; blank cells are empty in KEMDy19 and hold one space in KEMDy20."""
    blank, wav = ("", "Wav") if corpus is KEMDY19 else (" ", "WAV")
    signals = ["ECG", "E4-EDA", "E4-TEMP"] if corpus is KEMDY19 else []
    group = RATERS["kemdy20" if corpus is KEMDY20 else f"kemdy19-{1 if session <= 10 else 2}"]
    top = [cell for name in (wav, *signals) for cell in (name, blank)]
    judges = [cell for name in ("Total Evaluation", *group.split()) for cell in (name, blank, blank)]
    return [
        ["Numb", *top, "Segment ID", *judges],
        [blank, *["start", "end"] * (1 + len(signals)), blank, *["Emotion", "Valence", "Arousal"] * (1 + N_RATERS)],
    ]


def annotation_csv(corpus: Corpus, session: int, drawn: Iterable[Segment], rated: str) -> str:
    """Text of one annotation file.

    Args:
        corpus: Corpus to imitate.
        session: Session number; it decides the raters' names.
        drawn: All segments of the session, of both speakers.
        rated: Person whom the file rates: ``F`` or ``M`` in KEMDy19, the empty string in KEMDy20.
    """
    lines = header(corpus, session)
    for number, segment in enumerate(drawn, start=1):
        ratings, va = segment.ratings[rated], segment.va[rated]
        times = [time_cell(corpus, seconds) for seconds in (segment.start, segment.end)]
        signals = bio_cells(segment, rated) if corpus is KEMDY19 else []
        line = [str(number), *times, *signals, listed_id(segment, rated), *total_cells(corpus, ratings, va)]
        for emotion, (valence, arousal) in zip(ratings.tolist(), va.tolist(), strict=True):
            line += [spell(corpus, EMOTIONS[emotion]), str(valence), str(arousal)]
        lines.append(line)
    return "".join(",".join(line) + "\n" for line in lines)


def listed_id(segment: Segment, rated: str) -> str:
    """A segment's id as the annotation file of that person states it, wrong ones included."""
    if rated == "F" and segment.id in MISNUMBERED:
        return segment.id.replace("_F", "_M")
    return segment.id.replace("_M", "_F") if rated == "M" and segment.is_phantom else segment.id


def time_cell(corpus: Corpus, seconds: float) -> str:
    """Milliseconds without trailing zeros in KEMDy19, a float32 of up to eight digits in KEMDy20."""
    if corpus is KEMDY19:
        return np.format_float_positional(seconds, precision=3, trim="-")
    return np.format_float_positional(np.float32(seconds), precision=8, fractional=False, trim="-")


def bio_cells(segment: Segment, rated: str) -> list[str]:
    """Start and end cells of ECG, EDA and TEMP."""
    cells = [f"{value:{BIO_FORMATS[k // 2]}}" for k, value in enumerate(segment.bio[rated].ravel().tolist())]
    return cells[:2] + [""] * 4 if rated in segment.without_bio else cells
