"""Synthetic corpora: format and defects as in the real ones, ratings as the papers report them, audible emotions."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from erc.data import EMOTIONS
from erc.data.corpora import KEMDY19, KEMDY20, SYNTHETIC_NOTE, Corpus
from erc.labels import count_votes, is_tied
from erc.synthetic import (
    annotation_files,
    corpora as synthetic_corpora,
    layout,
    ratings,
    voice as synthetic_voice,
    words,
)

SMALL = {"sessions": 5, "segments": 2, "seconds": 0.5}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, dict]:
    """A data folder with both corpora, 5 sessions each, and what ``write`` returned."""
    root = tmp_path_factory.mktemp("data")
    return root, synthetic_corpora.write(root=str(root), **SMALL)


def files_below(root: Path) -> dict[str, bytes | None]:
    """Every path below a folder with its content; None for a folder."""
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else None for p in sorted(root.rglob("*"))}


def rows(corpus: Corpus, session: int, rated: str = "", segments: int = 4, seed: int = 42) -> list[list[str]]:
    """Cells of one annotation file, header lines included; nothing is written."""
    drawn = synthetic_corpora.draw_session(corpus, session, segments, 2.0, seed)
    return list(csv.reader(io.StringIO(annotation_files.annotation_csv(corpus, session, drawn, rated))))


def own_ratings(corpus: Corpus, sessions: range, segments: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) votes and (N, 2) mean valence and arousal of the segments' speakers, read back from the CSV text."""
    votes, va = [], []
    for session in sessions:
        for rated in layout.persons_rated(corpus):
            for row in rows(corpus, session, rated, segments)[2:]:
                if not rated or f"_{rated}" in row[corpus.id_column]:
                    counts = Counter(cell.replace("disqust", "disgust") for cell in row[-30::3])
                    votes.append([counts[emotion] for emotion in EMOTIONS])
                    va.append([float(cell) for cell in row[corpus.total_column + 1 : corpus.total_column + 3]])
    return np.array(votes), np.array(va)


# --- writing ----------------------------------------------------------------------------------------------------------
def test_same_arguments_give_the_same_bytes_whatever_the_order_of_the_corpora(tmp_path):
    for root, corpora in (("a", "kemdy19-kemdy20"), ("b", "kemdy20"), ("b", "kemdy19"), ("c", "kemdy20-kemdy19")):
        synthetic_corpora.write(root=str(tmp_path / root), sessions=1, segments=2, seconds=0.5, corpora=corpora)
    first = files_below(tmp_path / "a")
    assert first == files_below(tmp_path / "b") == files_below(tmp_path / "c")
    assert len(first) > 200


def test_another_seed_gives_other_segments(tmp_path):
    assert rows(KEMDY20, 1, seed=1) != rows(KEMDY20, 1, seed=2)


def test_neither_fewer_sessions_nor_leaving_the_bio_folders_out_changes_what_is_written(written, tmp_path):
    synthetic_corpora.write(root=str(tmp_path), bio=False, **SMALL | {"sessions": 1})
    fewer, full = files_below(tmp_path), files_below(written[0])
    bio = re.compile(r"[^/]+/(ECG|EDA|TEMP|IBI)(/|$)")
    assert any(map(bio.match, full)) and not any(map(bio.match, fewer))
    assert all(full[path] == content for path, content in fewer.items() if SYNTHETIC_NOTE not in path)


def test_the_summary_counts_what_was_written(written):
    root, summary = written
    assert list(summary) == ["kemdy19", "kemdy20"]
    for report in summary.values():
        waves = list(Path(report["folder"]).rglob("*.wav"))
        assert report["segments"] == len(waves) > 0
        assert len(waves) == len(list(Path(report["folder"]).rglob("*.txt"))) - 1  # the note at the top
    assert {path.name for path in root.iterdir()} == {"KEMDy19", "KEMDy20_v1_1"}


