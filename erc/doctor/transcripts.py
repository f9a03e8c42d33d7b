"""Checks of the transcripts: usable, encodings, garbled letters, tags only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from erc.doctor.audio import COPY_AGAIN
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding
from erc.doctor.mojibake import has_hangul

ENCODINGS = {"kemdy19": "utf-8", "kemdy20": "cp949"}
"""Of the original corpora."""

BARE_SHARE = 0.3
"""Share of a session's transcripts that may have only tags, where they are more than two."""

FOREIGN_SHARE = 0.02
"""Share of transcripts whose words may have no Hangul."""


def check_transcripts(case: Evidence) -> list[Finding]:
    """Transcripts that cannot be used, one finding per kind; encodings; transcripts that hold only tags."""
    table = case.table
    findings = []
    for name, kind, expected in (
        ("unreadable transcripts", "unreadable transcript", "a file that can be read"),
        ("undecodable transcripts", "undecodable transcript", "UTF-8 or CP949"),
        ("empty transcripts", "empty transcript", "a line of text"),
    ):
        rows = table[table["txt_kind"] == kind]
        places = [f"{row.txt_problem} ({row.txt_path})" for row in rows.itertuples()]
        findings.append(case.judge(name, rows, places, "problem", "none", expected=expected, advice=COPY_AGAIN))
    rows = table[(table["txt_kind"] == "") & (table["garbled"] == "") & ~has_words(table["words"])]
    by_session, n_read = rows["session"].value_counts(), table["session"].value_counts()
    bare = [session for session, n in by_session.items() if n > 2 and n > BARE_SHARE * n_read[session]]
    named = f". Most of the session: {', '.join(map(str, sorted(bare)))}" if bare else ""
    tags_only = case.judge(
        "tag-only transcripts",
        rows,
        [row.txt_path for row in rows.itertuples()],
        "warning" if bare else "note",
        "every transcript has words",
        expected=f"words; about 20 transcripts of KEMDy19 have only tags{named}",
        advice=COPY_AGAIN if bare else "Nothing to do: they stay in.",
    )
    return [*findings, _encodings(case), tags_only, *_letters(case)]


def _letters(case: Evidence) -> list[Finding]:
    """Transcripts that were decoded wrongly, and words without Hangul."""
    read = case.table[case.table["txt_kind"] == ""]
    rows = read[read["garbled"] != ""]
    wrong = case.judge(
        "garbled transcripts",
        rows,
        [f"{row.garbled} ({row.txt_path})" for row in rows.itertuples()],
        "problem",
        "no transcript was decoded wrongly",
        expected="Korean letters",
        advice="The files were saved with another encoding. Copy them from the corpus again.",
    )
    is_foreign = [bool(words) and not has_hangul(words) for words in read["words"]]
    rows = read[np.array(is_foreign, dtype=bool) & has_words(read["words"]) & (read["garbled"] == "").to_numpy()]
    is_common = len(rows) > max(2, FOREIGN_SHARE * len(read))
    foreign = case.judge(
        "transcripts without Hangul",
        rows,
        [row.txt_path for row in rows.itertuples()],
        "warning" if is_common else "note",
        "every transcript with words has Hangul",
        expected="Korean words; a few transcripts may have only a number or a foreign word",
        advice="Look at one." if is_common else "Nothing to do: they are few.",
    )
    return [wrong, foreign]


def _encodings(case: Evidence) -> Finding:
    """How many transcripts have each encoding."""
    encoding = case.table["encoding"]
    counts = encoding.replace("", "not decoded").value_counts()
    got = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    usual = ENCODINGS[case.corpus.name]
    rows = case.table[~encoding.isin(["", "ascii", usual])]
    if rows.empty:
        return case.finding("transcript encodings", "ok", got)
    return case.finding(
        "transcript encodings",
        "note",
        got,
        expected=f"{usual}, as the corpus is",
        where=[f"{row.segment_id}: {row.encoding} ({row.txt_path})" for row in rows.itertuples()],
        advice="Both encodings are read. Check whether the files were converted or edited.",
    )


def has_words(texts: Iterable[str]) -> np.ndarray:
    """Whether each cleaned transcript has a letter or a digit; (N,) bool."""
    return np.array([any(letter.isalnum() for letter in text) for text in texts], dtype=bool)
