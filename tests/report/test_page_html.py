"""The page's text: what goes into it, escaped and complete; no browser is needed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from invented_pages import DOCUMENT, PLANTED, Tags, data_of, document, explorer, picture, write_grid
from jinja2 import UndefinedError
from markupsafe import escape
from plotly.offline import get_plotlyjs

from erc.report import grid_results, rendering, tables
from erc.report.page import html as page_html, sections as page_sections
from erc.report.page.markup import inline, json_for_html
from erc.report.rendering import Section, Table


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """Two rows, two folds each. Read only."""
    return write_grid(tmp_path_factory.mktemp("runs") / "grid")


def test_planted_markup_stays_text_wherever_it_comes_from():
    one = explorer(transcripts=PLANTED, audio=b"")
    one.segments[0].table.loc[0, "segment_id"] = PLANTED
    for run in one.runs:
        run.title = PLANTED
    states = [page_sections.CellState("done", "done (seed 42)"), page_sections.CellState("failed", PLANTED)]
    cells = page_sections.Cells(["", "fold 0", PLANTED], [(PLANTED, states)])
    section = Section(
        PLANTED, [PLANTED], [Table([PLANTED, ""], [[PLANTED, PLANTED], [PLANTED, ""]], PLANTED)], "statistics"
    )
    pictures = [picture(f'"{PLANTED}')]
    planted = document(PLANTED, PLANTED)
    facts = {PLANTED: PLANTED}
    text = page_html.render(planted, one, [section], pictures, missing=[PLANTED], facts=facts, cells=cells)
    assert "<script>window.planted" not in text
    assert "<img src=x" not in text
    tags = Tags(text).tags
    assert [attrs.get("id") for tag, attrs in tags if tag == "script"] == ["data", None, None, "audio"]
    assert not any("onerror" in attrs for _, attrs in tags)
    data = data_of(text)
    assert [one["transcripts"] for one in data["segments"]] == [[PLANTED] * 60, [PLANTED] * 40]
    assert data["segments"][0]["ids"].split("\n")[0] == PLANTED
    assert text.count(str(escape(PLANTED))) > 15


@pytest.mark.parametrize("value", ["</script>", "<!--", "]]>", "&lt;", "\u2028\u2029", '"\\', "한글"])
def test_json_stands_between_script_tags_whatever_it_holds(value):
    text = json_for_html({"a": value})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"a": value}


def test_the_page_names_no_address_and_loads_nothing():
    text = page_html.render(DOCUMENT, explorer(), pictures=[picture()])
    text = text.replace(get_plotlyjs(), "")  # it names addresses, and the policy lets it reach none
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    for tag, attrs in Tags(text).tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            if attrs.get(name):
                assert attrs[name].startswith(("data:", "#")), (tag, attrs)


def test_the_policy_lets_only_the_two_scripts_of_the_page_run():
    text = page_html.render(DOCUMENT, explorer())
    policy = next(attrs["content"] for tag, attrs in Tags(text).tags if attrs.get("http-equiv"))
    library, script = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert library == get_plotlyjs() and script == page_html.script_text()
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (library, script)]
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    assert f"script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}';" in policy
    assert not re.search(r"\.innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script)


def test_without_media_no_transcript_and_no_audio_is_in_the_page():
    text = page_html.render(DOCUMENT, explorer())
    assert all(one["transcripts"] is None and one["hasAudio"] is None for one in data_of(text)["segments"])
    assert Tags(text).scripts.get("audio", "") == ""
    assert "Built without transcripts and audio" in text


def test_a_page_with_media_says_that_it_is_to_be_kept():
    one = explorer(transcripts="안녕", audio=b"\xff" * 50)
    one.segments[1].audio[39] = b""
    text = page_html.render(DOCUMENT, one)
    lines = Tags(text).scripts["audio"].split("\n")
    assert [len(base64.b64decode(line)) for line in lines] == [50] * 99 + [0]
    assert data_of(text)["segments"][1]["hasAudio"] == "1" * 39 + "0"
    assert "keep this file to yourself" in text


def test_tables_become_tables_with_every_cell():
    text = page_html.render(DOCUMENT, explorer())
    preamble, results, rest = re.split('<section id="(?:results|explore)"', text)
    statistics = rest.split('<section id="statistics"')[1]
    assert "<p>protocol=paper: as published.</p>" in preamble
    assert '<p class="notice"><strong>Synthetic' in preamble
    assert re.findall(r"<h3>(.*?)</h3>", results) == ["Reading <code>selected</code>: at the one checkpoint"]
    assert re.findall(r"<h3>(.*?)</h3>", statistics) == ["Label distributions, reading <code>selected</code>"]
    first = [".607 ± .078", ".252 ± .058", ".293 ± .046", ".000 ± .000"]
    assert re.findall(r"<td>(.+?)</td>", results) == [*first, ".250 to .310"]
    rows = ["Tensor Mixer Network, PeakL (2/5 folds)", "Majority"]
    assert re.findall(r'<th scope="row">(.*?)</th>', results) == [*rows, "Majority"]
    assert re.findall(r'<th scope="col">(.*?)</th>', results) == ["Weighted-F1", "CCC (arousal)", "Weighted-F1"]
    assert "<p>95 % intervals of reading <code>selected</code>:</p>" in results
    assert 'aria-label="95 % intervals of reading selected"' in results
    assert '<caption class="unseen">Label distributions, reading <code>selected</code></caption>' in statistics
    assert '<th scope="row" colspan="3">Human: weighted F1 .683</th>' in statistics
    assert "<p>JSD: a <strong>divergence</strong>.</p>" in statistics


def test_a_real_table_goes_in_with_all_its_sections(grid):
    document = tables.document(grid_results.load(grid), n_resamples=20)
    text = page_html.render(document, explorer())
    for section in document.sections:
        assert f"<h3>{inline(section.title)}</h3>" in text
    in_markdown = re.findall(r"\.\d{3} ± \.\d{3}", rendering.to_markdown(document))
    assert len(in_markdown) > 20
    assert re.findall(r"\.\d{3} ± \.\d{3}", text) == in_markdown
    assert "|" not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)


def test_a_page_of_both_corpora_is_a_few_megabytes():
    text = page_html.render(DOCUMENT, explorer(sizes=(4700, 4700, 4700, 4700, 4658)))
    assert len(text.encode()) - len(get_plotlyjs().encode()) < 3e6  # of one row


def test_every_file_of_the_script_is_in_the_page_once():
    folder = Path(page_html.__file__).parent / "script"
    assert sorted(page_html.SCRIPTS) == sorted(path.stem for path in folder.iterdir())
    text = page_html.render(DOCUMENT, explorer())
    assert sum(path.read_text(encoding="utf-8").count("\n") for path in folder.iterdir()) < 420
    for path in folder.iterdir():
        assert text.count(path.read_text(encoding="utf-8")) == 1


def test_a_template_with_an_unknown_name_is_an_error():
    with pytest.raises(UndefinedError, match="'tilte' is undefined"):
        page_html._environment().from_string("<p>{{ tilte }}</p>").render()


def test_marks_become_elements_and_the_rest_is_escaped():
    assert inline("a <b> **c** `d*e*` & ** f") == "a &lt;b&gt; <strong>c</strong> <code>d*e*</code> &amp; ** f"