def test_a_corpus_folder_says_that_it_is_synthetic(written):
    for folder in written[0].iterdir():
        note = (folder / "SAMPLE_CORPUS.txt").read_text()
        assert (
            note.startswith("Synthetic KEMDy")
            and "Written by erc.synthetic with sessions=5 segments=2 seed=42 seconds=0.5 bio=True" in note
        )


@pytest.mark.parametrize("name", ["KEMDy19", "KEMDy20_v1_1", "KEMDy20_v1_2"])
def test_an_existing_corpus_stops_everything_before_the_first_byte(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "licensed.csv").write_text("precious")
    before = files_below(tmp_path)
    with pytest.raises(FileExistsError, match=f"{name} exists and stays as it is"):
        synthetic_corpora.write(root=str(tmp_path), **SMALL)
    assert files_below(tmp_path) == before


def test_a_dangling_link_counts_as_an_existing_corpus(tmp_path):
    (tmp_path / "KEMDy19").symlink_to(tmp_path / "unmounted")
    with pytest.raises(FileExistsError, match="KEMDy19"):
        synthetic_corpora.write(root=str(tmp_path), **SMALL)
    assert os.listdir(tmp_path) == ["KEMDy19"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_half_way_leaves_nothing_behind(tmp_path, monkeypatch, error):
    calls = []

    def break_down(path, *args, **kwargs):
        calls.append(path)
        if len(calls) == 210:  # in the second corpus
            raise error("no space left")
        path.touch()

    monkeypatch.setattr(synthetic_corpora.soundfile, "write", break_down)
    with pytest.raises(error):
        synthetic_corpora.write(root=str(tmp_path), **SMALL)
    assert "KEMDy19" in str(calls[0]) and "KEMDy20_v1_1" in str(calls[-1])
    assert list(tmp_path.iterdir()) == []


def test_all_arguments_out_of_range_are_reported_at_once(tmp_path):
    with pytest.raises(ValueError, match="sessions must be .* got 41.* segments .* seconds .* seed .* bio must"):
        synthetic_corpora.write(root=str(tmp_path), sessions=41, segments=1, seconds=0, seed=-1, bio="no")
    with pytest.raises(ValueError, match="sessions must be an integer from 1 to 40: got 0"):
        synthetic_corpora.write(root=str(tmp_path), sessions=0)
    with pytest.raises(ValueError, match="kemdy21"):
        synthetic_corpora.write(root=str(tmp_path), corpora="kemdy21")
    assert list(tmp_path.iterdir()) == []


def test_five_sessions_are_one_per_fold_and_those_with_defects_come_first():
    assert layout.choose_sessions(KEMDY19, 5) == [3, 6, 9, 13, 17]
    assert layout.choose_sessions(KEMDY20, 5) == [1, 12, 17, 25, 33]
    assert layout.choose_sessions(KEMDY19, 7) == [3, 4, 6, 7, 9, 13, 17]
    assert layout.choose_sessions(KEMDY19, 40) == list(range(1, 21))
    assert layout.choose_sessions(KEMDY20, 40) == list(range(1, 41))


# --- annotation -------------------------------------------------------------------------------------------------------
def test_header_lines_are_those_of_the_corpora(written):
    triples = ",Emotion,Valence,Arousal" * 11
    for name, raters in (
        (
            "Session03_F",
            "Eval01F,,,Eval02M,,,Eval03F,,,Eval04F,,,Eval05M,,,Eval06M,,,Eval07M,,,Eval08F,,,Eval09M,,,Eval10F",
        ),
        (
            "Session17_M",
            "Eval11M,,,Eval12F,,,Eval13F,,,Eval14M,,,Eval15F,,,Eval16M,,,Eval17F,,,Eval18M,,,Eval19F,,,Eval20M",
        ),
    ):
        lines = (written[0] / "KEMDy19" / "annotation" / f"{name}_res.csv").read_bytes().decode().split("\n")
        assert lines[0] == f"Numb,Wav,,ECG,,E4-EDA,,E4-TEMP,,Segment ID,Total Evaluation,,,{raters},,"
        assert lines[1] == ",start,end,start,end,start,end,start,end," + triples
        assert lines[-1] == "" and {len(line.split(",")) for line in lines[:-1]} == {43}
    lines = (written[0] / "KEMDy20_v1_1/annotation/Sess12_eval.csv").read_bytes().decode().split("\n")
    assert lines[0] == (
        "Numb,WAV, ,Segment ID,Total Evaluation, , ,Eval01F, , ,Eval02M, , ,Eval03M, , ,Eval04F, , ,Eval05M, , ,"
        "Eval06F, , ,Eval07F, , ,Eval08M, , ,Eval09F, , ,Eval10M, , "
    )
    assert lines[1] == " ,start,end, " + triples
    assert lines[-1] == "" and {len(line.split(",")) for line in lines[:-1]} == {37}


def test_both_files_of_a_session_list_the_same_segments_with_other_ratings_and_signals():
    female, male = rows(KEMDY19, 2, "F")[2:], rows(KEMDY19, 2, "M")[2:]
    assert [row[:3] + row[9:10] for row in female] == [row[:3] + row[9:10] for row in male]
    assert [row[0] for row in female] == [str(k) for k in range(1, len(female) + 1)]
    assert sum(f[13:] == m[13:] for f, m in zip(female, male, strict=True)) < len(female) / 10
    assert all(f[5:9] != m[5:9] for f, m in zip(female, male, strict=True))
    assert {KEMDY19.parse(row[9]).gender for row in female} == {"F", "M"}  # listener rows


@pytest.mark.parametrize(("corpus", "session"), [(KEMDY19, 5), (KEMDY20, 12)])
def test_numbers_count_without_gaps_in_the_order_of_time(corpus, session):
    found = rows(corpus, session, layout.persons_rated(corpus)[0])[2:]
    groups: dict[tuple, list] = {}
    begins: dict[str, list] = {}
    for row in found:
        name = corpus.parse(row[corpus.id_column])
        groups.setdefault((name.dialogue, name.speaker), []).append(name.number)
        begins.setdefault(name.dialogue, []).append([float(row[k]) for k in corpus.time_columns])
    assert all(numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 2 for numbers in groups.values())
    assert list(begins) == [f"Sess{session:02d}_{name}" for name in layout.DIALOGUES[corpus.name]]
    for times in map(np.array, begins.values()):
        assert (np.diff(times[:, 0]) > 0).all() and (times[:, 1] - times[:, 0] > 0.29).all()
        if corpus is KEMDY19:  # segments tile the time
            assert (times[1:, 0] == times[:-1, 1]).all()


def test_cells_are_written_as_in_the_corpora():
    for row in rows(KEMDY19, 8, "M", segments=10)[2:]:
        assert all(re.fullmatch(r"\d+(\.\d{0,2}[1-9])?", cell) for cell in row[1:3])
        assert all(re.fullmatch(r"0|-?\d\.\d+", cell) for cell in row[3:5])
        assert all(re.fullmatch(r"\d+(\.\d{0,5}[1-9])?", cell) for cell in row[5:7])
        assert all(re.fullmatch(r"\d\d(\.\d?[1-9])?", cell) and 26.25 <= float(cell) <= 35.21 for cell in row[7:9])
    drawn = synthetic_corpora.draw_session(KEMDY20, 8, 10, 2.0, 42)
    for segment, row in zip(drawn, rows(KEMDY20, 8, segments=10)[2:], strict=True):
        assert np.allclose([float(cell) for cell in row[1:3]], [segment.start, segment.end], rtol=1e-7, atol=0)
        assert all(len(cell.replace(".", "").lstrip("0")) <= 8 for cell in row[1:3])
        assert all(re.fullmatch(r"[1-5]|[1-4]\.[1-9]", cell) for cell in row[5:7])


@pytest.mark.parametrize(("corpus", "order"), [
    (KEMDY19, "neutral happy sad angry fear disgust surprise"),
    (KEMDY20, "happy surprise angry neutral disqust fear sad"),
])  # fmt: skip
def test_totals_are_plurality_and_mean_and_ties_keep_the_order_of_the_corpus(corpus, order):
    n_ties, order = 0, order.split()
    for session in range(1, 6):
        for rated in layout.persons_rated(corpus):
            for row in rows(corpus, session, rated, segments=10)[2:]:
                votes = Counter(row[-30::3])
                most = [emotion for emotion in order if votes[emotion] == max(votes.values())]
                assert set(votes) <= set(order)
                assert row[corpus.total_column] == ";".join(most)
                for column, cells in ((1, row[-29::3]), (2, row[-28::3])):
                    mean = f"{sum(map(int, cells)) / 10:.1f}".removesuffix(".0")
                    assert row[corpus.total_column + column] == mean and set(cells) <= set("12345")
                n_ties += len(most) > 1
    assert n_ties > 10


def test_kemdy20_users_are_those_of_the_corpus():
    users = {session: layout.speakers_of(KEMDY20, session) for session in range(1, 41)}
    assert users[1] == ("User001F_", "User002M_") and users[40] == ("User079F_", "User080F_")
    assert users[12] == ("User081F_", "User082F_") and users[17] == ("User083F_", "User084F_")
    pairs = Counter("".join(sorted(mark[7] for mark in pair)) for pair in users.values())
    assert pairs == {"MM": 15, "FF": 13, "FM": 12}  # published: 42 men, 38 women


# --- defects ----------------------------------------------------------------------------------------------------------
def test_three_female_segments_carry_a_male_number_in_the_female_file():
    for session, dialogues in ((3, ("Sess03_impro02",)), (9, ("Sess09_script06", "Sess09_impro01"))):
        female = [row[9] for row in rows(KEMDY19, session, "F")[2:]]
        male = [row[9] for row in rows(KEMDY19, session, "M")[2:]]
        for dialogue in dialogues:
            assert female.count(f"{dialogue}_M001") == 2 and f"{dialogue}_F001" not in female
            assert male.count(f"{dialogue}_M001") == 1 and male.count(f"{dialogue}_F001") == 1
        assert sum(f != m for f, m in zip(female, male, strict=True)) == len(dialogues)


def test_session_4_has_a_phantom_row_with_another_id_in_each_file():
    female = [row[9] for row in rows(KEMDY19, 4, "F")[2:]]
    male = [row[9] for row in rows(KEMDY19, 4, "M")[2:]]
    (place,) = (k for k, (f, m) in enumerate(zip(female, male, strict=True)) if f != m)
    assert re.fullmatch(r"Sess04_impro03_M\d{3}", female[place])
    assert male[place] == female[place].replace("_M", "_F")
    assert female[place] not in male and male[place] not in female
    assert female[place + 1].startswith("Sess04_impro04")  # the last row of its dialogue


def test_files_are_missing_exactly_where_the_corpus_lacks_them(written):
    for session in (3, 4, 6, 7):
        missing = [
            s.id
            for s in synthetic_corpora.draw_session(KEMDY19, session, 4, 2.0, 42)
            if not s.has_files and not s.is_phantom
        ]
        expected = {d: n for d, n in KEMDY19.fileless.items() if d.startswith(f"Sess{session:02d}")}
        assert Counter(name[:15].rstrip("_") for name in missing) == expected
    folder = written[0] / "KEMDy19"
    lacking = {
        segment.id
        for session in (3, 6)
        for segment in synthetic_corpora.draw_session(KEMDY19, session, 2, 0.5, 42)
        if not KEMDY19.wav_path(folder, segment.id).exists()
        and not KEMDY19.wav_path(folder, segment.id).with_suffix(".txt").exists()
    }
    assert lacking == {"Sess03_script04_M002", "Sess06_script02_M002", "Sess06_script02_F002"}


@pytest.mark.parametrize(("segments", "first"), [(4, None), (24, 14)])
def test_skin_signals_are_empty_where_the_device_failed(segments, first):
    empty: dict[tuple, list] = {}
    for session in (1, 4):
        for rated in "FM":
            for row in rows(KEMDY19, session, rated, segments)[2:]:
                assert row[3] and row[4]  # ECG never fails
                assert len({cell == "" for cell in row[5:9]}) == 1
                empty.setdefault((row[9][:14], rated), []).append((row[9], row[5] == ""))
    for (dialogue, rated), cells in empty.items():
        flags = [flag for _, flag in cells]
        if (dialogue, rated) == ("Sess01_impro03", "F"):
            female = [int(name[-3:]) for name, flag in cells if flag and "_F" in name]
            n_female = sum("_F" in name for name, _ in cells)
            assert flags == sorted(flags)  # from one moment on, listener rows too
            assert female == list(range(first or n_female // 2 + 1, n_female + 1))
        else:
            failed = (dialogue, rated) == ("Sess01_impro04", "F") or dialogue == "Sess04_impro04"
            assert set(flags) == {failed}


def test_dialogue_folders_of_kemdy19_hold_a_folder_named_converted(tmp_path):
    drawn = synthetic_corpora.draw_session(KEMDY19, 1, 2, 0.5, 42)
    with tqdm(disable=True) as bar:
        synthetic_corpora.write_session(KEMDY19, tmp_path, 1, drawn, 42, False, bar)
    without = [path.name for path in (tmp_path / "wav/Session01").iterdir() if not (path / "converted").is_dir()]
    assert without == ["Sess01_impro01"]
    assert not (tmp_path / "EDA").exists()


def test_the_known_silent_segments_of_kemdy20_hold_zeros_only(tmp_path):
    drawn = synthetic_corpora.draw_session(KEMDY20, 1, 16, 0.5, 42)
    with tqdm(disable=True) as bar:
        synthetic_corpora.write_session(KEMDY20, tmp_path, 1, drawn, 42, False, bar)
    silent = {path.stem for path in tmp_path.rglob("*.wav") if not soundfile.read(path)[0].any()}
    assert silent == KEMDY20.silent & {segment.id for segment in drawn} == KEMDY20.silent


# --- files ------------------------------------------------------------------------------------------------------------
def test_audio_is_mono_16_bit_at_16_khz_and_as_long_as_annotated_or_shorter_in_kemdy19(written):
    for corpus, session in ((KEMDY19, 9), (KEMDY20, 12)):
        for segment in synthetic_corpora.draw_session(corpus, session, 2, 0.5, 42):
            info = soundfile.info(corpus.wav_path(written[0] / corpus.folders[0], segment.id))
            assert (info.samplerate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "WAV")
            annotated = (segment.end - segment.start) * 16_000
            assert (
                abs(info.frames - annotated) <= 1 if corpus is KEMDY20 else 0.75 * annotated < info.frames < annotated
            )


def test_transcripts_are_utf8_in_kemdy19_and_only_cp949_in_kemdy20(written):
    old = [path.read_bytes() for path in (written[0] / "KEMDy19/wav").rglob("*.txt")]
    new = [path.read_bytes() for path in (written[0] / "KEMDy20_v1_1/wav").rglob("*.txt")]
    lines = [content.decode("utf-8") for content in old] + [content.decode("cp949") for content in new]
    assert all(line.endswith("\n") and line.count("\n") == 1 and line.strip() for line in lines)
    for content in new:
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8")
    assert 0.1 < np.mean([content.endswith(b" \n") for content in old]) < 0.5


def test_some_kemdy19_transcripts_hold_tags_only_and_most_words_fit_the_emotion():
    rng, fitting, tags_only = np.random.default_rng(0), [], 0
    for segment in synthetic_corpora.draw_session(KEMDY19, 10, 40, 2.0, 42):
        line = words.transcript(KEMDY19, segment, rng)
        tags_only += not re.search("[가-힣]", line)
        if segment.emotion != layout.NEUTRAL:
            fitting.append(any(clause in line for clause in words.CLAUSES[EMOTIONS[segment.emotion]]))
    assert 1 <= tags_only <= 30
    assert 0.6 < np.mean(fitting) < 0.8


def test_kemdy19_bio_files_are_ragged_and_ecg_has_the_time_first(written):
    for signal in ("ECG", "EDA", "TEMP"):
        found = sorted((written[0] / "KEMDy19" / signal).rglob("*.csv"))
        assert [path.name for path in found[:2]] == ["Sess03F.csv", "Sess03M.csv"] and len(found) == 10
        assert {path.parent.name for path in found} == {"Original"}
        lines = [line.split(",") for line in found[0].read_text().splitlines()]
        assert {len(line) for line in lines} == {3, 4}
        assert {KEMDY19.parse(line[3]).gender for line in lines if len(line) == 4} == {"F", "M"}
        times = [float(line[0 if signal == "ECG" else 1]) for line in lines]
        assert times == sorted(times) and all(time % 0.25 == 0 for time in times)
        assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", line[2]) for line in lines)


def test_kemdy20_bio_files_name_another_session_inside_sessions_12_and_17(written):
    for signal, n_header, n_labelled in (("EDA", 2, 3), ("TEMP", 2, 3), ("IBI", 1, 4)):
        for session, prefix in ((1, "Sess01"), (12, "Sess41"), (17, "Sess42"), (25, "Sess25")):
            found = sorted((written[0] / f"KEMDy20_v1_1/{signal}/Session{session:02d}").iterdir())
            assert len(found) == 12
            for path in found:
                lines = [line.split(",") for line in path.read_text().splitlines()]
                labels = [line[-1] for line in lines[n_header:] if len(line) == n_labelled]
                assert {len(line) for line in lines[n_header:]} <= {n_labelled - 1, n_labelled}
                assert all(label.startswith(prefix + path.stem[6:]) for label in labels)
                assert labels or signal == "IBI"


# --- ratings ----------------------------------------------------------------------------------------------------------
def test_every_row_of_the_confusion_table_and_of_the_priors_is_a_distribution():
    assert np.allclose(ratings.CONFUSION.sum(axis=1), 1) and (np.diag(ratings.CONFUSION) == 0).all()
    assert all(np.isclose(prior.sum(), 1) for prior in layout.PRIOR.values())


@pytest.mark.parametrize(("corpus", "sessions", "neutral", "happy"), [
    (KEMDY19, range(1, 21), 0.40, 0.146), (KEMDY20, range(1, 41), 0.60, 0.16)
])  # fmt: skip
def test_raters_disagree_about_as_much_as_in_the_corpora(corpus, sessions, neutral, happy):
    votes, va = own_ratings(corpus, sessions, segments=6 if corpus is KEMDY19 else 5)
    tied = is_tied(votes)
    share = dict(zip(EMOTIONS, np.bincount(votes.argmax(axis=1)[~tied], minlength=7) / (~tied).sum(), strict=True))
    assert len(votes) > 2000
    assert 0.15 < (votes.max(axis=1) == 10).mean() < 0.25  # 4,593 of 23,458 segments: 0.196
    assert 0.04 < tied.mean() < 0.08  # 643 of 10,197 and 634 of 13,462: 0.063 and 0.047
    assert abs(share["neutral"] - neutral) < 0.05 and abs(share["happy"] - happy) < 0.04
    assert min(share.values()) > 0.02
    for k, centroid in enumerate(corpus.centroids):
        chosen = ~tied & (votes.argmax(axis=1) == k)
        assert np.abs(va[chosen].mean(axis=0) - centroid).max() < 0.35, EMOTIONS[k]


# --- audible emotion --------------------------------------------------------------------------------------------------
def acoustics(wave: np.ndarray) -> list[float]:
    """Pitch (semitones above 100 Hz), its spread and its restlessness, syllables per second, spectral balance (log)."""
    wave = wave / wave.std()  # the learner sees unit variance only
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, (0, 800)), 800)[::400] * np.hanning(800)
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    correlation = np.fft.irfft(power)[:, 32:280]
    loud = frames.std(axis=1) > 0.4 * np.median(frames.std(axis=1))
    pitch = 12 * np.log2(160 / (correlation.argmax(axis=1)[loud] + 32))
    envelope = np.abs(wave[: len(wave) // 80 * 80]).reshape(-1, 80).mean(axis=1)  # 200 Hz
    envelope = np.convolve(envelope, np.hanning(25), "same")
    inner = envelope[1:-1]
    n_peaks = ((inner > envelope[:-2]) & (inner >= envelope[2:]) & (inner > 0.5 * envelope.mean())).sum()
    spectrum = power[loud].mean(axis=0)  # 7.8 Hz per bin
    low, middle, high = (np.log(part.sum()) for part in (spectrum[13:102], spectrum[128:256], spectrum[256:]))
    spread = np.percentile(pitch, 75) - np.percentile(pitch, 25)
    restless = np.abs(np.diff(pitch)).mean()
    return [np.median(pitch), spread, restless, n_peaks / len(wave) * 16_000, middle - low, high - low]


@pytest.mark.parametrize("speaker", ["F", "M"])
def test_anger_and_surprise_sound_higher_and_faster_than_sadness(speaker):
    rng = np.random.default_rng(7)
    heard = {}
    for emotion in ("angry", "surprise", "sad"):
        voices = [synthetic_voice.draw_voices(KEMDY19, session, 42)[speaker] for session in range(1, 9)]
        waves = [synthetic_voice.synthesise(32_000, voice, EMOTIONS.index(emotion), 0.2, 0.0, rng) for voice in voices]
        heard[emotion] = np.mean([acoustics(wave) for wave in waves], axis=0)
    for emotion in ("angry", "surprise"):
        assert heard[emotion][0] > heard["sad"][0] + 2  # semitones
        assert heard[emotion][3] > heard["sad"][3]  # syllables per second
        assert heard[emotion][5] > heard["sad"][5] + 1  # more energy above 2 kHz


def test_a_speaker_stays_the_same_from_segment_to_segment():
    voices = synthetic_voice.draw_voices(KEMDY19, 3, 42)
    assert voices == synthetic_voice.draw_voices(KEMDY19, 3, 42) != synthetic_voice.draw_voices(KEMDY19, 4, 42)
    assert voices["F"].pitch > 1.3 * voices["M"].pitch


def test_a_linear_classifier_hears_the_majority_emotion_of_unknown_speakers():
    features, truth, sessions = [], [], []
    for session in layout.choose_sessions(KEMDY19, 5):
        rng, voices = layout.stream(42, KEMDY19, session, "audio"), synthetic_voice.draw_voices(KEMDY19, session, 42)
        for segment in synthetic_corpora.draw_session(KEMDY19, session, 4, 1.5, 42):
            gender = KEMDY19.parse(segment.id).gender
            votes = count_votes(segment.ratings[gender][None], 7)[0]
            n_samples = synthetic_voice.wav_length(KEMDY19, segment, rng)
            wave = synthetic_voice.synthesise(
                n_samples, voices[gender], segment.emotion, segment.ambiguity, segment.shift[1], rng
            )
            if not is_tied(votes):
                features.append(acoustics(wave)), truth.append(int(votes.argmax())), sessions.append(session)
    features, truth, sessions = np.array(features), np.array(truth), np.array(sessions)
    heard, guessed = [], []
    for session in np.unique(sessions):
        train, valid = sessions != session, sessions == session
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(
            features[train], truth[train]
        )
        heard.append(f1_score(truth[valid], classifier.predict(features[valid]), average="weighted"))
        majority = np.full(valid.sum(), np.bincount(truth[train]).argmax())
        guessed.append(f1_score(truth[valid], majority, average="weighted"))
    print(f"weighted F1: acoustics {np.mean(heard):.3f}, majority class {np.mean(guessed):.3f}")
    assert np.mean(heard) > np.mean(guessed) + 0.25
