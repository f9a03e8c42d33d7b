"""Bio-signals beside the audio: counts against a plain reading of the files, identity, masks, and nothing where none were asked for."""

from __future__ import annotations

import csv
import functools
import itertools
import shutil
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.preprocessing import StandardScaler

from erc.data import FEATURES, KEMD, SIGNALS, Collator, signal_files
from erc.data.build import read_source
from erc.data.collate import InputCollator
from erc.datasets import HF_KEMD
from erc.model.pretrained import load_feature_extractor, load_tokenizer
from erc.synthetic import corpora as synthetic_corpora

KINDS = {"KEMDy19": ("ECG", "EDA", "TEMP"), "KEMDy20_v1_1": ("IBI", "EDA", "TEMP")}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Both corpora with signals that answer arousal: KEMDy19's session 3, KEMDy20's sessions 1, 12, 17 and 25."""
    folder = tmp_path_factory.mktemp("signals")
    for corpus, sessions, seconds in (("kemdy19", 1, 1.0), ("kemdy20", 4, 3.0)):
        synthetic_corpora.write(
            root=str(folder), sessions=sessions, segments=3, seconds=seconds, corpora=corpus, signals=True
        )
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def view(root: Path, cache: Path, **options) -> HF_KEMD:
    read_source.cache_clear()
    options = {"mode": "train", "validation_fold": -1, "exclude": "none", "signals": "features"} | options
    return HF_KEMD(root=str(root), cache_dir=str(cache), **options)


@pytest.fixture(scope="module")
def whole(root, cache) -> HF_KEMD:
    return view(root, cache)


def column(ds: HF_KEMD, name: str) -> dict[str, list]:
    return dict(zip(ds.ds["segment_id"][:], ds.ds[name][:], strict=True))


@functools.lru_cache
def ids_in(path: Path) -> set[str]:
    """Segments that a file names, by its text alone."""
    found = set()
    for cells in csv.reader(path.read_text().splitlines()) if path.is_file() else ():
        if cells and cells[-1].startswith("Sess"):
            found.add(path.name[:6] + cells[-1][6:] if "KEMDy20" in str(path) else cells[-1])
    return found


def named_in_files(root: Path, segment_id: str) -> list[bool]:
    """Whether the file of each signal names a segment."""
    session = f"Session{segment_id[4:6]}"
    if "User" in segment_id:
        return [
            segment_id in ids_in(root / "KEMDy20_v1_1" / kind / session / f"{segment_id[:-4]}.csv")
            for kind in KINDS["KEMDy20_v1_1"]
        ]
    name = f"Sess{segment_id[4:6]}{segment_id[-4]}.csv"
    return [segment_id in ids_in(root / "KEMDy19" / kind / session / "Original" / name) for kind in KINDS["KEMDy19"]]


# --- counts and reasons -----------------------------------------------------------------------------------------------
def test_each_segment_has_the_signals_whose_files_name_it_and_the_counts_agree(root, whole):
    masks, reasons = column(whole, "signal_mask"), column(whole, "signal_reason")
    expected = {segment_id: named_in_files(root, segment_id) for segment_id in masks}
    assert {name: list(mask) for name, mask in masks.items()} == expected
    assert all((reason == "") == has for name in masks for reason, has in zip(reasons[name], masks[name], strict=True))
    n_without = np.logical_not(list(expected.values())).sum(axis=0)
    assert (n_without > 0).all() and (n_without < len(masks)).all()
    notes = [str(note) for note in whole.notes if note.kind == "signals"]
    for corpus in ("kemdy19", "kemdy20"):
        own = [name for name in expected if ("User" in name) == (corpus == "kemdy20")]
        for k, signal in enumerate(SIGNALS):
            n = sum(not expected[name][k] for name in own)
            said = f"{corpus}: {n} of {len(own)} segments without the signal {signal} ("
            assert any(note.startswith(said) for note in notes) == (n > 0)
    repaired = [
        name for name in expected if name[:6] in ("Sess12", "Sess17") and "User" in name and any(expected[name])
    ]
    assert any(f"the bio files name {len(repaired)} segments by another session" in note for note in notes)


def test_a_segment_without_a_signal_has_no_number_of_it_and_stays_in(whole):
    masks, features = column(whole, "signal_mask"), column(whole, "signal_features")
    for name, mask in masks.items():
        for k, feature in enumerate(FEATURES):
            assert mask[SIGNALS.index(feature.signal)] or np.isnan(features[name][k])
    known = np.isfinite(np.array(list(features.values())))
    assert known[:, [f.name for f in FEATURES].index("eda_level")].mean() > 0.8


@functools.lru_cache
def samples_of(path: Path) -> list[tuple[float, float, str]]:
    """Time, value and id of every row of a file of bio-signals, by its text alone."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    names = [cells[-1] if cells[-1].startswith("Sess") else "" for cells in rows]
    if "KEMDy19" in str(path):  # no ECG here: value, time
        return [(float(cells[1]), float(cells[0]), name) for cells, name in zip(rows, names, strict=True)]
    names = [name and path.name[:6] + name[6:] for name in names]
    if "IBI" in str(path):
        return [(float(cells[0]), float(cells[1]), name) for cells, name in zip(rows[1:], names[1:], strict=True)]
    return [(k / 4, float(cells[0]), name) for k, (cells, name) in enumerate(zip(rows[2:], names[2:], strict=True))]


