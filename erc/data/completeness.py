"""Whether rows were lost: annotation rows against the other gender's file, and against the wavs on disk.

A CSV that was cut at the end of a line, a row that was deleted, and stray quotation marks that join rows leave a file
that reads well. Three facts of the corpora show the loss:

- In KEMDy19 both files of a session list the same segments under the same running numbers. Known exceptions are the
  mis-numbered rows, which are repaired before, and one phantom row that is nobody's own row in either file.
- No wav of either corpus is without an annotation row of its speaker. (Folders ``converted`` are not looked into.)
- A speaker's segments in a dialogue are numbered from 1 without gaps. A row that was lost together with its files leaves a
  gap, unless it was the last of them; the doctor compares the size of each session with the published one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from erc.data.corpora import Corpus, sessions_text
from erc.data.kemdy_rows import Row
from erc.data.segments import BadSegment, Note


def compare_genders(corpus: Corpus, by_gender: dict[str | None, list[Row]]) -> list[BadSegment]:
    """Marks the own rows of a KEMDy19 session that the other gender's file contradicts.

    An own row gets a ``problem`` where the other file has its running number more or less often, or under another id.

    Returns:
        The segments whose own row is missing: the other file has their running number, their own file does not.
    """
    if corpus.name != "kemdy19":
        return []
    lost: list[BadSegment] = []
    for gender, other in (("F", "M"), ("M", "F")):
        rows, counterparts = by_gender[gender], by_gender[other]
        counts = {key: Counter(row.cells[0] for row in by_gender[key]) for key in (gender, other)}
        ids, own = {row.cells[0]: row for row in counterparts}, {row.segment_id for row in rows}
        for row in rows:
            number = row.cells[0]
            if row.gender != gender or row.problem:
                continue
            counterpart = ids.get(number)
            if counts[gender][number] != counts[other][number]:
                row.problem = _uneven(number, rows, counts[gender][number], counterparts, counts[other][number])
            elif counterpart is not None and counterpart.gender and counterpart.segment_id != row.segment_id:
                row.problem = (
                    f"both files of a session have the same id at a running number: {number!r} is {row.segment_id} "
                    f"here, and {counterpart.segment_id} in {counterpart.path.name}"
                )
        for row in counterparts:
            number = row.cells[0]
            if row.gender == gender and not counts[gender][number] and row.segment_id not in own:
                problem = _uneven(number, rows, 0, counterparts, counts[other][number])
                in_paper = row.segment_id.rsplit("_", 1)[0] not in corpus.paper_drops
                lost.append(BadSegment(row.where, problem, row.segment_id, in_paper, "row"))
    return lost


def _uneven(number: str, rows: list[Row], n_here: int, counterparts: list[Row], n_there: int) -> str:
    names = [each[0].path.name if each else "the other file" for each in (rows, counterparts)]
    return (
        f"both files of a session have the same running numbers: {number[:60]!r} stands {n_here} times in {names[0]}, "
        f"{n_there} times in {names[1]}"
    )


def find_unannotated(corpus: Corpus, folder: Path, sessions: set[int], known: set[str]) -> list[BadSegment]:
    """Wavs that have no annotation row of their speaker.

    Args:
        corpus: Facts of the corpus.
        folder: Release folder.
        sessions: Sessions that have annotation files.
        known: Ids of all segments that have a row, a bad one included.

    Returns:
        A bad segment for each wav; one for all wavs of a session that has no annotation file.
    """
    bad: list[BadSegment] = []
    for session in range(1, corpus.n_sessions + 1):
        place = folder / "wav" / f"Session{session:02d}"
        wavs = sorted(segment_id for segment_id in _wav_ids(corpus, place) if segment_id not in known)
        if session not in sessions:
            if wavs:
                problem = f"an annotation file for every session with audio is expected, {len(wavs)} wavs have none"
                bad.append(BadSegment(str(place), problem, kind="no row"))
            continue
        for segment_id in wavs:
            in_paper = corpus.parse(segment_id).dialogue not in corpus.paper_drops
            path = str(corpus.wav_path(folder, segment_id))
            problem = "an annotation row of the speaker is expected for every wav, there is none"
            bad.append(BadSegment(path, problem, segment_id, in_paper, "no row"))
    return bad


def find_gaps(corpus: Corpus, segment_ids: Iterable[str]) -> list[Note]:
    """A note where numbers are missing in the count of a speaker's segments in a dialogue.

    Args:
        corpus: Facts of the corpus.
        segment_ids: Of all segments that have a row or a wav, also of those that cannot be used.
    """
    groups: dict[str, set[int]] = {}
    for segment_id in segment_ids:
        if corpus.id_pattern.fullmatch(segment_id):
            groups.setdefault(segment_id[:-3], set()).add(int(segment_id[-3:]))
    gaps = {group: set(range(1, max(numbers))) - numbers for group, numbers in sorted(groups.items())}
    gaps = {group: numbers for group, numbers in gaps.items() if numbers}
    if not gaps:
        return []
    ids = tuple(f"{group}{number:03d}" for group, numbers in gaps.items() for number in sorted(numbers))
    named = [f"{group}{{{sessions_text(numbers)}}}" for group, numbers in gaps.items()][:3]
    more = f" and {len(gaps) - 3} more speakers and dialogues" if len(gaps) > 3 else ""
    text = (
        f"{len(ids)} numbers are missing where a speaker's segments in a dialogue are counted from 1: {', '.join(named)}"
        f"{more}. Annotation rows may have been lost together with their files; copy the corpus again"
    )
    return [Note("gap in numbering", text, ids)]


def _wav_ids(corpus: Corpus, session_folder: Path) -> Iterator[str]:
    """Ids of the wavs that lie where the corpus has them."""
    folders = [session_folder]
    if corpus.name == "kemdy19":
        folders = [session_folder / name for name in _names(session_folder)]
    for folder in folders:
        for name in _names(folder):
            stem, ending = os.path.splitext(name)
            if ending == ".wav" and corpus.id_pattern.fullmatch(stem) and _is_place_of(corpus, stem, folder):
                yield stem


def _is_place_of(corpus: Corpus, segment_id: str, folder: Path) -> bool:
    inner = segment_id.rsplit("_", 1)[0] if corpus.name == "kemdy19" else f"Session{segment_id[4:6]}"
    return folder.name == inner and folder.parts[-2 if corpus.name == "kemdy19" else -1] == f"Session{segment_id[4:6]}"


def _names(folder: Path) -> list[str]:
    """Names in a folder; none where it is no folder, or cannot be listed."""
    try:
        return os.listdir(folder)
    except OSError:
        return []
