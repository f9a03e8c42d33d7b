"""Checks of the voices: a speaker under two ids, dialogues of another session, and a speaker of the other sex.

A voice is described per dialogue and speaker: mean and standard deviation of the mel-frequency cepstral coefficients (MFCC)
over the louder frames of a few segments. A linear discriminant analysis says whose dialogue a left-out one is. This is a
hint, no proof: the description is cheap, and holds the microphone and the room as well as the voice. Where it does not tell
the corpus's own speakers apart, nothing is compared, and the finding says so.

What it cannot see: sessions that were exchanged as a whole (every speaker still sounds the same in all dialogues), unless
their speakers differ in sex; and one person recorded twice with different microphones.

Shapes: N dialogues of one speaker each, F features (38).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from erc.data import SAMPLE_RATE, read_waveform
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, plural

SEGMENTS, SECONDS = 4, 3.0
"""Of each dialogue and speaker, the longest segments, and the seconds of each that are described."""

N_COEFFICIENTS, N_BANDS, WINDOW, HOP = 20, 40, 400, 160
"""MFCC of 25 ms every 10 ms; the first coefficient, the level, is left out."""

PAUSES = 0.3
"""Share of the frames, the faintest, that are left out."""

MIN_SPEAKERS, MIN_DIALOGUES = 6, 4
"""Speakers of a corpus, and dialogues of a speaker, that a comparison needs."""

MIN_RIGHT = 0.9
"""Share of the other speakers' left-out dialogues that must be told right, for a comparison to say something."""

MIN_CONFUSED, CONFUSED, CHANCE = 4, 0.45, 0.01
"""Two speakers sound alike where this many of their dialogues, and this share of them, are told as the other's; and where
the other speakers' errors give so many by chance in fewer than ``CHANCE`` corpora."""

MIN_OF_A_SEX, MIN_RIGHT_SEX = 4, 0.8
"""Speakers of either sex for a comparison of the sexes, and the share of them that must sound like their sex."""

DEPTH = 0.1
"""A speaker sounds like the other sex where the voice lies deeper in it than those of this share of its speakers."""


def check_voices(case: Evidence) -> list[Finding]:
    """Speakers of different folds that sound alike, dialogues that sound like another session, and the speakers' sex."""
    import torch  # noqa: F401  # loaded before the limit, which counts for what is loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # small computations: threads would wait for each other
        described = describe(case.heard)
        return [_speakers(case, described), _sex(case, described)]


def describe(rows: pd.DataFrame) -> pd.DataFrame:
    """Description of each dialogue's speaker.

    Args:
        rows: Segments that can be heard, with the columns of ``Evidence.table``.

    Returns:
        Columns dialogue, speaker, session, fold, gender and features, (F,) each; only speakers with ``MIN_DIALOGUES``.
    """
    columns = ["dialogue", "speaker", "session", "fold", "gender"]
    n_dialogues = rows.groupby("speaker")["dialogue"].transform("nunique")
    rows = rows[n_dialogues >= MIN_DIALOGUES].sort_values("n_samples", kind="stable")
    found = []
    for _, part in rows.groupby(["dialogue", "speaker"]):
        features = [_features(path) for path in part["wav_path"].tail(SEGMENTS)]
        found.append([*part[columns].iloc[0], np.mean(features, axis=0)])
    return pd.DataFrame(found, columns=[*columns, "features"])


def _features(path: str) -> np.ndarray:
    """(F,) mean and standard deviation of the coefficients of one wav."""
    import torch

    waveform = read_waveform(path, may_be_silent=True)[: int(SECONDS * SAMPLE_RATE)]
    mfcc = _transform()(torch.from_numpy(waveform.astype(np.float32) / 32768)).numpy()  # (20, frames)
    loud = mfcc[1:, mfcc[0] >= np.quantile(mfcc[0], PAUSES)]
    return np.concatenate([loud.mean(axis=1), loud.std(axis=1)])


