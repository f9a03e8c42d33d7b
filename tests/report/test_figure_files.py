"""A grid's figures as a whole: what is drawn, what is missing, and the files."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from invented_cells import fold_values, write_cell
from kemd_columns import PROB
from matplotlib.text import Text
from PIL import Image
from sklearn.metrics import confusion_matrix

from erc.evaluation import alignment
from erc.report import arrangement, grid_results
from erc.report.figures import curves, drawing, embedding_map, over_folds, spec, style
from erc.report.figures.spec import GridView

NAMES = ("map", "peakl", "confusion", "f1", "calibration", "predictions", "curves", "folds", "corpus")

ELSEWHERE = {"robustness"}
"""Figures of what a command of its own computes: without that they are not mentioned."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def labels_of(ax):
    """Texts within a panel, without its letter."""
    return [text.get_text() for text in ax.texts if text.get_fontweight() != "bold"]


@pytest.mark.parametrize("vector", ["pdf", "svg"])
def test_saved_files_have_their_size_and_are_the_same_again(rng, tmp_path, vector):
    """Bytes are equal within one process: the versions of matplotlib and FreeType decide them, no BLAS and no threads."""
    for name in ("one", "two"):
        fig = over_folds.draw_folds(fold_values(np.random.default_rng(0), 3))
        drawing.save(fig, tmp_path / name, vector)
    files = {f"{name}.{kind}" for name in ("one", "two") for kind in ("png", vector)}
    assert {path.name for path in tmp_path.iterdir()} == files
    with Image.open(tmp_path / "one.png") as image:
        assert image.width == pytest.approx(174 / 25.4 * 300, abs=1)
        assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
    for kind in ("png", vector):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


@pytest.fixture(scope="module")
def written_grid(tmp_path_factory):
    grid, rng = tmp_path_factory.mktemp("figures") / "grid", np.random.default_rng(0)
    for row in ("tensor_mixer_peakl", "concat_peakl"):
        for fold in range(2):
            write_cell(grid, row, fold, rng)
    return grid


@pytest.fixture
def grid(written_grid, tmp_path):
    return shutil.copytree(written_grid, tmp_path / "grid")


def draw(grid, out_dir):
    """Every figure of a grid, of its default row."""
    rows = grid_results.load(grid)
    return drawing.draw_all(GridView(rows, grid_results.choose_row(rows), n_resamples=50), out_dir)


@pytest.mark.slow
def test_the_command_writes_every_figure_it_has_input_for(grid, capsys, monkeypatch):
    said = drawing.draw_figures(str(grid), n_resamples=50)
    out = grid / "figures"
    drawn = set(NAMES) - {"corpus"}
    assert {path.name for path in out.iterdir()} == {f"{n}.{kind}" for n in drawn for kind in ("png", "pdf")} | {
        "alignment.csv"
    }
    said_of_all = capsys.readouterr().out.splitlines()
    lines = [line for line in said_of_all if not line.startswith(" ")]
    assert len(lines) == len(NAMES)
    findings = [line.strip() for line in said_of_all if line.startswith(" ")]
    assert len(findings) > 3 and all(finding.endswith(".") for finding in findings)
    with monkeypatch.context() as patch:  # once more, without the files
        patch.setattr(drawing, "save", lambda *_: None)
        assert findings == [one.finding for one in draw(grid, out) if one.finding]
    assert [line for line in lines if "left out" in line] == [line for line in lines if line.startswith("corpus ")]
    assert "config.yaml" in next(line for line in lines if line.startswith("corpus "))
    assert said == f"8 figures of Tensor Mixer Network, PeakL (2/5 folds) in {out}"
    with Image.open(out / "map.png") as image:
        assert image.width == pytest.approx(174 / 25.4 * 300, abs=1)


def test_what_was_drawn_is_returned_in_order_and_told_one_by_one(grid, kept):
    seen = []
    rows = grid_results.load(grid)
    drawn = drawing.draw_all(GridView(rows, rows[0], n_resamples=50), grid / "figures", on_figure=seen.append)
    assert seen == drawn
    assert [one.name for one in drawn] == [spec.name for spec in drawing.FIGURES if spec.name not in ELSEWHERE]
    for one in drawn:
        assert one.path == (None if one.name == "corpus" else grid / "figures" / f"{one.name}.png")
        assert bool(one.missing) == (one.name == "corpus")
    assert (grid / "figures" / "alignment.csv").is_file()


def test_alignment_csv_goes_with_the_map(grid, kept):
    for path in grid.glob("*/*/embeddings.npz"):
        path.unlink()
    draw(grid, grid / "figures")
    assert not (grid / "figures" / "alignment.csv").exists()


