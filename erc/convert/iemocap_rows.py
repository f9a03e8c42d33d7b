"""IEMOCAP: five sessions of two actors each, 10,039 turns, votes of three raters, valence, activation, dominance on 1 to 5.

Source: Busso et al. (2008), Language Resources and Evaluation 42:335-359. ``SessionN/dialog/EmoEvaluation/*.txt`` has a block a
turn: times, name, agreed label (xxx: no agreement, oth: other), mean of the dimensions; then lines ``C-E2:`` with a rater's
labels and ``A-E3:`` with a rater's dimensions. C-F1 and C-M1 are the actors' own judgement and do not count, as in the agreed label.
This layout, the traps and the counts are as publications and public code have them. They were not checked against the files.
Known traps: a rater may name several emotions (``C-E4: Anger; Frustration; ()``), and each of them is a vote here, so that
a turn may have more votes than raters; a mean may lie outside 1 to 5 (one of 5.5 is told of), and is then left out; names
that begin with ``._`` are left over from another file system.
Folds: the session, so that validation leaves one session out.
Published counts of the agreed labels: the distribution's summary files; the four classes with excitement in happiness are 5,531
turns (1,103 angry, 1,636 happy, 1,084 sad, 1,708 neutral).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from erc.convert.segments_file import Found, Row, text_of

AGREED = {"ang": 1103, "hap": 595, "exc": 1041, "sad": 1084, "neu": 1708, "fru": 1849, "fea": 40, "sur": 107, "dis": 2}
AGREED |= {"oth": 3, "xxx": 2507}
EMOTIONS = (
    "anger",
    "happiness",
    "excited",
    "sadness",
    "neutral",
    "frustration",
    "fear",
    "surprise",
    "disgust",
    "other",
)
FOUR = {"anger": "anger", "happiness": "happiness", "excited": "happiness", "sadness": "sadness", "neutral": "neutral"}
FOUR_AGREED = ("ang", "hap", "exc", "sad", "neu")
SPELLINGS = {"neutral state": "neutral"}
DIMENSIONS = ("valence", "arousal", "dominance")
HEAD = re.compile(r"\[(\d+\.\d+) - (\d+\.\d+)\]\t(\S+)\t(\w+)\t\[(.+), (.+), (.+)\]")
VOTE = re.compile(r"C-E\d:\s*([^()]*?)\s*(\(.*)?")
TURN = re.compile(r"(Ses0([1-5])[FM]_(impro|script)\d\d\w*?)_([FM])\d+")
SPOKEN = re.compile(r"(Ses\S+) \[[\d.]+-[\d.]+\]: ?(.*)")


def read_iemocap(root: Path, four_classes: bool = False) -> Found:
    """Reads the evaluations and transcriptions of all sessions.

    Args:
        root: Folder with ``Session1/`` to ``Session5/``.
        four_classes: Whether to keep the turns whose agreed label is anger, happiness, excited, sadness or neutral only,
            with votes on these alone and those for excited among those for happiness.
    """
    found, agreed = Found(), Counter[str]()
    for session in range(1, 6):
        dialog = root / f"Session{session}" / "dialog"
        if not (dialog / "EmoEvaluation").is_dir():
            found.wrong(dialog / "EmoEvaluation", None, "a folder of evaluations", "none")
            continue
        for path in sorted(one for one in (dialog / "EmoEvaluation").glob("*.txt") if not one.name.startswith(".")):
            spoken = _spoken(found, dialog / "transcriptions" / path.name)
            for row, label in _turns(found, path, session, spoken):
                agreed[label] += 1
                if not four_classes:
                    found.rows.append(row)
                elif label in FOUR_AGREED:
                    found.rows.append(_in_four(row))
    found.counts = [("turns", agreed.total(), sum(AGREED.values()))]
    found.counts += [(one, agreed[one], n) for one, n in AGREED.items()]
    if four_classes:
        found.counts.append(("turns of the four classes", len(found.rows), sum(AGREED[one] for one in FOUR_AGREED)))
    return found


def _turns(found: Found, path: Path, session: int, spoken: dict[str, str]) -> list[tuple[Row, str]]:
    """Each turn of one dialogue and its agreed label."""
    turns: list[tuple[Row, str]] = []
    for line, text in enumerate(text_of(found, path).splitlines(), start=1):
        if text.startswith("["):
            head = HEAD.fullmatch(text.strip())
            if head is None:
                if not text.startswith("[START_TIME") and not text.startswith("% ["):
                    found.wrong(path, line, "[start - end], name, label, [v, a, d], with tabs between them", text)
                continue
            name, label = head[3], head[4]
            turn = TURN.fullmatch(name)
            if turn is None or turn[1] != path.stem or int(turn[2]) != session:
                found.wrong(path, line, f"a turn of {path.stem} in Session{session}", name)
            elif label not in AGREED:
                found.wrong(path, line, f"a label of {', '.join(AGREED)}", label)
            elif name not in spoken:
                found.wrong(path, line, f"a line on {name} in transcriptions/{path.name}", "none")
            else:
                turns.append((_row(found, path, line, turn, head, session, spoken[name]), label))
        elif text.startswith("C-E") and turns:
            said = VOTE.fullmatch(text.strip())
            for word in filter(None, (one.strip().lower() for one in (said[1] if said else "?").split(";"))):
                emotion = SPELLINGS.get(word, word)
                if emotion in EMOTIONS:
                    turns[-1][0][f"votes_{emotion}"] += 1  # type: ignore[operator]
                else:
                    found.wrong(path, line, f"labels of {', '.join(EMOTIONS)}", text.strip())
    return turns


def _row(found: Found, path: Path, line: int, turn: re.Match[str], head: re.Match[str], session: int, text: str) -> Row:
    """One turn, without votes as yet."""
    name, dialogue = head[3], turn[1]
    row: Row = {
        "file": f"Session{session}/sentences/wav/{dialogue}/{name}.wav",
        "segment_id": name,
        "text": text,
        "transcript_source": "human",
        "speaker": f"Ses0{session}_{turn[4]}",
        "gender": turn[4],
        "session": f"Session{session}",
        "dialogue": dialogue,
        "style": "spontaneous" if turn[3] == "impro" else "scripted",
        "fold": session - 1,
    }
    row |= {f"votes_{emotion}": 0 for emotion in EMOTIONS}
    for dimension, value in zip(DIMENSIONS, head.groups()[4:], strict=True):
        row[dimension] = value
        if not re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII):
            found.wrong(path, line, f"a number as {dimension}", value)
        elif not 1 <= float(value) <= 5:
            row[dimension] = ""
            found.notes.append(
                f"left out: {dimension} {value} of {name}, which is outside 1 to 5 ({path}, line {line})"
            )
    return row


def _in_four(row: Row) -> Row:
    """The votes on the four classes alone."""
    votes = Counter[str]()
    for emotion, kept in FOUR.items():
        votes[kept] += int(str(row[f"votes_{emotion}"]))
    four = {f"votes_{emotion}": votes[emotion] for emotion in dict.fromkeys(FOUR.values())}
    return {key: value for key, value in row.items() if not key.startswith("votes_")} | four


def _spoken(found: Found, path: Path) -> dict[str, str]:
    """Transcript of each turn; other lines than ``name [start-end]: text`` belong to no turn."""
    if not path.is_file():
        found.wrong(path, None, "the transcription of a dialogue", "none")
        return {}
    lines = map(SPOKEN.fullmatch, text_of(found, path).splitlines())
    return {line[1]: line[2].strip() for line in lines if line}
