"""EmoDB, the Berlin Database of Emotional Speech: 535 utterances, 10 speakers, 10 sentences, 7 emotions.

Source: Burkhardt et al. (2005), A database of German emotional speech, Interspeech. A name as ``03a01Fa.wav`` is speaker 03,
sentence a01, emotion F (Freude), version a. The sentences carry no emotion. The folder ``wav/`` is needed; a
``segments.csv`` with shares of listeners that some copies bring is not read, and is not overwritten: say ``--out`` there.
Folds: two speakers each, in their numbers' order, so that no speaker is in two folds.
"""

from __future__ import annotations

import re
from pathlib import Path

from erc.convert.segments_file import Found, one_of

EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
"""Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral."""
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
SPEAKERS = {
    "03": "M",
    "08": "F",
    "09": "F",
    "10": "M",
    "11": "M",
    "12": "M",
    "13": "F",
    "14": "F",
    "15": "M",
    "16": "F",
}
NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])\.wav")


def read_emodb(root: Path) -> Found:
    """Reads the names of the recordings in ``wav/``."""
    found = Found()
    folder = one_of(root, "wav")
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        parts = NAME.fullmatch(path.name)
        if parts is None:
            found.wrong(path, None, "a name as 03a01Fa.wav", path.name)
            continue
        speaker, sentence, letter = parts[1], parts[2], parts[3]
        for known, value, what in ((SPEAKERS, speaker, "speaker"), (SENTENCES, sentence, "sentence")):
            if value not in known:
                found.wrong(path, None, f"a {what} of {', '.join(known)}", value)
        if letter not in EMOTIONS:
            found.wrong(path, None, f"an emotion of {', '.join(EMOTIONS)}", letter)
        if speaker in SPEAKERS and sentence in SENTENCES and letter in EMOTIONS:
            found.rows.append(
                {"file": f"wav/{path.name}", "segment_id": path.stem, "text": SENTENCES[sentence]}
                | {"transcript_source": "human", "speaker": speaker, "gender": SPEAKERS[speaker], "style": "scripted"}
                | {"fold": list(SPEAKERS).index(speaker) // 2, "emotion": EMOTIONS[letter]}
            )
    labels = [row["emotion"] for row in found.rows]
    published = {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79}
    found.counts = [("utterances", len(labels), 535), ("speakers", len({row["speaker"] for row in found.rows}), 10)]
    found.counts += [(name, labels.count(name), n) for name, n in published.items()]
    return found
