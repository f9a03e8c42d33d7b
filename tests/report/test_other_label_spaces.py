"""Corpora with other emotions, raters and dimensions than KEMD: from predictions to tables, figures and page."""

from __future__ import annotations

import base64
import json
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from browsing import bring, text_of
from invented_cells import fold_values
from invented_pages import data_of
from matplotlib.collections import PathCollection
from matplotlib.text import Text
from other_corpora import FIVE, ONE_VOTE, TWELVE, draw_votes, make_table, write_cell, write_grid
from scipy.stats import pearsonr
from sklearn.metrics import f1_score
from test_figure_style import drawn_texts, overlaps

from erc.evaluation import Columns, disagreement, read_predictions
from erc.report import grid_results, raters, tables
from erc.report.figures import corpus_overview, curves, drawing, over_folds
from erc.report.figures.spec import GridView
from erc.report.page import building

SPACES = {"five": FIVE, "twelve": TWELVE, "one vote": ONE_VOTE}


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grids")
    return {name: write_grid(folder / name.replace(" ", "_"), space) for name, space in SPACES.items()}


@pytest.fixture(scope="module")
def figures(grids, tmp_path_factory):
    """What is drawn of a space, and the figures, each by name; without files, since writing takes the time."""

    @cache
    def draw(name, width="page"):
        rows, found = grid_results.load(grids[name]), {}
        view = GridView(rows, rows[0], n_resamples=50, width=width)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(drawing, "save", lambda fig, stem, vector: found.__setitem__(stem.name, fig))
            return {one.name: one for one in drawing.draw_all(view, tmp_path_factory.mktemp("figures"))}, found

    return draw


@pytest.fixture(scope="module")
def page(grids, tmp_path_factory):
    """Text of a space's page."""

    @cache
    def build(name):
        out = tmp_path_factory.mktemp("page")
        building.build(str(grids[name]), out=str(out), n_resamples=20)
        return (out / "index.html").read_text(encoding="utf-8")

    return build


# --- evaluation -------------------------------------------------------------------------------------------------------
def test_a_result_of_another_label_space_has_its_metrics_only_and_reads_back(tmp_path):
    run_dir = write_cell(tmp_path, "concat_soft", 0, FIVE)
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    assert result["n_unlabelled"] == {"emotion": 1, "valence": 1} and result["n_folds"] == 3
    metrics = result["selected"]["metrics"]
    assert {name for name in metrics if name.startswith("f1_")} == {f"f1_{emotion}" for emotion in FIVE.emotions}
    assert {name for name in metrics if name.startswith("ccc_")} == {"ccc_valence", "ccc_valence_all"}
    table = read_predictions(run_dir / "predictions.csv", FIVE, result["predictions_sha256"])
    assert disagreement(table, result) == ""
    scored = table[~table["is_tied"] & (table["hard_label"] >= 0)]
    guess = scored[Columns(FIVE).prob].to_numpy().argmax(axis=1)
    assert metrics["weighted_f1"] == pytest.approx(f1_score(scored["hard_label"], guess, average="weighted"))
    x, y = (table.loc[~table["is_tied"] & table["valence"].notna(), name] for name in ("valence", "pred_valence"))
    covariance = pearsonr(x, y)[0] * np.std(x) * np.std(y)  # Lin (1989) by the correlation
    expected = 2 * covariance / (np.var(x) + np.var(y) + (np.mean(x) - np.mean(y)) ** 2)
    assert metrics["ccc_valence"] == pytest.approx(expected)
    assert metrics["n_scored"] == len(scored) == len(table) - metrics["n_tied"] - 1


# --- tables -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SPACES)
def test_tables_have_the_columns_of_the_label_space_and_no_nan(grids, name, tmp_path):
    space = SPACES[name]
    text = tables.save_tables(tmp_path, tables.make_tables(grid_results.load(grids[name]), n_resamples=50))
    titles = {"CCC (valence)": "valence", "CCC (arousal)": "arousal", "CCC (dominance)": "dominance"}
    for title, dimension in titles.items():
        assert (title in text) == (dimension in space.dimensions), title
        assert (title in (tmp_path / "table.tex").read_text()) == (dimension in space.dimensions), title
    lines = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    found = {metric for metric in lines["metric"] if metric.startswith("ccc_")}
    assert found == {f"ccc_{dimension}" for dimension in space.dimensions}
    for file in ("table.md", "table.tex"):
        assert not re.search(r"\bnan\b", (tmp_path / file).read_text(encoding="utf-8"), re.IGNORECASE), file
    # one rater always agrees: the other strata of agreement have no segment, hence no figure
    undefined = lines[(lines == "nan").any(axis=1)]
    assert set(undefined["metric"]) <= {"f1_<60 %", "f1_60-79 %", "f1_80-99 %"}
    assert "Beside the published" not in text and "published" not in set(lines["quantity"])  # those are of KEMD
    assert "/3 folds)" not in text and "/5 folds)" not in text  # all three are there


