"""Everything -> the text of the page, by jinja2: ``template.html`` with the macros of ``parts.html``."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from erc.labels import NO_LABEL
from erc.report.page.answer import Answer
from erc.report.page.explorer import Explorer, pack
from erc.report.page.markup import inline, is_wholly_bold, json_for_html, without_marks
from erc.report.page.sections import Cells, Picture
from erc.report.rendering import Document, Section, Table

HERE = Path(__file__).parent

SCRIPTS = ("data", "plots", "card", "lists", "page", "sort", "start")
"""Files of ``script/`` in the order in which they run."""


def render(
    document: Document,
    explorer: Explorer,
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
        explorer: Segments that can be explored.
        sections: Further statistics, after those of the document.
        pictures: Figures in their order; where there is an answer, the map stands beside it.
        missing: One line for each figure that was not drawn.
        facts: Label and text.
        cells: State of each cell.
        answer: What the page opens with.
        best: The main table, the best figures in bold.
    """
    first = next((picture for picture in pictures if answer and picture.name == "map"), None)
    script, library, data = script_text(), get_plotlyjs(), pack(explorer)
    return (
        _environment()
        .get_template("template.html")
        .render(
            document=document,
            sections=[*document.sections, *sections],
            pictures=[picture for picture in pictures if picture is not first],
            missing=missing,
            facts=facts or {},
            cells=cells,
            answer=answer,
            best=best,
            first_picture=first,
            explorer=explorer,
            data=data,
            rows=list({run.row: run.title for run in explorer.runs}.items()),
            folds=sorted({run.fold for run in explorer.runs}),
            seeds=sorted({run.seed for run in explorer.runs}),
            has_unvoted=any((one.table["hard_label"] == NO_LABEL).any() for one in explorer.segments),
            packed=json_for_html(data),
            audio="\n".join(_audio_lines(explorer)) if explorer.has_media else "",
            style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            library=Markup(library),
            script_hashes=Markup(" ".join(f"'{_hash(text)}'" for text in (library, script))),
        )
    )


def _audio_lines(explorer: Explorer) -> Iterator[str]:
    """base64 of each segment's audio, in the order of the segments; empty where there is none."""
    for one in explorer.segments:
        yield from (base64.b64encode(audio).decode() for audio in one.audio or [b""] * len(one.table))


def _hash(script: str) -> str:
    """What a content security policy calls a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


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
