"""What the page says, what it refuses, and what stands in front of it; without a browser."""

from __future__ import annotations

import json
import sys

import gradio as gr
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from saved_models import save_tiny, speech, tiny_model

from erc.app import Limits, UploadError, app, build_page
from erc.app.limits import check_upload
from erc.app.page import Answers, _escaped
from erc.app.pictures import over_time, plane
from erc.app.server import FORM_BYTES, make_app
from erc.app.texts import LANGUAGES, TEXTS, words
from erc.inference import Predictor
from erc.labels import LabelSpace
from erc.synthetic import write_examples

TEXT = "정말 좋아요"


@pytest.fixture(scope="module")
def answers(predictor) -> Answers:
    return Answers(predictor, words("en"), Limits())


def test_every_word_of_the_page_is_in_both_languages_with_the_same_gaps():
    def gaps(text: str) -> list[str]:
        return sorted(part.split("}")[0].split(":")[0] for part in text.split("{")[1:])

    for name, each in TEXTS.items():
        assert tuple(each) == LANGUAGES and gaps(each["en"]) == gaps(each["ko"]), name
    with pytest.raises(ValueError, match="expected --language=en or ko, got 'de'"):
        words("de")


def test_the_page_says_what_the_predictor_says(answers, predictor, sounds):
    emotions, figures, place, sentence, carried, time = answers(str(sounds / "a.wav"), TEXT)
    expected = predictor(sounds / "a.wav", TEXT)
    assert emotions == {one["label"]: one["score"] for one in expected["emotions"]}
    assert f"valence **{expected['valence']:.2f}** on a scale from 1 to 5" in figures
    assert f"entropy {expected['entropy']:.2f} of at most 1.95 nats" in figures
    parts = predictor(sounds / "a.wav", TEXT, return_contributions=True)["contributions"]
    best = expected["emotions"][0]
    assert carried == [
        ["sound and words", f"{best['score']:.2f}", f"{expected['valence']:.2f}", f"{expected['arousal']:.2f}"],
        *(
            [f"without the {name}", *(f"{-parts[modality][one]:+.2f}" for one in ("score", "valence", "arousal"))]
            for modality, name in (("audio", "sound"), ("text", "words"))
        ),
    ]
    for (modality, name), line in zip((("audio", "sound"), ("text", "words")), sentence.split("\n\n"), strict=True):
        after, verb = (
            best["score"] - parts[modality]["score"],
            "falls" if parts[modality]["score"] > 0 else "does not fall",
        )
        assert line.startswith(f"Without the **{name}**, {best['label']} {verb}")
        assert line.endswith(f"from {best['score']:.2f} to {after:.2f}.")
    assert place.axes[0].get_xlim() == (1, 5) and time["visible"] is False


def test_long_speech_has_emotions_over_time(answers, sounds):
    assert answers(str(sounds / "long.wav"), TEXT)[5]["visible"] is True


def test_words_that_are_heard_are_shown(models, recogniser, sounds):
    hears = Answers(Predictor.from_pretrained(models / "both", str(recogniser)), words("en"), Limits())
    assert "Heard: " in hears(str(sounds / "a.wav"), "")[1]


def test_a_model_of_one_modality_has_no_contributions_and_one_without_dimensions_no_plane(models, sounds, tmp_path):
    audio = Answers(Predictor.from_pretrained(models / "audio"), words("ko"), Limits())
    assert audio(str(sounds / "a.wav"), None)[3:5] == ("", [])
    plain = save_tiny(tmp_path / "model", tiny_model("text_only", label_space=LabelSpace(("ja", "nein"))), training={})
    text = Predictor.from_pretrained(plain)
    emotions, figures, place, *_ = Answers(text, words("en"), Limits())(None, "hallo")
    assert set(emotions) == {"ja", "nein"} and place is None and "valence" not in figures
    build_page(text, "plain", words("en"), Limits())


@pytest.mark.parametrize(
    ("audio", "text", "complaint"),
    [
        (None, TEXT, "Record some speech or choose a file first."),
        ("a.wav", " ", "Type what is said"),
        ("text.wav", TEXT, "cannot be read as sound"),
        ("large.wav", TEXT, r"at most 0\.5 MB are expected, it has 0\.6 MB"),
        ("hours.flac", TEXT, r"at most 60 s are expected, it has 7200 s"),
    ],
)
def test_what_cannot_be_used_is_told_in_words(predictor, sounds, tmp_path, audio, text, complaint):
    (tmp_path / "text.wav").write_text("no sound " * 100, encoding="utf-8")
    soundfile.write(tmp_path / "large.wav", speech(20.0), 16_000)
    with soundfile.SoundFile(tmp_path / "hours.flac", "w", 4_000, 1) as file:
        for _ in range(2):
            file.write(np.zeros(3600 * 4_000, dtype=np.int16))  # kilobytes that would be decoded to hours
    soundfile.write(tmp_path / "a.wav", speech(), 16_000)
    answers = Answers(predictor, words("en"), Limits(megabytes=0.5, seconds=60))
    with pytest.raises(gr.Error, match=complaint):
        answers(audio and str(tmp_path / audio), text)


