"""Scripts of the letters of a text: Hangul, Latin and others, by the names that Unicode gives."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

SCRIPTS = frozenset("HANGUL LATIN CJK HIRAGANA KATAKANA CYRILLIC ARABIC DEVANAGARI GREEK HEBREW THAI".split())
"""First words of the Unicode names of letters; any other letter counts as OTHER."""


def script_shares(texts: Iterable[str | None]) -> dict[str, float]:
    """Share of each script among the letters of some texts, largest first; empty where there is no letter.

    Examples:
        >>> script_shares(["네, ok", "응 응"])
        {'HANGUL': 0.6, 'LATIN': 0.4}
    """
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text or "")
    counts: Counter[str] = Counter()
    for character, n in characters.items():
        if character.isalpha():
            script = unicodedata.name(character, "OTHER").split()[0]
            counts[script if script in SCRIPTS else "OTHER"] += n
    return {script: round(n / counts.total(), 4) for script, n in counts.most_common()}
