"""The page in a real browser: an upload, a microphone, what is refused; and nothing is asked of any other machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import soundfile
from saved_models import speech

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --use-fake-device-for-media-stream "
    "--use-fake-ui-for-media-stream"
)
WAIT = 60


@pytest.fixture(scope="module")
def page(models, tmp_path_factory):
    """Address of the page of a program of its own, its temporary folder, and the process."""
    folder = tmp_path_factory.mktemp("app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    typed = [sys.executable, "-m", "erc", "app", str(models / "both"), f"--port={port}", "--max_mb=0.4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    process = subprocess.Popen(typed, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}/"
    for _ in range(WAIT * 5):
        try:
            urlopen(address, timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.2)
    yield address, folder, process
    process.terminate()
    process.wait(WAIT)


@pytest.fixture(scope="module")
def driver(page, tmp_path_factory):
    selenium = pytest.importorskip("selenium.webdriver", reason="browser tests need selenium: pip install selenium")
    if BROWSER is None or DRIVER is None:
        pytest.skip("browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    folder = tmp_path_factory.mktemp("browser")
    soundfile.write(folder / "microphone.wav", speech(4.0, 5), 16_000)
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for switch in [*SWITCHES.split(), f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}"]:
        options.add_argument(switch)
    options.add_argument("--window-size=1280,1400")
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    driver.asked = set()
    yield driver
    driver.quit()


def until(driver, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, WAIT, poll_frequency=0.1).until(condition)


def find(driver, selector: str):
    return until(driver, lambda d: d.find_elements("css selector", selector))[0]


def fresh(driver, address: str) -> None:
    driver.get(address)
    find(driver, "#text textarea").send_keys("so so good")


def upload(driver, path: Path) -> None:
    find(driver, '#audio button[aria-label="Upload file"]').click()
    find(driver, '#audio input[type="file"]').send_keys(str(path))


def predict(driver) -> None:
    find(driver, "#predict").click()


def is_answered(driver) -> bool:
    return "%" in driver.find_element("css selector", "#emotions").text


def error(driver) -> str:
    return until(driver, lambda d: [one.text for one in d.find_elements("css selector", ".toast-body") if one.text])[0]


def test_an_upload_is_answered_with_bars_a_plane_and_what_carried_it(page, driver, sounds):
    fresh(driver, page[0])
    upload(driver, sounds / "a.wav")
    find(driver, "#audio #waveform, #audio .waveform-container, #audio audio")
    predict(driver)
    until(driver, is_answered)
    assert "valence" in find(driver, "#figures").text
    assert find(driver, "#plane img").size["width"] > 200
    until(driver, lambda d: "without the words" in d.find_element("css selector", "#carried").text)
    assert "Without the words" in find(driver, "#sentence").text
    errors = [
        one for one in driver.get_log("browser") if one["level"] == "SEVERE" and "not implemented" not in one["message"]
    ]
    assert errors == []


def test_the_microphone_is_answered(page, driver):
    fresh(driver, page[0])
    record = find(driver, '#audio button[aria-label="Record audio"]')
    record.click()
    until(driver, lambda d: [b for b in d.find_elements("css selector", "#audio button") if b.text == "Record"])[
        0
    ].click()
    time.sleep(2.0)
    until(driver, lambda d: [b for b in d.find_elements("css selector", "#audio button") if b.text == "Stop"])[
        0
    ].click()
    time.sleep(1.0)
    predict(driver)
    until(driver, is_answered)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("text.wav", "cannot be read as sound"), ("large.wav", "exceed the maximum allowed size")],
)
def test_what_is_no_sound_or_too_large_is_refused_in_words(page, driver, tmp_path, name, complaint):
    (tmp_path / "text.wav").write_text("no sound " * 100, encoding="utf-8")
    soundfile.write(tmp_path / "large.wav", speech(30.0), 16_000)
    fresh(driver, page[0])
    upload(driver, tmp_path / name)
    if name == "text.wav":
        time.sleep(1.0)
        predict(driver)
    told = error(driver)
    assert complaint in told, told
    assert not is_answered(driver)


def test_no_request_left_the_machine_and_nothing_is_left_behind(page, driver):
    _, folder, process = page
    hosts = set()
    for one in driver.get_log("performance"):
        message = json.loads(one["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = urlsplit(message["params"]["request"]["url"])
            hosts |= {url.hostname} if url.scheme in ("http", "https", "ws", "wss") else set()
    assert hosts == {"127.0.0.1"}
    assert list(folder.glob("erc-app-*/uploads/**/a.wav"))  # control: uploads lie there while the program runs
    driver.get("about:blank")
    process.terminate()
    process.wait(WAIT)
    assert list(folder.iterdir()) == []
