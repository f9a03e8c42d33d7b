"""The page in a headless Chromium, where there is one: what it shows, and that every control works."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import soundfile
from browsing import actions, apart, bring, click, point, press, state, text_of
from invented_pages import DOCUMENT, PLANTED, document, embedding_map, picture
from kemd_columns import PROB, SOFT

from erc.data import EMOTIONS
from erc.report.page import html as page_html, media as page_media
from erc.report.page.answer import Answer
from erc.report.rendering import Table


@pytest.mark.slow
def test_hover_shows_and_click_selects_the_segment(open_page):
    one = embedding_map()
    driver = open_page(page_html.render(DOCUMENT, one))
    i = apart(driver, "map")
    point(driver, "map", i).perform()
    assert state(driver)["hover"] == i
    tip, row = text_of(driver, "tip"), one.table.iloc[i]
    assert row["segment_id"] in tip
    assert f"{EMOTIONS[row['hard_label']]} {round(10 * row[SOFT[row['hard_label']]])}" in tip
    assert (
        f"{row['valence']:.1f} / {row['arousal']:.1f}, model {row['pred_valence']:.2f} / {row['pred_arousal']:.2f}"
        in tip
    )
    assert "says" not in tip
    point(driver, "map", i).click().perform()
    assert state(driver)["selected"] == i
    assert text_of(driver, "card-title") == row["segment_id"]
    card = text_of(driver, "card-body")
    assert f"{row['pred_valence']:.2f}" in card and row["corpus"] in card
    assert driver.find_elements("css selector", "#card audio") == []
    click(driver, "#close")
    assert state(driver)["selected"] == -1


@pytest.mark.slow
def test_filters_change_what_is_shown_and_counted(open_page):
    one = embedding_map()
    driver = open_page(page_html.render(DOCUMENT, one))
    first = one.table[one.table["fold"] == 0]
    assert text_of(driver, "count") == "60 of 60 segments shown."
    click(driver, "#emotions input[data-value=neutral]")
    others = first[first["hard_label"] != EMOTIONS.index("neutral")]
    assert text_of(driver, "count") == f"{len(others)} of 60 segments shown."
    click(driver, "#corpora input[data-value=kemdy20]")
    others = others[others["corpus"] == "kemdy19"]
    assert text_of(driver, "count") == f"{len(others)} of 60 segments shown."
    for outcome in ("right", "tied"):
        click(driver, f"#outcomes input[data-value={outcome}]")
    wrong = others[~others["is_tied"] & (others["hard_label"] != others[PROB].to_numpy().argmax(axis=1))]
    assert text_of(driver, "count") == f"{len(wrong)} of 60 segments shown."
    assert driver.execute_script("return report.shown()") == wrong.index.tolist()
    click(driver, "#none")
    assert text_of(driver, "count") == "0 of 60 segments shown."
    click(driver, "#all")
    for name in ("right", "tied", "kemdy20"):
        click(driver, f".chips input[data-value={name}]")
    driver.execute_script(
        "const f = document.getElementById('fold'); f.value = 1; f.dispatchEvent(new Event('change'))"
    )
    assert text_of(driver, "count") == "40 of 40 segments shown."
    click(driver, "input[name=by][value=prediction] + span")
    click(driver, "#emotions input[data-value=sad]")
    second = one.table[one.table["fold"] == 1]
    kept = second[second[PROB].to_numpy().argmax(axis=1) != EMOTIONS.index("sad")]
    assert driver.execute_script("return report.shown()") == kept.index.tolist()


@pytest.mark.slow
def test_a_rectangle_in_either_plot_marks_the_same_segments_in_the_other(open_page):
    one = embedding_map()
    driver = open_page(page_html.render(DOCUMENT, one))
    pixels = "const c = document.querySelector('#' + arguments[0] + ' .base'); return c.toDataURL();"
    for panel, other in (("va", "map"), ("map", "va")):
        before = driver.execute_script(pixels, other)
        size = driver.execute_script("return document.getElementById(arguments[0]).clientWidth", panel)
        bring(driver, panel)
        box = driver.find_element("id", panel)
        corner = actions(driver).move_to_element_with_offset(box, -size // 4, -size // 4).click_and_hold()
        corner.move_by_offset(size // 4, size // 4).move_by_offset(size // 4, size // 4).release().perform()
        script = (
            "const b = document.getElementById(arguments[0]).getBoundingClientRect(), q = arguments[1];"
            "return report.shown().filter((i) => { const p = report.at(arguments[0], i);"
            "return Math.abs(p.x - b.left - b.width / 2) < q && Math.abs(p.y - b.top - b.height / 2) < q; });"
        )
        surely, at_most = (set(driver.execute_script(script, panel, size / 4 + margin)) for margin in (-2, 2))
        marked = set(driver.execute_script("return report.brushed()"))
        assert surely <= marked <= at_most
        assert len(marked) > 5
        assert text_of(driver, "brushed").startswith(f"{len(marked)} in the rectangle: ")
        assert driver.execute_script(pixels, other) != before
        click(driver, "#clear")
        assert driver.execute_script("return report.brushed()") == []
        assert text_of(driver, "brushed") == ""


@pytest.mark.slow
def test_the_plots_are_usable_by_keyboard(open_page):
    from selenium.webdriver.common.keys import Keys

    one = embedding_map()
    driver = open_page(page_html.render(DOCUMENT, one))
    driver.execute_script("document.getElementById('none').focus()")
    visited = []
    for _ in range(12):
        press(driver, "TAB")
        visited.append(driver.switch_to.active_element.get_attribute("id") or driver.switch_to.active_element.tag_name)
    assert [name for name in visited if name in ("map", "va", "previous", "next")] == ["map", "va", "previous", "next"]
    driver.execute_script("document.getElementById('map').focus({focusVisible: true})")
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert driver.execute_script(outline) == "solid"
    press(driver, "ARROW_RIGHT")
    start = state(driver)["hover"]
    assert start >= 0
    assert one.table["segment_id"][start] in driver.find_element("id", "announce").get_attribute("textContent")
    for key, axis, sign in (("ARROW_RIGHT", "x", 1), ("ARROW_UP", "y", -1), ("ARROW_LEFT", "x", -1)):
        before = state(driver)["hover"]
        press(driver, key)
        after = state(driver)["hover"]
        at = [driver.execute_script("return report.at('map', arguments[0])", i)[axis] for i in (before, after)]
        assert after == before or sign * (at[1] - at[0]) > 0
    press(driver, "ENTER")
    chosen = state(driver)["selected"]
    assert chosen == state(driver)["hover"]
    assert text_of(driver, "card-title") == one.table["segment_id"][chosen]
    seen = {chosen}
    for _ in range(59):
        press(driver, "PAGE_DOWN")
        seen.add(state(driver)["hover"])
    assert seen == set(range(60)), "every segment is reached"
    actions(driver).key_down(Keys.SHIFT).send_keys(*[Keys.ARROW_LEFT, Keys.ARROW_UP] * 12).key_up(Keys.SHIFT).perform()
    assert len(driver.execute_script("return report.brushed()")) > 1
    press(driver, "ESCAPE")
    assert driver.execute_script("return report.brushed()") == []
    press(driver, "ESCAPE")
    assert state(driver)["selected"] == -1
    click(driver, "#next")
    assert state(driver)["selected"] == 0


@pytest.mark.slow
def test_colours_follow_the_system_and_the_button(open_page):
    text = page_html.render(DOCUMENT, embedding_map(), pictures=[picture()])
    background = "return getComputedStyle(document.body).backgroundColor"
    driver = open_page(text, dark=True)
    assert driver.execute_script(background) == "rgb(20, 23, 27)"
    # all colours of a figure: of text, which has none of its own, of lines, and of what is behind them
    colours = """return [...new Set([...document.querySelectorAll('.figure svg *')].flatMap(
        (one) => [getComputedStyle(one).fill, getComputedStyle(one).stroke]))].sort()"""
    ink = "rgb(232, 234, 237)"
    assert set(driver.execute_script(colours)) <= {ink, "none", "rgb(165, 173, 184)"}
    assert ink in driver.execute_script(colours)
    pixel = "return document.querySelector('#va .base').toDataURL()"
    dark = driver.execute_script(pixel)
    click(driver, "#theme")
    assert driver.execute_script(background) == "rgb(255, 255, 255)"
    assert driver.execute_script(pixel) != dark, "the plots are drawn anew"
    assert ink not in driver.execute_script(colours) and "rgb(26, 29, 33)" in driver.execute_script(colours)
    driver.refresh()
    assert driver.execute_script(background) == "rgb(255, 255, 255)", "the choice is kept"
    light = open_page(text)
    assert light.execute_script(background) == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_a_phone_shows_everything_without_scrolling_sideways(open_page):
    driver = open_page(page_html.render(DOCUMENT, embedding_map()), width=360, height=740, phone=True)
    assert driver.execute_script("return document.documentElement.scrollWidth") == 360
    bring(driver, "map")
    i = apart(driver, "map")
    place = driver.execute_script("return report.at('map', arguments[0])", i)
    touch = [{"x": place["x"], "y": place["y"]}]
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": touch})
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    deadline = time.monotonic() + 5
    while state(driver)["selected"] != i and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state(driver)["selected"] == i
    tip = driver.find_element("id", "tip").rect
    assert tip["x"] >= 0 and tip["x"] + tip["width"] <= 360
    assert driver.find_element("id", "touch").is_displayed()
    small = (
        "const all = [...document.querySelectorAll('#app button, #app .chip, #app select')];"
        "return all.filter((one) => one.offsetHeight && one.offsetHeight < 32).length"
    )
    assert driver.execute_script(small) == 0, "large enough for a finger"


@pytest.mark.slow
def test_folds_are_never_laid_over_each_other(open_page):
    one = embedding_map(sizes=(30, 30, 30, 30, 30))
    driver = open_page(page_html.render(DOCUMENT, one))
    driver.execute_script(
        "const f = document.getElementById('fold'); f.value = -1; f.dispatchEvent(new Event('change'))"
    )
    assert text_of(driver, "count") == "150 of 150 segments shown."
    where = driver.execute_script(
        "return report.shown().map((i) => { const p = report.at('map', i); return [p.x, p.y]; })"
    )
    where = np.array(where).reshape(5, 30, 2)
    boxes = [(*part.min(axis=0), *part.max(axis=0)) for part in where]
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        for u0, v0, u1, v1 in boxes[k + 1 :]:
            assert x1 < u0 or u1 < x0 or y1 < v0 or v1 < y0


@pytest.mark.slow
def test_equal_means_are_set_apart_a_little_and_at_random(open_page):
    one = embedding_map(sizes=(400,))
    one.table[["valence", "arousal"]] = np.tile([[2.0, 4.0], [4.0, 2.0]], (200, 1))
    driver = open_page(page_html.render(DOCUMENT, one))
    where = driver.execute_script(
        "return report.shown().map((i) => { const p = report.at('va', i); return [p.x, p.y]; })"
    )
    shifts = []
    for axis, name in enumerate(("valence", "arousal")):
        at = [np.array(where)[one.table[name] == value, axis] for value in (2, 4)]
        unit = (at[1].mean() - at[0].mean()) / 2
        assert max(np.ptp(part) for part in at) <= 0.085 * abs(unit)
        shifts.append(np.concatenate([part - part.mean() for part in (at if name == "valence" else at[::-1])]))
    assert abs(np.corrcoef(*shifts)[0, 1]) < 0.15


@pytest.mark.slow
def test_planted_markup_does_not_run(open_page):
    one = embedding_map(transcripts=[PLANTED] * 100, audio=[b""] * 100)
    one.table.loc[0, "segment_id"] = PLANTED
    driver = open_page(page_html.render(document(name=PLANTED), one))
    click(driver, "#next")
    assert text_of(driver, "card-title") == PLANTED
    assert PLANTED in text_of(driver, "card-body")
    point(driver, "map", 0).perform()
    assert PLANTED in text_of(driver, "tip")
    assert driver.execute_script("return window.planted") is None


@pytest.mark.slow
def test_audio_is_played_as_it_was_recorded(open_page):
    seconds = np.arange(8000) / 16000
    waveform = (np.sin(2 * np.pi * 440 * seconds) * 20000).astype(np.int16)
    one = embedding_map(transcripts=["안녕하세요"] * 100, audio=[page_media.mu_law(waveform)] * 99 + [b""])
    driver = open_page(page_html.render(DOCUMENT, one))
    driver.execute_script(
        "const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.blob = blob; return make(blob); }"
    )
    click(driver, "#next")
    assert "안녕하세요" in text_of(driver, "card-body")
    duration = driver.execute_async_script(
        "const done = arguments[0], a = document.querySelector('#card audio');"
        "if (a.readyState) done(a.duration); else { a.onloadedmetadata = () => done(a.duration); a.onerror = () => done(-1); }"
    )
    assert duration == pytest.approx(0.5)
    wav = driver.execute_async_script(
        "const done = arguments[0]; window.blob.arrayBuffer().then((b) => done(Array.from(new Uint8Array(b))))"
    )
    heard, rate = soundfile.read(io.BytesIO(bytes(wav)), dtype="int16")
    expected, _ = soundfile.read(
        io.BytesIO(one.audio[0]), dtype="int16", format="RAW", subtype="ULAW", samplerate=16000, channels=1
    )
    assert rate == 16000
    np.testing.assert_array_equal(heard, expected)
    driver.execute_script(
        "const f = document.getElementById('fold'); f.value = 1; f.dispatchEvent(new Event('change'))"
    )
    click(driver, "#previous")
    assert "limit for audio was reached" in text_of(driver, "card-body")


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(4700, 4700, 4700, 4700, 4658), (23458,)], ids=["five folds", "one fold"])
def test_both_corpora_at_full_size_paint_in_three_seconds_and_hover_in_fifty_milliseconds(open_page, sizes):
    driver = open_page(page_html.render(DOCUMENT, embedding_map(sizes=sizes)))
    script = (
        "const paint = performance.getEntriesByName('first-contentful-paint')[0];"
        "return [paint ? paint.startTime : null, performance.getEntriesByName('map-drawn')[0].startTime];"
    )
    painted, drawn = driver.execute_script(script)
    if len(sizes) > 1:
        driver.execute_script(
            "const f = document.getElementById('fold'); f.value = -1; f.dispatchEvent(new Event('change'))"
        )
    assert text_of(driver, "count") == "23,458 of 23,458 segments shown."
    hovers = driver.execute_async_script(
        """
        const done = arguments[0], box = document.getElementById("map"), rect = box.getBoundingClientRect(), times = [];
        let k = 0;
        const one = () => {
          const p = report.at("map", report.shown()[(k * 977) % 23458]), start = performance.now();
          box.dispatchEvent(new PointerEvent("pointermove", {clientX: p.x, clientY: p.y, pointerType: "mouse", bubbles: true}));
          document.getElementById("tip").getBoundingClientRect();
          times.push(performance.now() - start);
          if (++k < 100) requestAnimationFrame(one); else done(times);
        };
        one();
        """
    )
    brush = driver.execute_script(
        """
        const box = document.getElementById("va"), rect = box.getBoundingClientRect(), start = performance.now();
        const send = (type, x, y) => box.dispatchEvent(new PointerEvent(type,
          {clientX: rect.left + x, clientY: rect.top + y, pointerType: "mouse", isPrimary: true, button: 0, bubbles: true}));
        box.setPointerCapture = () => {};
        send("pointerdown", 60, 30); send("pointermove", 200, 200); send("pointerup", 350, 350);
        return [performance.now() - start, report.brushed().length];
        """
    )
    figures_ = f"first paint {painted:.0f} ms, map drawn {drawn:.0f} ms, hover median {np.median(hovers):.1f} ms, "
    print(figures_ + f"worst {max(hovers):.1f} ms, rectangle over {brush[1]:,} segments {brush[0]:.0f} ms")
    assert painted < 3000
    assert drawn < 3000
    assert np.quantile(hovers, 0.95) < 50
    assert brush[1] > 1000


@pytest.mark.slow
def test_the_main_table_is_sorted_by_mouse_and_keyboard_and_its_last_row_stays_last(open_page):
    header, rows = (
        ["", "F1"],
        [["b", ".200 ± .100"], ["a", "**.300**"], ["d", "–"], ["c", "−.100"], ["Majority", ".500"]],
    )
    answer = Answer(["**b** won."], ["One fold."])
    driver = open_page(page_html.render(DOCUMENT, embedding_map(), answer=answer, best=Table(header, rows)))

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
