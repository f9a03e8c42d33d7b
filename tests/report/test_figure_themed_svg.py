"""A figure within a page: it takes the page's colours, keeps its own identifiers, and holds no markup of its texts."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from invented_pages import PLANTED, picture
from invented_world import world

from erc.data import KEMD
from erc.report.figures import style, valence_arousal
from erc.report.figures.themed_svg import themed_svg


@pytest.fixture(scope="module")
def fig():
    rng = np.random.default_rng(0)
    va, _, hard = world(rng, 2000)
    return valence_arousal.draw_predictions(va, va + rng.normal(0, 0.5, va.shape), hard, np.arange(2000) % 5, KEMD)


def test_the_page_s_colours_stand_in_place_of_ink_and_paper(fig):
    svg = themed_svg(fig, "predictions", "Scatter plots")
    for colour, variable in {style.INK: "ink", style.GREY: "soft"}.items():
        assert colour.lower() not in svg.lower() and f"var(--{variable})" in svg
    assert "#0072b2" in svg  # an emotion keeps its colour
    assert not re.search(r"fill: ?(#fff|white)", svg)  # nothing white behind


def test_an_svg_element_has_its_size_its_text_and_identifiers_of_its_own(fig):
    root = ElementTree.fromstring(
        themed_svg(fig, "predictions", 'Plots of "x" & y').replace("<svg ", '<svg xmlns:xlink="x" ', 1)
    )
    assert root.get("role") == "img" and root.get("aria-label") == 'Plots of "x" & y'
    assert int(root.get("width")) == round(174 / 25.4 * 96)
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len(ids) > 50 and all(one.startswith("predictions-") for one in ids)
    used = [one.get("{x}href") for one in root.iter("use")]
    assert used and {one.removeprefix("#") for one in used} <= set(ids)


def test_an_svg_is_smaller_than_the_png_of_the_same_figure(fig):
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=300)
    assert len(themed_svg(fig, "predictions", "Scatter plots")) < 4 / 3 * len(png.getvalue())  # as base64


def test_texts_of_a_figure_are_no_markup():
    svg = picture(f"--> {PLANTED}").svg
    assert "<script" not in svg and "<img" not in svg and "<!--" not in svg
