"""wav -> waveform and txt -> transcript: what a file may be, what it may not, and what the message says then.

The wavs are written with the standard library (integers) or byte by byte (damage). libsndfile writes only what those
two cannot: float samples and other formats.
"""

from __future__ import annotations

import io
import pickle
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, strategies as st

from erc.data.media import MediaError, clean_transcript, read_transcript, read_waveform


def wav_bytes(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """A 16-bit PCM wav of (L,) or (L, channels) integers, from the standard library."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def sine(hertz: float, seconds: float = 1.0, rate: int = 16_000, peak: float = 8000) -> np.ndarray:
    """(L,) int16 tone."""
    return np.rint(peak * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def loudest_hertz(waveform: np.ndarray) -> float:
    """Frequency of the highest line in the spectrum of a 16 kHz waveform."""
    return float(np.fft.rfftfreq(len(waveform), 1 / 16_000)[np.abs(np.fft.rfft(waveform)).argmax()])


@pytest.fixture
def save(tmp_path):
    """Writes bytes to a file and gives its path."""

    def write(content: bytes, name: str = "a.wav") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


# --- waveforms that are taken -----------------------------------------------------------------------------------------
def test_a_16_khz_mono_16_bit_wav_is_taken_sample_by_sample(save):
    samples = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    waveform = read_waveform(save(wav_bytes(samples)))
    assert waveform.dtype == np.int16
    assert np.array_equal(waveform, samples)


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050, 8_000])
def test_a_tone_keeps_its_length_frequency_and_loudness_at_any_rate(save, rate):
    waveform = read_waveform(save(wav_bytes(sine(440, 1.0, rate), rate)))
    assert waveform.dtype == np.int16 and len(waveform) == 16_000
    assert loudest_hertz(waveform) == pytest.approx(440, abs=1)
    assert np.abs(waveform[2000:-2000]).max() == pytest.approx(8000, rel=0.02)
    # the tone itself as 16 kHz would have sampled it, away from the edges
    assert np.corrcoef(waveform[2000:-2000], sine(440)[2000:-2000])[0, 1] > 0.999


def test_a_tone_above_8_khz_does_not_fold_back_into_the_band(save):
    tone = sine(11_000, 1.0, 48_000)
    assert loudest_hertz(tone[::3]) == pytest.approx(5000, abs=1)  # every third sample: an alias at 16 - 11 kHz
    waveform = read_waveform(save(wav_bytes(tone + sine(440, 1.0, 48_000), 48_000)))
    spectrum = np.abs(np.fft.rfft(waveform))
    assert spectrum[5000] < 0.01 * spectrum[440]


def test_channels_are_averaged(save):
    stereo = np.stack([np.full(1000, 1000), np.full(1000, 3000)], axis=1)
    assert read_waveform(save(wav_bytes(stereo))).tolist() == [2000] * 1000


def test_a_48_khz_stereo_wav_is_both_averaged_and_resampled(save):
    left, right = sine(440, 1.0, 48_000), sine(1000, 1.0, 48_000, peak=2000)
    waveform = read_waveform(save(wav_bytes(np.stack([left, right], axis=1), 48_000)))
    spectrum = np.abs(np.fft.rfft(waveform))
    assert len(waveform) == 16_000
    assert spectrum[440] / spectrum[1000] == pytest.approx(4, rel=0.02)  # both are there, as 8000 to 2000


def test_float_samples_become_16_bit_and_are_clipped_not_wrapped(save, tmp_path):
    path = tmp_path / "float.wav"
    soundfile.write(path, np.repeat([0.5, -0.25, 1.5, -1.5], 100), 16_000, subtype="FLOAT")
    assert read_waveform(path)[::100].tolist() == [16384, -8192, 32767, -32768]


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "DOUBLE"])
def test_other_sample_formats_give_the_same_waveform(tmp_path, subtype):
    path = tmp_path / "other.wav"
    soundfile.write(path, sine(440) / 32768, 16_000, subtype=subtype)
    assert np.array_equal(read_waveform(path), sine(440))


def test_other_chunks_before_the_sound_are_skipped(save):
    content = wav_bytes(sine(440))
    odd = b"LIST" + struct.pack("<I", 5) + b"INFO!" + b"\0"  # odd length: a byte of padding follows
    content = content[:12] + odd + content[12:]
    assert np.array_equal(read_waveform(save(content)), sine(440))
    with pytest.raises(MediaError, match="promised by the header"):
        read_waveform(save(content[:-2]))  # the check finds the sound chunk behind the other one


def test_a_wav_written_to_a_pipe_has_no_length_and_is_read_to_its_end(save):
    content = bytearray(wav_bytes(sine(440)))
    content[40:44] = b"\xff\xff\xff\xff"
    assert len(read_waveform(save(bytes(content)))) == 16_000


def test_silence_is_taken_only_where_it_is_known(save):
    path = save(wav_bytes(np.zeros(5000, dtype=np.int16)))
    with pytest.raises(MediaError, match="sound is expected, all samples are zero") as raised:
        read_waveform(path)
    assert raised.value.kind == "silent audio"
    assert read_waveform(path, may_be_silent=True).tolist() == [0] * 5000


def test_one_sample_of_sound_is_not_silence(save):
    samples = np.zeros(5000, dtype=np.int16)
    samples[3] = 1
    assert read_waveform(save(wav_bytes(samples))).sum() == 1


# --- waveforms that are refused ---------------------------------------------------------------------------------------
FULL = wav_bytes(sine(440))


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", "empty audio", r"the file is empty \(0 bytes\)"),
        (b"this is no sound at all" * 100, "unreadable audio", "a readable wav is expected, got an error"),
        (FULL[:30], "unreadable audio", "a readable wav is expected, got an error"),
        (FULL[:44], "truncated audio", "32000 bytes of sound are promised by the header, 0 are there"),
        (FULL[: 44 + 16_000], "truncated audio", "32000 bytes of sound are promised by the header, 16000 are there"),
        (FULL[:-1], "truncated audio", "32000 bytes of sound are promised by the header, 31999 are there"),
        (wav_bytes(sine(440)[:0]), "short audio", "at least 400 samples .* are expected, the wav has 0"),
        (wav_bytes(sine(440)[:399]), "short audio", r"400 samples \(25 ms at 16 kHz\) are expected, the wav has 399"),
        (wav_bytes(sine(440)[:1190], rate=48_000), "short audio", "the wav has 397"),  # counted after resampling
    ],
    ids=[
        "empty",
        "garbage",
        "half a header",
        "header only",
        "half",
        "a byte short",
        "no sample",
        "399",
        "short at 48 kHz",
    ],
)
def test_a_wav_that_cannot_be_used_is_refused_with_its_kind_and_the_reason(save, content, kind, message):
    with pytest.raises(MediaError, match=message) as raised:
        read_waveform(save(content))
    assert raised.value.kind == kind


def test_an_error_keeps_its_kind_and_text_between_processes():
    error = pickle.loads(pickle.dumps(MediaError("sound is expected", "silent audio")))
    assert (error.kind, error.problem, str(error)) == ("silent audio", "sound is expected", "sound is expected")


def test_400_samples_are_just_enough(save):
    assert len(read_waveform(save(wav_bytes(sine(440)[:400])))) == 400


def test_libsndfile_alone_would_take_half_a_file():
    # why the header is checked: the control to "half" above
    half, _ = soundfile.read(io.BytesIO(FULL[: 44 + 16_000]))
    assert len(half) == 8000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_sample_that_is_not_finite_refuses_the_wav(tmp_path, value):
    samples = sine(440) / 32768
    samples[7000] = value
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(MediaError, match="holds NaN or infinite ones") as raised:
        read_waveform(tmp_path / "nan.wav")
    assert raised.value.kind == "audio not finite"


def test_a_missing_wav_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.wav"):
        read_waveform(tmp_path / "gone.wav")


# --- transcripts ------------------------------------------------------------------------------------------------------
LINE = "n/ 아 친구들도? l/"  # a line of the real corpora


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-8-sig", "euc-kr"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n", ""])
def test_a_line_reads_the_same_in_either_encoding_with_any_end(save, encoding, end):
    assert read_transcript(save((LINE + end).encode(encoding), "a.txt")) == LINE


def test_several_lines_become_one(save):
    assert read_transcript(save("가  나\n\n다\t라\n".encode(), "a.txt")) == "가 나 다 라"


@pytest.mark.parametrize(("syllable", "mistaken"), [("창", "â"), ("처", "ó")])
def test_a_cp949_syllable_that_happens_to_be_utf8_is_read_as_hangul(save, syllable, mistaken):
    raw = syllable.encode("cp949")
    assert raw.decode("utf-8") == mistaken  # what a reader would get that tries UTF-8 and takes what comes
    assert read_transcript(save(raw, "a.txt")) == syllable
    assert read_transcript(save(f"b/ {syllable}? l/\n".encode("cp949"), "a.txt")) == f"b/ {syllable}? l/"


def test_each_of_the_11172_syllables_alone_reads_the_same_in_either_encoding(save):
    for code in range(ord("가"), ord("힣") + 1):
        raw = chr(code).encode("cp949")
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            if code % 50:  # the easy ones: a sample of them
                continue
        assert read_transcript(save(raw, "a.txt")) == chr(code)
        assert read_transcript(save(chr(code).encode(), "a.txt")) == chr(code)


@pytest.mark.parametrize("text", ["ㅋㅋㅋ", "ㅠㅠ", "…", "“ok”", "b/ o/", "OK, 3.", "b/ …", "да", "αβγ"])
def test_utf8_without_any_syllable_stays_what_it_is(save, text):
    # about 20 transcripts of KEMDy19 hold no Hangul
    assert read_transcript(save(text.encode(), "a.txt")) == text


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe\x00\xac", "가나".encode("utf-16"), b"\x80\x80\x80", LINE.encode()[:-9] + b"\xff"]
)
def test_bytes_in_neither_encoding_are_refused(save, raw):
    with pytest.raises(MediaError, match="in UTF-8 or CP949 is expected, the bytes are neither") as raised:
        read_transcript(save(raw, "a.txt"))
    assert raised.value.kind == "undecodable transcript"


@pytest.mark.parametrize("raw", [b"", b"\n", b" \t\r\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_transcript_without_text_is_refused(save, raw):
    with pytest.raises(MediaError, match="the file has no text") as raised:
        read_transcript(save(raw, "a.txt"))
    assert raised.value.kind == "empty transcript"


def test_a_missing_transcript_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.txt"):
        read_transcript(tmp_path / "gone.txt")


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        # lines and marks of the real corpora
        ("어 저 지그 지금 사람 친 거야? 그치?", "어 저 지그 지금 사람 친 거야? 그치?"),
        ("b/ 몰라. o/ b/ 아 몰라 어떡해. o/", "몰라. 아 몰라 어떡해."),
        ("n/ 아 친구들도? l/", "아 친구들도?"),
        ("l/ 나는 생일?", "나는 생일?"),
        ("c/ N/ 응 u/ s/", "응"),
        ("아/ 그래", "아 그래"),
        ("(아니잖아) 응", "아니잖아 응"),
        ("(아니잖아+그럼) 응", "아니잖아 그럼 응"),
        ("(건데+u/)", "건데"),
        ("(u/+건데) 뭐", "건데 뭐"),
        ("나* 나+나는", "나 나 나는"),
        ("b/ o/", ""),
        ("", ""),
        ("CNN 뉴스 club/ 봤어", "CNN 뉴스 club 봤어"),  # a letter inside a word is no tag
        ("2번, 3.5시", "2번, 3.5시"),
    ],
)
def test_a_clean_transcript_has_the_words_and_no_tags(raw, cleaned):
    assert clean_transcript(raw) == cleaned


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["b/", "c/", "l/", "n/", "N/", "o/", "s/", "u/"]).map(lambda tag: (tag, None)),
            st.text("가나다어응", min_size=1, max_size=4).flatmap(
                lambda word: st.sampled_from([word, f"{word}/", f"{word}*", f"{word}+", f"({word})"]).map(
                    lambda marked: (marked, word)
                )
            ),
        )
    )
)
def test_in_any_order_of_tags_and_marks_exactly_the_words_stay(tokens):
    assert clean_transcript(" ".join(raw for raw, _ in tokens)) == " ".join(word for _, word in tokens if word)