@cache
def _transform() -> Callable[[Any], Any]:
    """(L,) waveform -> (20, frames) coefficients."""
    import torchaudio

    bands = {"n_fft": WINDOW, "hop_length": HOP, "n_mels": N_BANDS, "center": False}
    return torchaudio.transforms.MFCC(SAMPLE_RATE, n_mfcc=N_COEFFICIENTS, melkwargs=bands)


def _speakers(case: Evidence, described: pd.DataFrame) -> Finding:
    """Whose each left-out dialogue is by its voice, against what the ids say."""
    name, n_speakers = "speaker voices", described["speaker"].nunique()
    if n_speakers < MIN_SPEAKERS or described["fold"].nunique() < 2:
        got = f"not compared: {plural(n_speakers, 'speaker')} with {MIN_DIALOGUES} dialogues and more"
        return case.finding(name, "note", got, expected=f"{MIN_SPEAKERS} and more, in two folds")
    rows = described.assign(told=_told(described))
    by_speaker = rows.groupby("speaker")[["session", "fold"]].first()
    rows["told_session"] = rows["told"].map(by_speaker["session"])
    rows["is_leak"] = rows["told"].map(by_speaker["fold"]) != rows["fold"]
    alike, moved = _alike(rows), _moved(rows)
    is_odd = rows["speaker"].isin({speaker for pair in alike for speaker in pair}) | rows["dialogue"].isin(moved)
    rest = rows[~is_odd]
    right = float((rest["told"] == rest["speaker"]).mean()) if 2 * len(rest) >= len(rows) else 0.0
    if right < MIN_RIGHT:
        share = float((rows["told"] == rows["speaker"]).mean())
        got = f"not compared: only {100 * share:.0f} % of the dialogues are told by the speaker's voice"
        return case.finding(
            name, "note", got, expected=f"{100 * MIN_RIGHT:g} % and more, for a comparison to say something"
        )
    alike = _beyond_chance(alike, rows, max(float(rest["is_leak"].mean()), 1 / len(rest)))
    if not alike and not moved:
        got = f"{100 * right:.0f} % of the dialogues are told by the speaker's voice; no two folds share a voice"
        return case.finding(name, "ok", got)
    where = [
        f"{a} (fold {by_speaker['fold'][a]}) and {b} (fold {by_speaker['fold'][b]}): {n} of {n_both} dialogues are told as "
        "the other's"
        for (a, b), (n, n_both) in alike.items()
    ]
    where += [f"{dialogue}: both voices are those of session {session}" for dialogue, session in moved.items()]
    return case.finding(
        name,
        "warning",
        f"{plural(len(where), 'hint')} that a voice is in two folds: {'; '.join(where[:2])}",
        expected=f"every speaker's own voice in all dialogues, as {100 * right:.0f} % of the others have it",
        where=where,
        advice="A hint, no proof: listen to both. One person may have two ids, or wavs were exchanged between sessions: then "
        "validation would hear a training speaker.",
    )


def _told(described: pd.DataFrame) -> np.ndarray:
    """(N,) speaker of each dialogue by its voice; the dialogues of the same name are left out from what it is told by."""
    from sklearn.model_selection import GroupKFold

    kinds = described["dialogue"].str.slice(7)
    folds = GroupKFold(n_splits=min(5, kinds.nunique()))
    return _left_out(described, described["speaker"], kinds, folds, "predict")