def window(samples: list, segment_id: str, dialogue: str, minimum: float) -> tuple[float, float]:
    """The segment, or so many seconds around its middle inside the dialogue; raises ValueError where that is too short."""
    own = [t for t, _, name in samples if name == segment_id]
    inside = [t for t, _, name in samples if name.startswith(dialogue + "_")]
    if own[-1] - own[0] >= minimum:
        return own[0], own[-1]
    if inside[-1] - inside[0] < minimum:
        raise ValueError("the dialogue is too short")
    start = min(max((own[0] + own[-1] - minimum) / 2, inside[0]), inside[-1] - minimum)
    return start, start + minimum


def plain_heart(samples: list, segment_id: str, dialogue: str) -> dict[str, float]:
    """Heart rate, RMSSD and SDNN of inter-beat intervals, with loops."""
    inside = [t for t, _, name in samples if name.startswith(dialogue + "_")]
    beats = [(t, i) for t, i, _ in samples if inside[0] <= t <= inside[-1]]
    normal = []
    for k, (_, interval) in enumerate(beats):
        around = [beats[min(max(j, 0), len(beats) - 1)][1] for j in range(k - 2, k + 3)]
        middle = statistics.median(around)
        normal.append(0.3 <= interval <= 2 and abs(interval - middle) <= 0.3 * middle)
    found = {}
    for name, minimum in (("heart_rate", 10), ("rmssd", 10), ("sdnn", 30)):
        try:
            start, end = window(samples, segment_id, dialogue, minimum)
        except ValueError:
            continue
        chosen = [k for k, (t, _) in enumerate(beats) if start <= t <= end]
        good = [beats[k][1] for k in chosen if normal[k]]
        pairs = [
            (beats[a][1], beats[b][1])
            for a, b in itertools.pairwise(chosen)
            if normal[a] and normal[b] and abs(beats[b][0] - beats[b][1] - beats[a][0]) <= 0.05
        ]
        if sum(good) < 0.5 * (end - start):
            continue
        if name == "rmssd" and len(pairs) >= 2:
            found[name] = 1000 * statistics.mean((q - p) ** 2 for p, q in pairs) ** 0.5
        elif name == "heart_rate" and len(good) >= 2:
            found[name] = 60 / statistics.mean(good)
        elif name == "sdnn" and len(good) >= 3:
            found[name] = 1000 * statistics.stdev(good)
    return found


def plain_levels(samples: list, segment_id: str, dialogue: str, signal: str, minimum: float) -> dict[str, float]:
    """Level, slope and range, with plain functions."""
    try:
        start, end = window(samples, segment_id, dialogue, minimum)
    except ValueError:
        return {}
    part = [(t, v) for t, v, _ in samples if start - 1e-6 <= t <= end + 1e-6]
    if len(part) < 0.9 * 4 * (end - start):
        return {}
    times, values = zip(*part, strict=True)
    slope = statistics.linear_regression(times, values).slope
    return {
        f"{signal}_level": statistics.mean(values),
        f"{signal}_slope": slope,
        f"{signal}_range": max(values) - min(values),
    }


