"""The report's page: what goes into it (without a browser), and that it works (in a headless Chromium, where there is one)."""

import base64
import hashlib
import html
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from erc import results, sample
from erc.datasets import HF_KEMD
from erc.labels import EMOTIONS
from erc.report import figures, page, raters, tables
from erc.results import PROB, SOFT

PLANTED = "</script><script>window.planted = 1</script><img src=x onerror='window.planted = 1'>"
MARKDOWN = """# grid

protocol=paper: as published.
Mean ± sample standard deviation over folds; seeds 42.
**Synthetic sample corpus: says nothing about people.**

## Reading `selected`: at the one checkpoint

|  | Weighted-F1 | CCC(aro) |
| --- | --- | --- |
| Tensor Mixer Network, PeakL (2/5 folds) | .607 ± .078 | .252 ± .058 |
| Majority | .293 ± .046 | .000 ± .000 |

## Label distributions, reading `selected`

JSD: Jensen-Shannon divergence.

|  | JSD | CE |
| --- | --- | --- |
| Concatenation, PeakL | .313 ± .012 | 1.633 ± .016 |
| Human: weighted F1 .683 |  |  |
"""


def predictions(n: int, seed: int = 0, prefix: str = "Sess01_script01_F") -> pd.DataFrame:
    """Invented predictions with the columns of ``predictions.csv``: mostly right, a few ties, all emotions."""
    rng = np.random.default_rng(seed)
    hard = np.arange(n) % len(EMOTIONS)
    votes = np.zeros((n, len(EMOTIONS)), dtype=int)
    votes[np.arange(n), hard] = 6
    votes[np.arange(n), (hard + 1) % len(EMOTIONS)] = 4
    tied = np.arange(n) % 10 == 9
    votes[tied] = np.roll([5, 5, 0, 0, 0, 0, 0], 0)
    hard = np.where(tied, 0, hard)
    predicted = np.where(rng.random(n) < 0.7, hard, rng.integers(0, len(EMOTIONS), n))
    probs = np.full((n, len(EMOTIONS)), 0.05)
    probs[np.arange(n), predicted] = 0.7
    va = np.round(np.clip(rng.normal(3, 0.8, (n, 2)), 1, 5), 1)
    pred_va = np.clip(va + rng.normal(0, 0.4, (n, 2)), 1, 5)
    table = pd.DataFrame(
        {
            "segment_id": [f"{prefix}{k:05d}" for k in range(n)],
            "corpus": np.where(np.arange(n) % 3 == 0, "kemdy20", "kemdy19"),
            "speaker": "Sess01F",
        }
    )
    table[SOFT] = votes / 10
    table["hard_label"], table["is_tied"] = hard, tied
    table[["valence", "arousal"]] = va
    table[PROB] = probs
    table[["pred_valence", "pred_arousal"]] = pred_va
    return table[results.COLUMNS]


def embedding_map(sizes=(60, 40), seed: int = 0, **media) -> page.EmbeddingMap:
    """A map of invented folds: emotions as clouds, in another place in each fold."""
    rng = np.random.default_rng(seed)
    parts, places = [], []
    for fold, n in enumerate(sizes):
        table = predictions(n, seed + fold, prefix=f"Sess{fold + 1:02d}_script01_F")
        centres = rng.normal(0, 4, (len(EMOTIONS), 2))
        places.append(centres[table["hard_label"]] + rng.normal(0, 1, (n, 2)))
        parts.append(table.assign(fold=fold, seed=42))
    return page.EmbeddingMap(
        "Tensor Mixer Network, PeakL",
        pd.concat(parts, ignore_index=True),
        np.concatenate(places).astype(np.float32),
        dict.fromkeys(range(len(sizes)), "UMAP"),
        **media,
    )


def write_grid(folder: Path, n: int = 30, folds=(0, 1), rows=("concat_peakl", "tensor_mixer_peakl")) -> Path:
    """A grid of invented finished cells."""
    for row in rows:
        fusion, target = row.rsplit("_", 1)
        for fold in folds:
            table = predictions(n, seed=fold, prefix=f"Sess{fold + 1:02d}_script01_F").sample(frac=1, random_state=fold)
            table = table.sort_values("segment_id", ignore_index=True)
            facts = dict(experiment=f"demo/{row}", fusion=fusion, target=target, fold=fold, protocol="paper", seed=42)
            facts |= dict(corpora=["kemdy19", "kemdy20"], human={}, fingerprint="f", versions={"erc": "0.1.0"})
            facts |= dict(seconds=1.0, peak_memory_mb=1.0)
            train = results.COLUMNS[: results.COLUMNS.index(PROB[0])]
            result = results.make_result(table, table[train], [{"epoch": 0, "valid/accuracy": 0.5}], 0, facts)
            embedding = np.random.default_rng(fold).normal(0, 1, (n, 8)) + table["hard_label"].to_numpy()[:, None]
            gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": embedding}
            cell = folder / row / f"fold{fold}-seed42"
            cell.mkdir(parents=True)
            results.write_fold(cell, table, result, gathered)
    return folder


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """Two rows, two folds each; one more cell is begun. Read only."""
    folder = write_grid(tmp_path_factory.mktemp("runs") / "grid")
    (folder / "concat_peakl" / "fold2-seed42").mkdir()
    return folder


