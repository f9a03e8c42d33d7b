"""Checks across folds and corpora: labels, speakers, repeated text, duplicate audio."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from erc.data import EMOTIONS, N_FOLDS, sessions_text
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Cells, Finding, Severity, numbers_text, plural
from erc.doctor.transcripts import has_words

LONG_WORDS = 12
"""Spontaneous speech repeats short answers word for word, but hardly a sentence of this many words (about five seconds)."""

CHANCE = 1e-3
"""A repeated text is no chance where fewer pairs of texts than this are expected to be equal to it."""

COPIED_TEXTS = 3
"""Two dialogues that share this many long texts are copies, however common each text is."""

EXPECTED = 8.0
"""A fold lacks an emotion by chance where fewer than this many segments of it are expected there."""


def check_labels(cases: list[Evidence]) -> list[Finding]:
    """Shares of the emotions in each fold; a fold without segments, or without an emotion."""
    rows = pd.concat([case.selected[["corpus", "fold", "is_tied", "hard_label"]] for case in cases])
    untied = rows[~rows["is_tied"]]
    counts = pd.crosstab(untied["fold"], untied["hard_label"])
    counts = counts.reindex(index=range(N_FOLDS), columns=range(len(EMOTIONS)), fill_value=0).to_numpy()
    table: Cells = [["fold", "segments", "untied", *(f"{emotion} %" for emotion in EMOTIONS)]]
    for fold in range(N_FOLDS):
        shares = 100 * counts[fold] / max(1, counts[fold].sum())
        n_rows = int((rows["fold"] == fold).sum())
        table.append([fold, n_rows, int(counts[fold].sum()), *(round(float(share), 1) for share in shares)])
    where = [f"fold {fold} holds no untied segment" for fold in range(N_FOLDS) if not counts[fold].any()]
    lacking = [
        (fold, index)
        for fold in range(N_FOLDS)
        for index in range(len(EMOTIONS))
        if counts[fold].any() and not counts[fold, index]
    ]
    where += [f"fold {fold} has no {EMOTIONS[index]}" for fold, index in lacking]
    chances = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / max(1, counts.sum())  # expected counts
    is_odd = any(chances[place] > EXPECTED for place in lacking)
    if not where:
        return [Finding("label shares", "ok", "every fold holds every emotion (untied segments)", table=table)]
    return [
        Finding(
            "label shares",
            "problem" if not counts.any() else "warning" if is_odd else "note",
            f"{plural(len(where), 'gap')} in the folds (untied segments)",
            expected="every emotion in every fold",
            where=where,
            advice="A fold without an emotion says nothing about it. A fold without segments cannot be validation_fold.",
            table=table,
        )
    ]


def check_speakers(cases: list[Evidence]) -> list[Finding]:
    """Speakers in two folds or two sessions, and sessions with more than two speakers."""
    table = pd.concat([case.table[["corpus", "session", "fold", "speaker"]] for case in cases]).drop_duplicates()
    by_speaker = table.groupby(["corpus", "speaker"])
    n_folds, sessions = by_speaker["fold"].nunique(), by_speaker["session"].agg(lambda found: sorted(set(found)))
    shared = [
        f"{name} {speaker}: sessions {sessions_text(sessions[name, speaker])}"
        for name, speaker in n_folds[n_folds > 1].index
    ]
    odd = [
        f"{name} {speaker}: sessions {sessions_text(found)}, one fold"
        for (name, speaker), found in sessions.items()
        if len(found) > 1 and n_folds[name, speaker] == 1
    ]
    n_speakers = table.groupby(["corpus", "session"])["speaker"].nunique()
    odd += [f"{name} session {session}: {n} speakers" for (name, session), n in n_speakers[n_speakers > 2].items()]
    if not shared and not odd:
        return [Finding("speakers", "ok", f"{plural(len(n_folds), 'speaker')}, none in two folds")]
    return [
        Finding(
            "speakers",
            "problem" if shared else "warning",
            f"{plural(len(shared), 'speaker')} in two folds"
            + (f"; {plural(len(odd), 'other oddity', 'other oddities')}" if odd else ""),
            expected="two speakers a session, each in that session only: folds are blocks of sessions",
            where=[*shared, *odd],
            advice="Validation would hear a training speaker. Check the session numbers in the ids and file names.",
        )
    ]


def check_repeated_text(cases: list[Evidence]) -> list[Finding]:
    """Share of each fold's transcripts that occur word for word in other folds, for scripted and spontaneous speech.

    The transcripts are the cleaned ones of the selection; those without words are left out. A transcript is looked for
    in all chosen corpora, because training holds all of them. KEMDy19 repeats its scripts in every session by design, so
    folds of sessions share text although they share no speaker (Atmaja and Sasou, 2022, arXiv 2210.14501).
    """
    rows = pd.concat([case.selected[["corpus", "segment_id", "dialogue", "fold", "words"]] for case in cases])
    rows = rows[has_words(rows["words"])]
    is_script = rows["dialogue"].str.contains("script") & (rows["corpus"] == "kemdy19")
    rows = rows.assign(
        kind=np.where(is_script, "scripted", "spontaneous"),  # KEMDy20's "script" names a topic, not a text
        is_repeated=rows.groupby("words")["fold"].transform("nunique").to_numpy() > 1,
    )
    table: Cells = [["corpus", "speech", "transcripts", *(f"fold {fold} %" for fold in range(N_FOLDS)), "all %"]]
    for (name, kind), part in rows.groupby(["corpus", "kind"]):
        by_fold = part.groupby("fold")["is_repeated"].mean().reindex(range(N_FOLDS))
        shares = [None if np.isnan(share) else round(100 * float(share), 1) for share in by_fold]
        table.append([name, kind, len(part), *shares, round(100 * float(part["is_repeated"].mean()), 1)])
    is_long = rows["words"].str.split().str.len() >= LONG_WORDS
    odd = rows[rows["is_repeated"] & is_long].sort_values("segment_id", kind="stable")
    odd = odd[(odd["kind"] == "spontaneous").groupby(odd["words"]).transform("any").to_numpy(dtype=bool)]
    odd = odd[_beyond_chance(odd, rows["words"])]
    where = [
        f"{' = '.join(part['segment_id'])} ({plural(len(words.split()), 'word')})"
        for words, part in odd.groupby("words")
    ]
    table = table if len(table) > 1 else []
    said = "; ".join(f"{row[0]} {row[1]} {row[-1]:.1f} %" for row in table[1:])
    got = f"also in other folds, word for word: {said}" if said else "no transcript to compare"
    if where:
        return [
            Finding(
                "repeated text",
                "warning",
                f"{got}; spontaneous ones of {LONG_WORDS} words and more: {plural(len(where), 'text')}",
                expected=f"no spontaneous sentence of {LONG_WORDS} words and more in two folds, but by chance",
                where=where,
                advice="Compare the files: a transcript may have been copied to another id.",
                table=table,
            )
        ]
    severity: Severity = "note" if rows["is_repeated"].any() else "ok"
    advice = "Report scripted and spontaneous speech apart; the scripts of KEMDy19 repeat by design."
    return [Finding("repeated text", severity, got, advice=advice if severity == "note" else "", table=table)]


def _beyond_chance(odd: pd.DataFrame, texts: pd.Series) -> np.ndarray:
    """(N,) bool: rows whose text is too rare to repeat by chance, or that stand in two dialogues with several such texts.

    The chance of a text is that of its word pairs in the other texts: a text made of phrases that many speakers use
    repeats by chance, a text of its own words does not.
    """
    by_text = {text: set(pairwise(("", *text.split()))) for text in set(texts)}
    n_pairs = Counter(pair for pairs in by_text.values() for pair in pairs)
    n_first: Counter[str] = Counter()
    for (first, _), count in n_pairs.items():
        n_first[first] += count
    shared: Counter[tuple[str, str]] = Counter()
    for _, part in odd.groupby("words"):
        fold_of = dict(zip(part["dialogue"], part["fold"], strict=True))
        shared.update(pair for pair in combinations(sorted(fold_of), 2) if fold_of[pair[0]] != fold_of[pair[1]])
    copied = {pair for pair, count in shared.items() if count >= COPIED_TEXTS}
    kept = {}
    for text, part in odd.groupby("words"):
        chances = [
            (n_pairs[pair] - 1) / (n_first[pair[0]] - 1) if n_pairs[pair] > 1 else 1 / len(by_text)
            for pair in by_text[text]
        ]
        is_rare = len(texts) ** 2 / 2 * float(np.prod(chances)) < CHANCE
        kept[text] = is_rare or any(pair in copied for pair in combinations(sorted(set(part["dialogue"])), 2))
    return odd["words"].map(kept).to_numpy(dtype=bool)


def check_duplicate_audio(cases: list[Evidence]) -> list[Finding]:
    """The same samples under two ids; silent segments are left out."""
    rows = pd.concat([case.selected[["segment_id", "fold", "wav_hash", "is_silent"]] for case in cases])
    rows = rows[(rows["wav_hash"] != "") & ~rows["is_silent"]]
    rows = rows[rows["wav_hash"].duplicated(keep=False)].sort_values("segment_id")
    if not len(rows):
        return [Finding("duplicate audio", "ok", "no two segments have the same samples")]
    groups = [part for _, part in rows.groupby("wav_hash", sort=False)]
    groups.sort(key=lambda part: part["fold"].nunique(), reverse=True)
    n_leaks = sum(part["fold"].nunique() > 1 for part in groups)
    if n_leaks:
        got, advice = f"{n_leaks} of them in two folds", "Validation would hear training audio."
    else:
        got = "each within one fold"
        advice = "Validation does not hear training audio, but a recording counts twice and one label of it is wrong."
    return [
        Finding(
            "duplicate audio",
            "problem" if n_leaks else "warning",
            f"{plural(len(groups), 'recording')} under several ids, {got}",
            expected="every segment has samples of its own",
            where=[
                f"{' = '.join(part['segment_id'])} ({'folds' if part['fold'].nunique() > 1 else 'fold'} "
                f"{numbers_text(sorted(set(part['fold'])))})"
                for part in groups
            ],
            advice=f"{advice} Copy these files from the corpus again.",
        )
    ]