def test_features_are_those_of_a_plain_reading_of_the_files(root, whole):
    """All of them but those of an ECG's beats and of skin responses, which other tests recompute; both corpora, all segments."""
    names = [feature.name for feature in FEATURES]
    masks, n_compared = column(whole, "signal_mask"), Counter()
    for segment_id, features in column(whole, "signal_features").items():
        is_twenty = "User" in segment_id
        dialogue = segment_id[:15] if is_twenty else segment_id[:-5]
        expected: dict[str, float] = {}
        for k, (signal, kind, minimum) in enumerate((("heart", "IBI", 0), ("eda", "EDA", 5), ("temp", "TEMP", 15))):
            if not masks[segment_id][k] or (signal == "heart" and not is_twenty):
                continue
            session = f"Session{segment_id[4:6]}"
            path = root / "KEMDy20_v1_1" / kind / session / f"{segment_id[:-4]}.csv"
            if not is_twenty:
                path = root / "KEMDy19" / kind / session / "Original" / f"Sess{segment_id[4:6]}{segment_id[-4]}.csv"
            rows = samples_of(path)
            expected |= (
                plain_heart(rows, segment_id, dialogue)
                if signal == "heart"
                else plain_levels(rows, segment_id, dialogue, signal, minimum)
            )
        for name, got in zip(names, features, strict=True):
            if name.startswith("scr") or (name in ("heart_rate", "rmssd", "sdnn") and not is_twenty):
                continue
            assert np.isfinite(got) == (name in expected), (segment_id, name)
            if name in expected:
                assert got == pytest.approx(expected[name], abs=1e-6), (segment_id, name)
                n_compared[name] += 1
    assert min(n_compared[name] for name in names if not name.startswith(("scr", "sdnn"))) > 40


# --- nothing where none were asked for --------------------------------------------------------------------------------
def test_without_signals_no_file_of_them_is_opened_and_the_columns_are_as_before(root, cache, whole, monkeypatch):
    opened = []

    def refuse(*args, **kwargs):
        opened.append(args)
        raise AssertionError("a file of bio-signals was opened")

    monkeypatch.setattr(signal_files, "read_regular", refuse)
    monkeypatch.setattr("erc.data.signal_build.known_checksums", refuse)
    monkeypatch.setattr("erc.data.signal_build.read_recording", refuse)
    plain = view(root, cache, signals=None)
    assert not opened and not any(name.startswith("signal") for name in plain.ds.column_names)
    assert plain.signals is None and whole.fingerprint.startswith(f"{plain.fingerprint}-")
    assert not [note for note in plain.notes if note.kind == "signals"]
    # control: with signals they are opened
    with pytest.raises(AssertionError, match="was opened"):
        view(root, cache)


def test_the_audio_of_a_view_is_the_same_with_signals(root, cache, whole):
    plain = view(root, cache, signals=None)
    assert plain.ds["segment_id"][:] == whole.ds["segment_id"][:]
    assert all(np.array_equal(plain[k]["waveform"], whole[k]["waveform"]) for k in (0, 7, len(whole) - 1))
    held = view(root, cache, validation_fold=0, mode="valid", dataset_name="kemdy20")
    features = column(whole, "signal_features")
    assert len(held) and all(
        np.array_equal(cells, features[name], equal_nan=True) for name, cells in column(held, "signal_features").items()
    )


# --- the build --------------------------------------------------------------------------------------------------------
def test_a_second_view_reads_the_build_and_a_changed_file_makes_another(root, cache, whole, tmp_path, capsys):
    assert view(root, cache).fingerprint == whole.fingerprint
    options = {"root": str(root), "cache_dir": str(cache), "signals": "features"}
    assert HF_KEMD.fingerprint_of(options, Path()) == whole.fingerprint
    assert HF_KEMD.fingerprint_of(options | {"signals": None}, Path()) != whole.fingerprint
    builds = {path.name for path in cache.glob("*-signals-*") if path.is_dir()}
    assert len(builds) == 2 and "Building" not in capsys.readouterr().err
    copy = Path(shutil.copytree(root / "KEMDy20_v1_1", tmp_path / "KEMDy20_v1_1"))
    same = view(tmp_path, cache, dataset_name="kemdy20")
    assert same.fingerprint.split("-")[1] == whole.fingerprint.split("-")[3]  # a copy is the same corpus
    path = copy / "EDA/Session01/Sess01_script01_User002M.csv"
    path.write_text(path.read_text().replace("4.000000", "5.000000", 1))
    changed = view(tmp_path, cache, dataset_name="kemdy20")
    assert changed.fingerprint.split("-")[0] == same.fingerprint.split("-")[0]
    assert changed.fingerprint.split("-")[1] != same.fingerprint.split("-")[1]


