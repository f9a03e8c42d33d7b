"""A figure -> SVG inside a page: one picture that takes the colours of the page's theme, light or dark."""

from __future__ import annotations

import html
import io
import re

import matplotlib
from matplotlib.figure import Figure

from erc.report.figures.style import GREY, INK, PALE, PAPER, STYLE

CSS_COLOURS = {INK: "ink", PAPER: "bg", GREY: "soft", PALE: "line"}
"""Colours of figures that are the page's own, by the name of its CSS variable."""

POINTS_DPI = 150
"""Of points, which are an image within the SVG: thousands of them would open slowly."""


def themed_svg(fig: Figure, name: str, alt: str) -> str:
    """A figure as an ``<svg>`` element without a background.

    Args:
        fig: The figure, at its printed size.
        name: Begins the identifiers within the element, so that several figures can stand in one page.
        alt: What is seen, for readers who do not see it.
    """
    stream = io.StringIO()
    with matplotlib.rc_context(STYLE):
        fig.savefig(stream, format="svg", dpi=POINTS_DPI, transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style [^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", svg)
    for color, variable in CSS_COLOURS.items():
        svg = re.sub(rf"{color}\b", f"var(--{variable})", svg, flags=re.IGNORECASE)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    width, height = (round(inches * 96) for inches in fig.get_size_inches())
    label = html.escape(alt)
    head = f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" {box[0] if box else ""}>'
    return head + svg[svg.index(">") + 1 :].strip()
