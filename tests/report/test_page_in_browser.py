"""The page in a headless Chromium, where there is one: what it shows, and that every control works."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest
from browsing import actions, apart, bring, choose, click, point, press, state, text_of
from invented_pages import DOCUMENT, PLANTED, document, explorer, picture
from kemd_columns import PROB, VOTES
from scipy.stats import entropy

from erc.data import EMOTIONS
from erc.report.page import html as page_html, media as page_media
from erc.report.page.answer import Answer
from erc.report.rendering import Table


def shown(driver) -> list[str]:
    return driver.execute_script("return report.shown()")


def marked(driver) -> list[str]:
    return driver.execute_script("return report.marked()")


def guesses(table) -> np.ndarray:
    return table[PROB].to_numpy().argmax(axis=1)


@pytest.mark.slow
def test_pointing_shows_and_a_click_selects_the_segment(open_page):
    one = explorer()
    driver = open_page(page_html.render(DOCUMENT, one))
    i = apart(driver, "map")
    row = one.runs[0].table.set_index("segment_id").loc[shown(driver)[i]]
    point(driver, "map", i).perform()
    time.sleep(0.3)  # plotly waits before it shows a label
    label = driver.find_element("css selector", "#map .hoverlayer").text
    assert row.name in label and f"raters: {EMOTIONS[row['hard_label']]}" in label and "model: " in label
    point(driver, "map", i).click().perform()
    assert state(driver)["selected"] == row.name == text_of(driver, "card-title")
    card = text_of(driver, "card-body")
    assert f"{row['pred_valence']:.2f}" in card and row["corpus"] in card and "Nearest in the model's space" in card
    assert driver.find_elements("css selector", "#card audio") == []
    run = one.runs[0]
    k = run.table["segment_id"].tolist().index(row.name)
    click(driver, "#card ol li:nth-child(2) button")  # the second neighbour
    assert state(driver)["selected"] == run.table["segment_id"][run.neighbours[k, 1]]
    click(driver, "#close")
    assert state(driver)["selected"] is None


@pytest.mark.slow
def test_filters_change_what_is_shown_and_counted(open_page):
    one = explorer()
    driver = open_page(page_html.render(DOCUMENT, one))
    first, second = (run.table for run in one.runs)
    assert text_of(driver, "count") == "60 of 60 segments shown."
    click(driver, "#emotions input[data-value=neutral]")
    others = first[first["hard_label"] != EMOTIONS.index("neutral")]
    assert text_of(driver, "count") == f"{len(others)} of 60 segments shown."
    click(driver, "#corpora input[data-value=kemdy20]")
    others = others[others["corpus"] == "kemdy19"]
    assert text_of(driver, "count") == f"{len(others)} of 60 segments shown."
    for outcome in ("right", "tied"):
        click(driver, f"#outcomes input[data-value={outcome}]")
    wrong = others[~others["is_tied"] & (others["hard_label"] != guesses(others))]
    assert sorted(shown(driver)) == sorted(wrong["segment_id"])
    click(driver, "#none")
    assert text_of(driver, "count") == "0 of 60 segments shown."
    click(driver, "#all")
    for name in ("right", "tied", "kemdy20"):
        click(driver, f".chips input[data-value={name}]")
    choose(driver, "fold", 1)
    assert text_of(driver, "count") == "40 of 40 segments shown."
    click(driver, "input[name=by][value=prediction] + span")
    click(driver, "#emotions input[data-value=sad]")
    assert sorted(shown(driver)) == sorted(second[guesses(second) != EMOTIONS.index("sad")]["segment_id"])


@pytest.mark.slow
def test_the_row_and_the_fold_can_be_changed_and_the_address_keeps_what_is_shown(open_page):
    one = explorer(rows=("concat_soft", "tensor_mixer_peakl"))
    driver = open_page(page_html.render(DOCUMENT, one))
    choose(driver, "row", "tensor_mixer_peakl")
    choose(driver, "fold", 1)
    click(driver, "#emotions input[data-value=happy]")
    click(driver, "#list button")
    kept, chosen, count = state(driver), text_of(driver, "card-title"), text_of(driver, "count")
    table = one.runs[3].table.set_index("segment_id")
    assert kept["row"] == "tensor_mixer_peakl" and kept["fold"] == 1 and chosen in table.index
    assert f"{100 * table.loc[chosen, PROB].max():.0f} %" in text_of(driver, "card-body")
    driver.refresh()
    assert (text_of(driver, "card-title"), text_of(driver, "count")) == (chosen, count)
    assert {**state(driver), "at": None} == {**kept, "at": None}
    assert not driver.find_element("css selector", "#emotions input[data-value=happy]").is_selected()


@pytest.mark.slow
def test_a_rectangle_in_either_plot_marks_the_same_segments_in_the_other(open_page):
    driver = open_page(page_html.render(DOCUMENT, explorer()))
    dimmed = "return [...document.querySelectorAll('#' + arguments[0] + ' .points path')].filter((p) => +p.style.opacity < 0.5).length"
    for panel, other in (("va", "map"), ("map", "va")):
        size = driver.execute_script("return document.getElementById(arguments[0]).clientWidth", panel)
        bring(driver, panel)
        box = driver.find_element("id", panel)
        corner = actions(driver).move_to_element_with_offset(box, -size // 4, -size // 4).click_and_hold()
        corner.move_by_offset(size // 4, size // 4).move_by_offset(size // 4, size // 4).release().perform()
        deadline = time.monotonic() + 5
        while not marked(driver) and time.monotonic() < deadline:
            time.sleep(0.05)
        script = (
            "const b = document.getElementById(arguments[0]).getBoundingClientRect(), q = arguments[1];"
            "return report.shown().filter((_, i) => { const p = report.at(arguments[0], i);"
            "return Math.abs(p.x - b.left - b.width / 2) < q && Math.abs(p.y - b.top - b.height / 2) < q; });"
        )
        surely, at_most = (set(driver.execute_script(script, panel, size / 4 + margin)) for margin in (-3, 3))
        found = set(marked(driver))
        assert surely <= found <= at_most
        assert len(found) > 5
        assert text_of(driver, "brushed").startswith(f"{len(found)} marked: ")
        assert driver.execute_script(dimmed, other) == 60 - len(found)
        click(driver, "#clear")
        assert marked(driver) == [] and text_of(driver, "brushed") == ""
        assert driver.execute_script(dimmed, other) == 0


@pytest.mark.slow
def test_lists_search_and_export(open_page, tmp_path):
    one = explorer(transcripts="says nothing", audio=b"")
    one.segments[0].transcripts[7] = "says Something"
    driver = open_page(page_html.render(DOCUMENT, one))
    table = one.runs[0].table

    def listed() -> list[str]:
        return [item.text.split(":")[0].split()[-1] for item in driver.find_elements("css selector", "#list li")]

    wrong = table[~table["is_tied"] & (table["hard_label"] != guesses(table))]
    assert sorted(listed()) == sorted(wrong["segment_id"])[: len(listed())] or set(listed()) <= set(wrong["segment_id"])
    click(driver, "input[name=list][value=disagree] + span")
    by_id = dict(zip(table["segment_id"], entropy(table[VOTES].to_numpy().T), strict=True))
    found = [by_id[name] for name in listed()]
    assert len(found) == 20 and found == sorted(found, reverse=True) and found[0] == pytest.approx(max(by_id.values()))
    driver.find_element("id", "search").send_keys("something")
    assert marked(driver) == [table["segment_id"][7]] == listed()
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(driver, "#save")
    deadline = time.monotonic() + 10
    while not (tmp_path / "segments.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with open(tmp_path / "segments.csv", encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["segment_id"] == table["segment_id"][7] and line["fold"] == "0"
    assert [int(line[f"votes_{name}"]) for name in EMOTIONS] == table[VOTES].loc[7].tolist()
    assert [float(line[f"p_{name}"]) for name in EMOTIONS] == pytest.approx(table[PROB].loc[7].tolist(), abs=1e-4)
    assert float(line["pred_valence"]) == pytest.approx(table["pred_valence"][7], abs=1e-5)
    click(driver, "#clear")
    assert marked(driver) == [] and driver.find_element("id", "search").get_attribute("value") == ""


@pytest.mark.slow
def test_the_plots_are_usable_by_keyboard(open_page):
    driver = open_page(page_html.render(DOCUMENT, explorer()))
    driver.execute_script("document.getElementById('save').focus()")
    visited = []
    for _ in range(25):
        press(driver, "TAB")
        visited.append(driver.switch_to.active_element.get_attribute("id"))
    assert [name for name in visited if name in ("map", "va")] == ["map", "va"]
    driver.execute_script("document.getElementById('map').focus({focusVisible: true})")
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert driver.execute_script(outline) == "solid"
    press(driver, "ARROW_RIGHT")
    assert state(driver)["at"] in driver.find_element("id", "announce").get_attribute("textContent")
    for key, axis, sign in (("ARROW_RIGHT", "x", 1), ("ARROW_UP", "y", -1), ("ARROW_LEFT", "x", -1)):
        before = state(driver)["at"]
        press(driver, key)
        order = shown(driver)
        places = [order.index(name) for name in (before, state(driver)["at"])]
        at = [driver.execute_script("return report.at('map', arguments[0])", i)[axis] for i in places]
        assert places[0] == places[1] or sign * (at[1] - at[0]) > 0
    press(driver, "ENTER")
    assert state(driver)["selected"] == state(driver)["at"] == text_of(driver, "card-title")
    seen = {state(driver)["at"]}
    for _ in range(59):
        press(driver, "PAGE_DOWN")
        seen.add(state(driver)["at"])
    assert seen == set(shown(driver)), "every segment is reached"
    press(driver, "SPACE")
    assert marked(driver) == [state(driver)["at"]]
    press(driver, "PAGE_UP", "SPACE")
    assert len(marked(driver)) == 2
    press(driver, "ESCAPE")
    assert marked(driver) == [] and state(driver)["selected"] is not None
    press(driver, "ESCAPE")
    assert state(driver)["selected"] is None


@pytest.mark.slow
def test_colours_follow_the_system_and_the_button(open_page):
    text = page_html.render(DOCUMENT, explorer(), pictures=[picture()])
    background = "return getComputedStyle(document.body).backgroundColor"
    driver = open_page(text, dark=True)
    assert driver.execute_script(background) == "rgb(20, 23, 27)"
    # all colours of a figure: of text, which has none of its own, of lines, and of what is behind them
    colours = """return [...new Set([...document.querySelectorAll('.figure svg *')].flatMap(
        (one) => [getComputedStyle(one).fill, getComputedStyle(one).stroke]))].sort()"""
    ink = "rgb(232, 234, 237)"
    assert set(driver.execute_script(colours)) <= {ink, "none", "rgb(165, 173, 184)"}
    assert ink in driver.execute_script(colours)
    paper = "return document.querySelector('#va .bg').style.fill"
    dark = driver.execute_script(paper)
    click(driver, "#theme")
    assert driver.execute_script(background) == "rgb(255, 255, 255)"
    assert driver.execute_script(paper) != dark, "the plots are drawn anew"
    assert ink not in driver.execute_script(colours) and "rgb(26, 29, 33)" in driver.execute_script(colours)
    driver.refresh()
    assert driver.execute_script(background) == "rgb(255, 255, 255)", "the choice is kept"
    click(driver, "#theme")
    assert driver.execute_script(background) == "rgb(20, 23, 27)"
    light = open_page(text)
    assert light.execute_script(background) == "rgb(255, 255, 255)", "nor is it seen what the page before kept"


@pytest.mark.slow
def test_a_phone_shows_everything_without_scrolling_sideways(open_page):
    driver = open_page(page_html.render(DOCUMENT, explorer(), pictures=[picture()]), width=360, height=740, phone=True)
    assert driver.execute_script("return document.documentElement.scrollWidth") == 360
    i = apart(driver, "map")
    place = driver.execute_script("return report.at('map', arguments[0])", i)
    touch = [{"x": place["x"], "y": place["y"]}]
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": touch})
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    deadline = time.monotonic() + 5
    while state(driver)["selected"] is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state(driver)["selected"] == shown(driver)[i]
    time.sleep(0.4)  # the card slides in
    card = driver.execute_script(
        "const b = document.getElementById('card').getBoundingClientRect(); return [b.top, b.bottom]"
    )
    assert 250 < card[0] < card[1] <= 740
    small = (
        "const all = [...document.querySelectorAll('#app button, #app .chip, #app select, #app input[type=search]')];"
        "return all.filter((one) => one.offsetHeight && one.offsetHeight < 32).length"
    )
    assert driver.execute_script(small) == 0, "large enough for a finger"
    click(driver, "#close")
    click(driver, ".figure .enlarge")
    large = driver.find_element("css selector", "#large svg")
    assert large.is_displayed() and large.size["width"] >= 900
    click(driver, "#large form button")
    assert not large.is_displayed()


@pytest.mark.slow
def test_folds_are_never_laid_over_each_other(open_page):
    driver = open_page(page_html.render(DOCUMENT, explorer(sizes=(30, 30, 30, 30, 30))))
    choose(driver, "fold", "all")
    assert text_of(driver, "count") == "150 of 150 segments shown."
    where = driver.execute_script(
        "return report.shown().map((id, i) => { const p = report.at('map', i); return [id.slice(0, 6), p.x, p.y]; })"
    )
    boxes = []
    for fold in range(5):
        part = np.array([place for name, *place in where if name == f"Sess{fold + 1:02d}"])
        boxes.append((*part.min(axis=0), *part.max(axis=0)))
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        for u0, v0, u1, v1 in boxes[k + 1 :]:
            assert x1 < u0 or u1 < x0 or y1 < v0 or v1 < y0


@pytest.mark.slow
def test_equal_means_are_set_apart_a_little_and_at_random(open_page):
    one = explorer(sizes=(400,))
    one.segments[0].table[["valence", "arousal"]] = np.tile([[2.0, 4.0], [4.0, 2.0]], (200, 1))
    driver = open_page(page_html.render(DOCUMENT, one))
    where = driver.execute_script(
        "return report.shown().map((id, i) => { const p = report.at('va', i); return [+id.slice(-5), p.x, p.y]; })"
    )
    where = np.array(sorted(where))[:, 1:]
    shifts = []
    for axis, name in enumerate(("valence", "arousal")):
        at = [where[one.segments[0].table[name] == value, axis] for value in (2, 4)]
        unit = (at[1].mean() - at[0].mean()) / 2
        assert max(np.ptp(part) for part in at) <= 0.085 * abs(unit)
        shifts.append(np.concatenate([part - part.mean() for part in (at if name == "valence" else at[::-1])]))
    assert abs(np.corrcoef(*shifts)[0, 1]) < 0.15


@pytest.mark.slow
def test_planted_markup_does_not_run(open_page):
    one = explorer(transcripts=PLANTED, audio=b"")
    for run in one.runs:
        run.title = PLANTED
    one.segments[0].table.loc[0, "segment_id"] = PLANTED
    driver = open_page(page_html.render(document(name=PLANTED), one))
    i = shown(driver).index(PLANTED)
    point(driver, "map", i).perform()
    time.sleep(0.3)
    driver.execute_script("document.getElementById('map').focus()")
    while state(driver)["at"] != PLANTED:
        press(driver, "PAGE_DOWN")
    assert "onerror" in driver.find_element("css selector", "#map .hoverlayer").text
    press(driver, "ENTER")
    assert text_of(driver, "card-title") == PLANTED
    assert PLANTED in text_of(driver, "card-body")
    assert driver.execute_script("return window.planted") is None


@pytest.mark.slow
def test_one_click_plays_the_audio_of_the_segment(open_page):
    seconds = np.arange(16000) / 16000
    one = explorer(
        transcripts="안녕하세요", audio=page_media.mp3((np.sin(2 * np.pi * 440 * seconds) * 20000).astype(np.int16))
    )
    one.segments[0].audio[0] = b""
    driver = open_page(page_html.render(DOCUMENT, one))
    click(driver, "#list button")
    assert "안녕하세요" in text_of(driver, "card-body")
    played = driver.execute_async_script(
        "const done = arguments[0], a = document.querySelector('#card audio');"
        "a.onended = () => done([a.duration, a.currentTime]); a.onerror = () => done([-1, 0]); if (a.ended) a.onended();"
    )
    assert played[0] == pytest.approx(1, abs=0.15) and played[1] > 0.9
    driver.find_element("id", "search").send_keys(one.segments[0].table["segment_id"][0])
    click(driver, "#list button")
    assert "limit for audio was reached" in text_of(driver, "card-body")


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(4700, 4700, 4700, 4700, 4658), (23458,)], ids=["five folds", "one fold"])
def test_both_corpora_at_full_size_paint_in_three_seconds_and_hover_in_fifty_milliseconds(open_page, sizes):
    driver = open_page(page_html.render(DOCUMENT, explorer(sizes=sizes)))
    script = (
        "const paint = performance.getEntriesByName('first-contentful-paint')[0];"
        "return [paint ? paint.startTime : null, performance.getEntriesByName('map-drawn')[0].startTime];"
    )
    painted, drawn = driver.execute_script(script)
    if len(sizes) > 1:
        choose(driver, "fold", "all")
    assert text_of(driver, "count") == "23,458 of 23,458 segments shown."
    hovers = driver.execute_async_script(
        """
        const done = arguments[0], box = document.querySelector("#map .nsewdrag"), times = [];
        let k = 0;
        const one = () => {
          const p = report.at("map", (k * 977) % 23458), start = performance.now();
          box.dispatchEvent(new MouseEvent("mousemove", {clientX: p.x, clientY: p.y, bubbles: true}));
          document.getElementById("map").getBoundingClientRect();
          times.push(performance.now() - start);
          if (++k < 100) setTimeout(one, 60); else done(times);
        };
        one();
        """
    )
    print(
        f"first paint {painted:.0f} ms, map drawn {drawn:.0f} ms, hover median {np.median(hovers):.1f} ms, worst {max(hovers):.1f} ms"
    )
    assert painted < 3000
    assert np.quantile(hovers, 0.95) < 50


@pytest.mark.slow
def test_the_main_table_is_sorted_by_mouse_and_keyboard_and_its_last_row_stays_last(open_page):
    header, rows = (
        ["", "F1"],
        [["b", ".200 ± .100"], ["a", "**.300**"], ["d", "–"], ["c", "−.100"], ["Majority", ".500"]],
    )
    answer = Answer(["**b** won."], ["One fold."])
    driver = open_page(page_html.render(DOCUMENT, explorer(), answer=answer, best=Table(header, rows)))

    def shown() -> str:
        cells = driver.find_elements("css selector", ".sortable tbody th")
        return "".join(cell.text for cell in cells)

    assert driver.find_element("css selector", ".answer strong").text == "b" and shown() == "badcMajority"
    click(driver, ".sortable thead th:nth-child(2) button")
    assert shown() == "abcdMajority"  # largest first; what is not defined comes last
    assert driver.find_element("css selector", "[aria-sort]").get_attribute("aria-sort") == "descending"
    press(driver, "ENTER")  # the button has the focus
    assert shown() == "dcbaMajority"
    click(driver, ".sortable thead th:first-child button")
    assert shown() == "abcdMajority"  # names from a on
    click(driver, ".sortable thead th:first-child button")
    assert shown() == "dcbaMajority"
    assert not driver.find_element("css selector", "#overview dl").is_displayed()  # folded away
    click(driver, "summary")
    assert driver.find_element("css selector", "summary").is_displayed()
