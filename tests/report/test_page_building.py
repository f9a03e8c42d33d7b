"""The page of real synthetic corpora: its media, its raters, and the command that builds it."""

from __future__ import annotations

import base64
import inspect
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from programs import run_program

from erc.data import KEMD
from erc.datasets import HF_KEMD
from erc.evaluation import predictions as evaluation_predictions, rater_reference
from erc.report import grid_results, raters, rendering
from erc.report.figures import spec
from erc.report.page import explorer as page_explorer, media as page_media, sections as page_sections
from erc.synthetic import corpora


def test_the_audio_of_the_page_is_what_was_said():
    rng = np.random.default_rng(0)
    envelope = np.repeat(rng.uniform(0, 1, 30), 1600)
    waveform = (envelope * 8000 * np.sin(2 * np.pi * 300 * np.arange(48000) / 16000)).astype(np.int16)
    audio = page_media.mp3(waveform)
    assert len(audio) * 8 / 3 == pytest.approx(24_000, rel=0.05)  # bit/s
    heard, rate = soundfile.read(io.BytesIO(audio), dtype="float64")
    assert rate == 16000 and len(heard) == pytest.approx(48000, abs=2500)
    loudness = [np.abs(part[:44800]).reshape(280, -1).mean(axis=1) for part in (heard, waveform.astype(float))]
    # the codec begins up to a tenth of a second late
    alike = [np.corrcoef(loudness[0][lag:], loudness[1][: 280 - lag])[0, 1] for lag in range(10)]
    assert max(alike) > 0.95


def test_the_door_has_the_options_of_the_page():
    from erc import report
    from erc.report.page import building

    assert inspect.signature(report.build) == inspect.signature(building.build)


