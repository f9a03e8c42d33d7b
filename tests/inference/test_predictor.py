"""Own speech gets the predictions that the trained model gives, whatever form it comes in and whatever it is batched with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch
from own_speech import scores
from saved_models import save_tiny, speech, tiny_model

import erc
from erc.data import KEMD, Collator, InputCollator, script_shares
from erc.inference import Predictor
from erc.inference.predictor import Request
from erc.inference.remarks import on_the_text
from erc.labels import LabelSpace
from erc.model import load_model

TEXT = "정말 좋아요"


def test_erc_gives_the_predictor_by_name():
    assert erc.Predictor is Predictor
    with pytest.raises(AttributeError, match="has no attribute 'Predicter'"):
        _ = erc.Predicter


def test_a_segment_gets_the_prediction_of_the_model_that_reads_the_batch_of_training(predictor, models, sounds):
    saved = load_model(models / "both")
    waveform = soundfile.read(sounds / "a.wav", dtype="int16")[0]
    row = {"segment_id": "a", "waveform": waveform, "transcript": TEXT, "votes": np.ones(7), "hard_label": 0}
    row |= {"is_tied": False, "valence": 3.0, "arousal": 3.0}
    batch = Collator(**saved.processors, label_space=KEMD, target="soft", max_samples=48_000, max_tokens=64)([row])
    with torch.no_grad():
        expected = saved.model.emotion_model(batch["inputs"])
    answer = predictor(str(sounds / "a.wav"), TEXT, return_embedding=True)
    probabilities = dict(zip(KEMD.emotions, expected.emotion_logits[0].softmax(0).tolist(), strict=True))
    assert {one["label"]: pytest.approx(one["score"], abs=1e-6) for one in answer["emotions"]} == probabilities
    assert [answer["valence"], answer["arousal"]] == pytest.approx(expected.va[0].tolist(), abs=1e-5)
    assert np.allclose(answer["embedding"], expected.embedding[0].numpy(), atol=1e-6)
    assert answer["entropy"] == pytest.approx(-sum(p * math.log(p) for p in probabilities.values()))
    assert [one["label"] for one in answer["emotions"]] == sorted(probabilities, key=lambda name: -probabilities[name])
    assert (answer["text"], answer["transcript_source"]) == (TEXT, "human") and "windows" not in answer


def test_every_form_of_audio_gives_the_same(predictor, sounds):
    waveform = soundfile.read(sounds / "a.wav", dtype="int16")[0]
    shares = (waveform / 32768.0).astype(np.float32)
    expected = scores(predictor(sounds / "a.wav", TEXT))
    stereo = np.stack([shares, shares], axis=1)
    for audio in (
        waveform,
        shares,
        stereo,
        {"array": shares, "sampling_rate": 16_000},
        {"raw": waveform, "sampling_rate": 16_000},
    ):
        rate = None if isinstance(audio, dict) else 16_000
        assert np.array_equal(scores(predictor(audio, TEXT, sampling_rate=rate)), expected)


def test_a_prediction_does_not_depend_on_its_batch_or_place(predictor, sounds):
    audio = [speech(seconds, seed) for seed, seconds in enumerate((0.4, 2.9, 1.0, 0.05, 2.0))]
    texts = ["네", TEXT * 5, "그래요", "아", TEXT]
    alone = [predictor(one, text, sampling_rate=16_000) for one, text in zip(audio, texts, strict=True)]
    for batch_size in (1, 2, 8):
        together = predictor(audio, texts, sampling_rate=16_000, batch_size=batch_size)
        for one, other in zip(alone, together, strict=True):
            assert np.allclose(scores(one), scores(other), atol=1e-4)
    assert np.ptp([scores(one) for one in alone], axis=0).max() > 0.01  # they differ at all


def test_several_models_are_averaged_and_their_embeddings_stand_side_by_side(models, sounds):
    one, other, mean = (
        Predictor.from_pretrained(path)(sounds / "a.wav", TEXT, return_embedding=True)
        for path in (models / "both", models / "other", [models / "both", models / "other"])
    )
    assert np.allclose(scores(mean), (scores(one) + scores(other)) / 2)
    assert np.array_equal(mean["embedding"], np.concatenate([one["embedding"], other["embedding"]]))
    assert np.abs(scores(one) - scores(other)).max() > 0.01


def test_the_folds_of_a_row_are_one_ensemble(models, sounds, tmp_path):
    for fold, name in enumerate(("both", "other")):
        (tmp_path / f"fold{fold}-seed42").mkdir()
        (tmp_path / f"fold{fold}-seed42" / "model").symlink_to(models / name)
    row = Predictor.from_pretrained(tmp_path)(sounds / "a.wav", TEXT)
    pair = Predictor.from_pretrained([models / "both", models / "other"])(sounds / "a.wav", TEXT)
    assert scores(row).tolist() == scores(pair).tolist()


def test_models_of_other_labels_or_modalities_are_not_averaged(models, tmp_path):
    with pytest.raises(ValueError, match="model 2 reads audio"):
        Predictor.from_pretrained([models / "both", models / "audio"])
    other = save_tiny(tmp_path / "model", tiny_model(label_space=LabelSpace(("ja", "nein"))))
    with pytest.raises(ValueError, match="model 2 differs from the first in emotions"):
        Predictor.from_pretrained([models / "both", other])


def test_longer_audio_is_read_in_windows_and_said_so(predictor, sounds):
    answer = predictor(sounds / "long.wav", TEXT)
    assert [(one["start"], one["end"]) for one in answer["windows"]] == [(0, 3), (1.5, 4.5), (3, 6), (4.5, 7.5), (5, 8)]
    assert np.allclose(scores(answer), np.mean([scores(one) for one in answer["windows"]], axis=0))
    assert "was read in 5 windows of 3 s" in answer["notes"][0]
    waveform = soundfile.read(sounds / "long.wav", dtype="int16")[0]
    second = predictor(waveform[24_000:72_000], TEXT, sampling_rate=16_000)
    assert np.allclose(scores(answer["windows"][1]), scores(second), atol=1e-5)


def test_windows_are_those_that_are_asked_for(predictor, sounds):
    answer = predictor(sounds / "b.flac", TEXT, window=1.0, stride=0.7)
    assert [(one["start"], one["end"]) for one in answer["windows"]] == [(0, 1), (0.7, 1.7), (1.4, 2.4)]
    for options, complaint in (
        ({"window": 4.0}, r"expected 0\.25 to 3 seconds, got 4"),
        ({"window": 1.0, "stride": 2.0}, r"expected 0\.05 to 1 seconds, the length of a window, got 2"),
        ({"stride": 1.0}, "give window, too"),
        ({"batch_size": 0}, "a whole number, 1 or more: got 0"),
    ):
        with pytest.raises(ValueError, match=complaint):
            predictor(sounds / "b.flac", TEXT, **options)


def test_memory_for_a_long_sound_is_read_stretch_by_stretch(predictor, sounds, monkeypatch):
    """At no time are more stretches decoded than are predicted together."""
    from erc.inference import predictor as module

    most = 0
    predict = predictor._ensemble.predict

    def counted(rows, batch_size):
        nonlocal most
        most = max(most, len(rows))
        return predict(rows, batch_size)

    monkeypatch.setattr(module, "AHEAD", 2)
    monkeypatch.setattr(predictor._ensemble, "predict", counted)
    answer = predictor(sounds / "long.wav", TEXT, window=0.5, stride=0.25, batch_size=3)
    assert len(answer["windows"]) == 31 and most == 6


def test_ogg_of_many_windows_is_decoded_once(models, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.ogg", speech(40.0), 16_000)
    n_read = 0
    read = soundfile.SoundFile.read

    def counted(self, *args, **kwargs):
        nonlocal n_read
        found = read(self, *args, **kwargs)
        n_read += len(found)
        return found

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    answer = Predictor.from_pretrained(models / "audio")(tmp_path / "a.ogg", batch_size=2)
    assert len(answer["windows"]) == 26 and n_read <= 40 * 16_000


def test_a_sound_that_is_damaged_further_on_spoils_no_other(models, sounds, tmp_path):
    soundfile.write(tmp_path / "a.flac", speech(20.0), 16_000)
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:300_000])
    predictor = Predictor.from_pretrained(models / "audio")
    asked = [Request(sounds / "a.wav"), Request(tmp_path / "a.flac"), Request(sounds / "long.wav")]
    for batch_size in (1, 8):
        first, damaged, last = predictor.stream(asked, batch_size=batch_size)
        assert isinstance(damaged, ValueError) and "(a.flac)" in str(damaged)
        assert np.allclose(scores(first), scores(predictor(sounds / "a.wav")), atol=1e-5)
        assert np.allclose(scores(last), scores(predictor(sounds / "long.wav")), atol=1e-5)


def test_a_stretch_of_a_file_is_read_as_if_it_were_alone(models, sounds):
    predictor = Predictor.from_pretrained(models / "audio")
    waveform = soundfile.read(sounds / "long.wav", dtype="int16")[0]
    (answer,) = predictor.stream([Request(sounds / "long.wav", start=1.25, end=6.5)])
    alone = predictor(waveform[20_000:104_000], sampling_rate=16_000)
    assert np.allclose(scores(answer), scores(alone), atol=1e-5) and len(answer["windows"]) == 3
    assert [(one["start"], one["end"]) for one in answer["windows"]] == [(0, 3), (1.5, 4.5), (2.25, 5.25)]
    for start, end, complaint in (
        (8.0, math.nan, r"less than 8\.000 s"),
        (1.0, 9.0, r"at most 8\.000 s"),
        (2, 1, "less than 1"),
    ):
        (error,) = predictor.stream([Request(sounds / "long.wav", start=start, end=end)])
        with pytest.raises(ValueError, match=complaint):
            raise error


def test_one_text_is_not_taken_for_many_sounds(predictor, sounds):
    with pytest.raises(ValueError, match="got 2 of audio and 1 of text"):
        predictor([sounds / "a.wav", sounds / "b.flac"], TEXT)
    with pytest.raises(ValueError, match="lone surrogate"):
        predictor(sounds / "a.wav", "\udcff")
    with pytest.raises(ValueError, match="Seconds are a number"):
        predictor(sounds / "a.wav", TEXT, window="2")
    with pytest.raises(ValueError, match="expected sampling_rate in Hz, got '16000'"):
        predictor(speech(1.0), TEXT, sampling_rate="16000")


def test_windows_in_which_nothing_was_heard_are_told(models, sounds):
    predictor = Predictor.from_pretrained(models / "both")
    heard = iter(["", "네", "", "", ""])
    predictor.transcriber = lambda waveform: next(heard)
    answer = predictor(sounds / "long.wav")
    assert "In 4 of 5 windows no word was heard." in answer["notes"] and answer["windows"][1]["text"] == "네"


def test_a_model_of_two_modalities_gets_no_empty_text_in_silence(predictor, sounds):
    with pytest.raises(ValueError, match=r"expected text, got none\. Give the transcript.*audio_only"):
        predictor(sounds / "a.wav")
    assert "The transcript has no letter." in predictor(sounds / "a.wav", "")["notes"]
    with pytest.raises(ValueError, match="The model reads audio: expected a file or an array, got none"):
        predictor(text=TEXT)


def test_one_modality_needs_no_other(models, sounds):
    audio, text = Predictor.from_pretrained(models / "audio"), Predictor.from_pretrained(models / "text")
    assert audio.modalities == ("audio",) and text.modalities == ("text",)
    assert "text" not in audio(sounds / "a.wav")
    answers = text(text=[TEXT, "네"])
    assert len(answers) == 2 and answers[0]["text"] == TEXT


def test_a_transcriber_hears_what_is_said_and_its_words_are_marked(models, sounds, recogniser):
    predictor = Predictor.from_pretrained(models / "both", transcriber=str(recogniser))
    heard = predictor(sounds / "a.wav")
    assert heard["transcript_source"] == "asr" and heard["text"]
    given = predictor(sounds / "a.wav", heard["text"])
    assert given["transcript_source"] == "human" and np.allclose(scores(given), scores(heard))
    windows = predictor(sounds / "long.wav")["windows"]
    assert len({one["text"] for one in windows}) > 1  # each window has its own words


def test_a_transcriber_that_is_none_is_an_error(models, tmp_path):
    with pytest.raises(OSError, match="A transcriber is a recogniser that AutoModelForCTC loads"):
        Predictor.from_pretrained(models / "both", transcriber=str(tmp_path / "nothing"))


def test_unusual_input_is_noted(predictor, sounds):
    def notes(audio, text=TEXT, rate=16_000):
        return " ".join(predictor(audio, text, sampling_rate=rate)["notes"])

    assert notes(speech(1.0)) == ""
    assert "The audio has 8,000 Hz" in notes(speech(1.0)[::2].copy(), rate=8_000)
    assert "The audio has 0.20 s and is shorter than 99 %" in notes(speech(0.2))
    assert "The audio is digital silence." in notes(np.zeros(16_000, dtype=np.float32))
    assert "Most of the transcript is in Cyrillic script; the training transcripts are in Hangul and Latin" in notes(
        speech(1.0), "Очень хорошо"
    )


def test_letters_of_a_script_without_a_name_of_its_own_count_alike_in_training_and_in_use():
    training = {"scripts": script_shares(["გამარჯობა"])}  # Georgian
    assert training["scripts"] == {"OTHER": 1.0} and on_the_text("კარგი", training) == []
    assert "Hangul script; the training transcripts are in Other script" in on_the_text("좋아요", training)[0]
    assert on_the_text("1 2", {}) == ["The transcript has no letter."] and on_the_text("좋아요", {}) == []


def test_flat_predictions_and_synthetic_training_are_noted(tmp_path, sounds):
    model = tiny_model("audio_only")
    torch.nn.init.zeros_(model.heads.emotion.weight), torch.nn.init.zeros_(model.heads.emotion.bias)
    flat = Predictor.from_pretrained(save_tiny(tmp_path / "model", model, training={"is_synthetic": True}))
    notes = flat(sounds / "a.wav")["notes"]
    assert "all 7 emotions are nearly as likely" in notes[0] and "synthetic speech" in notes[1]


def test_a_contribution_is_the_prediction_less_that_of_the_model_whose_modality_is_masked(predictor, models, sounds):
    saved = load_model(models / "both")
    row = {"segment_id": "a", "waveform": soundfile.read(sounds / "a.wav", dtype="int16")[0], "transcript": TEXT}
    answer = predictor(sounds / "a.wav", TEXT, return_contributions=True)
    plain = predictor(sounds / "a.wav", TEXT)
    assert {name: value for name, value in answer.items() if name != "contributions"} == plain
    assert list(answer["contributions"]) == ["audio", "text"]
    best = answer["emotions"][0]
    for modality, added in answer["contributions"].items():
        inputs = InputCollator(**saved.processors, max_samples=48_000)([row])["inputs"]
        inputs[modality]["mask"] = torch.zeros_like(inputs[modality]["mask"])
        with torch.no_grad():
            without = saved.model.emotion_model(inputs)
        score = without.emotion_logits[0].softmax(0)[KEMD.emotions.index(best["label"])]
        assert added["score"] == pytest.approx(best["score"] - float(score), abs=1e-5) and abs(added["score"]) > 1e-3
        expected = [answer["valence"], answer["arousal"]] - without.va[0].numpy()
        assert [added["valence"], added["arousal"]] == pytest.approx(expected, abs=1e-5)


def test_contributions_to_a_long_sound_are_the_mean_of_those_to_its_windows(predictor, sounds):
    waveform = soundfile.read(sounds / "long.wav", dtype="int16")[0]
    answer = predictor(sounds / "long.wav", TEXT, return_contributions=True)
    starts = [round(16_000 * one["start"]) for one in answer["windows"]]
    parts = predictor(
        [waveform[start : start + 48_000] for start in starts],
        [TEXT] * 5,
        sampling_rate=16_000,
        return_contributions=True,
    )
    for modality in ("audio", "text"):
        for name in ("valence", "arousal"):
            expected = np.mean([one["contributions"][modality][name] for one in parts])
            assert answer["contributions"][modality][name] == pytest.approx(expected, abs=1e-5)


def test_what_a_model_does_not_read_contributes_nothing_to_its_answer(models, sounds):
    answer = Predictor.from_pretrained(models / "audio")(sounds / "a.wav", return_contributions=True)
    assert list(answer["contributions"]) == ["audio"]


@pytest.mark.parametrize(
    ("audio", "rate", "complaint"),
    [
        (np.zeros(100, dtype=np.float32), 16_000, "at least 400 samples"),
        (speech(1.0), None, "expected sampling_rate in Hz, got None"),
        (speech(1.0), 16_001, "a rate of 4000 to 384000 Hz"),
        (speech(1.0) * 32768, 16_000, "shares of full scale"),
        (np.full(16_000, np.nan), 16_000, "NaN or infinite"),
        (np.zeros((2, 16_000)), 16_000, r"Transpose one that has \(channels, samples\)"),
        (np.zeros(16_000, dtype=np.int64), 16_000, "expected int16 or floats, got int64"),
        (np.array(["a"]), 16_000, "has a sample a row"),
        ({"array": speech(1.0)}, None, "has array"),
    ],
)
def test_audio_that_cannot_be_meant_is_an_error(predictor, audio, rate, complaint):
    with pytest.raises(ValueError, match=complaint):
        predictor(audio, TEXT, sampling_rate=rate)


def test_a_file_that_is_no_sound_is_an_error(predictor, tmp_path):
    (tmp_path / "text.wav").write_text("not a sound " * 100, encoding="utf-8")
    with pytest.raises(ValueError, match="a readable sound file is expected|RIFF"):
        predictor(tmp_path / "text.wav", TEXT)
    with pytest.raises(FileNotFoundError, match=r"missing\.wav is not there"):
        predictor(tmp_path / "missing.wav", TEXT)


def test_a_sound_of_days_is_refused_by_its_header(predictor, tmp_path):
    """A flac of silence takes almost no disk: a bomb for whoever decodes it whole."""
    with soundfile.SoundFile(tmp_path / "bomb.flac", "w", 4_000, 1) as file:
        for _ in range(13):
            file.write(np.zeros(3600 * 4_000, dtype=np.int16))
    assert (tmp_path / "bomb.flac").stat().st_size < 5_000_000
    with pytest.raises(ValueError, match="at most 12 hours of sound are expected, got 13"):
        predictor(tmp_path / "bomb.flac", TEXT)


def test_a_folder_that_is_no_model_is_told_what_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not there"):
        Predictor.from_pretrained("nowhere")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.ckpt").touch()
    with pytest.raises(FileNotFoundError, match=r"has checkpoints only \(python -m erc export"):
        Predictor.from_pretrained("run")
    config = tmp_path / "runs" / "demo" / "row" / "fold0-seed42" / "model" / "config.json"
    config.parent.mkdir(parents=True)
    config.touch()
    with pytest.raises(FileNotFoundError, match=r"newest that are here: runs/demo/row/fold0-seed42"):
        Predictor.from_pretrained([])