def test_an_upload_within_the_limits_is_taken(sounds):
    assert check_upload(str(sounds / "a.wav"), Limits(), words("en")) == sounds / "a.wav"
    with pytest.raises(UploadError, match="파일이 너무 큽니다"):
        check_upload(sounds / "a.wav", Limits(megabytes=0.001), words("ko"))


def test_marks_of_markdown_mean_nothing_in_words_that_were_heard():
    assert _escaped("<b>*a*</b> [x](http://x)") == r"\<b\>\*a\*\</b\> \[x\]\(http://x\)"


def test_names_of_near_emotions_stand_apart_and_the_cross_stays_in_the_plane():
    space = LabelSpace(("fear", "disgust"), ("valence", "arousal"), (1.0, 5.0))
    near = {"fear": [1.94, 3.32], "disgust": [2.15, 3.31]}
    figure = plane({"valence": 9.0, "arousal": -3.0}, space, near)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not boxes[0].overlaps(boxes[1])
    (cross,) = (line for line in figure.axes[0].lines if line.get_marker() == "P")
    assert 1 < cross.get_ydata()[0] < cross.get_xdata()[0] < 5


def test_lines_over_time_differ_without_colour(predictor, sounds):
    figure = over_time(predictor(sounds / "long.wav", TEXT), words("ko"))
    assert len({line.get_linestyle() for line in figure.axes[0].lines}) == 4


def test_examples_are_sound_with_words(tmp_path, predictor):
    for path, said in write_examples(tmp_path):
        assert "synthetic" in path.name and predictor(path, said)["emotions"]


# --- what stands in front of the page ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def client(predictor) -> TestClient:
    limits = Limits(megabytes=0.2)
    page = build_page(predictor, "both", words("en"), limits)
    with TestClient(make_app(page, limits, 7860), base_url="http://127.0.0.1:7860") as client:
        yield client


def test_the_page_may_fetch_from_this_machine_only(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200 and "default-src 'self'" in policy and "http" not in policy
    assert "is_sound" not in answer.text and "googleapis" not in answer.text


def test_another_host_name_is_refused(client):
    assert client.get("/", headers={"host": "evil.example:7860"}).status_code == 400


def test_a_request_that_is_too_large_is_refused_before_it_is_read(client):
    class Endless:
        """Two gigabytes that are never made: reading them would fail the test."""

        def __iter__(self):
            raise AssertionError("the body was read")

    headers = {"content-length": str(2 * 10**9), "content-type": "multipart/form-data; boundary=x"}
    assert client.post("/gradio_api/upload", content=b"", headers=headers).status_code == 413
    small = {"files": ("a.wav", b"0" * 1000, "audio/wav")}
    assert client.post("/gradio_api/upload", files=small).status_code == 200


def test_an_upload_whose_length_is_not_told_is_refused(client):
    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        for _ in range(40):
            yield b"0" * 50_000
        yield b"\r\n--x--\r\n"

    answer = client.post(
        "/gradio_api/upload", content=chunks(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 413, answer.text


def test_another_page_of_the_same_browser_cannot_upload(client):
    small = {"files": ("a.wav", b"0" * 1000, "audio/wav")}
    foreign = client.post("/gradio_api/upload", files=small, headers={"origin": "https://example.org"})
    assert foreign.status_code == 403
    own = client.post("/gradio_api/upload", files=small, headers={"origin": "http://127.0.0.1:7860"})
    assert own.status_code == 200


def test_there_is_no_list_of_the_programming_interface(client):
    assert client.get("/docs").status_code in (404, 200) and "swagger" not in client.get("/docs").text.lower()
    names = json.dumps(client.get("/gradio_api/info").json())
    assert "/predict" not in names


def test_the_command_tells_what_is_missing(models, monkeypatch, tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="needs a free port"):
            app(str(models / "both"), port=taken.getsockname()[1])
    with pytest.raises(ValueError, match="An upload is bounded"):
        app(str(models / "both"), max_mb=0)
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install 'gradio>=6.29'"):
        app(str(models / "both"))


def test_the_command_serves_the_page_and_leaves_no_folder_behind(models, monkeypatch, tmp_path):
    import tempfile

    served = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr("erc.app.server.serve", lambda page, limits, port: served.append((page, limits, port)))
    app(str(models / "both"), port=0, language="ko", max_mb=3)
    ((page, limits, _),) = served
    assert page.title == "말소리와 말의 감정" and limits.n_bytes == 3_000_000 and FORM_BYTES < limits.n_bytes
    assert list(tmp_path.iterdir()) == []
