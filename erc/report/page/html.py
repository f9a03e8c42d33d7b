"""Everything -> the text of the page, by jinja2: ``template.html`` with the macros of ``parts.html``."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from erc.report.page.answer import Answer
from erc.report.page.embedding_map import EmbeddingMap, pack
from erc.report.page.markup import inline, is_wholly_bold, json_for_html, without_marks
from erc.report.page.sections import Cells, Picture
from erc.report.rendering import Document, Section, Table

HERE = Path(__file__).parent

SCRIPTS = (
    *("data", "glyphs", "plots", "drawing", "words", "audio", "card", "filters", "rectangle", "pointer_and_keys"),
    *("controls", "colours", "sort", "start"),
)
"""Files of ``script/`` in the order in which they run."""


def render(
    document: Document,
    embedding_map: EmbeddingMap,
    sections: Sequence[Section] = (),
    pictures: Sequence[Picture] = (),
    missing: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    cells: Cells | None = None,
    answer: Answer | None = None,
    best: Table | None = None,
) -> str:
    """The whole page.

    Args:
        document: Tables of the grid.
        embedding_map: Segments that can be explored.
        sections: Further statistics, after those of the document.
        pictures: Figures in their order.
        missing: One line for each figure that was not drawn.
        facts: Label and text.
        cells: State of each cell.
        answer: What the page opens with.
        best: The main table, the best figures in bold.
    """
    script = script_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("template.html")
        .render(
            document=document,
            sections=[*document.sections, *sections],
            pictures=pictures,
            missing=missing,
            facts=facts or {},
            cells=cells,
            answer=answer,
            best=best,
            map_title=embedding_map.title,
            has_plane=embedding_map.label_space.has_plane,
            n_segments=len(embedding_map.table),
            has_media=embedding_map.transcripts is not None,
            data=json_for_html(pack(embedding_map)),
            audio="\n".join(base64.b64encode(one).decode() for one in embedding_map.audio or []),
            style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
        )
    )


def script_text() -> str:
    """All files of ``script/`` as one inline script, in a scope of its own."""
    files = ((HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return '"use strict";\n(() => {\n' + "\n".join(files) + "})();\n"


@functools.cache
def _environment() -> Environment:
    """Templates of this folder; every value is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"inline": inline, "without_marks": without_marks}
    environment.tests["wholly_bold"] = is_wholly_bold
    return environment
