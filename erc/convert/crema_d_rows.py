"""CREMA-D: 7,442 clips of 91 actors, each judged by 4 to 12 raters.

Source: Cao et al. (2014), IEEE Transactions on Affective Computing 5(4):377-390, and the files of the distribution.
``tabulatedVotes.csv`` (in ``processedResults/``) has a row for each clip and kind of rating. The leading digit of its first
column is 1 voice only, 2 face only, 3 both; only the voice counts here, since a model hears no face. It is the sum of
``finishedResponses.csv``, which is not needed. A name is actor_sentence_acted emotion_level. The sentences carry no
emotion.
Known trap: several public programs that read the corpus leave out 1076_MTI_SAD_XX.wav as silent or without audio, and one calls
that the authors' own statement; the README of the distribution (commit 411a9fc) does not say so. The clip is left out here,
and its votes with it. The file itself was not heard.
"""

from __future__ import annotations

import re
from pathlib import Path

from erc.convert.segments_file import Found, one_of, table

EMOTIONS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
NAME = re.compile(r"(\d{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)")
VOICE_ONLY = "1"
WITHOUT_SPEECH = "1076_MTI_SAD_XX"


def read_crema_d(root: Path) -> Found:
    """Reads the votes on the voice.

    Args:
        root: Folder with ``tabulatedVotes.csv``, ``VideoDemographics.csv`` and ``AudioWAV/``.
    """
    found = Found()
    path = one_of(root, "tabulatedVotes.csv", "processedResults/tabulatedVotes.csv")
    gender = _actors(found, one_of(root, "VideoDemographics.csv"))
    clips: set[str] = set()
    ratings = ties = 0
    for line, cells in table(found, path, ["", *EMOTIONS, "fileName", "numResponses", "emoVote"]):
        if not cells[""].startswith(VOICE_ONLY):
            if cells[""][:1] not in ("2", "3"):
                found.wrong(path, line, "a first column that begins with 1, 2 or 3", cells[""])
            continue
        name, votes = cells["fileName"], _votes(found, path, line, cells)
        parts = NAME.fullmatch(name)
        if parts is None or parts[2] not in SENTENCES:
            found.wrong(path, line, "a fileName as 1001_IEO_NEU_XX with a known sentence", name)
            continue
        if parts[1] not in gender:
            found.wrong(path, line, "an actor of VideoDemographics.csv", parts[1])
        if name in clips:
            found.wrong(path, line, "one row of votes on the voice for each clip", f"{name} again")
        clips.add(name)
        if votes is None:
            continue
        ratings += sum(votes.values())
        ties += list(votes.values()).count(max(votes.values())) > 1
        if name == WITHOUT_SPEECH:
            found.notes.append(f"left out: {name}, whose audio is said to be silent")
            continue
        found.rows.append(
            {
                "file": f"AudioWAV/{name}.wav",
                "segment_id": name,
                "text": SENTENCES[parts[2]],
                "transcript_source": "human",
            }
            | {"speaker": parts[1], "gender": gender.get(parts[1], ""), "style": "scripted"}
            | {f"votes_{EMOTIONS[letter]}": n for letter, n in votes.items()}
        )
    actors = {name[:4] for name in clips}
    found.counts = [("clips", len(clips), 7442), ("actors", len(actors), 91), ("ratings of the voice", ratings, 68568)]
    found.counts.append(("clips with a tied majority", ties, 644))
    return found


def _votes(found: Found, path: Path, line: int, cells: dict[str, str]) -> dict[str, int] | None:
    """Counts by letter; None, and a mistake, where they do not add up to the raters or to the stated majority."""
    if not all(cells[letter].isdecimal() for letter in (*EMOTIONS, "numResponses")):
        found.wrong(
            path, line, "whole numbers >= 0 in A, D, F, H, N, S and numResponses", [cells[one] for one in EMOTIONS]
        )
        return None
    votes = {letter: int(cells[letter]) for letter in EMOTIONS}
    if sum(votes.values()) != int(cells["numResponses"]) or not any(votes.values()):
        found.wrong(path, line, f"votes that add up to numResponses={cells['numResponses']}, one or more", votes)
        return None
    first = {letter for letter, n in votes.items() if n == max(votes.values())}
    if set(cells["emoVote"].split(":")) != first:
        found.wrong(path, line, f"emoVote {':'.join(sorted(first))}, the emotions with most votes", cells["emoVote"])
        return None
    return votes


def _actors(found: Found, path: Path) -> dict[str, str]:
    """Actor -> F or M."""
    gender = {}
    for line, cells in table(found, path, ["ActorID", "Sex"]):
        if cells["Sex"] not in ("Female", "Male"):
            found.wrong(path, line, "Sex Female or Male", cells["Sex"])
        gender[cells["ActorID"]] = cells["Sex"][:1]
    return gender