def test_a_quick_look_builds_no_more_than_it_shows(root, tmp_path):
    quick = view(root, tmp_path, num_data=3, dataset_name="kemdy20")
    assert len(quick) == 3 and len(quick.ds["signal_mask"][:]) == 3
    assert all(path.name.startswith(("kemdy20", "checksums", ".")) for path in tmp_path.iterdir())


@pytest.mark.parametrize("rest", [["annotation", "wav"], ["annotation", "wav", "EDA"]])
def test_a_corpus_without_bio_files_is_refused_and_one_without_some_is_noted(root, tmp_path, rest):
    for name in rest:
        shutil.copytree(root / "KEMDy20_v1_1" / name, tmp_path / "data/KEMDy20_v1_1" / name)
    if "EDA" not in rest:
        with pytest.raises(FileNotFoundError, match="got none of the folders IBI, EDA, TEMP .*dataset.signals=null"):
            view(tmp_path / "data", tmp_path / "cache", dataset_name="kemdy20")
        return
    found = view(tmp_path / "data", tmp_path / "cache", dataset_name="kemdy20")
    n = len(found)
    assert f"kemdy20: {n} of {n} segments without the signal temp ({n} no file)" in [str(note) for note in found.notes]
    assert [any(mask[k] for mask in found.ds["signal_mask"][:]) for k in range(3)] == [False, True, False]


def test_a_file_that_cannot_be_used_stops_or_leaves_its_segments_without_the_signal(root, tmp_path, capsys):
    folder = Path(shutil.copytree(root / "KEMDy20_v1_1", tmp_path / "data/KEMDy20_v1_1"))
    stem = "Sess01_script03_User002M"
    (folder / f"TEMP/Session01/{stem}.csv").write_text("1\n4\nwarm,10:00:00\n")
    with pytest.raises(
        ValueError, match=rf"(?s)must be usable: .*got 'warm' .*{stem}.csv, line 3.*on_bad_segment=skip"
    ):
        view(tmp_path / "data", tmp_path / "cache", dataset_name="kemdy20")
    found = view(tmp_path / "data", tmp_path / "cache", dataset_name="kemdy20", on_bad_segment="skip")
    masks = column(found, "signal_mask")
    assert (
        {name for name, mask in masks.items() if not mask[2]}
        >= {name for name in masks if name.startswith(stem)}
        != set()
    )
    assert "stay without a signal (on_bad_segment=skip)" in capsys.readouterr().err


def test_another_form_is_refused_by_name(root, cache):
    with pytest.raises(ValueError, match="signals must be one of features, sequence: got 'raw'"):
        view(root, cache, signals="raw")


# --- batches ----------------------------------------------------------------------------------------------------------
def test_a_batch_holds_the_features_and_a_mask_of_what_is_known(whole):
    collate = InputCollator(None, None, signals="features")
    assert collate.columns == ["segment_id", "signal_features"]
    rows = [whole[k] for k in range(20)]
    given = collate(rows)["inputs"]["signals"]
    features = np.stack([row["signal_features"] for row in rows])
    assert given["values"].shape == given["mask"].shape == (20, 11) and given["values"].dtype == torch.float32
    assert np.array_equal(given["mask"].numpy(), np.isfinite(features)) and not given["mask"].all()
    np.testing.assert_allclose(given["values"].numpy(), np.nan_to_num(features), rtol=1e-6)


def test_a_collator_reads_signals_only_where_the_data_set_holds_them(whole):
    plain, with_signals = (Collator(None, None, KEMD, "soft", signals=form) for form in (None, "features"))
    assert set(with_signals.columns) - set(plain.columns) == {"signal_features"}
    rows = [whole[k] for k in range(4)]
    assert set(with_signals(rows)["inputs"]) == {"signals"} and set(plain(rows)["inputs"]) == set()


