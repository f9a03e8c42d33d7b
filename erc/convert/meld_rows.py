"""MELD: 13,708 utterances of the series Friends with one label each, official train, dev and test.

Source: Poria et al. (2019), ACL, and the layout that public code reads: ``train_sent_emo.csv``, ``dev_sent_emo.csv`` and
``test_sent_emo.csv``, and a video ``dia<Dialogue_ID>_utt<Utterance_ID>.mp4`` a row in ``train_splits/``, ``dev_splits_complete/``
and ``output_repeated_splits_test/``, or these below ``train/``, ``dev/`` and ``test/``. Nothing here was checked against the
distribution itself. Counts of labels: ``MELD/dataset-stats.md`` of tae898/multimodal-datasets.
Known traps, as public code has them: train dia125_utt3 is broken and dev dia110_utt7 is missing, so both are left out; files
named ``final_videos_test…`` belong to no row; text has characters of Windows-1252 that were read as Latin-1 (U+0092 for an
apostrophe), which are put right. The times in the tables are of the whole episode and are not used.
The official partition shares speakers: the main characters are in train, dev and test. Its figures are not of unknown voices.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from erc.convert.segments_file import Found, one_of, table

LABELS = {"neutral": 6436, "joy": 2308, "surprise": 1636, "anger": 1607, "sadness": 1002, "disgust": 361, "fear": 358}
"""Emotions, and how many utterances of all three parts have each."""
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode")
PARTS = {
    "train": ("train", "train_splits", 9989),
    "dev": ("valid", "dev_splits_complete", 1109),
    "test": ("test", "output_repeated_splits_test", 2610),
}
"""Side of the partition, folder of the videos and number of rows of each part."""
WITHOUT_AUDIO = {("train", "dia125_utt3"), ("dev", "dia110_utt7")}
EXTRACTED = "audio"
"""Folder below the corpus for the audio of the videos."""
MISREAD = re.compile("[\u0080-\u009f]")
MAX_SECONDS = 600
"""So long may ffmpeg work on one video."""


def read_meld(root: Path) -> Found:
    """Reads the three tables.

    Args:
        root: Folder with the tables and the folders of the videos.

    Returns:
        What was found. ``file`` is the audio beside a video where it is there, else its place in ``audio/``.

    Raises:
        FileNotFoundError: A table or a folder is not there.
    """
    found, labels, repaired = Found(), Counter[str](), 0
    for part, (side, folder, published) in PARTS.items():
        path = one_of(root, f"{part}_sent_emo.csv", f"{part}/{part}_sent_emo.csv")
        media = one_of(root, folder, f"{part}/{folder}").relative_to(root)
        n_rows, names = 0, set[str]()
        for line, cells in table(found, path, COLUMNS):
            n_rows += 1
            name = f"dia{cells['Dialogue_ID']}_utt{cells['Utterance_ID']}"
            if not re.fullmatch(r"dia\d+_utt\d+", name, re.ASCII):
                found.wrong(path, line, "whole numbers in Dialogue_ID and Utterance_ID", name)
            elif name in names:
                found.wrong(path, line, "one row an utterance", f"{name} again")
            elif cells["Emotion"] not in LABELS:
                found.wrong(path, line, f"an Emotion of {', '.join(LABELS)}", cells["Emotion"])
            else:
                labels[cells["Emotion"]] += 1
                if (part, name) not in WITHOUT_AUDIO:
                    found.rows.append(_row(root, part, side, media, name, cells))
            names.add(name)
            repaired += bool(MISREAD.search(cells["Utterance"]))
        found.counts.append((f"rows of {part}", n_rows, published))
    found.counts += [(label, labels[label], n) for label, n in LABELS.items()]
    found.notes.append(f"text put right (Windows-1252 read as Latin-1): {repaired} utterances")
    found.notes.append(
        f"left out: {', '.join(' '.join(one) for one in sorted(WITHOUT_AUDIO))}, which have no usable audio"
    )
    found.notes.append("The official partition shares speakers: read it with dataset.allow_shared_speakers=true.")
    return found


def _row(root: Path, part: str, side: str, media: Path, name: str, cells: dict[str, str]) -> dict[str, object]:
    beside = [media / f"{name}{ending}" for ending in (".wav", ".flac") if (root / media / f"{name}{ending}").is_file()]
    return {
        "file": (beside[0] if beside else Path(EXTRACTED, part, f"{name}.wav")).as_posix(),
        "segment_id": f"{part}_{name}",
        "text": put_right(cells["Utterance"]),
        "transcript_source": "human",
        "speaker": put_right(cells["Speaker"]),
        "session": f"season {cells['Season']} episode {cells['Episode']}",
        "dialogue": f"{part}_dia{cells['Dialogue_ID']}",
        "style": "scripted",
        "split": side,
        "emotion": cells["Emotion"],
    }


def put_right(text: str) -> str:
    r"""Text of Windows-1252 that was read as Latin-1; its five undefined bytes are left out.

    Examples:
        >>> put_right("I\x92m fine")
        'I’m fine'
    """
    return MISREAD.sub(lambda one: one[0].encode("latin-1").decode("cp1252", errors="ignore"), text)


def extract_audio(found: Found, root: Path, num_proc: int) -> None:
    """Writes the audio of each video that has none yet: 16 kHz, mono, 16-bit, in ``audio/<part>/``.

    Args:
        found: Of ``read_meld``; a video that is not there, or that ffmpeg cannot read, is added to its mistakes.
        root: The corpus's folder.
        num_proc: Videos at a time.

    Raises:
        FileNotFoundError: ffmpeg is needed and is not on PATH.
    """
    jobs = list(_missing(found, root))
    if not jobs:
        return
    program = shutil.which("ffmpeg")
    if program is None:
        raise FileNotFoundError(
            f"The audio of MELD is in its videos, and ffmpeg takes it out: expected the program ffmpeg on PATH, got none "
            f"({len(jobs)} videos, e.g. {jobs[0][0]}). Install ffmpeg, or put {jobs[0][0].stem}.wav beside the video."
        )
    with ThreadPoolExecutor(max(1, num_proc)) as pool:
        for (video, _), complaint in zip(
            jobs, pool.map(_extract, repeat(program), *zip(*jobs, strict=True)), strict=True
        ):
            if complaint:
                found.wrong(video, None, "a video whose audio ffmpeg can read", complaint)
    found.notes.append(f"audio of {len(jobs)} videos written below {root / EXTRACTED}")


def _missing(found: Found, root: Path) -> Iterator[tuple[Path, Path]]:
    """Each video whose audio is not there yet, and where it goes."""
    for row in found.rows:
        path = Path(str(row["file"]))
        if path.parts[0] != EXTRACTED or (root / path).is_file():
            continue
        folder = PARTS[path.parts[1]][1]
        places = [root / folder / f"{path.stem}.mp4", root / path.parts[1] / folder / f"{path.stem}.mp4"]
        video = next((place for place in places if place.is_file()), None)
        if video is None:
            found.wrong(places[0], None, f"a video, or {path.stem}.wav beside it", "neither")
        else:
            yield video, root / path


def _extract(program: str, video: Path, audio: Path) -> str:
    """Writes one file whole or not at all; returns what went wrong, or an empty text."""
    audio.parent.mkdir(parents=True, exist_ok=True)
    part = audio.with_suffix(".part.wav")
    command = [program, "-nostdin", "-v", "error", "-y", "-i", str(video), "-vn", "-ac", "1", "-ar", "16000"]
    try:
        done = subprocess.run(
            [*command, "-c:a", "pcm_s16le", str(part)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=MAX_SECONDS,
        )
        if done.returncode == 0 and part.is_file():
            part.replace(audio)
            return ""
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode} without a message"])[-1]
    except (OSError, subprocess.TimeoutExpired) as err:
        return str(err)
    finally:
        part.unlink(missing_ok=True)
