"""The paper's table from run folders that are written here by hand: every figure again by scikit-learn, NumPy and SciPy."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from grid_by_hand import (
    BEST,
    FOLDS,
    HEADER,
    NAMES,
    OPTIMISM,
    SELECTED,
    SKILL,
    TITLES,
    holm_by_hand,
    make_truth,
    predict,
    read_markdown,
    score,
    score_of,
    seeds_of,
    shown,
    shown_pair,
    table_of,
    values_of,
    write_cell,
    write_paper_grid,
)
from kemd_columns import PROB, SOFT
from programs import run_program
from scipy import stats
from sklearn.metrics import f1_score

from erc.data import KEMD
from erc.report import comparisons, coverage, grid_results, rendering, single_tables, tables

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # scikit-learn's, of our oracle

INTERVALS = "95 % intervals, reading `selected`"

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return write_paper_grid(tmp_path_factory.mktemp("grids") / "paper")


@pytest.fixture(scope="module")
def text(out) -> str:
    return tables.write_tables(str(out), n_resamples=200)


@pytest.fixture(scope="module")
def rows(out) -> dict[str, grid_results.Row]:
    return {row.name: row for row in grid_results.load(out)}


def test_the_main_table_holds_mean_and_sample_deviation_over_folds(text):
    header, *lines = read_markdown(text)[SELECTED]
    assert header == HEADER
    assert [line[0] for line in lines] == [*TITLES, "Majority"]
    for line, row in zip(lines, SKILL, strict=False):
        assert line[1:] == [shown_pair(values_of(row, metric)) for metric in NAMES]
    # by hand: folds 0 to 4 have .1 + fold / 64; mean .1 + 2 / 64, sample deviation sqrt(10 / 4) / 64
    assert lines[-1][1:] == [f"{shown(0.1 + 2 / 64)} ± {shown(math.sqrt(2.5) / 64)}"] * 6


def test_the_two_readings_are_kept_apart(text):
    found = read_markdown(text)
    for line, row in zip(found[BEST][1:], SKILL, strict=True):  # and no majority row
        assert line[1:] == [shown_pair(np.array(values_of(row, metric)) + OPTIMISM) for metric in NAMES]
    selected = {cell for line in found[SELECTED][1:] for cell in line[1:]}
    assert not selected & {cell for line in found[BEST][1:] for cell in line[1:]}
    # everything that is inferred is of the selected reading, and says so
    assert (
        "## 95 % intervals, reading `selected`" in text and "## Against tensor_mixer_peakl, reading `selected`" in text
    )


@pytest.mark.parametrize("corpus", ["kemdy19", "kemdy20"])
def test_each_corpus_has_its_own_table_and_majority(text, corpus):
    header, *lines = read_markdown(text)[f"{corpus} alone, reading `selected`"]
    assert header == HEADER
    for line, row in zip(lines[:2], SKILL, strict=False):
        folds = FOLDS[:3] if row == "concat_hard" else FOLDS
        per_fold = [score_of(row, fold, corpus=corpus) for fold in folds]
        assert line[1:] == [shown_pair([one[metric] for one in per_fold]) for metric in NAMES]
    assert lines[-1] == ["Majority", *[f"{shown(0.3 + 2 / 64)} ± {shown(math.sqrt(2.5) / 64)}"] * 6]


def test_the_table_shows_the_intervals(text, rows):
    for kind, lines in zip(("dialogues", "folds"), interval_lines(text), strict=True):
        assert [line[0] for line in lines] == ["", *TITLES]
        for line, row in zip(lines[1:], rows.values(), strict=True):
            found = [getattr(comparisons.intervals(row, n_resamples=200)[metric], kind) for metric in NAMES]
            assert line[1:] == [f"{shown(one.low)} to {shown(one.high)}" for one in found]


def test_the_question_and_the_measured_coverage_of_the_intervals_stand_above_them(text):
    section = text.split(f"## {INTERVALS}")[1].split("\n## ")[0]
    captions = [part.strip().splitlines()[-1] for part in section.split("\n|  |")[:2]]
    assert "these trained models" in captions[0] and "models trained again" in captions[1]
    # dialogues of the smallest fold of the fullest row, counted once more
    tables_ = [table_of("cross_attention_peakl", fold) for fold in FOLDS]
    n = min((table["corpus"] + table["dialogue"])[~table["is_tied"]].nunique() for table in tables_)
    assert coverage.coverage_text(n) in section and f"the fold with fewest has {n}." in section
    assert "p (bootstrap) is below .05" in text.replace("\n", " ").split("## Against")[1]


def interval_lines(text):
    """Cells of both tables of intervals."""
    found = read_markdown(text)
    return found[INTERVALS], found[f"{INTERVALS}/2"]


def test_a_fold_of_one_dialogue_has_no_interval_and_no_bootstrap_p(tmp_path):
    for row in ("concat_hard", "tensor_mixer_peakl"):
        for fold in (0, 1):
            write_cell(tmp_path, row, fold, table_of(row, fold, n_dialogues=1, corpora=("kemdy19",)))
    found = read_markdown(tables.write_tables(str(tmp_path), n_resamples=20))
    assert found[INTERVALS][1][1:] == found[f"{INTERVALS}/2"][1][1:] == ["–"] * 6
    for line in found["Against tensor_mixer_peakl, reading `selected`"][1:]:
        assert line[4] == "–" and line[6] == "–" and line[2] == "2"
    assert not [heading for heading in found if "alone" in heading]  # of one corpus, no table of its own


def test_a_metric_that_is_not_resampled_is_printed_without_an_interval(out, monkeypatch):
    # what CONTRIBUTING says of a new metric: a name in METRICS prints it
    monkeypatch.setitem(grid_results.METRICS, "auroc", "AUROC")
    document = tables.document(grid_results.load(out), n_resamples=2)
    means, intervals = (document.sections[0].tables[0], document.sections[2].tables[0])
    assert means.header[-1] == intervals.header[-1] == "AUROC"
    assert {row[-1] for row in intervals.rows} == {rendering.NOT_DEFINED}
    assert all(row[-2] != rendering.NOT_DEFINED for row in intervals.rows)  # control


def test_two_rows_are_compared_in_a_table_corrected_over_its_metrics(out):
    text = tables.compare_table(str(out), "concat_hard", "tensor_mixer_peakl", n_resamples=30)
    title, *rest = text.splitlines()
    table = [line for line in rest if line.startswith("|")]
    assert title.startswith("concat_hard minus tensor_mixer_peakl, reading `selected`, 3 folds")
    found = comparisons.differences(str(out), "concat_hard", "tensor_mixer_peakl", n_resamples=30)
    corrected = holm_by_hand([found[name]["p_t"] for name in NAMES])
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    assert [line[0] for line in lines] == HEADER[1:]
    for line, name, p_value in zip(lines, NAMES, corrected, strict=True):
        assert line[1] == "−" + shown(abs(found[name]["difference"]))
        assert line[3] == ("< .001" if p_value < 0.001 else shown(p_value))


def test_the_comparison_table_is_holm_corrected_over_all_its_tests(out, text):
    header, *lines = read_markdown(text)["Against tensor_mixer_peakl, reading `selected`"]
    assert header == ["", "metric", "folds", "difference", "95 % interval", "p (t)", "p (bootstrap)"]
    keys = [(name, metric) for name in SKILL if name != "tensor_mixer_peakl" for metric in ("weighted_f1", *NAMES[4:])]
    rows = {row.name: row for row in grid_results.load(out)}
    by_row = {name: comparisons.compare_rows(rows[name], rows["tensor_mixer_peakl"], 200, 6) for name, _ in keys}
    found = [by_row[name][metric] for name, metric in keys]
    corrected = {kind: holm_by_hand([one[kind] for one in found]) for kind in ("p_t", "p_bootstrap")}
    # a p at its floor bounds itself, and every later one in Holm's order that is raised to it
    floored = holm_by_hand([0.0 if one["is_floor"] else one["p_bootstrap"] for one in found])
    bounds = [key for key, low, p in zip(keys, floored, corrected["p_bootstrap"], strict=True) if low < p]
    assert bounds
    labels = dict(zip(NAMES, HEADER[1:], strict=True))
    titles = dict(zip(SKILL, TITLES, strict=True))
    assert len(lines) == len(keys) == 6
    for index, (line, (name, metric), one) in enumerate(zip(lines, keys, found, strict=True)):
        p_values = [corrected[kind][index] for kind in ("p_t", "p_bootstrap")]
        signed = [
            ("+" if value >= 0 else "−") + shown(abs(value)) for value in (one["difference"], one["low"], one["high"])
        ]
        assert line == [
            titles[name],
            labels[metric],
            "3" if name == "concat_hard" else "5",
            signed[0],
            f"{signed[1]} to {signed[2]}",
            "< .001" if p_values[0] < 0.001 else shown(p_values[0]),
            ("≤ " if (name, metric) in bounds else "") + shown(p_values[1]),
        ]
    # the correction acts: at least one p that is shown is larger than the plain one
    assert any(c > one["p_bootstrap"] for c, one in zip(corrected["p_bootstrap"], found, strict=True))


@pytest.mark.slow
def test_the_reference_can_be_named_and_must_be_there(out, tmp_path):
    assert "## Against concat_hard," in tables.write_tables(str(out), reference="concat_hard", n_resamples=5)
    tables.write_tables(str(out), n_resamples=200)  # as the other tests expect it
    with pytest.raises(ValueError, match="one of concat_hard, .*tensor_mixer_peakl: got 'mixer'"):
        tables.write_tables(str(out), reference="mixer")


def test_two_protocols_do_not_go_into_one_table(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(tmp_path, "concat_hard", 1, table_of("concat_hard", 1), protocol="nested")
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))} holds nested and paper"):
        tables.write_tables(str(tmp_path))


def test_where_others_choose_than_are_reported_the_best_epochs_are_not_said_to_be_of_the_reported_ones(tmp_path):
    for fold in (0, 1):
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold), protocol="nested")
    text = tables.write_tables(str(tmp_path), n_resamples=5)
    assert "best epoch on the segments that choose the checkpoint, and not on those that are reported" in text
    assert "best epoch on the reported fold" not in text


def test_rows_scored_on_different_segments_are_not_compared(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(tmp_path, "tensor_mixer_peakl", 0, table_of("tensor_mixer_peakl", 0)[1:])
    with pytest.raises(ValueError, match=r"same segments: concat_hard and tensor_mixer_peakl are not in fold 0"):
        tables.write_tables(str(tmp_path), n_resamples=5)


def test_rows_without_a_fold_in_common_are_not_compared(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    write_cell(tmp_path, "tensor_mixer_peakl", 3, table_of("tensor_mixer_peakl", 3))
    with pytest.raises(ValueError, match=r"concat_hard has \[0\], tensor_mixer_peakl has \[3\]"):
        comparisons.differences(str(tmp_path), "concat_hard", "tensor_mixer_peakl")
    # the table leaves the comparison out, and nothing else
    found = read_markdown(tables.write_tables(str(tmp_path), n_resamples=5))
    assert not [heading for heading in found if heading.startswith("Against")] and len(found[SELECTED]) == 4


def test_a_metric_that_a_fold_does_not_define_shows_a_dash_and_no_figure(tmp_path):
    for fold in (0, 1):
        table = table_of("tensor_mixer_peakl", fold)
        if fold:
            table[["arousal", "pred_arousal"]] = 3.0  # two equal constants: no concordance
        undefined = score(table) | ({"ccc_arousal": None} if fold else {})
        selected = {"epoch": 0, "metrics": undefined, "metrics_by_corpus": {}}
        write_cell(tmp_path, "tensor_mixer_peakl", fold, table, selected=selected, best_epoch_per_metric={})
    found = read_markdown(tables.write_tables(str(tmp_path), n_resamples=5))
    line = dict(zip(found[SELECTED][0], found[SELECTED][1], strict=True))
    assert line["CCC (arousal)"] == "–" and " ± " in line["CCC (valence)"]
    assert set(found[BEST][1][1:]) == {"–"}
    published = found["Beside the published figures, reading `best_epoch_per_metric`"]
    assert all(line[3:] == ["–", "–"] for line in published[1:])
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        lines = [
            line for line in csv.DictReader(file) if line["metric"] == "ccc_arousal" and line["reading"] == "selected"
        ]
    assert lines[0]["mean"] == "nan" and lines[0]["values"].split()[1] == "nan"


def test_a_human_figure_that_is_not_defined_shows_a_dash(tmp_path):
    # leave_one_rater_out gives NaN where every segment is tied without one rater; result.json holds null
    for fold in (0, 1):
        human = {"weighted_f1": None, "ccc_valence": 0.25, "ccc_arousal": 0.375}
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold), human=human)
    text = tables.write_tables(str(tmp_path), n_resamples=5)
    assert "Human: weighted F1 –, CCC (arousal) .375, CCC (valence) .250" in text


def test_figures_of_ten_and_more_keep_their_digits(tmp_path):
    # cross-entropy is the one figure that can be so large: a model that is certain and wrong costs 27.6 nats a segment
    table = table_of("concat_hard", 0)
    soft = table[SOFT].to_numpy()
    table[PROB] = soft
    for number, votes in enumerate(soft):
        if votes.min() == 0:
            table.loc[number, PROB] = np.eye(7)[votes.argmin()]  # what no rater said
        clipped = np.maximum(table[PROB].to_numpy(), 1e-12)
        value = float(-(soft * np.log(clipped)).sum(axis=1).mean())
        if 10 <= value < 11:
            break
    assert 10 <= value < 11
    write_cell(tmp_path, "concat_hard", 0, table)
    line = read_markdown(tables.write_tables(str(tmp_path), n_resamples=5))["Label distributions, reading `selected`"][
        1
    ]
    assert line[2] == f"{value:.3f}"


def test_the_distribution_table_is_of_every_seed_and_ends_with_the_humans(text):
    header, *lines = read_markdown(text)["Label distributions, reading `selected`"]
    assert header == ["", "JSD", "CE", "ECE", "F1 10/10", "F1 8-9", "F1 6-7", "F1 <=5"]
    per_fold = [
        [comparisons.distribution_metrics(table_of("tensor_mixer_peakl", fold, seed), KEMD) for seed in seeds]
        for fold, seeds in ((fold, seeds_of("tensor_mixer_peakl", fold)) for fold in FOLDS)
    ]
    names = ("jsd", "ce", "ece", "f1_10/10", "f1_8-9", "f1_6-7", "f1_<=5")
    pairs = [shown_pair([np.mean([one[name] for one in of_fold]) for of_fold in per_fold]) for name in names]
    assert lines[2] == [TITLES[2], *(pair if "nan" not in pair else "–" for pair in pairs)]
    # .5 + fold / 64 over five folds
    assert lines[3][0] == f"Human: weighted F1 {shown(0.5 + 2 / 64)}, CCC (arousal) .375, CCC (valence) .250"


def test_the_second_distribution_table_is_of_disagreement_and_ends_with_halves_of_the_raters(text, out):
    header, *lines = read_markdown(text)["Label distributions, reading `selected`/2"]
    assert header == ["", "L1", "soft micro-F1", "macro-F1 > 1/K", "entropy ρ", "ECE scaled"]
    tables_ = [table_of("cross_attention_peakl", fold) for fold in FOLDS]
    soft, probs = ([table[names].to_numpy() for table in tables_] for names in (SOFT, PROB))
    by_hand = [
        [np.abs(p - q).sum(axis=1).mean() for p, q in zip(soft, probs, strict=True)],
        [np.minimum(p, q).sum() / len(p) for p, q in zip(soft, probs, strict=True)],
        [f1_score(p > 1 / 7, q > 1 / 7, average="macro") for p, q in zip(soft, probs, strict=True)],
        [
            stats.spearmanr(*(np.round(stats.entropy(one, axis=1), 12) for one in both)).statistic
            for both in zip(soft, probs, strict=True)
        ],
    ]
    assert lines[1][:-1] == [TITLES[1], *map(shown_pair, by_hand)]
    assert lines[-1][0] == "Human: half of the raters against the other half" and lines[-1][-1] == ""
    assert all(re.fullmatch(r"\.\d{3} ± \.\d{3}", cell) for cell in lines[-1][2:5])
    assert "Human: half of the raters against the other half, in 20 random splits" in text
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        figures = {(line["row"], line["metric"]): line for line in csv.DictReader(file) if line["corpus"] == "all"}
    assert float(figures["cross_attention_peakl", "manhattan"]["mean"]) == pytest.approx(np.mean(by_hand[0]))
    assert 0 < float(figures["Human halves", "entropy_correlation"]["mean"]) < 1
    assert float(figures["cross_attention_peakl", "temperature"]["mean"]) > 0


def test_published_figures_stand_beside_ours_with_the_difference(text):
    header, *lines = read_markdown(text)["Beside the published figures, reading `best_epoch_per_metric`"]
    assert header == ["", "metric", "published", "ours", "ours − published"]
    # Cho, Ryu and Wallraven (2023), headline table; concat_hard is not in it
    published = {
        "cross_attention_peakl": [
            ("weighted_f1", 0.837, ".015"), ("micro_f1", 0.848, ".016"),
            ("ccc_arousal", 0.810, ".035"), ("ccc_valence", 0.850, ".014"),
        ],
        "tensor_mixer_peakl": [
            ("weighted_f1", 0.844, ".015"), ("micro_f1", 0.851, ".018"),
            ("ccc_arousal", 0.813, ".011"), ("ccc_valence", 0.857, ".011"),
        ],
    }  # fmt: skip
    labels, titles = dict(zip(NAMES, HEADER[1:], strict=True)), dict(zip(SKILL, TITLES, strict=True))
    expected = []
    for row, figures in published.items():
        for metric, mean, std in figures:
            ours = np.array(values_of(row, metric)) + OPTIMISM
            difference = ours.mean() - mean
            sign = "+" if difference >= 0 else "−"
            expected.append(
                [titles[row], labels[metric], f"{shown(mean)} ± {std}", shown_pair(ours), sign + shown(abs(difference))]
            )
    assert lines == expected


def test_the_readme_s_published_table_is_the_one_that_is_compared_with():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in ("concat_peakl", "cross_attention_peakl", "tensor_mixer_peakl"):
        cells = [f"{shown(mean)} ± {shown(std)}" for mean, std in single_tables.PUBLISHED[row].values()]
        assert f"| {' | '.join(cells)} |" in readme


@pytest.mark.slow
def test_the_text_is_table_md_and_names_protocol_and_seeds(out, text):
    tables.write_tables(str(out), n_resamples=200)
    assert (out / "table.md").read_text(encoding="utf-8") == text
    assert text.startswith("# paper\n")
    assert "protocol=paper: the checkpoint is chosen on the fold that is reported" in text and "seeds 7, 42." in text


def test_the_csv_reads_back_to_the_last_digit(out, text, rows):
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["row"] in rows and line["quantity"] == "score"]
        lines = [line for line in lines if line["metric"] in NAMES]
    # 3 rows x (selected on all and on each of two corpora, best on all) x 6 metrics
    keys = [(line["row"], line["corpus"], line["reading"], line["metric"]) for line in lines]
    assert len(lines) == 3 * 4 * 6 and max(Counter(keys).values()) == 1
    for line in lines:
        values = [float(value) for value in line["values"].split()]
        corpus = None if line["corpus"] == "all" else line["corpus"]
        row = rows[line["row"]]
        assert values == row.values(line["metric"], line["reading"], corpus).tolist()
        assert [int(fold) for fold in line["folds"].split()] == row.folds and int(line["n_folds"]) == len(values)
        # an independent sum may round otherwise in the last place
        assert float(line["mean"]) == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
        assert float(line["std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        if (line["corpus"], line["reading"]) == ("all", "selected"):
            found = comparisons.intervals(row, n_resamples=200)[line["metric"]]
            # to 1e-12: BLAS may add in another order the second time
            for name, one in (("", found.dialogues), ("_over_folds", found.folds)):
                ends = float(line[f"low{name}"]), float(line[f"high{name}"])
                assert ends == pytest.approx((one.low, one.high), abs=1e-12)
        else:
            assert line["low"] == line["high"] == ""


def test_the_latex_table_is_whole(out, text):
    lines = (out / "table.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"% needs \usepackage{booktabs}"
    opened = Counter(re.findall(r"\\begin\{(\w+)\}", "\n".join(lines)))
    assert opened == Counter(re.findall(r"\\end\{(\w+)\}", "\n".join(lines))) == {"table": 1, "tabular": 1}
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lcr]+)\}", "\n".join(lines))
    body = [line for line in lines if line.endswith(r"\\")]
    assert len(body) == 1 + 3 * 2 + 1  # header, rows with their intervals, majority
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in body} == {len(columns)} == {7}
    rules = [line for line in lines if line in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]
    code = "\n".join(lines[1:])
    assert not re.search(r"(?<!\\)[%#]|(?<!\\)_", code), "a sign that LaTeX reads as its own"
    assert code.isascii() and code.count("{") == code.count("}") and code.count("$") % 2 == 0
    main = read_markdown(text)[SELECTED]
    shown_cells = [
        [cell.replace("$\\pm$", "±").strip() for cell in line.removesuffix(r"\\").split("&")] for line in body
    ]
    assert [shown_cells[0], *shown_cells[1:-1:2], shown_cells[-1]] == main
    assert [cells[0] for cells in shown_cells[2:-1:2]] == [""] * 3
    ends = [
        [cell.replace(r"\footnotesize ", "").strip("[]").replace("$-$", "−") for cell in cells[1:]]
        for cells in shown_cells[2:-1:2]
    ]
    assert ends == [line[1:] for line in interval_lines(text)[1][1:]]
    assert r"\label{tab:paper}" in lines
    (caption,) = (line for line in lines if line.startswith(r"\caption"))
    for words in (
        "5 folds with",
        "tied votes are left out",
        "Majority: ",
        "200 resamples",
        "seeds 7, 42",
        "models trained again",
    ):
        assert words in caption


def test_a_sample_corpus_is_named_as_such_wherever_its_figures_stand(tmp_path, text, out):
    folder = tmp_path / "demo"
    for fold in (0, 1):
        write_cell(folder, "concat_peakl", fold, table_of("concat_hard", fold), is_synthetic=True)
    found = tables.write_tables(str(folder), n_resamples=5)
    assert (
        "**Synthetic sample corpus: these figures show that the pipeline works, and say nothing about people.**"
        in found
    )
    assert "ours here are of a synthetic corpus and not comparable" in found
    assert "Synthetic sample corpus." in (folder / "table.tex").read_text(encoding="utf-8")
    # control: real corpora are not called synthetic, whatever the experiment is called
    assert "ynthetic" not in text + (out / "table.tex").read_text(encoding="utf-8")
    write_cell(tmp_path / "real", "concat_peakl", 0, table_of("concat_hard", 0), experiment="demo")
    assert "ynthetic" not in tables.write_tables(tmp_path / "real", n_resamples=5)


@pytest.mark.slow
def test_the_command_writes_and_prints_the_table(tmp_path):
    for fold in (0, 1):
        write_cell(tmp_path, "concat_hard", fold, table_of("concat_hard", fold))
    done = run_program("-m", "erc", "table", tmp_path, "--n_resamples=5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (tmp_path / "table.md").read_text(encoding="utf-8").strip()
    assert "Concatenation, hard (2/5 folds)" in done.stdout


# --- the document -----------------------------------------------------------------------------------------------------
def test_the_document_holds_the_tables_as_values_and_table_md_is_its_markdown(text, rows):
    found = tables.document(list(rows.values()), n_resamples=200)
    assert rendering.to_markdown(found) == text
    assert found.title == "paper" and found.paragraphs[0].startswith("protocol=paper: ")
    assert [section.kind for section in found.sections] == ["reading"] * 2 + ["statistics"] * 6
    values = {}
    for section in found.sections:
        for number, table in enumerate(section.tables, 1):
            key = section.title.split(":")[0] + (f"/{number}" if number > 1 else "")
            values[key] = [table.header, *table.rows]
            assert {len(cells) for cells in table.rows} <= {len(table.header)}
    assert values == read_markdown(text)
    captions = [table.caption for section in found.sections for table in section.tables if table.caption]
    assert captions == [*single_tables.INTERVAL_CAPTIONS.values(), single_tables.DISAGREEMENT_CAPTION]


def test_everything_is_computed_once(out, rows, monkeypatch):
    calls = []
    monkeypatch.setattr(tables, "intervals", lambda row, n: calls.append(row.name) or comparisons.intervals(row, n))
    found = tables.make_tables(list(rows.values()), n_resamples=5)
    assert calls == list(rows) and found.document == tables.document(list(rows.values()), n_resamples=5)


def test_cells_of_other_code_are_named_below_the_tables(tmp_path):
    code = {"model/heads.py": "1" * 12, "training/losses.py": "2" * 12, "labels.py": "3" * 12}
    for row in ("concat_hard", "tensor_mixer_peakl"):
        for fold in (0, 1):
            write_cell(tmp_path / "one", row, fold, table_of(row, fold), code=code)
            changed = {name: value for name, value in code.items() if name != "labels.py"} | {
                "training/losses.py": "9" * 12
            }
            is_other = (row, fold) == ("tensor_mixer_peakl", 1)
            write_cell(tmp_path / "two", row, fold, table_of(row, fold), code=changed if is_other else code)
    plain, noted = (tables.write_tables(tmp_path / name, n_resamples=5) for name in ("one", "two"))
    assert "other code" not in plain + (tmp_path / "one" / "table.tex").read_text(encoding="utf-8")
    note = "Cells trained with other code: `tensor_mixer_peakl/fold1-seed42` (`labels.py`, `training/losses.py`)."
    assert noted == plain.replace("# one\n", "# two\n") + f"\n## Notes\n\n{note}\n"
    latex = (tmp_path / "two" / "table.tex").read_text(encoding="utf-8")
    assert r"\texttt{tensor\_mixer\_peakl/fold1-seed42} (\texttt{labels.py}, \texttt{training/losses.py})." in latex


def test_names_of_a_result_do_not_reach_latex_as_commands(tmp_path):
    fusion = r"new_mixer & 50% {\input{x}} #1 $a^2$ ~"
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0), fusion=fusion)
    text = tables.write_tables(tmp_path, n_resamples=5)
    assert f"| {fusion}, hard (1/5 folds) |" in text
    line = next(one for one in (tmp_path / "table.tex").read_text(encoding="utf-8").splitlines() if "hard (1/5" in one)
    name = line.split(" & .")[0]
    assert name == (
        r"new\_mixer \& 50\% \{\textbackslash{}input\{x\}\} \#1 \$a\textasciicircum{}2\$ \textasciitilde{}, hard (1/5 folds)"
    )


# --- seeds ------------------------------------------------------------------------------------------------------------
def write_one_seed(out: Path) -> Path:
    """``write_paper_grid`` without its second seed."""
    for row in SKILL:
        for fold in FOLDS[:3] if row == "concat_hard" else FOLDS:
            write_cell(out, row, fold, table_of(row, fold))
    return out


def test_with_one_seed_every_figure_is_what_it_was_before_seeds_were_drawn(tmp_path):
    # one_seed_table.md was written by the version of this package that bootstrapped one seed only; its table of intervals
    # was cut out when their formula changed
    stored = (Path(__file__).parent / "one_seed_table.md").read_text(encoding="utf-8")
    written = tables.write_tables(write_one_seed(tmp_path / "paper"), n_resamples=200)
    cut = re.sub(rf"^## {INTERVALS}$.*?(?=^## )", "", written, flags=re.MULTILINE | re.DOTALL)
    # the second table of label distributions is younger, too
    younger = rf"^{single_tables.DISAGREEMENT_CAPTION}:\n\n(\|.*\n)+"
    cut, n = re.subn(younger, "", cut, flags=re.MULTILINE)
    assert len(cut) < len(written) and n == 1
    before, now = ([line for line in text.splitlines() if line.startswith(("|", "#"))] for text in (stored, cut))
    assert len(before) == len(now)
    for old, new in zip(before, now, strict=True):
        if old != new:  # the number of folds stands in front of the difference now
            old_cells, new_cells = old.split("|"), new.split("|")
            new_cells.insert(-1, new_cells.pop(3))
            if old_cells == new_cells or set(new_cells[1:-1]) <= {" --- "}:
                continue
            # a p at the floor of 200 resamples, six times 2 / 201, has been drawn on
            assert (
                old_cells.pop(6).strip() == shown(6 * 2 / 201) and new_cells.pop(6).strip() == f"≤ {shown(12 / 1201)}"
            )
            assert old_cells == new_cells
    assert before != now


@pytest.mark.slow
def test_seeds_that_are_missing_somewhere_are_marked_beside_the_row(tmp_path):
    for row, seeds in (("concat_hard", (42, 43)), ("cross_attention_peakl", (42,)), ("tensor_mixer_peakl", (42, 43))):
        for fold in (0, 1):
            for seed in seeds if (row, fold) != ("tensor_mixer_peakl", 1) else (42,):
                table = table_of(row, fold, seed)
                write_cell(tmp_path, row, fold, table, seed=seed)
    text = tables.write_tables(tmp_path, n_resamples=5)
    assert [line[0] for line in read_markdown(text)[SELECTED][1:4]] == [
        "Concatenation, hard (2/5 folds)",  # every seed of the grid on every fold: no mark
        "Cross-attention, PeakL (2/5 folds), seed 42",
        "Tensor Mixer Network, PeakL (2/5 folds), seeds 42, 43 (43 in 1/2 folds)",
    ]
    assert "Every figure is the mean over the seeds of a fold, then over folds; resamples draw seeds as well." in text
    assert "other seeds are part of the question" in text
    # control: of one seed nothing is said
    one = tables.write_tables(write_one_seed(tmp_path / "one"), n_resamples=5)
    assert "seeds of a fold" not in one and "hold the trained models fixed" in one


# --- p values ---------------------------------------------------------------------------------------------------------
def test_the_question_of_each_p_stands_above_its_column(text):
    section = text.split("## Against")[1].split("| metric |")[0]
    for name in ("p (t)", "p (bootstrap)"):
        assert len(re.findall(rf"^{re.escape(name)} asks: [^?]+\?", section, flags=re.MULTILINE)) == 1
    assert (
        "Each comparison has 200 resamples, and one whose p is the smallest that these can give has 1,200." in section
    )


@pytest.mark.slow
def test_with_the_default_resamples_holm_reaches_one_in_a_thousand(tmp_path):
    for row in SKILL:
        for fold in FOLDS[:3]:
            skill = 0.0 if row != "tensor_mixer_peakl" else 0.95
            write_cell(tmp_path, row, fold, predict(make_truth(fold), skill, [fold, len(row)]))
    lines = read_markdown(tables.write_tables(tmp_path))["Against tensor_mixer_peakl, reading `selected`"][1:]
    # six comparisons of 2,000 resamples could show 12 / 2001 = .006 at best
    assert {line[6] for line in lines} == {"< .001"}


# --- files ------------------------------------------------------------------------------------------------------------
def test_the_csv_holds_every_figure_of_the_document(out, text, rows):
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    majority = [line for line in lines if line["row"] == "Majority"]
    assert len(majority) == 6 * 3 and float(majority[0]["mean"]) == pytest.approx(0.1 + 2 / 64)
    human = {line["metric"]: float(line["mean"]) for line in lines if line["row"] == "Human"}
    assert human == pytest.approx({"weighted_f1": 0.5 + 2 / 64, "ccc_arousal": 0.375, "ccc_valence": 0.25})
    shares = {(line["row"], line["metric"]): float(line["mean"]) for line in lines if line["metric"] in ("jsd", "ce")}
    printed = read_markdown(text)["Label distributions, reading `selected`"][1:4]
    assert [shown(shares[row, "jsd"]) for row in SKILL] == [line[1].split(" ± ")[0] for line in printed]
    differences = [line for line in lines if line["quantity"] == "difference"]
    assert len(differences) == 6 and {line["reference"] for line in differences} == {"tensor_mixer_peakl"}
    printed = read_markdown(text)["Against tensor_mixer_peakl, reading `selected`"][1:]
    for line, cells in zip(differences, printed, strict=True):
        assert cells[3] == ("+" if float(line["mean"]) >= 0 else "−") + shown(abs(float(line["mean"])))
        assert cells[6] == ("≤ " if line["p_bootstrap_is_bound"] == "True" else "") + shown(float(line["p_bootstrap"]))
    published = [line for line in lines if line["quantity"] == "published"]
    assert ("concat_peakl", "ccc_arousal", "0.578", "0.115") in {
        (line["row"], line["metric"], line["mean"], line["std"]) for line in published
    }
    seeds = next(line["seeds"] for line in lines if line["row"] == "tensor_mixer_peakl")
    assert seeds == "42 7+42 42 42 42"


@pytest.mark.parametrize("name", ["=HYPERLINK(1)_hard", "+1_hard", "-1_hard", "@SUM(1)_hard"])
def test_a_name_that_a_spreadsheet_takes_for_a_formula_is_defused(tmp_path, name):
    write_cell(tmp_path, name, 0, table_of("concat_hard", 0))
    tables.write_tables(tmp_path, n_resamples=5)
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        names = {line["row"] for line in csv.DictReader(file)}
    assert f"'{name}" in names and name not in names


def test_one_row_alone_is_compared_with_nothing(tmp_path):
    write_cell(tmp_path, "concat_hard", 0, table_of("concat_hard", 0))
    assert "Against" not in tables.write_tables(tmp_path, n_resamples=5)


def test_a_sentence_says_what_to_conclude_where_the_two_p_disagree():
    def one(p_t: float, p_bootstrap: float) -> comparisons.Comparison:
        return comparisons.Comparison(0.1, 0.0, 0.2, p_t, p_bootstrap, False, 5)

    text = single_tables.conclusion_text(
        [one(0.5, 0.01), one(0.5, 0.01), one(0.01, 0.01), one(0.5, 0.5), one(np.nan, 0.01)]
    )
    assert text.startswith("To conclude: in 1 of 4 comparisons both p are below .05")
    assert "in 2 of 4 comparisons only p (bootstrap) is below .05" in text and "in 1 of 4 comparisons neither p" in text
    assert "only p (t)" not in text and "only p (t)" in single_tables.conclusion_text([one(0.01, 0.5)])
    assert single_tables.conclusion_text([one(np.nan, 0.01)]) == ""