def test_audio_text_and_labels_of_a_batch_are_the_same_with_signals_and_without(root, cache, whole):
    plain = view(root, cache, signals=None)
    tools = (load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")
    batches = [
        Collator(*tools, signals=ds.signals)([{k: ds[n][k] for k in ds.ds.column_names} for n in (3, 50)])
        for ds in (plain, whole)
    ]
    for modality in ("audio", "text"):
        for part in ("values", "mask"):
            assert torch.equal(*(batch["inputs"][modality][part] for batch in batches))
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in ("target", "hard_label", "is_tied", "va"))
    assert [set(batch["inputs"]) for batch in batches] == [{"audio", "text"}, {"audio", "text", "signals"}]


def test_the_form_that_was_not_asked_for_is_left_out_and_both_are_of_one_build(root, cache, whole):
    sequences = view(root, cache, signals="sequence")
    assert sequences.fingerprint == whole.fingerprint
    columns = set(sequences.ds.column_names) ^ set(whole.ds.column_names)
    assert columns == {"signal_sequence", "signal_features"} and "signal_sequence" in sequences.ds.column_names
    masks = column(whole, "signal_mask")
    for name, cells in column(sequences, "signal_sequence").items():
        known = np.isfinite(np.reshape(cells, (-1, 3))).any(axis=0)
        assert not (known & ~np.array(masks[name])).any()  # a signal that is not there has no step
    rows = [sequences[k] for k in range(6)]
    given = Collator(None, None, KEMD, "soft", signals="sequence")(rows)["inputs"]["signals"]
    assert given["values"].shape[0] == 6 and given["values"].shape[2] == 3 and given["mask"].any()


def test_a_sequence_tells_arousal_and_a_shuffled_one_does_not(root, cache):
    found = view(root, cache, signals="sequence", dataset_name="kemdy20")
    ends = [np.reshape(cells, (-1, 3))[-6:] for cells in found.ds["signal_sequence"][:]]
    means = np.array([end.mean(axis=0) if len(end) else [np.nan] * 3 for end in ends])
    arousal = np.array(found.ds["arousal"][:])
    known = np.isfinite(means[:, 1:]).all(axis=1)
    r = [np.corrcoef(arousal[known], means[known, k])[0, 1] for k in (1, 2)]
    assert r[0] > 0.25 and r[1] < -0.25  # skin conductance rises, the skin cools
    shuffled = np.random.default_rng(0).permutation(arousal[known])
    assert abs(np.corrcoef(shuffled, means[known, 1])[0, 1]) < 0.2


# --- what they say ----------------------------------------------------------------------------------------------------
def test_features_tell_arousal_of_unknown_speakers_and_shuffled_ones_do_not(whole):
    is_twenty = np.array(whole.ds["corpus"][:]) == "kemdy20"
    arousal, session = np.array(whole.ds["arousal"][:])[is_twenty], np.array(whole.ds["session"][:])[is_twenty]
    features = np.array(whole.ds["signal_features"][:])[is_twenty]
    features = np.where(np.isnan(features), np.nanmean(features, axis=0), features)

    def correlation(values: np.ndarray) -> float:
        """Of arousal with a ridge regression's guess at it, for each session by the others."""
        x = StandardScaler().fit_transform(values)
        return float(
            np.corrcoef(cross_val_predict(Ridge(5), x, arousal, groups=session, cv=LeaveOneGroupOut()), arousal)[0, 1]
        )

    shuffled = [correlation(np.random.default_rng(seed).permutation(features)) for seed in range(8)]
    assert correlation(features) > 0.3 and abs(np.mean(shuffled)) < 0.12


def test_shuffled_signals_are_exchanged_within_the_view_and_nothing_else_changes(root, cache):
    plain = view(root, cache, dataset_name="kemdy20")
    shuffled = view(root, cache, dataset_name="kemdy20", shuffle_signals=True)
    assert plain.ds["segment_id"][:] == shuffled.ds["segment_id"][:]
    before, after = (np.asarray(one.ds["signal_features"][:]) for one in (plain, shuffled))
    order = np.lexsort(before.T), np.lexsort(after.T)
    np.testing.assert_array_equal(before[order[0]], after[order[1]])
    moved = ~((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=1)
    assert moved.mean() > 0.5
    assert column(plain, "arousal") == column(shuffled, "arousal")
    again = view(root, cache, dataset_name="kemdy20", shuffle_signals=True)
    np.testing.assert_array_equal(np.asarray(again.ds["signal_features"][:]), after)