# --- figures ----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("five", {"map": "the plane needs ratings of valence and arousal"}),
        ("twelve", {}),
        (
            "one vote",
            {
                "map": "the plane needs ratings",
                "predictions": "no untied segment has a rating",
                "peakl": "the raters of every untied segment agree, or there is one",
            },
        ),
    ],
)
def test_every_figure_is_drawn_that_the_labels_allow_and_the_others_say_why_not(figures, name, missing):
    drawn, kept = figures(name)
    missing = missing | {"corpus": "is not there"}  # these cells have no configuration, hence no corpora
    assert {one for one, what in drawn.items() if what.missing} == missing.keys()
    for one, reason in missing.items():
        assert reason in drawn[one].missing
    assert set(kept) == drawn.keys() - missing.keys()


@pytest.mark.slow
@pytest.mark.parametrize("width", ["page", "column"])
@pytest.mark.parametrize("name", SPACES)
def test_text_of_other_label_spaces_is_legible_and_does_not_overlap(figures, name, width):
    for one, fig in figures(name, width)[1].items():
        texts = drawn_texts(fig)
        assert overlaps(texts) == [], one
        outside = [
            text.get_text()
            for text, box in texts.items()
            if box.x0 < 0 or box.y0 < 0 or box.x1 > fig.bbox.x1 or box.y1 > fig.bbox.y1
        ]
        assert outside == [], one


def test_segments_without_a_label_are_left_out_and_counted(grids, figures):
    kept = figures("five")[1]

    def texts(name):
        return [text.get_text() for text in kept[name].findobj(Text)]

    for name in ("confusion", "f1", "calibration", "peakl"):
        assert "left out: 3 without votes" in texts(name), name  # one in each fold
    assert "grey: 3 without votes; left out: 3 without a rating" in texts("predictions")
    assert "valence, mean of the raters" in texts("predictions")
    row = grid_results.load(grids["five"])[0]
    table = pd.concat([run.predictions for run in row.first_seed().values()])
    scored = int((~table["is_tied"] & (table["hard_label"] >= 0)).sum())
    counts = [text.get_text() for text in kept["confusion"].axes[0].texts if text.get_fontweight() != "bold"]
    assert sum(map(int, counts)) == scored
    scatters = [part for part in kept["predictions"].axes[0].collections if isinstance(part, PathCollection)]
    points = sum(len(part.get_offsets()) for part in scatters)
    assert points == int((~table["is_tied"] & table["valence"].notna()).sum())
    mean = f"CCC {row.values('ccc_valence').mean():.3f}".replace("0.", ".")
    assert mean in kept["predictions"].axes[0].get_title(loc="left")


@pytest.mark.parametrize("name", SPACES)
def test_the_corpora_s_figure_counts_votes_agreement_and_folds(name, tmp_path):
    space, rng = SPACES[name], np.random.default_rng(3)
    parts = [make_table(rng, space, fold).assign(fold=fold) for fold in range(6)]
    table = pd.concat(parts, ignore_index=True)
    votes = table[Columns(space).votes].to_numpy()
    table = table.assign(votes=votes.tolist(), seconds=rng.uniform(1, 9, len(table)))
    fig = corpus_overview.draw_corpus(table, space, 7.0)
    assert overlaps(drawn_texts(fig)) == []
    votes_ax, agreement_ax, _, folds_ax = fig.axes
    assert [bar.get_height() for bar in votes_ax.patches] == pytest.approx(votes.sum(axis=0) / votes.sum())
    assert sum(bar.get_height() for bar in agreement_ax.patches) == pytest.approx(1)
    bars = np.array([bar.get_height() for bar in folds_ax.patches]).reshape(6, space.n_emotions + 2)
    assert bars.sum(axis=1) == pytest.approx(1)
    assert bars[:, -1] == pytest.approx(1 / 90)  # the segment that nobody voted on
    assert bars[0, -2] == pytest.approx(parts[0]["is_tied"].mean())


@pytest.mark.parametrize("n_folds", [2, 10, 20])
def test_any_number_of_folds_is_drawn(n_folds):
    rng = np.random.default_rng(0)
    folds = over_folds.draw_folds(fold_values(rng, 3, n_folds))
    history = [{"epoch": k, "train/loss": 1.0, "valid/weighted_f1": 0.1 * k} for k in range(4)]
    by_epoch = curves.draw_curves(dict.fromkeys(range(n_folds), history), dict.fromkeys(range(n_folds), 2))
    for fig in (folds, by_epoch):
        assert overlaps(drawn_texts(fig)) == []
    lines = by_epoch.axes[0].lines
    looks = {(line.get_color(), line.get_marker()) for line in lines if line.get_linestyle() != "None"}
    assert len(looks) == n_folds
    for ax in folds.axes:
        dots = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
        assert np.abs(np.array(dots) - np.arange(3)[:, None]).max() <= 0.34  # beside their row's mean