class Tags(HTMLParser):
    """Start tags of a page with their attributes, and the text of each script element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.scripts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.lasttag = ""

    def handle_data(self, data):
        if self.lasttag == "script":
            name = next(attrs for tag, attrs in reversed(self.tags) if tag == "script").get("id", "")
            self.scripts[name] = self.scripts.get(name, "") + data


def data_of(text: str) -> dict:
    return json.loads(Tags(text).scripts["data"])


def png(width: int = 4, height: int = 2) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(stream, "png")
    return stream.getvalue()


def test_packed_arrays_read_back_as_the_table():
    one = embedding_map()
    packed = json.loads(page.json_for_html(page.pack(one)))
    arrays = {
        name: np.frombuffer(base64.b64decode(part["data"]), {"float32": "<f4", "uint8": "u1"}[part["type"]])
        for name, part in packed["arrays"].items()
    }
    n, table = len(one.table), one.table
    assert packed["ids"].split("\n") == table["segment_id"].tolist()
    np.testing.assert_array_equal(arrays["xy"].reshape(n, 2), one.xy)
    np.testing.assert_allclose(arrays["va"].reshape(n, 4)[:, 3], table["pred_arousal"], atol=1e-6)
    np.testing.assert_allclose(arrays["probs"].reshape(n, 7), table[PROB], atol=1e-7)
    assert (arrays["votes"].reshape(n, 7).sum(axis=1) == 10).all()
    np.testing.assert_array_equal(arrays["votes"].reshape(n, 7) / 10, table[SOFT])
    np.testing.assert_array_equal(arrays["truth"], table["hard_label"])
    np.testing.assert_array_equal(arrays["predicted"], table[PROB].to_numpy().argmax(axis=1))
    np.testing.assert_array_equal(arrays["tied"], table["is_tied"])
    assert [packed["corpora"][k] for k in arrays["corpus"]] == table["corpus"].tolist()
    assert [packed["folds"][k]["fold"] for k in arrays["fold"]] == table["fold"].tolist()
    assert [fold["n"] for fold in packed["folds"]] == [60, 40]


def test_folds_keep_their_number_where_one_is_missing():
    one = embedding_map()
    one.table["fold"] = one.table["fold"].map({0: 1, 1: 4})
    one.methods = {1: "UMAP", 4: "UMAP"}
    packed = page.pack(one)
    assert [fold["fold"] for fold in packed["folds"]] == [1, 4]
    assert set(base64.b64decode(packed["arrays"]["fold"]["data"])) == {0, 1}


def test_predictions_that_are_not_finite_are_refused():
    one = embedding_map()
    one.table.loc[3, "pred_valence"] = np.nan
    with pytest.raises(ValueError, match="Predictions must be finite"):
        page.pack(one)


def test_an_emotion_has_the_colour_and_marker_of_the_figures():
    packed = page.pack(embedding_map())
    assert packed["colours"] == [figures.COLORS[emotion] for emotion in EMOTIONS]
    script = Path(page.__file__).with_name("page.js").read_text(encoding="utf-8")
    for shape in packed["shapes"]:
        assert re.search(rf'\b{shape}: \[|"{shape}"|POLYGONS\.{shape} ', script), f"page.js draws no {shape}"
    assert len(set(packed["shapes"])) == len(EMOTIONS)


def test_planted_markup_stays_text_wherever_it_comes_from():
    one = embedding_map(transcripts=[PLANTED] * 100, audio=[b""] * 100)
    one.table.loc[0, "segment_id"] = PLANTED
    one.title = PLANTED
    markdown = MARKDOWN.replace("Concatenation, PeakL", PLANTED).replace("# grid", f"# {PLANTED}")
    cells = pd.DataFrame([["done (seed 42)", PLANTED]], index=[PLANTED], columns=["fold 0", "fold 1"])
    pictures = [page.Picture(f'"{PLANTED}', PLANTED, png())]
    text = page.render(markdown, one, pictures=pictures, missing=[PLANTED], facts={PLANTED: PLANTED}, cells=cells)
    assert "<script>window.planted" not in text
    assert "<img src=x" not in text
    tags = Tags(text).tags
    assert [attrs.get("id") for tag, attrs in tags if tag == "script"] == ["data", None, "audio"]
    assert not any("onerror" in attrs for _, attrs in tags)
    data = data_of(text)
    assert data["transcripts"] == [PLANTED] * 100
    assert data["ids"].split("\n")[0] == PLANTED
    assert html.escape(PLANTED) in text


@pytest.mark.parametrize("value", ["</script>", "<!--", "]]>", "&lt;", "\u2028\u2029", '"\\', "한글"])
def test_json_stands_between_script_tags_whatever_it_holds(value):
    text = page.json_for_html({"a": value})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"a": value}


def test_the_page_names_no_address_and_loads_nothing():
    text = page.render(MARKDOWN, embedding_map(), pictures=[page.Picture("A figure", "What it shows", png())])
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    for tag, attrs in Tags(text).tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            if attrs.get(name):
                assert attrs[name].startswith(("data:", "#")), (tag, attrs)


def test_the_policy_lets_only_the_pages_own_script_run():
    text = page.render(MARKDOWN, embedding_map())
    policy = next(attrs["content"] for tag, attrs in Tags(text).tags if attrs.get("http-equiv"))
    script = re.search(r"<script>(.*?)</script>", text, flags=re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"\.innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script)


def test_without_media_no_transcript_and_no_audio_is_in_the_page():
    text = page.render(MARKDOWN, embedding_map())
    assert data_of(text)["transcripts"] is None
    assert data_of(text)["hasAudio"] is False
    assert Tags(text).scripts.get("audio", "") == ""
    assert "Built without transcripts and audio" in text


def test_a_page_with_media_says_that_it_is_to_be_kept():
    media = dict(transcripts=["안녕"] * 100, audio=[b"\xff" * 50] * 99 + [b""])
    text = page.render(MARKDOWN, embedding_map(**media))
    lines = Tags(text).scripts["audio"].split("\n")
    assert [len(base64.b64decode(line)) for line in lines] == [50] * 99 + [0]
    assert "keep this file to yourself" in text


def test_tables_become_tables_with_every_cell():
    preamble, sections = page.sections_of(MARKDOWN)
    assert list(sections) == ["Reading `selected`: at the one checkpoint", "Label distributions, reading `selected`"]
    assert preamble.startswith("<p>protocol=paper")
    assert '<p class="notice"><strong>Synthetic' in preamble
    first, second = sections.values()
    assert re.findall(r"<td>(.*?)</td>", first) == [".607 ± .078", ".252 ± .058", ".293 ± .046", ".000 ± .000"]
    assert re.findall(r'<th scope="row">(.*?)</th>', first) == ["Tensor Mixer Network, PeakL (2/5 folds)", "Majority"]
    assert '<th scope="row" colspan="3">Human: weighted F1 .683</th>' in second
    assert "<h3>Reading <code>selected</code>: at the one checkpoint</h3>" in first


def test_a_real_table_goes_in_with_all_its_sections(grid):
    markdown = tables.build(str(grid), n_resamples=20)
    text = page.render(markdown, embedding_map())
    for title in re.findall(r"^## (.*)", markdown, flags=re.MULTILINE):
        assert f"<h3>{page._inline(title)}</h3>" in text
    in_markdown = re.findall(r"\.\d{3} ± \.\d{3}", markdown)
    assert len(in_markdown) > 20
    assert len(re.findall(r"\.\d{3} ± \.\d{3}", text)) == len(in_markdown)
    assert "|" not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)


def test_a_page_of_both_corpora_is_a_few_megabytes():
    text = page.render(MARKDOWN, embedding_map(sizes=(4700, 4700, 4700, 4700, 4658)))
    assert len(text.encode()) < 6e6


def test_mu_law_is_that_of_libsndfile():
    waveform = np.concatenate([np.arange(-32768, 32768, 7), [-32768, 32767, 0, -1, 1]]).astype(np.int16)
    ours = np.frombuffer(page.mu_law(waveform), np.uint8)
    decoded, _ = soundfile.read(
        io.BytesIO(ours.tobytes()), dtype="int16", format="RAW", subtype="ULAW", samplerate=16000, channels=1
    )
    # a step of the coarsest of eight segments is 1024 of 32768
    error = np.abs(decoded.astype(int) - waveform)
    assert (error <= 4 + np.abs(waveform.astype(int)) / 30).all()
    stream = io.BytesIO()
    soundfile.write(stream, waveform, 16000, format="RAW", subtype="ULAW")
    theirs, _ = soundfile.read(
        io.BytesIO(stream.getvalue()), dtype="int16", format="RAW", subtype="ULAW", samplerate=16000, channels=1
    )
    assert error.mean() <= np.abs(theirs.astype(int) - waveform).mean() * 1.01


def test_few_segments_are_shown_by_their_principal_components():
    rng = np.random.default_rng(0)
    embedding = rng.normal(0, 1, (5, 3)) * [10, 1, 0.01]
    xy, method = page.project(embedding, rng.uniform(1, 5, (5, 2)), np.arange(5))
    assert xy.shape == (5, 2) and xy.dtype == np.float32
    assert method.startswith("principal components")
    assert abs(np.corrcoef(xy[:, 0], embedding[:, 0])[0, 1]) > 0.99
    assert page.project(embedding[:1], np.ones((1, 2)), np.zeros(1, dtype=int))[0].shape == (1, 2)


def test_turning_keeps_a_map_what_it_is(monkeypatch):
    rng = np.random.default_rng(0)
    hard = np.repeat(np.arange(7), 6)
    va = rng.uniform(1, 5, (7, 2))[hard] + rng.normal(0, 0.1, (42, 2))
    angle = 2.0
    placed = (va @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * [1, -1] * 30
    monkeypatch.setattr(figures, "project", lambda embedding, seed: placed)
    xy, method = page.project(np.zeros((42, 8)), va, hard)
    distances = [np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (placed, xy)]
    ratio = distances[1][distances[0] > 0] / distances[0][distances[0] > 0]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
    assert np.corrcoef(xy[:, 0], va[:, 0])[0, 1] > 0.999
    assert np.corrcoef(xy[:, 1], va[:, 1])[0, 1] > 0.999
    assert "turned" in method


def test_embeddings_are_taken_by_segment_not_by_order(tmp_path):
    ids = np.array(["c", "a", "b"])
    np.savez(tmp_path / "embeddings.npz", segment_id=ids, embedding=np.array([[3.0], [1.0], [2.0]]))
    assert page.read_embeddings(tmp_path, pd.Series(["a", "b", "c"])).ravel().tolist() == [1, 2, 3]


def test_embeddings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"embeddings\.npz is not there"):
        page.read_embeddings(tmp_path, pd.Series(["a"]))
    np.savez(tmp_path / "embeddings.npz", segment_id=np.array(["a"]), embedding=np.array([[np.inf]]))
    with pytest.raises(ValueError, match="1 of 2 in predictions.csv have no embedding"):
        page.read_embeddings(tmp_path, pd.Series(["a", "b"]))
    with pytest.raises(ValueError, match="Embeddings must be finite"):
        page.read_embeddings(tmp_path, pd.Series(["a"]))


def test_the_row_that_is_mapped_must_be_finished(grid):
    rows = tables.load(grid)
    assert page.choose_row(rows, None).name == "tensor_mixer_peakl"
    assert page.choose_row(rows, "concat_peakl").name == "concat_peakl"
    assert page.choose_row(rows[:1], None).name == "concat_peakl"
    with pytest.raises(ValueError, match="row must be a finished row, one of concat_peakl"):
        page.choose_row(rows[:1], "tensor_mixer_soft")


def test_what_the_report_is_of_stands_at_its_top(grid):
    rows = tables.load(grid)
    facts, cells = page.facts_of(rows, str(grid)), page.cells_of(rows, str(grid))
    assert facts["Experiment"] == "demo"
    assert facts["Protocol"] == "paper"
    assert facts["Folds with a finished cell"] == "0, 1 (2 of 5); 4 cells in all"
    assert cells.iloc[0].tolist() == ["done (seed 42)"] * 2 + ["waiting (seed 42)"] + ["not begun"] * 2
    text = page.render(MARKDOWN, embedding_map(), facts=facts, cells=cells)
    assert '<td class="text done">done (seed 42)</td>' in text
    assert "<dt>Seeds</dt><dd>42</dd>" in text


def test_a_figure_that_is_left_out_leaves_a_line(grid, tmp_path, monkeypatch):
    def draw(runs, out, row, n_resamples):
        Path(out).mkdir()
        for name in ("folds", "stale"):
            Path(out, f"{name}.png").write_bytes(png(2200, 1100))
        print("folds          drawn")
        print("corpus         left out: no corpora <here>")

    monkeypatch.setattr(figures, "build", draw)
    seen = []
    row = tables.load(grid)[0]
    pictures, missing = page.draw_figures("grid", tmp_path / "figures", row, 20, on_line=seen.append)
    assert [one[:2] for one in pictures] == [page.CAPTIONS["folds"]]
    assert missing == ["Figure corpus is missing: no corpora <here>"]
    assert len(seen) == 2
    text = page.render(MARKDOWN, embedding_map(), pictures=pictures, missing=missing)
    assert 'width="960" height="480" alt="Dot plot of weighted F1' in text
    assert "Figure corpus is missing: no corpora &lt;here&gt;" in text


def test_every_figure_has_a_caption():
    source = Path(figures.__file__).read_text(encoding="utf-8")
    names = re.findall(r'\("(\w+)", \w+_figure\)', source)
    assert len(names) > 5
    assert set(names) <= set(page.CAPTIONS)


def test_corpora_that_are_not_there_leave_a_line(grid):
    row = tables.load(grid)[0]
    assert "Not computed: A run&#x27;s data are found through its configuration" in page.raters_section(row, 20)


def test_the_door_has_the_options_of_the_page():
    import erc.report

    assert inspect.signature(erc.report.build) == inspect.signature(page.build)


def test_the_package_imports_nothing_heavy():
    code = (
        "import sys, erc.report; print(sorted({'numpy', 'pandas', 'matplotlib', 'umap', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------------------- real sample corpora


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, str]:
    """``root`` and ``cache_dir`` of sample corpora that are smaller than those that all tests share."""
    folder = tmp_path_factory.mktemp("tiny")
    sample.write(root=str(folder / "data"), sessions=5, segments=2, seconds=0.5, bio=False)
    return {"root": str(folder / "data"), "cache_dir": str(folder / "cache")}


@pytest.fixture(scope="module")
def sample_grid(tmp_path_factory, data) -> Path:
    """One row and fold of invented predictions of a sample corpus's segments."""
    ds = HF_KEMD("test", 1, **data).ds
    truth = results.truth_table(ds)
    rng = np.random.default_rng(0)
    gathered = {
        "segment_id": truth["segment_id"].to_numpy().astype(str),
        "emotion_probs": rng.dirichlet(np.ones(7), len(truth)),
        "pred_va": rng.uniform(1, 5, (len(truth), 2)),
        "embedding": rng.normal(0, 1, (len(truth), 8)) + 2 * truth["hard_label"].to_numpy()[:, None],
    }
    facts = dict(experiment="demo/tensor_mixer_peakl", fusion="tensor_mixer", target="peakl", fold=1, protocol="paper")
    facts |= dict(seed=42, corpora=["kemdy19", "kemdy20"], human=results.human_ceiling(ds), fingerprint="f")
    facts |= dict(versions={"erc": "0.1.0"}, seconds=1.0, peak_memory_mb=1.0)
    table = results.predictions_table(ds, gathered)
    result = results.make_result(table, truth, [{"epoch": 0, "valid/accuracy": 0.5}], 0, facts)
    cell = tmp_path_factory.mktemp("runs") / "grid" / "tensor_mixer_peakl" / "fold1-seed42"
    cell.mkdir(parents=True)
    results.write_fold(cell, table, result, gathered)
    dataset = dict(_target_="erc.datasets.HF_KEMD", _partial_=True, dataset_name="kemdy19-kemdy20", **data)
    dataset |= dict(validation_fold=1, num_data=None, num_proc=1, exclude="paper")
    dataset |= dict(transcript="raw", on_bad_segment="raise")
    config = {"dataset": dataset, "protocol": "paper", "dataloader": {"collate": {"max_samples": 112000}}}
    (cell / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return cell.parents[1]


def test_media_are_those_of_the_segment(sample_grid, data):
    row = tables.load(sample_grid)[0]
    table = next(iter(row.runs.values())).predictions.assign(fold=1, seed=42)
    one = page.EmbeddingMap(row.title, table, np.zeros((len(table), 2)), {1: "UMAP"})
    page.add_media(one, row, max_audio_mb=1000)
    by_id = {segment["segment_id"]: segment for segment in HF_KEMD("test", 1, **data)}
    assert len(one.transcripts) == len(one.audio) == len(table) > 50
    for k in range(0, len(table), 17):
        segment = by_id[table["segment_id"][k]]
        assert one.transcripts[k] == segment["transcript"]
        assert one.audio[k] == page.mu_law(segment["waveform"])


def test_audio_beyond_the_limit_is_left_out_evenly(sample_grid):
    row = tables.load(sample_grid)[0]
    table = next(iter(row.runs.values())).predictions.assign(fold=1, seed=42)
    one = page.EmbeddingMap(row.title, table, np.zeros((len(table), 2)), {1: "UMAP"})
    page.add_media(one, row, max_audio_mb=0.2)
    held = np.array([bool(audio) for audio in one.audio])
    assert sum(len(base64.b64encode(audio)) for audio in one.audio) <= 0.2e6
    assert 0 < held.sum() < len(held)
    assert held[: len(held) // 2].any() and held[len(held) // 2 :].any()
    with pytest.raises(ValueError, match="max_audio_mb must be 0 or more"):
        page.add_media(one, row, max_audio_mb=-1)


def test_segments_that_the_corpora_do_not_have_are_refused(sample_grid):
    row = tables.load(sample_grid)[0]
    table = next(iter(row.runs.values())).predictions.assign(fold=1, seed=42)
    table.loc[0, "segment_id"] = "Sess01_script99_F001"
    one = page.EmbeddingMap(row.title, table, np.zeros((len(table), 2)), {1: "UMAP"})
    with pytest.raises(ValueError, match="Every predicted segment must be in the data set: 1 of fold 1"):
        page.add_media(one, row, max_audio_mb=1)


def test_the_raters_agreement_is_that_of_the_data_set(sample_grid, data):
    text = page.raters_section(tables.load(sample_grid)[0], 20)
    found = raters.agreement(HF_KEMD("test", -1, **data), n_resamples=20)
    assert len(re.findall("<tr>", text)) == 1 + len({(one.group, one.ratings) for one in found})
    for one in found:
        if one.statistic not in ("correlation_min", "correlation_max"):
            ends = "" if np.isnan(one.low) else f" ({tables.short(one.low)} to {tables.short(one.high)})"
            assert f"<td>{tables.short(one.estimate)}{ends}</td>" in text


@pytest.mark.slow
def test_one_command_writes_tables_figures_and_a_page(sample_grid, tmp_path):
    out = tmp_path / "report"
    command = [sys.executable, "-m", "fire", "erc.report", "build", f"--runs={sample_grid}", f"--out={out}/"]
    done = subprocess.run(
        [*command, "--n-resamples=20"],
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[0]
    assert re.match(
        rf"{re.escape(str(out / 'index.html'))}: \d+\.\d MB, \d+ segments of tensor_mixer_peakl, \d figures", last
    )
    assert "without transcripts and audio" in last
    assert "report: 100%" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["figures", "index.html"]
    text = (out / "index.html").read_text(encoding="utf-8")
    assert len(text) < 15e6
    assert text.count("<img ") == len(list((out / "figures").glob("*.png")))
    for title in ("Do emotions lie to one another", "How far the raters agree", "Synthetic sample corpus"):
        assert title in text
    assert all(transcript not in text for transcript in transcripts_of(sample_grid))
    assert (sample_grid / "table.md").is_file()


def transcripts_of(grid: Path) -> list[str]:
    """Transcripts of a few words, which no heading could hold by chance."""
    cell = grid / "tensor_mixer_peakl" / "fold1-seed42"
    found = HF_KEMD("test", 1, **page.data_options(cell)).ds["transcript"]
    return [transcript for transcript in found if len(transcript) > 8]


# --------------------------------------------------------------------------------------------------------- in a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


@pytest.fixture
def open_page(tmp_path):
    """Opens a page in a fresh headless browser: ``open_page(text, width=1280)``; asks for no error at the end."""
    selenium = pytest.importorskip("selenium.webdriver", reason="browser tests need selenium: pip install selenium")
    if BROWSER is None or shutil.which("chromedriver") is None:
        pytest.skip("browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    drivers = []

    def start(text: str, width: int = 1280, height: int = 1000, dark: bool = False, phone: bool = False):
        options = selenium.ChromeOptions()
        options.binary_location = BROWSER
        for switch in SWITCHES.split():
            options.add_argument(switch)
        options.add_argument(f"--window-size={width},{height}")
        options.add_argument(f"--user-data-dir={tmp_path / f'profile{len(drivers)}'}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if phone:
            metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        driver = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
        drivers.append(driver)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        path = tmp_path / f"page{len(drivers)}.html"
        path.write_text(text, encoding="utf-8")
        driver.get(path.as_uri())
        deadline = time.monotonic() + 60
        while not driver.execute_script("return Boolean(window.report)") and time.monotonic() < deadline:
            time.sleep(0.05)
        bring(driver, "map")
        return driver

    yield start
    try:
        for driver in drivers:
            assert [entry["message"] for entry in driver.get_log("browser")] == []
            messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
            asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
            # the browser's own empty tab asks for chrome:// addresses
            asked = [one["request"]["url"] for one in asked if not one["documentURL"].startswith("chrome")]
            assert asked
            assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), asked
    finally:
        for driver in drivers:
            driver.quit()


def actions(driver):
    from selenium.webdriver.common.action_chains import ActionChains

    return ActionChains(driver, duration=20)


def bring(driver, name: str) -> None:
    """Scrolls an element to the middle of the window, where the header does not lie over it."""
    driver.execute_script("document.getElementById(arguments[0]).scrollIntoView({block: 'center'})", name)


def point(driver, panel: str, i: int, dx: float = 0, dy: float = 0):
    """The mouse over a segment of a plot."""
    bring(driver, panel)
    script = (
        "const b = document.getElementById(arguments[0]).getBoundingClientRect(), p = report.at(arguments[0], arguments[1]);"
        "return [p.x - b.left - b.width / 2, p.y - b.top - b.height / 2];"
    )
    x, y = driver.execute_script(script, panel, i)
    box = driver.find_element("id", panel)
    return actions(driver).move_to_element_with_offset(box, round(x + dx), round(y + dy))


def text_of(driver, name: str) -> str:
    return driver.find_element("id", name).text


def state(driver) -> dict:
    return driver.execute_script("return report.state()")


def apart(driver, panel: str) -> int:
    """A shown segment that no other lies near, so that the nearest one is certain."""
    script = (
        "const s = report.shown(), p = s.map((i) => report.at(arguments[0], i)); let best = 0, most = -1;"
        "s.forEach((i, a) => { let d = 1e9; s.forEach((j, b) => {"
        "if (a !== b) d = Math.min(d, Math.hypot(p[a].x - p[b].x, p[a].y - p[b].y)); });"
        "if (d > most) { most = d; best = i; } }); return best;"
    )
    return driver.execute_script(script, panel)


def press(driver, *keys: str) -> None:
    from selenium.webdriver.common.keys import Keys

    driver.switch_to.active_element.send_keys(*[getattr(Keys, key, key) for key in keys])


def click(driver, selector: str) -> None:
    found = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)  # not beneath the header
    found.click()


@pytest.mark.slow
def test_hover_shows_and_click_selects_the_segment(open_page):
    one = embedding_map()
    driver = open_page(page.render(MARKDOWN, one))
    i = apart(driver, "map")
    point(driver, "map", i).perform()
    assert state(driver)["hover"] == i
    tip, row = text_of(driver, "tip"), one.table.iloc[i]
    assert row["segment_id"] in tip
    assert f"{EMOTIONS[row['hard_label']]} {round(10 * row[SOFT[row['hard_label']]])}" in tip
    assert (
        f"{row['valence']:.1f} / {row['arousal']:.1f}, model {row['pred_valence']:.2f} / {row['pred_arousal']:.2f}"
        in tip
    )
    assert "says" not in tip
    point(driver, "map", i).click().perform()
    assert state(driver)["selected"] == i
    assert text_of(driver, "card-title") == row["segment_id"]
    card = text_of(driver, "card-body")
    assert f"{row['pred_valence']:.2f}" in card and row["corpus"] in card
    assert driver.find_elements("css selector", "#card audio") == []
    click(driver, "#close")
    assert state(driver)["selected"] == -1


@pytest.mark.slow
def test_filters_change_what_is_shown_and_counted(open_page):
    one = embedding_map()
    driver = open_page(page.render(MARKDOWN, one))
    first = one.table[one.table["fold"] == 0]
    assert text_of(driver, "count") == "60 of 60 segments shown."
    click(driver, "#emotions input[data-value=neutral]")
    others = first[first["hard_label"] != EMOTIONS.index("neutral")]
    assert text_of(driver, "count") == f"{len(others)} of 60 segments shown."
    click(driver, "#corpora input[data-value=kemdy20]")
    others = others[others["corpus"] == "kemdy19"]
    assert text_of(driver, "count") == f"{len(others)} of 60 segments shown."
    for outcome in ("right", "tied"):
        click(driver, f"#outcomes input[data-value={outcome}]")
    wrong = others[~others["is_tied"] & (others["hard_label"] != others[PROB].to_numpy().argmax(axis=1))]
    assert text_of(driver, "count") == f"{len(wrong)} of 60 segments shown."
    assert driver.execute_script("return report.shown()") == wrong.index.tolist()
    click(driver, "#none")
    assert text_of(driver, "count") == "0 of 60 segments shown."
    click(driver, "#all")
    for name in ("right", "tied", "kemdy20"):
        click(driver, f".chips input[data-value={name}]")
    driver.execute_script(
        "const f = document.getElementById('fold'); f.value = 1; f.dispatchEvent(new Event('change'))"
    )
    assert text_of(driver, "count") == "40 of 40 segments shown."
    click(driver, "input[name=by][value=prediction] + span")
    click(driver, "#emotions input[data-value=sad]")
    second = one.table[one.table["fold"] == 1]
    kept = second[second[PROB].to_numpy().argmax(axis=1) != EMOTIONS.index("sad")]
    assert driver.execute_script("return report.shown()") == kept.index.tolist()


@pytest.mark.slow
def test_a_rectangle_in_either_plot_marks_the_same_segments_in_the_other(open_page):
    one = embedding_map()
    driver = open_page(page.render(MARKDOWN, one))
    pixels = "const c = document.querySelector('#' + arguments[0] + ' .base'); return c.toDataURL();"
    for panel, other in (("va", "map"), ("map", "va")):
        before = driver.execute_script(pixels, other)
        size = driver.execute_script("return document.getElementById(arguments[0]).clientWidth", panel)
        bring(driver, panel)
        box = driver.find_element("id", panel)
        corner = actions(driver).move_to_element_with_offset(box, -size // 4, -size // 4).click_and_hold()
        corner.move_by_offset(size // 4, size // 4).move_by_offset(size // 4, size // 4).release().perform()
        script = (
            "const b = document.getElementById(arguments[0]).getBoundingClientRect(), q = arguments[1];"
            "return report.shown().filter((i) => { const p = report.at(arguments[0], i);"
            "return Math.abs(p.x - b.left - b.width / 2) < q && Math.abs(p.y - b.top - b.height / 2) < q; });"
        )
        surely, at_most = (set(driver.execute_script(script, panel, size / 4 + margin)) for margin in (-2, 2))
        marked = set(driver.execute_script("return report.brushed()"))
        assert surely <= marked <= at_most
        assert len(marked) > 5
        assert text_of(driver, "brushed").startswith(f"{len(marked)} in the rectangle: ")
        assert driver.execute_script(pixels, other) != before
        click(driver, "#clear")
        assert driver.execute_script("return report.brushed()") == []
        assert text_of(driver, "brushed") == ""


@pytest.mark.slow
def test_the_plots_are_usable_by_keyboard(open_page):
    from selenium.webdriver.common.keys import Keys

    one = embedding_map()
    driver = open_page(page.render(MARKDOWN, one))
    driver.execute_script("document.getElementById('none').focus()")
    visited = []
    for _ in range(12):
        press(driver, "TAB")
        visited.append(driver.switch_to.active_element.get_attribute("id") or driver.switch_to.active_element.tag_name)
    assert [name for name in visited if name in ("map", "va", "previous", "next")] == ["map", "va", "previous", "next"]
    driver.execute_script("document.getElementById('map').focus({focusVisible: true})")
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert driver.execute_script(outline) == "solid"
    press(driver, "ARROW_RIGHT")
    start = state(driver)["hover"]
    assert start >= 0
    assert one.table["segment_id"][start] in driver.find_element("id", "announce").get_attribute("textContent")
    for key, axis, sign in (("ARROW_RIGHT", "x", 1), ("ARROW_UP", "y", -1), ("ARROW_LEFT", "x", -1)):
        before = state(driver)["hover"]
        press(driver, key)
        after = state(driver)["hover"]
        at = [driver.execute_script("return report.at('map', arguments[0])", i)[axis] for i in (before, after)]
        assert after == before or sign * (at[1] - at[0]) > 0
    press(driver, "ENTER")
    chosen = state(driver)["selected"]
    assert chosen == state(driver)["hover"]
    assert text_of(driver, "card-title") == one.table["segment_id"][chosen]
    seen = {chosen}
    for _ in range(59):
        press(driver, "PAGE_DOWN")
        seen.add(state(driver)["hover"])
    assert seen == set(range(60)), "every segment is reached"
    actions(driver).key_down(Keys.SHIFT).send_keys(*[Keys.ARROW_LEFT, Keys.ARROW_UP] * 12).key_up(Keys.SHIFT).perform()
    assert len(driver.execute_script("return report.brushed()")) > 1
    press(driver, "ESCAPE")
    assert driver.execute_script("return report.brushed()") == []
    press(driver, "ESCAPE")
    assert state(driver)["selected"] == -1
    click(driver, "#next")
    assert state(driver)["selected"] == 0


@pytest.mark.slow
def test_colours_follow_the_system_and_the_button(open_page):
    text = page.render(MARKDOWN, embedding_map())
    background = "return getComputedStyle(document.body).backgroundColor"
    driver = open_page(text, dark=True)
    assert driver.execute_script(background) == "rgb(20, 23, 27)"
    pixel = "return document.querySelector('#va .base').toDataURL()"
    dark = driver.execute_script(pixel)
    click(driver, "#theme")
    assert driver.execute_script(background) == "rgb(255, 255, 255)"
    assert driver.execute_script(pixel) != dark, "the plots are drawn anew"
    driver.refresh()
    assert driver.execute_script(background) == "rgb(255, 255, 255)", "the choice is kept"
    light = open_page(text)
    assert light.execute_script(background) == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_a_phone_shows_everything_without_scrolling_sideways(open_page):
    driver = open_page(page.render(MARKDOWN, embedding_map()), width=360, height=740, phone=True)
    assert driver.execute_script("return document.documentElement.scrollWidth") == 360
    bring(driver, "map")
    i = apart(driver, "map")
    place = driver.execute_script("return report.at('map', arguments[0])", i)
    touch = [{"x": place["x"], "y": place["y"]}]
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": touch})
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    deadline = time.monotonic() + 5
    while state(driver)["selected"] != i and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state(driver)["selected"] == i
    tip = driver.find_element("id", "tip").rect
    assert tip["x"] >= 0 and tip["x"] + tip["width"] <= 360
    assert driver.find_element("id", "touch").is_displayed()
    small = (
        "const all = [...document.querySelectorAll('#app button, #app .chip, #app select')];"
        "return all.filter((one) => one.offsetHeight && one.offsetHeight < 32).length"
    )
    assert driver.execute_script(small) == 0, "large enough for a finger"


@pytest.mark.slow
def test_folds_are_never_laid_over_each_other(open_page):
    one = embedding_map(sizes=(30, 30, 30, 30, 30))
    driver = open_page(page.render(MARKDOWN, one))
    driver.execute_script(
        "const f = document.getElementById('fold'); f.value = -1; f.dispatchEvent(new Event('change'))"
    )
    assert text_of(driver, "count") == "150 of 150 segments shown."
    where = driver.execute_script(
        "return report.shown().map((i) => { const p = report.at('map', i); return [p.x, p.y]; })"
    )
    where = np.array(where).reshape(5, 30, 2)
    boxes = [(*part.min(axis=0), *part.max(axis=0)) for part in where]
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        for u0, v0, u1, v1 in boxes[k + 1 :]:
            assert x1 < u0 or u1 < x0 or y1 < v0 or v1 < y0


@pytest.mark.slow
def test_equal_means_are_set_apart_a_little_and_at_random(open_page):
    one = embedding_map(sizes=(400,))
    one.table[["valence", "arousal"]] = np.tile([[2.0, 4.0], [4.0, 2.0]], (200, 1))
    driver = open_page(page.render(MARKDOWN, one))
    where = driver.execute_script(
        "return report.shown().map((i) => { const p = report.at('va', i); return [p.x, p.y]; })"
    )
    shifts = []
    for axis, name in enumerate(("valence", "arousal")):
        at = [np.array(where)[one.table[name] == value, axis] for value in (2, 4)]
        unit = (at[1].mean() - at[0].mean()) / 2
        assert max(np.ptp(part) for part in at) <= 0.085 * abs(unit)
        shifts.append(np.concatenate([part - part.mean() for part in (at if name == "valence" else at[::-1])]))
    assert abs(np.corrcoef(*shifts)[0, 1]) < 0.15


@pytest.mark.slow
def test_planted_markup_does_not_run(open_page):
    one = embedding_map(transcripts=[PLANTED] * 100, audio=[b""] * 100)
    one.table.loc[0, "segment_id"] = PLANTED
    driver = open_page(page.render(MARKDOWN.replace("Concatenation", PLANTED), one))
    click(driver, "#next")
    assert text_of(driver, "card-title") == PLANTED
    assert PLANTED in text_of(driver, "card-body")
    point(driver, "map", 0).perform()
    assert PLANTED in text_of(driver, "tip")
    assert driver.execute_script("return window.planted") is None


@pytest.mark.slow
def test_audio_is_played_as_it_was_recorded(open_page):
    seconds = np.arange(8000) / 16000
    waveform = (np.sin(2 * np.pi * 440 * seconds) * 20000).astype(np.int16)
    one = embedding_map(transcripts=["안녕하세요"] * 100, audio=[page.mu_law(waveform)] * 99 + [b""])
    driver = open_page(page.render(MARKDOWN, one))
    driver.execute_script(
        "const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.blob = blob; return make(blob); }"
    )
    click(driver, "#next")
    assert "안녕하세요" in text_of(driver, "card-body")
    duration = driver.execute_async_script(
        "const done = arguments[0], a = document.querySelector('#card audio');"
        "if (a.readyState) done(a.duration); else { a.onloadedmetadata = () => done(a.duration); a.onerror = () => done(-1); }"
    )
    assert duration == pytest.approx(0.5)
    wav = driver.execute_async_script(
        "const done = arguments[0]; window.blob.arrayBuffer().then((b) => done(Array.from(new Uint8Array(b))))"
    )
    heard, rate = soundfile.read(io.BytesIO(bytes(wav)), dtype="int16")
    expected, _ = soundfile.read(
        io.BytesIO(one.audio[0]), dtype="int16", format="RAW", subtype="ULAW", samplerate=16000, channels=1
    )
    assert rate == 16000
    np.testing.assert_array_equal(heard, expected)
    driver.execute_script(
        "const f = document.getElementById('fold'); f.value = 1; f.dispatchEvent(new Event('change'))"
    )
    click(driver, "#previous")
    assert "limit for audio was reached" in text_of(driver, "card-body")


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(4700, 4700, 4700, 4700, 4658), (23458,)], ids=["five folds", "one fold"])
def test_both_corpora_at_full_size_paint_in_three_seconds_and_hover_in_fifty_milliseconds(open_page, sizes):
    driver = open_page(page.render(MARKDOWN, embedding_map(sizes=sizes)))
    script = (
        "const paint = performance.getEntriesByName('first-contentful-paint')[0];"
        "return [paint ? paint.startTime : null, performance.getEntriesByName('map-drawn')[0].startTime];"
    )
    painted, drawn = driver.execute_script(script)
    if len(sizes) > 1:
        driver.execute_script(
            "const f = document.getElementById('fold'); f.value = -1; f.dispatchEvent(new Event('change'))"
        )
    assert text_of(driver, "count") == "23,458 of 23,458 segments shown."
    hovers = driver.execute_async_script(
        """
        const done = arguments[0], box = document.getElementById("map"), rect = box.getBoundingClientRect(), times = [];
        let k = 0;
        const one = () => {
          const p = report.at("map", report.shown()[(k * 977) % 23458]), start = performance.now();
          box.dispatchEvent(new PointerEvent("pointermove", {clientX: p.x, clientY: p.y, pointerType: "mouse", bubbles: true}));
          document.getElementById("tip").getBoundingClientRect();
          times.push(performance.now() - start);
          if (++k < 100) requestAnimationFrame(one); else done(times);
        };
        one();
        """
    )
    brush = driver.execute_script(
        """
        const box = document.getElementById("va"), rect = box.getBoundingClientRect(), start = performance.now();
        const send = (type, x, y) => box.dispatchEvent(new PointerEvent(type,
          {clientX: rect.left + x, clientY: rect.top + y, pointerType: "mouse", isPrimary: true, button: 0, bubbles: true}));
        box.setPointerCapture = () => {};
        send("pointerdown", 60, 30); send("pointermove", 200, 200); send("pointerup", 350, 350);
        return [performance.now() - start, report.brushed().length];
        """
    )
    figures_ = f"first paint {painted:.0f} ms, map drawn {drawn:.0f} ms, hover median {np.median(hovers):.1f} ms, "
    print(figures_ + f"worst {max(hovers):.1f} ms, rectangle over {brush[1]:,} segments {brush[0]:.0f} ms")
    assert painted < 3000
    assert drawn < 3000
    assert np.quantile(hovers, 0.95) < 50
    assert brush[1] > 1000
