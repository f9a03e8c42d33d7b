"""Figures without files; a headless Chromium for the tests of the page, where there is one."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from browsing import bring

from erc.report.figures import drawing

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


@pytest.fixture
def kept(monkeypatch):
    """Figures by name in place of files: writing is what takes the time."""
    found = {}
    monkeypatch.setattr(drawing, "save", lambda fig, stem, vector: found.__setitem__(stem.name, fig))
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless browser for the tests of a file; ``open_page`` opens windows in it."""
    selenium = pytest.importorskip("selenium.webdriver", reason="browser tests need selenium: pip install selenium")
    if BROWSER is None or shutil.which("chromedriver") is None:
        pytest.skip("browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for switch in SWITCHES.split():
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a page as in a fresh browser: ``open_page(text, width=1280)``; asks for no error at the end.

    Each page has a window of its own, and finds nothing in the storage that all pages share.
    """
    first = browser.current_window_handle
    (tmp_path / "empty.html").write_text("<!doctype html><link rel=icon href=data:,>", encoding="utf-8")
    for log in ("browser", "performance"):
        browser.get_log(log)  # of the test before

    def start(text: str, width: int = 1280, height: int = 1000, dark: bool = False, phone: bool = False):
        browser.switch_to.new_window("window")
        browser.set_window_size(width, height)
        if phone:
            metrics = {"width": width, "height": height, "deviceScaleFactor": 2.0, "mobile": True}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        browser.get((tmp_path / "empty.html").as_uri())
        browser.execute_script("localStorage.clear()")
        path = tmp_path / f"page{len(browser.window_handles)}.html"
        path.write_text(text, encoding="utf-8")
        browser.get(path.as_uri())
        deadline = time.monotonic() + 60
        while not browser.execute_script("return Boolean(window.report)") and time.monotonic() < deadline:
            time.sleep(0.05)
        bring(browser, "map")
        return browser

    yield start
    try:
        assert [entry["message"] for entry in browser.get_log("browser")] == []
        messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        # the browser's own empty tab asks for chrome:// addresses
        asked = [one["request"]["url"] for one in asked if not one["documentURL"].startswith("chrome")]
        assert any("/page" in url for url in asked)
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), asked
    finally:
        for window in set(browser.window_handles) - {first}:
            browser.switch_to.window(window)
            browser.close()
        browser.switch_to.window(first)