def test_every_figure_is_one_file_with_a_name_a_text_and_a_caption():
    folder = Path(drawing.__file__).parent
    shared = {"__init__", "drawing", "spec", "style", "matrix", "themed_svg"}
    files = {path.stem for path in folder.glob("*.py")} - shared
    modules = {spec.draw.__module__.rsplit(".", 1)[1]: spec for spec in drawing.FIGURES}
    assert set(modules) == files and len(drawing.FIGURES) == len(files)
    assert {spec.name for spec in drawing.FIGURES} == {*NAMES, *ELSEWHERE}
    for one in drawing.FIGURES:
        assert drawing.spec_of(one.name) is one
        assert len(one.alt) > 20 and not one.alt.endswith(".")
        assert len(one.caption) > 20 and one.caption.endswith(".")


def test_alignment_csv_has_every_row_and_fold(grid, kept):
    """Numbers are equal to the last bit: ranks of distances decide them, and rounding of the same input in one process is
    the same for every processor, BLAS kernel and thread count."""
    drawing.draw_figures(str(grid), row="concat_peakl", n_resamples=50)
    with open(grid / "figures" / "alignment.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {(line["row"], line["fold"]) for line in lines} == {
        (row, fold) for row in ("tensor_mixer_peakl", "concat_peakl") for fold in "01"
    }
    for row in grid_results.load(grid):
        for fold, run in row.first_seed().items():
            line = next(one for one in lines if (one["row"], one["fold"]) == (row.name, str(fold)))
            va, embedding, hard = arrangement.vectors(run)
            assert (float(line["rho"]), float(line["p"])) == alignment.mantel(va, embedding, hard)[:2]
            assert bool(line["trustworthiness"]) == (row.name == "concat_peakl")
            assert len(va) == int(line["n_segments"]) == run.result["selected"]["metrics"]["n_scored"]


def test_figures_say_whether_the_corpus_is_synthetic(grid, kept, tmp_path, rng):
    drawing.draw_figures(str(grid), out=str(tmp_path / "out"), n_resamples=50)
    for fig in kept.values():
        assert style.SYNTHETIC_REMARK in [text.get_text() for text in fig.findobj(Text)]
    for row in ("tensor_mixer_peakl", "tensor_mixer_hard"):
        write_cell(tmp_path / "real", row, 0, rng, is_synthetic=False)
    kept.clear()
    drawing.draw_figures(str(tmp_path / "real"), n_resamples=50)
    for fig in kept.values():
        assert style.SYNTHETIC_REMARK not in [text.get_text() for text in fig.findobj(Text)]


def test_figures_of_a_grid_are_of_its_predictions(grid, kept):
    drawing.draw_figures(str(grid), n_resamples=50)
    row = next(row for row in grid_results.load(grid) if row.name == "tensor_mixer_peakl")
    table = pd.concat([run.predictions for run in row.first_seed().values()])
    table = table[~table["is_tied"]]
    expected = confusion_matrix(table["hard_label"], table[PROB].to_numpy().argmax(axis=1), labels=range(7))
    assert [int(text) for text in labels_of(kept["confusion"].axes[0])] == expected.ravel().tolist()
    for column, metric in enumerate(("weighted_f1", "ccc_arousal", "ccc_valence")):
        mean = row.values(metric).mean()
        assert f"{mean:.3f}".lstrip("0") in labels_of(kept["folds"].axes[column])
    ccc = row.values("ccc_valence").mean()
    assert f"CCC {ccc:.3f}".replace("0.", ".") in kept["predictions"].axes[0].get_title(loc="left")
    shown = embedding_map.median_fold(dict(zip(row.folds, row.values("weighted_f1"), strict=True)))
    assert f"fold {shown} (median F1)" in kept["map"].axes[-1].get_title(loc="left")


def test_the_width_is_that_of_a_column_where_asked_for(grid, kept):
    drawing.draw_figures(str(grid), n_resamples=20, width="column")
    widths = {name: fig.get_figwidth() * 25.4 for name, fig in kept.items()}
    assert widths == pytest.approx(dict.fromkeys(widths, 84)) and len(widths) == 8


@pytest.mark.slow
def test_the_page_s_svg_is_made_only_where_asked_for(grid, kept):
    rows = grid_results.load(grid)
    for for_page in (False, True):
        view = GridView(rows, rows[0], n_resamples=20)
        for one in drawing.draw_all(view, grid / "figures", for_page=for_page):
            assert one.svg.startswith("<svg role") == (for_page and one.path is not None), one.name


def test_intervals_that_are_known_are_not_computed_again(grid, monkeypatch):
    rows = grid_results.load(grid)
    known = GridView(rows, rows[0], n_resamples=20).intervals
    monkeypatch.setattr(spec, "intervals", None)
    values = over_folds.values_of(GridView(rows, rows[0], known_intervals=known))
    row = values["Weighted-F1"][rows[0].title]
    assert (row.low, row.high) == known[rows[0].name]["weighted_f1"].folds[1:]
    assert list(row.by_fold.values()) == rows[0].values("weighted_f1").tolist()


