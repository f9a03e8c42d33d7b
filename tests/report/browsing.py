"""A headless Chromium's mouse, keyboard and view of the page."""

from __future__ import annotations


def actions(driver):
    from selenium.webdriver.common.action_chains import ActionChains

    return ActionChains(driver, duration=20)


def bring(driver, name: str) -> None:
    """Scrolls an element to the middle of the window, where the header does not lie over it."""
    driver.execute_script("document.getElementById(arguments[0]).scrollIntoView({block: 'center'})", name)


def point(driver, panel: str, i: int):
    """The mouse over a shown segment of a plot."""
    bring(driver, panel)
    script = (
        "const b = document.getElementById(arguments[0]).getBoundingClientRect(), p = report.at(arguments[0], arguments[1]);"
        "return [p.x - b.left - b.width / 2, p.y - b.top - b.height / 2];"
    )
    x, y = driver.execute_script(script, panel, i)
    box = driver.find_element("id", panel)
    return actions(driver).move_to_element_with_offset(box, round(x), round(y))


def choose(driver, name: str, value) -> None:
    """Another entry of a select."""
    script = (
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))"
    )
    driver.execute_script(script, name, str(value))


def text_of(driver, name: str) -> str:
    return driver.find_element("id", name).text


def state(driver) -> dict:
    return driver.execute_script("return report.state()")


def apart(driver, panel: str) -> int:
    """Place among the shown segments of one that no other lies near, so that the nearest one is certain."""
    script = (
        "const p = report.shown().map((_, i) => report.at(arguments[0], i)); let best = 0, most = -1;"
        "p.forEach((one, a) => { let d = 1e9; p.forEach((other, b) => {"
        "if (a !== b) d = Math.min(d, Math.hypot(one.x - other.x, one.y - other.y)); });"
        "if (d > most) { most = d; best = a; } }); return best;"
    )
    return driver.execute_script(script, panel)


def press(driver, *keys: str) -> None:
    from selenium.webdriver.common.keys import Keys

    driver.switch_to.active_element.send_keys(*[getattr(Keys, key, key) for key in keys])


def click(driver, selector: str) -> None:
    found = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)  # not beneath the header
    found.click()