def test_the_package_imports_nothing_heavy():
    code = (
        "import sys, erc.report; print(sorted({'numpy', 'pandas', 'matplotlib', 'umap', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, str]:
    """``root`` and ``cache_dir`` of synthetic corpora that are smaller than those that all tests share."""
    folder = tmp_path_factory.mktemp("tiny")
    corpora.write(root=str(folder / "data"), sessions=5, segments=2, seconds=0.5, bio=False)
    return {"root": str(folder / "data"), "cache_dir": str(folder / "cache")}


@pytest.fixture(scope="module")
def sample_grid(tmp_path_factory, data) -> Path:
    """One row and fold of invented predictions of a synthetic corpus's segments."""
    ds = HF_KEMD("test", 1, **data).ds
    truth = evaluation_predictions.truth_table(ds, KEMD)
    rng = np.random.default_rng(0)
    gathered = {
        "segment_id": truth["segment_id"].to_numpy().astype(str),
        "emotion_probs": rng.dirichlet(np.ones(7), len(truth)),
        "pred_va": rng.uniform(1, 5, (len(truth), 2)),
        "embedding": rng.normal(0, 1, (len(truth), 8)) + 2 * truth["hard_label"].to_numpy()[:, None],
    }
    facts = dict(experiment="demo", fusion="tensor_mixer", target="peakl", fold=1, protocol="paper")
    facts |= dict(seed=42, corpora=["kemdy19", "kemdy20"], is_synthetic=True, n_chosen_on=len(truth), fingerprint="f")
    facts |= dict(label_space=KEMD, n_folds=5)
    facts |= dict(human=rater_reference(ds, KEMD), code={}, versions={"erc": "0.1.0"}, seconds=1.0, peak_memory_mb=1.0)
    table = evaluation_predictions.predictions_table(ds, KEMD, gathered)
    result = evaluation_predictions.make_result(table, truth, [{"epoch": 0, "valid/accuracy": 0.5}], 0, facts)
    cell = tmp_path_factory.mktemp("runs") / "grid" / "tensor_mixer_peakl" / "fold1-seed42"
    cell.mkdir(parents=True)
    evaluation_predictions.write_fold(cell, table, result, gathered)
    dataset = dict(_target_="erc.datasets.HF_KEMD", _partial_=True, dataset_name="kemdy19-kemdy20", **data)
    dataset |= dict(validation_fold=1, num_data=None, num_proc=1, exclude="paper")
    dataset |= dict(transcript="raw", on_bad_segment="raise")
    config = {"dataset": dataset, "protocol": "paper", "dataloader": {"collate": {"max_samples": 112000}}}
    (cell / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return cell.parents[1]


def test_media_are_those_of_the_segment(sample_grid, data):
    row = grid_results.load(sample_grid)[0]
    explorer = page_explorer.explore([row], row)
    (one,) = explorer.segments
    table = one.table
    page_media.add_media(explorer, row, max_audio_mb=1000)
    by_id = {segment["segment_id"]: segment for segment in HF_KEMD("test", 1, **data)}
    assert len(one.transcripts) == len(one.audio) == len(table) > 50
    for k in range(0, len(table), 17):
        segment = by_id[table["segment_id"][k]]
        assert one.transcripts[k] == segment["transcript"]
        assert one.audio[k] == page_media.mp3(segment["waveform"])


def test_audio_beyond_the_limit_is_left_out_evenly(sample_grid):
    row = grid_results.load(sample_grid)[0]
    explorer = page_explorer.explore([row], row)
    (one,) = explorer.segments
    page_media.add_media(explorer, row, max_audio_mb=0.05)
    held = np.array([bool(audio) for audio in one.audio])
    assert sum(len(base64.b64encode(audio)) for audio in one.audio) <= 0.05e6
    assert 0 < held.sum() < len(held)
    assert held[: len(held) // 2].any() and held[len(held) // 2 :].any()
    with pytest.raises(ValueError, match="max_audio_mb must be 0 or more"):
        page_media.add_media(explorer, row, max_audio_mb=-1)


def test_segments_that_the_corpora_do_not_have_are_refused(sample_grid):
    row = grid_results.load(sample_grid)[0]
    explorer = page_explorer.explore([row], row)
    explorer.segments[0].table = explorer.segments[0].table.copy()
    explorer.segments[0].table.loc[0, "segment_id"] = "Sess01_script99_F001"
    with pytest.raises(ValueError, match="Every predicted segment must be in the data set: 1 of fold 1"):
        page_media.add_media(explorer, row, max_audio_mb=1)


def test_the_raters_agreement_is_that_of_the_data_set(sample_grid, data):
    (table,) = page_sections.raters_section(grid_results.load(sample_grid)[0], 20).tables
    found = raters.agreement(HF_KEMD("test", -1, **data), KEMD, n_resamples=20)
    assert len(table.rows) == len({(one.group, one.ratings) for one in found})
    cells = {
        (row[0], row[1], column): cell for row in table.rows for column, cell in zip(table.header, row, strict=True)
    }
    names = page_sections.RATER_COLUMNS
    for one in found:
        ends = "" if np.isnan(one.low) else f" ({rendering.short(one.low)} to {rendering.short(one.high)})"
        line = one.group, one.ratings
        if one.statistic in names:
            assert cells[(*line, names[one.statistic])] == rendering.short(one.estimate) + ends
        elif one.statistic == "correlation_min":
            assert cells[(*line, names["correlation_range"])].startswith(f"{rendering.short(one.estimate)} to ")
        else:
            assert cells[(*line, names["correlation_range"])].endswith(f" to {rendering.short(one.estimate)}")
        if not np.isnan(one.known):
            assert cells[(*line, names["known"])] == rendering.short(one.known)


def test_all_parts_of_a_page_are_of_the_one_data_set_of_the_run(sample_grid, tmp_path):
    """With ``num_data`` set, the figure of the corpora and the raters' agreement count the same segments."""
    grid = shutil.copytree(sample_grid, tmp_path / "grid")
    path = grid / "tensor_mixer_peakl" / "fold1-seed42" / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["dataset"]["num_data"] = 40
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    row = grid_results.load(grid)[0]
    table, _ = spec.corpus_table(next(iter(row.runs.values())))
    assert len(table) == 40
    note = page_sections.raters_section(row, 20).paragraphs[0]
    assert sum(int(n) for n in re.findall(r"(\d+) segments", note)) == 40


@pytest.mark.slow
def test_one_command_writes_tables_figures_and_a_page(sample_grid, tmp_path):
    out = tmp_path / "report"
    done = run_program(
        "-m", "fire", "erc.report", "build", f"--runs={sample_grid}", f"--out={out}/", "--n-resamples=20"
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[0]
    assert re.match(rf"{re.escape(str(out / 'index.html'))}: \d+\.\d MB, \d+ segments, 1 run, \d figures", last)
    assert "without transcripts and audio" in last
    assert "report: 100%" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["figures", "index.html"]
    text = (out / "index.html").read_text(encoding="utf-8")
    assert len(text) < 15e6
    assert text.count('<svg role="img"') == len(list((out / "figures").glob("*.png")))
    for title in ("arranged as the raters arrange them", "Agreement of the raters", "python -m erc report"):
        assert title in text
    assert all(transcript not in text for transcript in transcripts_of(sample_grid))
    assert (sample_grid / "table.md").is_file()


def transcripts_of(grid: Path) -> list[str]:
    """Transcripts of a few words, which no heading could hold by chance."""
    run = next(iter(grid_results.load(grid)[0].runs.values()))
    found = run.dataset().ds["transcript"]
    return [transcript for transcript in found if len(transcript) > 8]
