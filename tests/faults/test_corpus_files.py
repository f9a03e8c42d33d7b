"""Faults of a corpus on disk: rows that vanish, headers that lie, files that are no files, ids that lead elsewhere.

Each damage is done to a copy of a small synthetic corpus. The clean copy is the negative control: it has no bad segment.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kemd_views import open_small, wav_of

from erc.data.corpora import KEMDY19, KEMDY20, Corpus
from erc.data.kemdy import read_annotations
from erc.data.media import MAX_SECONDS, SAMPLE_RATES, MediaError, check_length, read_transcript, read_waveform
from erc.data.segments import Annotations
from erc.synthetic import corpora as synthetic_corpora

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")

F_FILE, M_FILE = "annotation/Session06_F_res.csv", "annotation/Session06_M_res.csv"


@pytest.fixture(scope="module")
def two_sessions(tmp_path_factory) -> Path:
    """Sessions 3 and 6 of KEMDy19 (a mis-numbered row, segments without files), and two of KEMDy20 (silent wavs)."""
    root = tmp_path_factory.mktemp("two")
    synthetic_corpora.write(str(root), sessions=2, segments=2, seconds=0.5, bio=False)
    return root


@pytest.fixture
def nineteen_copy(two_sessions, tmp_path) -> Path:
    return Path(shutil.copytree(two_sessions / "KEMDy19", tmp_path / "KEMDy19"))


@pytest.fixture
def twenty_copy(two_sessions, tmp_path) -> Path:
    return Path(shutil.copytree(two_sessions / "KEMDy20_v1_1", tmp_path / "KEMDy20_v1_1"))


class HangError(BaseException):
    """A block takes too long. No code catches it: a TimeoutError is an OSError, and would become a bad segment."""


@contextmanager
def no_hang(seconds: int = 20) -> Iterator[None]:
    """Ends a block that hangs."""

    def stop(*_: object) -> None:
        raise HangError(f"still there after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def csvs(folder: Path) -> list[Path]:
    return sorted((folder / "annotation").glob("*.csv"))


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def edit(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(change(lines_of(path))), encoding="utf-8")


def bad_ids(annotations: Annotations) -> list[str]:
    return sorted(problem.segment_id for problem in annotations.bad)


def own_ids(lines: list[str], column: int, gender: str = "") -> set[str]:
    return {line.split(",")[column] for line in lines if not gender or line.split(",")[column][-4] == gender}


# --- D4: no row vanishes quietly --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("corpus", "name"), [(KEMDY19, "KEMDy19"), (KEMDY20, "KEMDy20_v1_1")])
def test_the_clean_corpus_has_no_bad_segment(two_sessions, corpus: Corpus, name):
    annotations = read_annotations(corpus, two_sessions / name)
    assert annotations.bad == [] and len(annotations.table) > 30


def test_a_kemdy20_file_cut_at_the_end_of_a_line_names_every_lost_segment(twenty_copy):
    path = csvs(twenty_copy)[0]
    lines = lines_of(path)
    path.write_text("".join(lines[:-7]), encoding="utf-8")
    annotations = read_annotations(KEMDY20, twenty_copy)
    assert bad_ids(annotations) == sorted(own_ids(lines[-7:], 3))
    assert {problem.kind for problem in annotations.bad} == {"no row"}
    assert all(problem.where.endswith(f"{problem.segment_id}.wav") for problem in annotations.bad)


@pytest.mark.parametrize("name", [F_FILE, M_FILE])
@pytest.mark.parametrize("position", [2, 10, -2])
def test_a_deleted_kemdy19_row_is_named_whichever_file_lost_it(nineteen_copy, name, position):
    path = nineteen_copy / name
    lines = lines_of(path)
    lost = lines[position].split(",")[9]
    edit(path, lambda lines: lines[:position] + lines[position:][1:])
    annotations = read_annotations(KEMDY19, nineteen_copy)
    assert bad_ids(annotations) == [lost] and lost not in set(annotations.table["segment_id"])
    assert "both files of a session have the same running numbers" in annotations.bad[0].problem


@pytest.mark.parametrize("name", [F_FILE, M_FILE])
def test_a_kemdy19_file_cut_at_the_end_of_a_line_loses_nothing_quietly(nineteen_copy, name):
    clean = read_annotations(KEMDY19, nineteen_copy)
    edit(nineteen_copy / name, lambda lines: lines[:9])
    annotations = read_annotations(KEMDY19, nineteen_copy)
    named, left = set(bad_ids(annotations)), set(annotations.table["segment_id"])
    assert named | left >= set(clean.table["segment_id"]) and not named & left and len(named) > 20


@pytest.mark.parametrize("name", ["KEMDy19", "KEMDy20_v1_1"])
def test_stray_quotation_marks_that_join_two_rows_are_named_with_the_lines(two_sessions, tmp_path, name):
    corpus = KEMDY19 if name == "KEMDy19" else KEMDY20
    folder = Path(shutil.copytree(two_sessions / name, tmp_path / name))
    path = csvs(folder)[-1]
    lines = lines_of(path)

    def join(lines: list[str]) -> list[str]:
        """The last cell of one row opens a quotation mark that the last cell of the next one closes: one row of width."""
        first, second = lines[4].rstrip("\n"), lines[5].rstrip("\n")
        cut = first.rindex(",") + 1
        return [*lines[:4], f'{first[:cut]}"{first[cut:]}\n{second}"\n', *lines[6:]]

    edit(path, join)
    annotations = read_annotations(corpus, folder)
    lost = own_ids(lines[4:6], corpus.id_column)
    (row,) = [problem for problem in annotations.bad if "one line" in problem.problem]
    assert "lines 5 to 6" in row.problem
    assert lost <= {problem.segment_id for problem in annotations.bad}
    assert not lost & set(annotations.table["segment_id"])


def test_a_quotation_mark_in_the_header_swallows_no_row(twenty_copy):
    def join(lines: list[str]) -> list[str]:
        cut = lines[1].rindex(",") + 1
        return [lines[0], f'{lines[1][:cut]}"{lines[1][cut:]}', lines[2].rstrip("\n") + '"\n', *lines[3:]]

    edit(csvs(twenty_copy)[0], join)
    with pytest.raises(ValueError, match=r"one line for each header: header line 2 of .* runs over 2 lines"):
        read_annotations(KEMDY20, twenty_copy)


def test_a_session_without_its_annotation_file_is_named_once(two_sessions, tmp_path):
    folder = Path(shutil.copytree(two_sessions / "KEMDy20_v1_1", tmp_path / "KEMDy20_v1_1"))
    first, second = csvs(folder)
    first.unlink()
    (problem,) = read_annotations(KEMDY20, folder).bad
    assert problem.kind == "no row" and problem.where.endswith(f"Session{first.name[4:6]}")
    assert "an annotation file for every session with audio is expected" in problem.problem
    assert second.is_file()


def test_two_ids_exchanged_in_one_file_are_bad(nineteen_copy):
    def exchange(lines: list[str]) -> list[str]:
        rows = [line.split(",") for line in lines]
        first, second = [k for k, cells in enumerate(rows) if cells[9][-4:-3] == "F"][:2]
        rows[first][9], rows[second][9] = rows[second][9], rows[first][9]
        return [",".join(cells) for cells in rows]

    edit(nineteen_copy / F_FILE, exchange)
    annotations = read_annotations(KEMDY19, nineteen_copy)
    assert len(annotations.bad) == 2
    assert all("the same id at a running number" in problem.problem for problem in annotations.bad)


def test_wavs_in_a_folder_converted_need_no_row(nineteen_copy):
    some = next((nineteen_copy / "wav/Session06").glob("*/*.wav"))
    (some.parent / "converted").mkdir(exist_ok=True)
    shutil.copy(some, some.parent / "converted" / f"{some.stem[:-3]}099.wav")
    assert read_annotations(KEMDY19, nineteen_copy).bad == []


def test_a_cell_larger_than_the_csv_module_takes_is_one_error_with_the_line(twenty_copy):
    edit(csvs(twenty_copy)[0], lambda lines: [*lines[:4], "x" * 200_000 + lines[4], *lines[5:]])
    with pytest.raises(ValueError, match=r"Annotation files are CSV: the row after line 4 of .*field larger than"):
        read_annotations(KEMDY20, twenty_copy)


# --- D19: numbers and text --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("times", "kind", "message"),
    [
        (("5", "2"), "interval", "0 <= start < end, got 5 and 2"),
        (("5", "5"), "interval", "0 <= start < end, got 5 and 5"),
        (("-1", "2"), "interval", "0 <= start < end, got -1 and 2"),
        (("1_0", "20"), "row", "start and end are seconds, got ['1_0', '20']"),
        (("1", "inf"), "row", "start and end are seconds, got ['1', 'inf']"),
        (("1", "1e999"), "row", "start and end are seconds, got ['1', '1e999']"),
        (("\N{ARABIC-INDIC DIGIT ONE}", "2"), "row", "start and end are seconds"),
        (("1", "2" * 5000), "row", "start and end are seconds"),
    ],
)
def test_times_that_are_none_are_bad_rows(twenty_copy, times, kind, message):
    def change(lines: list[str]) -> list[str]:
        cells = lines[5].split(",")
        cells[1:3] = times
        return [*lines[:5], ",".join(cells), *lines[6:]]

    edit(csvs(twenty_copy)[0], change)
    (problem,) = read_annotations(KEMDY20, twenty_copy).bad
    assert (problem.kind, message in problem.problem) == (kind, True)
    assert len(str(problem)) < 600


@pytest.mark.parametrize("cell", ["inf", "-inf", "nan", "1_0", "1e999"])
def test_a_bio_cell_that_is_no_finite_number_is_a_bad_row(nineteen_copy, cell):
    def change(lines: list[str]) -> list[str]:
        k = next(k for k, line in enumerate(lines) if line.split(",")[9][-4:-3] == "F")
        cells = lines[k].split(",")
        cells[5] = cell
        return [*lines[:k], ",".join(cells), *lines[k + 1 :]]

    edit(nineteen_copy / F_FILE, change)
    (problem,) = read_annotations(KEMDY19, nineteen_copy).bad
    assert problem.problem == f"eda_start is a number or empty, got {cell!r}"


@pytest.mark.parametrize("control", ["\0", "\x07", "\x1b[31m", "\x7f", "\x9b"])
def test_control_characters_in_a_transcript_are_refused(tmp_path, control):
    path = tmp_path / "a.txt"
    path.write_text(f"아 {control}친구\n", encoding="utf-8")
    with pytest.raises(MediaError, match=r"without control characters is expected, the file has U\+00") as raised:
        read_transcript(path)
    assert raised.value.kind == "undecodable transcript"


def test_an_id_with_control_characters_does_not_reach_the_terminal(twenty_copy):
    edit(csvs(twenty_copy)[0], lambda lines: [*lines[:4], lines[4].replace("Sess", "\x1b[2JSess", 1), *lines[5:]])
    bad = read_annotations(KEMDY20, twenty_copy).bad
    assert len(bad) == 2  # the row, and the wav without a row
    assert "\x1b" not in "".join(map(str, bad))


# --- D7: wav headers --------------------------------------------------------------------------------------------------
def with_rate(path: Path, rate: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[24:32] = struct.pack("<II", rate, 2 * rate)
    path.write_bytes(raw)


@pytest.mark.parametrize("rate", [16_001, 1_000_003, 1, 15_999, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_one_bad_segment_at_once(small, tmp_path, rate):
    root = Path(shutil.copytree(small, tmp_path / "data"))
    wav = wav_of(root, "Sess12_script02_User081F_001")
    with_rate(wav, rate)
    before = time.monotonic()
    (problem,) = open_small(root, tmp_path / "cache", on_bad_segment="skip").bad
    assert time.monotonic() - before < 20
    assert problem.where == str(wav) and problem.kind == "unreadable audio"
    assert f"the wav has {rate}" in problem.problem and "48000" in problem.problem


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_every_listed_rate_is_read_within_seconds(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(5 * rate) / 20) / 2, rate, subtype="PCM_16")
    read_waveform(path)  # imports torchaudio
    before = time.monotonic()
    assert len(read_waveform(path)) == 5 * 16_000
    assert time.monotonic() - before < 5


def test_a_wav_that_is_too_long_or_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(8000, dtype=np.int16), 8000, subtype="PCM_16")
    raw = bytearray(path.read_bytes())
    n_bytes = 2 * 8000 * (MAX_SECONDS + 1)
    raw[4:8], raw[40:44] = struct.pack("<I", n_bytes + 36), struct.pack("<I", n_bytes)
    path.write_bytes(raw)
    os.truncate(path, 44 + n_bytes)  # a hole: takes no room
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(MediaError, match="at most 600 s of sound are expected, the wav has 601 s"):
        read_waveform(path)
    raw[22:24], raw[32:34] = struct.pack("<H", 256), struct.pack("<H", 512)
    raw[24:32] = struct.pack("<II", 96_000, 96_000 * 512)
    n_bytes = 512 * 240_000
    raw[4:8], raw[40:44] = struct.pack("<I", n_bytes + 36), struct.pack("<I", n_bytes)
    path.write_bytes(raw)
    os.truncate(path, 44 + n_bytes)
    with pytest.raises(MediaError, match="at most 60000000 values are expected"):
        read_waveform(path)
    os.truncate(path, 600_000_000)
    with pytest.raises(OSError, match="at most 500000000 bytes are expected"):
        read_waveform(path)


def test_a_riff_of_a_million_empty_chunks_ends_at_once(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(40_000_000))
    with no_hang(5), pytest.raises(MediaError, match="within the first 1000 chunks"):
        read_waveform(tmp_path / "a.wav")


def test_a_wav_cut_with_its_header_to_a_tenth_is_bad_and_one_at_three_quarters_is_not(small, tmp_path):
    root = Path(shutil.copytree(small, tmp_path / "data"))
    tenth, most = (wav_of(root, f"Sess12_script02_User081F_00{k}") for k in (1, 2))
    for path, share in ((tenth, 0.1), (most, 0.75)):
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path, samples[: max(400, int(share * len(samples)))], rate, subtype="PCM_16")
    (problem,) = open_small(root, tmp_path / "cache", on_bad_segment="skip").bad
    assert (problem.where, problem.kind) == (str(tenth), "truncated audio")
    assert "a quarter of the annotated" in problem.problem


def test_the_published_example_of_a_trimmed_wav_passes():
    check_length(58_800, 0.0, 4.871)  # format sheet: Sess01_impro01_F003
    check_length(4_000, 0.0, 1.0)
    with pytest.raises(MediaError):
        check_length(3_999, 0.0, 1.0)


# --- D11: files of any kind -------------------------------------------------------------------------------------------
def make_fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def make_link_out(path: Path, outside: Path) -> None:
    shutil.copy(next(outside.glob(f"*{path.suffix}")), outside / f"secret{path.suffix}")
    path.symlink_to(outside / f"secret{path.suffix}")


def make_device_link(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def make_loop(path: Path, outside: Path) -> None:
    other = path.with_name("loop")
    path.symlink_to(other)
    other.symlink_to(path)


def make_folder(path: Path, outside: Path) -> None:
    path.mkdir()


def make_huge(path: Path, outside: Path) -> None:
    path.touch()
    os.truncate(path, 600_000_000)


@pytest.mark.parametrize("ending", [".wav", ".txt"])
@pytest.mark.parametrize("make", [make_fifo, make_link_out, make_device_link, make_loop, make_folder, make_huge])
def test_whatever_lies_in_a_files_place_is_one_bad_segment_and_never_a_hang(small, tmp_path, make, ending):
    root, outside = Path(shutil.copytree(small, tmp_path / "data")), tmp_path / "outside"
    outside.mkdir()
    path = wav_of(root, "Sess12_script02_User081F_001").with_suffix(ending)
    shutil.move(path, outside / f"original{ending}")
    make(path, outside)
    with no_hang():
        kemd = open_small(root, tmp_path / "cache", on_bad_segment="skip")
    (problem,) = kemd.bad
    assert problem.segment_id == "Sess12_script02_User081F_001" and str(path) in str(problem)
    assert len(kemd) == 178


def test_a_corpus_folder_and_its_wav_folder_may_be_links_and_a_link_within_may_be_followed(two_sessions, tmp_path):
    clean = read_annotations(KEMDY20, two_sessions / "KEMDy20_v1_1")
    (tmp_path / "store").mkdir()
    shutil.copytree(two_sessions / "KEMDy20_v1_1", tmp_path / "store/corpus", copy_function=shutil.copy2)
    shutil.move(tmp_path / "store/corpus/wav", tmp_path / "store/audio")
    (tmp_path / "store/corpus/wav").symlink_to(tmp_path / "store/audio")
    some = next((tmp_path / "store/audio").glob("*/*.wav"))
    some.rename(some.with_name("elsewhere.bin"))
    some.symlink_to("elsewhere.bin")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/KEMDy20_v1_1").symlink_to(tmp_path / "store/corpus")
    annotations = read_annotations(KEMDY20, tmp_path / "data/KEMDy20_v1_1")
    assert annotations.bad == [] and len(annotations.table) == len(clean.table)


@pytest.mark.parametrize("make", [make_fifo, make_device_link, make_loop, make_folder, make_huge])
def test_an_annotation_file_that_is_no_file_is_named_and_never_hangs(twenty_copy, tmp_path, make):
    path = csvs(twenty_copy)[0]
    path.unlink()
    make(path, tmp_path)
    with no_hang(), pytest.raises(ValueError, match=f"Annotation files must be readable: .*{path.name}"):
        read_annotations(KEMDY20, twenty_copy)


def test_a_transcript_of_more_than_a_megabyte_is_bad(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("가" * 333_333, encoding="utf-8")
    assert len(read_transcript(path)) == 333_333
    path.write_text("가" * 333_334, encoding="utf-8")
    with pytest.raises(OSError, match="at most 1000000 bytes are expected"):
        read_transcript(path)


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_no_file_stays_open(two_sessions, tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    folder = two_sessions / "KEMDy20_v1_1"
    for row in read_annotations(KEMDY20, folder).table.itertuples():
        read_waveform(row.wav_path, may_be_silent=True)
        read_transcript(row.txt_path)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError):
            read_transcript(path)
    assert len(os.listdir("/proc/self/fd")) <= before


# --- S3: ids that lead elsewhere --------------------------------------------------------------------------------------
OPENED: list[str] | None = None
"""Paths that are opened, while a test watches; None while none does."""


def _watch(event: str, arguments: tuple) -> None:
    if (
        OPENED is not None
        and event in ("open", "os.listdir", "os.scandir")
        and isinstance(arguments[0], str | os.PathLike)
    ):
        OPENED.append(os.fspath(arguments[0]))


@pytest.fixture
def watched() -> Iterator[list[str]]:
    """All paths that Python opens or lists during a test."""
    global OPENED
    if not getattr(sys, "_erc_watch", False):
        sys.addaudithook(_watch)  # cannot be taken away again
        sys._erc_watch = True
    OPENED = []
    yield OPENED
    OPENED = None


ESCAPES = [
    "../../../outside/secret",
    "Sess01_script01_User001F_001/../../../outside/secret",
    "/etc/passwd",
    "Sess01_script01_User001F_001\0",
    "\0",
    "Sess01_script01_User001F_001\n",
    "\N{ONE DOT LEADER}\N{ONE DOT LEADER}/secret",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}\N{FULLWIDTH SOLIDUS}secret",
    "Sess\N{FULLWIDTH DIGIT ZERO}1_script01_User001F_001",
    "..%2f..%2fsecret",
    "..\\..\\secret",
    "Sess01_script01_User001F_001.wav",
    "~/secret",
    "",
]


@pytest.mark.parametrize("corpus", [KEMDY19, KEMDY20], ids=lambda corpus: corpus.name)
@pytest.mark.parametrize("segment_id", ESCAPES)
def test_no_path_is_made_of_an_id_outside_the_grammar(corpus, segment_id):
    with pytest.raises(ValueError, match=r"Segment id must match|has sessions 1 to"):
        corpus.wav_path(Path("data"), segment_id)


@pytest.mark.parametrize("segment_id", ESCAPES)
def test_an_id_that_leads_out_is_refused_and_nothing_outside_is_read_or_written(small, tmp_path, watched, segment_id):
    root, outside = Path(shutil.copytree(small, tmp_path / "data")), tmp_path / "outside"
    outside.mkdir()
    for ending in (".wav", ".txt"):
        shutil.copy(wav_of(root, "Sess12_script02_User081F_001").with_suffix(ending), outside / f"secret{ending}")

    def change(lines: list[str]) -> list[str]:
        cells = lines[4].split(",")
        cells[3] = segment_id if "\n" not in segment_id else f'"{segment_id}"'
        return [*lines[:4], ",".join(cells), *lines[5:]]

    edit(csvs(root / "KEMDy20_v1_1")[1], change)
    before = {path: path.stat().st_mtime_ns for path in outside.iterdir()}
    watched.clear()
    kemd = open_small(root, tmp_path / "cache", on_bad_segment="skip")
    assert [problem.kind for problem in kemd.bad] == ["row", "no row"]
    assert len(kemd) >= 177  # one id names a segment of another session: that one is out, too
    assert len(watched) > 300 and not [path for path in watched if "secret" in path or "passwd" in path]
    assert {path: path.stat().st_mtime_ns for path in outside.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "data", "outside"]


def test_the_watch_would_see_a_secret_that_is_opened(tmp_path, watched):
    (tmp_path / "secret.txt").write_text("비밀", encoding="utf-8")
    read_transcript(tmp_path / "secret.txt")
    assert any("secret" in path for path in watched)
