"""Korean text that was decoded with the wrong encoding and saved again ("mojibake"): bytes of a txt -> what is wrong."""

from __future__ import annotations

import re

_HANGUL = re.compile(r"[가-힣]")

_ESCAPES = re.compile(r"&#x?[0-9a-fA-F]{4,6};|\\u[0-9a-fA-F]{4}|(?:%[0-9a-fA-F]{2}){3}")

_LATIN = re.compile(r"[\u0080-\u024f\u02c6\u02dc\u2013-\u203a\u20ac\u2122]")

_HANJA = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")

_JAMO = re.compile(r"[\u1100-\u11ff]")

MAX_SHARE = 0.2
"""Largest share of Latin letters with accents, or of Hanja, in a Korean transcript."""

MIN_MARKS = 3
"""Question marks from which on they stand for lost letters, where they are most of the text."""

MARKS_SHARE = 0.5


def garbled(raw: bytes, text: str) -> str:
    """What shows that a transcript is mojibake; empty where nothing does.

    Args:
        raw: The file's bytes.
        text: The transcript that they hold, cleaned.
    """
    if raw.isascii():
        if _ESCAPES.search(text):
            return "letters written as escapes"
        n_marks, n_letters = text.count("?"), len("".join(text.split()))
        is_lost = n_marks >= MIN_MARKS and n_marks > MARKS_SHARE * n_letters
        return f"{n_marks} of {n_letters} letters are question marks" if is_lost else ""
    try:
        first = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        first = text  # CP949, as the reader found
    if twice := _encoded_twice(first):
        return twice
    if "\ufffd" in first:
        return f"{first.count(chr(0xFFFD))} of {len(first)} letters are U+FFFD, the mark of a failed decoding"
    n_letters = max(1, len("".join(first.split())))
    for name, pattern in (("Latin letters with accents", _LATIN), ("Hanja", _HANJA), ("loose jamo", _JAMO)):
        share = len(pattern.findall(first)) / n_letters
        if share > MAX_SHARE:
            return f"{100 * share:.0f} % of the letters are {name}"
    return ""


def has_hangul(text: str) -> bool:
    """Whether a text holds a Korean syllable."""
    return _HANGUL.search(text) is not None


def _encoded_twice(text: str) -> str:
    """How the text was decoded wrongly, where undoing that gives at least two Korean syllables."""
    for wrong in ("latin-1", "cp1252", "cp949"):
        for right in ("utf-8", "cp949"):
            if wrong == right:
                continue
            try:
                undone = text.encode(wrong).decode(right)
            except UnicodeError:
                continue
            if len(_HANGUL.findall(undone)) >= 2:
                return f"{right} text that was read as {wrong} and saved again"
    return ""