@pytest.mark.parametrize(
    ("callbacks", "protocol", "chooser"),
    [
        ({"best": {"monitor": "valid/accuracy"}}, "paper", "valid/accuracy"),
        ({"best": {"monitor": "valid/accuracy"}}, "last", ""),
        ({"best": None}, "paper", ""),
        (None, "paper", ""),
    ],
)
def test_curves_take_the_metric_that_chose_from_the_configuration(grid, callbacks, protocol, chooser):
    row = grid_results.load(grid)[0]
    for run in row.runs.values():
        run.result["protocol"] = protocol
        config = {"dataset": {}, "protocol": protocol, "callbacks": callbacks}
        (run.folder / "config.yaml").write_text(yaml.safe_dump(config))
    view = GridView([row], row)
    titles = [ax.get_title(loc="left") for ax in curves.FIGURE.draw(view).axes]
    assert ("Accuracy\n(chose the epoch)" in titles) == bool(chooser)
    assert curves.FIGURE.finding(view).startswith("Accuracy chose epoch 2 of 2") == bool(chooser)


def test_missing_embeddings_leave_out_what_needs_them(grid, kept, capsys):
    missing = "embeddings.npz"
    for path in grid.glob(f"*/*/{missing}"):
        path.unlink()
    drawn = draw(grid, grid / "figures")
    assert capsys.readouterr().out == ""
    assert [one.name for one in drawn] == [spec.name for spec in drawing.FIGURES if spec.name not in ELSEWHERE]
    needs = {"embeddings.npz": {"map", "corpus"}}
    assert {one.name for one in drawn if one.path is None} == needs[missing]
    assert {one.name for one in drawn if one.missing} == needs[missing]
    assert all(missing in one.missing for one in drawn if one.missing and one.name != "corpus")
    drawing.draw_figures(str(grid), n_resamples=50)
    left_out = {line.split()[0] for line in capsys.readouterr().out.splitlines() if "left out" in line}
    assert left_out == needs[missing]


def test_a_cell_without_predictions_is_in_no_figure(grid):
    paths = sorted(grid.glob("*/*/predictions.csv"))
    paths[0].unlink()
    with pytest.warns(UserWarning, match="Left out, .*predictions.csv: the file cannot be read"):
        rows = grid_results.load(grid)
    assert sum(len(row.runs) for row in rows) == len(paths) - 1
    for path in paths[1:]:
        path.unlink()
    with pytest.warns(UserWarning), pytest.raises(FileNotFoundError, match=r"none that can be used.*predictions\.csv"):
        drawing.draw_figures(str(grid), n_resamples=50)


def test_embeddings_of_other_segments_are_an_error(grid, kept):
    path = next(grid.glob("tensor_mixer_peakl/fold0*/embeddings.npz"))
    with np.load(path) as file:
        others = np.char.add(file["segment_id"].astype(str), "x")
        np.savez(path, segment_id=others, embedding=file["embedding"])
    with pytest.raises(ValueError, match="must be of the same segments"):
        drawing.draw_figures(str(grid), n_resamples=50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"row": "mlp"}, "one of concat_peakl, tensor_mixer_peakl: got 'mlp'"),
        ({"fold": 4}, r"one of \[0, 1\]: got 4"),
        ({"vector": "eps"}, "pdf or svg"),
        ({"width": "poster"}, "width must be column or page: got 'poster'"),
    ],
)
def test_the_command_names_bad_arguments(grid, arguments, message):
    with pytest.raises(ValueError, match=message):
        drawing.draw_figures(str(grid), **arguments)


def test_an_empty_grid_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="finished cells"):
        drawing.draw_figures(str(tmp_path))


@pytest.mark.slow
def test_corpus_figure_is_of_the_data_set_that_the_run_names(corpora, cache_dir, tmp_path, rng):
    run_dir = write_cell(tmp_path, "tensor_mixer_peakl", 0, rng)
    dataset = {"dataset_name": "kemdy20", "root": str(corpora), "cache_dir": str(cache_dir), "exclude": "paper"}
    dataset |= {"validation_fold": 0}
    config = {"dataset": dataset, "protocol": "paper", "dataloader": {"collate": {"max_samples": 24_000}}}
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    run = next(iter(grid_results.load(tmp_path)[0].runs.values()))
    table, cut = spec.corpus_table(run)
    assert cut == 1.5 and set(table["corpus"]) == {"kemdy20"} and set(table["fold"]) == set(range(5))
    listing = {path.stem: path.stat().st_size for path in (corpora / "KEMDy20_v1_1" / "wav").rglob("*.wav")}
    assert len(table) == len(listing)
    assert (2 * 16_000 * table["seconds"]).sum() == pytest.approx(sum(listing.values()) - 44 * len(listing), rel=0.01)
    drawing.draw_figures(str(tmp_path), n_resamples=20, only="corpus")
    assert (tmp_path / "figures" / "corpus.png").is_file()


def test_history_of_a_result_file_is_what_curves_take(grid):
    result = json.loads(next(grid.glob("*/*/result.json")).read_text())
    fig = curves.draw_curves({0: result["history"]}, {0: result["selected"]["epoch"]})
    assert fig.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0]
