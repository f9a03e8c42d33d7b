"""MSP-Podcast: turns of podcasts, each judged by five raters or more; valence, activation, dominance on 1 to 7.

Source: Lotfian and Busso (2019), IEEE Transactions on Affective Computing 10(4):471-483, and the layout that public code
reads. ``Labels/labels_consensus.csv`` (older releases: ``labels_concensus.csv``) has FileName, EmoClass, EmoAct, EmoVal, EmoDom,
SpkrID, Gender and Split_Set. ``Labels/labels_detailed.csv`` has a line for each rating, the file's name and
``worker; primary; secondary; A:3; V:4; D:5;``; or ``labels_detailed.json`` has file -> worker -> EmoClass_Major. Audio is in
``Audios/``, transcripts in ``Transcripts/*.txt``. Nothing here was checked against the files of any release, and no counts
are compared, because they differ from release to release.
Known traps: a rater may write a primary emotion of their own (``Other-Annoyed``), which counts as other; speaker and gender may be
Unknown, which stands empty here; partition Test3 is distributed without labels.
Partition: Train, Development (older: Validation), and one of Test1 and Test2 as test. The other one is left out.
Votes are of the primary emotion. Valence, arousal and dominance are the consensus file's means.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from erc.convert.segments_file import Found, Row, one_of, table, text_of

EMOTIONS = {"Angry": "anger", "Sad": "sadness", "Happy": "happiness", "Surprise": "surprise", "Fear": "fear"}
EMOTIONS |= {"Disgust": "disgust", "Contempt": "contempt", "Neutral": "neutral", "Other": "other"}
LETTERS = dict(zip("ASHUFDCNO", EMOTIONS.values(), strict=True))
"""EmoClass of the consensus; X is no agreement."""
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
DIMENSIONS = {"valence": "EmoVal", "arousal": "EmoAct", "dominance": "EmoDom"}
LOWEST, HIGHEST = 1.0, 7.0
SIDES = {"Train": "train", "Development": "valid", "Validation": "valid"}
TESTS = ("Test1", "Test2", "Test3")
NAME = re.compile(r"(\S+_\d+)_\d+\w*\.wav", re.ASCII)
NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


def read_msp_podcast(root: Path, test: str = "Test1") -> Found:
    """Reads consensus, ratings and transcripts.

    Args:
        root: Folder with ``Labels/``, ``Audios/`` and ``Transcripts/``.
        test: Partition that is the test side: Test1 or Test2.

    Raises:
        FileNotFoundError: A file of labels is not there.
        ValueError: ``test`` is another name.
    """
    if test not in TESTS[:2]:
        raise ValueError(f"--test must be Test1 or Test2, the partitions with labels: got {test!r}.")
    found, left_out, n_silent, n_differing = Found(), Counter[str](), 0, 0
    labels = "Labels/labels_consensus.csv", "Labels/labels_concensus.csv"
    votes = _votes(found, root)
    path = one_of(root, *labels)
    names = set[str]()
    for line, cells in table(found, path, COLUMNS):
        name, part = cells["FileName"], cells["Split_Set"]
        if part not in SIDES and part not in TESTS:
            found.wrong(path, line, f"a Split_Set of {', '.join([*SIDES, *TESTS])}", part)
        elif part in TESTS and part != test:
            left_out[part] += 1
        elif (parts := NAME.fullmatch(name)) is None:
            found.wrong(path, line, "a FileName as MSP-PODCAST_0001_0008.wav", name)
        elif name in names:
            found.wrong(path, line, "one row a file", f"{name} again")
        elif cells["EmoClass"] not in (*LETTERS, "X"):
            found.wrong(path, line, f"an EmoClass of {', '.join([*LETTERS, 'X'])}", cells["EmoClass"])
        elif name not in votes:
            found.wrong(path, line, f"one rating or more of {name} in labels_detailed", "none")
        else:
            text = _transcript(found, root / "Transcripts" / f"{Path(name).stem}.txt")
            n_silent += not text
            n_differing += cells["EmoClass"] != "X" and not _is_first(votes[name], LETTERS[cells["EmoClass"]])
            row: Row = {"file": f"Audios/{name}", "segment_id": Path(name).stem, "text": text}
            row |= {"speaker": _known(cells["SpkrID"]), "gender": _known(cells["Gender"])[:1], "dialogue": parts[1]}
            row |= {"style": "spontaneous", "split": SIDES.get(part, "test")}
            row |= {f"votes_{emotion}": votes[name][emotion] for emotion in EMOTIONS.values()}
            found.rows.append(row | _dimensions(found, path, line, cells))
        names.add(name)
    found.counts = [
        (f"segments of {side}", sum(row["split"] == side for row in found.rows), None)
        for side in dict.fromkeys(SIDES.values())
    ]
    found.counts += [("segments of test", sum(row["split"] == "test" for row in found.rows), None)]
    found.notes += [f"left out: {n} segments of {part}" for part, n in sorted(left_out.items())]
    found.notes.append(f"segments without a transcript: {n_silent}")
    found.notes.append(f"segments whose EmoClass is not an emotion with most votes: {n_differing}")
    return found


def _known(name: str) -> str:
    return "" if name == "Unknown" else name


def _is_first(votes: Counter[str], emotion: str) -> bool:
    return votes[emotion] == max(votes.values())


def _dimensions(found: Found, path: Path, line: int, cells: dict[str, str]) -> dict[str, str]:
    """Means of the consensus; an empty cell where there is none."""
    values = {dimension: cells[column].strip() for dimension, column in DIMENSIONS.items()}
    for dimension, value in values.items():
        if value and not (NUMBER.fullmatch(value) and LOWEST <= float(value) <= HIGHEST):
            found.wrong(path, line, f"{DIMENSIONS[dimension]} from {LOWEST:g} to {HIGHEST:g}", value)
    return values


def _transcript(found: Found, path: Path) -> str:
    """Words of a transcript on one line; empty where there is none."""
    return " ".join(text_of(found, path).split()) if path.is_file() else ""


def _votes(found: Found, root: Path) -> dict[str, Counter[str]]:
    """Votes of each file by emotion."""
    path = one_of(root, "Labels/labels_detailed.csv", "Labels/labels_detailed.json")
    votes: dict[str, Counter[str]] = {}
    for line, name, primary in (_in_json if path.suffix == ".json" else _in_csv)(found, path):
        word = "Other" if primary.startswith("Other") else primary
        if word in EMOTIONS:
            votes.setdefault(name, Counter())[EMOTIONS[word]] += 1
        else:
            found.wrong(path, line, f"a primary emotion of {', '.join(EMOTIONS)} or Other-…", primary)
    return votes


def _in_csv(found: Found, path: Path) -> Iterator[tuple[int | None, str, str]]:
    """Line, file and primary emotion of each rating."""
    lines = csv.reader(io.StringIO(text_of(found, path), newline=""))
    next(lines, None)
    for cells in lines:
        parts = [one.strip() for one in cells[1].split(";")] if len(cells) == 2 else []
        if len(parts) < 5 or not all(any(one.startswith(f"{letter}:") for one in parts[2:]) for letter in "AVD"):
            if cells:
                found.wrong(path, lines.line_num, "a file and worker; primary; secondary; A:; V:; D:", ",".join(cells))
            continue
        yield lines.line_num, cells[0], parts[1]


def _in_json(found: Found, path: Path) -> Iterator[tuple[int | None, str, str]]:
    """The same of the JSON file, which has no lines."""
    try:
        stored = json.loads(text_of(found, path) or "{}")
        for name, workers in stored.items():
            for rating in workers.values():
                yield None, name, str(rating["EmoClass_Major"]).strip()
    except (ValueError, AttributeError, KeyError, TypeError) as err:
        found.wrong(path, None, "file -> worker -> EmoClass_Major", f"{type(err).__name__}: {err}")