def _left_out(described: pd.DataFrame, classes: pd.Series, groups: pd.Series, folds: Any, method: str) -> np.ndarray:
    """(N,) what a linear discriminant analysis says of each dialogue that was left out."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import cross_val_predict

    n = classes.nunique()
    analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", priors=np.full(n, 1 / n))
    features = np.stack(described["features"].to_list())
    return cross_val_predict(analysis, features, classes.to_numpy(), groups=groups.to_numpy(), cv=folds, method=method)


def _alike(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """Pairs of speakers in two folds that are told as each other: how many of their dialogues, and of how many."""
    n_dialogues = rows["speaker"].value_counts()
    wrong = rows[rows["is_leak"]]
    counts = pd.Series(
        [tuple(sorted(pair)) for pair in zip(wrong["speaker"], wrong["told"], strict=True)], dtype=object
    )
    found = {}
    for (a, b), n in counts.value_counts().items():
        n_both = int(n_dialogues[a] + n_dialogues[b])
        if n >= max(MIN_CONFUSED, CONFUSED * n_both):
            found[a, b] = int(n), n_both
    return found


def _beyond_chance(
    alike: dict[tuple[str, str], tuple[int, int]], rows: pd.DataFrame, error: float
) -> dict[tuple[str, str], tuple[int, int]]:
    """Pairs of which the others' share of errors, all on one other speaker, does not give so many."""
    from scipy.stats import binom

    bound = CHANCE / rows["speaker"].nunique()
    return {pair: (n, n_both) for pair, (n, n_both) in alike.items() if binom.sf(n - 1, n_both, error) < bound}


def _moved(rows: pd.DataFrame) -> dict[str, int]:
    """Dialogues of which both speakers are told as those of one session in another fold, where a dialogue of that session is
    told as theirs, or a second one of theirs as that session's: each with that session.
    """
    found: dict[str, tuple[int, int]] = {}
    for dialogue, part in rows.groupby("dialogue"):
        is_moved = part["is_leak"].all() and part["told_session"].nunique() == 1 and part["told"].nunique() == len(part)
        if len(part) > 1 and is_moved:
            found[str(dialogue)] = int(part["session"].iloc[0]), int(part["told_session"].iloc[0])
    exchanges = [tuple(sorted(pair)) for pair in found.values()]
    return {dialogue: pair[1] for dialogue, pair in found.items() if exchanges.count(tuple(sorted(pair))) > 1}


def _sex(case: Evidence, described: pd.DataFrame) -> Finding:
    """Whether each speaker sounds like the sex that the ids name, by the voices of all others."""
    from sklearn.model_selection import LeaveOneGroupOut

    name = "speaker sex"
    n_speakers = described.groupby("gender")["speaker"].nunique()
    if len(n_speakers) < 2 or n_speakers.min() < MIN_OF_A_SEX:
        got = f"not compared: fewer than {MIN_OF_A_SEX} speakers of a sex with {MIN_DIALOGUES} dialogues and more"
        return case.finding(name, "note", got)
    speakers = described["speaker"]
    is_male = pd.Series(described["gender"] == "M").astype(int)
    depth = _left_out(described, is_male, speakers, LeaveOneGroupOut(), "decision_function")  # above 0: male
    by_speaker = (
        described.assign(depth=depth).groupby("speaker").agg({"depth": "mean", "gender": "first", "session": "first"})
    )
    depth_of = {"M": by_speaker["depth"], "F": -by_speaker["depth"]}
    odd = []
    for own, other, word in (("M", "F", "female"), ("F", "M", "male")):
        theirs = depth_of[other][by_speaker["gender"] == other]
        rows = by_speaker[(by_speaker["gender"] == own) & (depth_of[other] > max(0.0, theirs.quantile(DEPTH)))]
        odd += [f"{speaker} (session {row.session}) sounds {word}" for speaker, row in rows.iterrows()]
    right = float(((by_speaker["depth"] > 0) == (by_speaker["gender"] == "M")).mean())
    if right < MIN_RIGHT_SEX or len(odd) > (1 - MIN_RIGHT_SEX) * len(by_speaker):
        got = f"not compared: only {100 * right:.0f} % of the speakers sound like their sex"
        return case.finding(name, "note", got, expected=f"{100 * MIN_RIGHT_SEX:g} % and more")
    if not odd:
        return case.finding(
            name, "ok", f"{100 * right:.0f} % of the speakers sound like the sex that the ids name, none like the other"
        )
    return case.finding(
        name,
        "warning",
        f"{plural(len(odd), 'speaker')} of another sex than the ids name: {'; '.join(odd[:2])}",
        expected="voices like those of the sex that the letter F or M in the ids names",
        where=odd,
        advice="A hint, no proof: listen to one. The letter in the ids may be wrong, or the wavs belong to other ids.",
    )
