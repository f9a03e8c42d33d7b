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


@pytest.fixture
def open_page(tmp_path):
    """Opens a page in a fresh headless browser: ``open_page(text, width=1280)``; asks for no error at the end."""
    selenium = pytest.importorskip("selenium.webdriver", reason="browser tests need selenium: pip install selenium")
    if BROWSER is None or shutil.which("chromedriver") is None:
        pytest.skip("browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    drivers = []

    def start(text: str, width: int = 1280, height: int = 1000, dark: bool = False, phone: bool = False):
        options = selenium.ChromeOptions()
        options.binary_location = BROWSER
        for switch in SWITCHES.split():
            options.add_argument(switch)
        options.add_argument(f"--window-size={width},{height}")
        options.add_argument(f"--user-data-dir={tmp_path / f'profile{len(drivers)}'}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if phone:
            metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        driver = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
        drivers.append(driver)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        path = tmp_path / f"page{len(drivers)}.html"
        path.write_text(text, encoding="utf-8")
        driver.get(path.as_uri())
        deadline = time.monotonic() + 60
        while not driver.execute_script("return Boolean(window.report)") and time.monotonic() < deadline:
            time.sleep(0.05)
        bring(driver, "map")
        return driver

    yield start
    try:
        for driver in drivers:
            assert [entry["message"] for entry in driver.get_log("browser")] == []
            messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
            asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
            # the browser's own empty tab asks for chrome:// addresses
            asked = [one["request"]["url"] for one in asked if not one["documentURL"].startswith("chrome")]
            assert asked
            assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), asked
    finally:
        for driver in drivers:
            driver.quit()