# --- raters -----------------------------------------------------------------------------------------------------------
def test_another_corpus_is_one_rater_group():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 60)
    said = np.where(rng.random((60, 3)) < 0.7, truth[:, None], rng.integers(0, 4, (60, 3)))
    valence = (rng.integers(1, 6, (60, 1)) + rng.integers(0, 3, (60, 3))).astype(float)
    table = pd.DataFrame({"corpus": "elsewhere", "session": range(60), "dialogue": np.arange(60) % 12})
    space = FIVE.__class__(FIVE.emotions, ("valence",), (1.0, 7.0), 3)
    full = table.assign(emotion_ratings=said.tolist(), valence_ratings=valence.tolist())
    found = {(one.ratings, one.statistic): one for one in raters.agreement(full, space, n_resamples=50)}
    assert {one.group for one in found.values()} == {"elsewhere"}
    assert {kind for kind, _ in found} == {"emotion", "valence"} and ("valence", "correlation_mean") in found
    assert all(np.isnan(one.known) for one in found.values())
    # raters who differ in number: what needs the same raters throughout is not computed
    ragged = full.assign(emotion_ratings=[row[: 2 + k % 2] for k, row in enumerate(said.tolist())])
    found = {(one.ratings, one.statistic): one for one in raters.agreement(ragged, FIVE, n_resamples=50)}
    assert {statistic for _, statistic in found} == {"alpha_nominal", "alpha_ordinal", "alpha_interval"}
    with pytest.raises(raters.NoRaters, match="every segment of these corpora has one"):
        raters.agreement(table, ONE_VOTE)
    with pytest.raises(raters.NoRaters, match="emotion_ratings, valence_ratings is missing"):
        raters.agreement(table, FIVE)


# --- page -------------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_the_page_is_of_the_label_space(page, name):
    space, text = SPACES[name], page(name)
    data = data_of(text)
    assert tuple(data["emotions"]) == space.emotions and tuple(data["dimensions"]) == space.dimensions
    assert data["hasPlane"] == space.has_plane == ('id="va"' in text) and data["language"] is None
    assert len(set(zip(data["colours"], data["symbols"], strict=True))) == space.n_emotions
    for one in data["segments"]:
        rated = np.frombuffer(base64.b64decode(one["rated"]["data"]), "<f4")
        assert np.isnan(rated).sum() == len(space.dimensions)  # the segment without a rating
        truth = np.frombuffer(base64.b64decode(one["truth"]["data"]), "u1")
        assert (truth == space.n_emotions).sum() == 1 and truth.max() == space.n_emotions
    assert len(data["segments"]) == 3
    assert "fold 2</th>" in text and "fold 3</th>" not in text


def press(driver, name):
    bring(driver, name)
    driver.find_element("id", name).click()


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_the_page_s_script_runs_on_it(page, open_page, name):
    from selenium.webdriver.common.keys import Keys

    space = SPACES[name]
    driver = open_page(page(name))
    labels = [chip.get_attribute("data-value") for chip in driver.find_elements("css selector", "#emotions input")]
    assert labels == [*space.emotions, "no votes"]
    outcomes = [chip.get_attribute("data-value") for chip in driver.find_elements("css selector", "#outcomes input")]
    assert outcomes == ["right", "wrong", "tied", "no votes"]
    assert text_of(driver, "count") == "90 of 90 segments shown."
    if space.has_plane:
        assert "1 without a rating are not shown here" in text_of(driver, "va-note")
    press(driver, "none")
    assert text_of(driver, "count") == "0 of 90 segments shown."
    driver.find_element("css selector", "#emotions input[data-value='no votes']").click()
    assert text_of(driver, "count") == "1 of 90 segments shown."
    driver.execute_script("document.getElementById('map').focus()")
    driver.switch_to.active_element.send_keys(Keys.PAGE_DOWN, Keys.ENTER)
    card = text_of(driver, "card-body")
    assert "no votes" in card and "NaN" not in card and "undefined" not in card
    press(driver, "all")
    driver.execute_script("document.getElementById('map').focus()")
    for _ in range(3):  # the segment without a rating among them
        driver.switch_to.active_element.send_keys(Keys.PAGE_DOWN, Keys.ENTER)
        card = text_of(driver, "card-body")
        assert "NaN" not in card and "undefined" not in card
        assert ("valence" in card) == ("valence" in space.dimensions)


def test_votes_of_one_rater_are_one_vote():
    votes = draw_votes(np.random.default_rng(0), ONE_VOTE, 20)  # control of the invented corpora themselves
    assert (votes.sum(axis=1) == 1).all() and set(draw_votes(np.random.default_rng(0), FIVE, 99).sum(axis=1)) == {
        1,
        2,
        3,
    }


@pytest.mark.parametrize(
    ("name", "has_entropy", "has_halves"), [("five", True, False), ("twelve", True, True), ("one vote", False, False)]
)
def test_a_measure_that_makes_no_sense_for_a_corpus_has_no_column(grids, name, has_entropy, has_halves):
    section = next(
        one
        for one in tables.document(grid_results.load(grids[name]), n_resamples=5).sections
        if "distributions" in one.title
    )
    table = section.tables[1]
    assert ("entropy ρ" in table.header) == has_entropy == ("Entropy ρ" in section.paragraphs[1])
    # of one to three raters, and of one, no half can be taken
    assert (table.rows[-1][0].startswith("Human")) == has_halves == ("Human" in section.paragraphs[1])
    assert not any("–" in cell or "nan" in cell for cells in table.rows for cell in cells)
