"""Text -> HTML: escaped, with the two marks of report values, ``**bold**`` and code in backticks; data -> JSON."""

from __future__ import annotations

import json
import re

from markupsafe import Markup, escape


def inline(text: str) -> Markup:
    """Escaped text in which marks became elements; a filter of the templates."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))


def without_marks(text: str) -> str:
    """Text for an attribute, where marks have no meaning; a filter of the templates."""
    return text.replace("`", "").replace("*", "")


def is_wholly_bold(text: str) -> bool:
    """Whether a paragraph is one bold text: the page shows it as a notice."""
    return text.startswith("**") and text.endswith("**")


def json_for_html(value: object) -> Markup:
    """JSON that may stand between ``<script>`` tags, whatever its strings hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
