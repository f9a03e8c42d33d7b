"""RAVDESS: 24 actors, two sentences, eight emotions, two intensities; 1,440 spoken and 1,012 sung audio files.

Source: Livingstone and Russo (2018), PLoS ONE 13(5):e0196391. A name has seven numbers, ``03-01-06-01-02-01-12.wav``:
modality (03 audio only), channel (01 speech, 02 song), emotion, intensity (01 normal, 02 strong), sentence, repetition, actor.
Odd actors are men, even ones women. Neutral has no strong intensity. Only speech is converted.
Known trap: some packages hold every file twice, once more under ``audio_speech_actors_01-24/``; the copy is left out.
Folds: four actors each, two men and two women, in their numbers' order.
"""

from __future__ import annotations

import re
from pathlib import Path

from erc.convert.segments_file import Found

EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")
NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)\.wav")
LAST = {"modality": 3, "channel": 2, "emotion": 8, "intensity": 2, "sentence": 2, "repetition": 2, "actor": 24}
COPY = "audio_speech_actors_01-24"
ACTORS_A_FOLD = 4


def read_ravdess(root: Path) -> Found:
    """Reads the names of the recordings in ``Actor_01/`` to ``Actor_24/``, wherever these lie in the folder."""
    found = Found()
    paths = sorted(path for path in root.rglob("*.wav") if not path.name.startswith("."))
    plain = {path.name for path in paths if COPY not in path.relative_to(root).parts}
    copies = songs = 0
    for path in paths:
        if COPY in path.relative_to(root).parts and path.name in plain:
            copies += 1
            continue
        parts = NAME.fullmatch(path.name)
        if parts is None:
            found.wrong(path, None, "a name of seven numbers as 03-01-06-01-02-01-12.wav", path.name)
            continue
        code = dict(zip(LAST, map(int, parts.groups()), strict=True))
        if wrong := [f"{what} {n}" for what, n in code.items() if not 1 <= n <= LAST[what]]:
            found.wrong(path, None, f"numbers from 1 to {LAST}", ", ".join(wrong))
            continue
        if path.parent.name != f"Actor_{parts[7]}":
            found.wrong(path, None, f"the folder Actor_{parts[7]}", path.parent.name)
        if code["emotion"] == 1 and code["intensity"] == 2:
            found.wrong(path, None, "normal intensity (01), as all neutral speech has", "strong intensity (02)")
        if code["channel"] == 2:
            songs += 1
            continue
        found.rows.append(
            {
                "file": path.relative_to(root).as_posix(),
                "segment_id": path.stem,
                "text": SENTENCES[code["sentence"] - 1],
            }
            | {"transcript_source": "human", "speaker": f"Actor_{parts[7]}", "gender": "FM"[code["actor"] % 2]}
            | {
                "style": "scripted",
                "fold": (code["actor"] - 1) // ACTORS_A_FOLD,
                "emotion": EMOTIONS[code["emotion"] - 1],
            }
            | {"intensity": ("normal", "strong")[code["intensity"] - 1]}
        )
    labels = [row["emotion"] for row in found.rows]
    found.counts = [("utterances", len(labels), 1440), ("actors", len({row["speaker"] for row in found.rows}), 24)]
    found.counts += [(name, labels.count(name), 96 if name == "neutral" else 192) for name in EMOTIONS]
    found.notes = [f"left out: {copies} copies under {COPY}, {songs} songs"] if copies or songs else []
    return found
