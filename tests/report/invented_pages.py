"""Invented inputs of the page: a document, an explorer, and finished cells of a grid; and a reader of its HTML."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
from kemd_columns import COLUMNS, PROB, SOFT, TRUTH, VOTES
from PIL import Image

from erc.data import EMOTIONS, KEMD
from erc.evaluation import predictions as evaluation_predictions
from erc.report.page import explorer as page_explorer
from erc.report.rendering import Document, Section, Table

PLANTED = "</script><script>window.planted = 1</script><img src=x onerror='window.planted = 1'>"


def document(title: str = "grid", name: str = "Concatenation, PeakL") -> Document:
    """A report of two sections, one of each kind."""
    reading = Table(
        ["", "Weighted-F1", "CCC(aro)"],
        [
            ["Tensor Mixer Network, PeakL (2/5 folds)", ".607 ± .078", ".252 ± .058"],
            ["Majority", ".293 ± .046", ".000 ± .000"],
        ],
    )
    intervals = Table(["", "Weighted-F1"], [["Majority", ".250 to .310"]], "95 % intervals of reading `selected`")
    distributions = Table(
        ["", "JSD", "CE"], [[name, ".313 ± .012", "1.633 ± .016"], ["Human: weighted F1 .683", "", ""]]
    )
    return Document(
        title,
        [
            "protocol=paper: as published.",
            "Mean ± sample standard deviation over folds; seeds 42.",
            "**Synthetic sample corpus: says nothing about people.**",
        ],
        [
            Section("Reading `selected`: at the one checkpoint", [], [reading, intervals], "reading"),
            Section(
                "Label distributions, reading `selected`", ["JSD: a **divergence**."], [distributions], "statistics"
            ),
        ],
    )


DOCUMENT = document()


def predictions(n: int, seed: int = 0, prefix: str = "Sess01_script01_F") -> pd.DataFrame:
    """Invented predictions with the columns of ``predictions.csv``: mostly right, a few ties, all emotions."""
    rng = np.random.default_rng(seed)
    hard = np.arange(n) % len(EMOTIONS)
    votes = np.zeros((n, len(EMOTIONS)), dtype=int)
    votes[np.arange(n), hard] = 6
    votes[np.arange(n), (hard + 1) % len(EMOTIONS)] = 4
    tied = np.arange(n) % 10 == 9
    votes[tied] = [5, 5, 0, 0, 0, 0, 0]
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
            "session": 1,
            "dialogue": prefix.rsplit("_", 1)[0],
            "speaker": "Sess01F",
        }
    )
    table[VOTES] = votes
    table[SOFT] = votes / 10
    table["hard_label"], table["is_tied"] = hard, tied
    table[["valence", "arousal"]] = va
    table[PROB] = probs
    table[["pred_valence", "pred_arousal"]] = pred_va
    return table[COLUMNS]


def explorer(
    sizes=(60, 40), seed: int = 0, rows=("tensor_mixer_peakl",), transcripts=None, audio=None
) -> page_explorer.Explorer:
    """Invented folds: emotions as clouds, in another place in each fold; ``transcripts`` and ``audio`` of each segment."""
    rng = np.random.default_rng(seed)
    found = page_explorer.Explorer(KEMD, rows[0])
    for fold, n in enumerate(sizes):
        table = predictions(n, seed + fold, prefix=f"Sess{fold + 1:02d}_script01_F")
        media = dict(transcripts=transcripts and [transcripts] * n, audio=audio and [audio] * n)
        found.segments.append(page_explorer.Segments(table, **media))
    for k, row in enumerate(rows):
        for fold, n in enumerate(sizes):
            table = predictions(n, seed + fold, prefix=f"Sess{fold + 1:02d}_script01_F")
            table[PROB] = np.roll(table[PROB], k, axis=1)
            xy = rng.normal(0, 1, (len(EMOTIONS), 2))[table["hard_label"]] + rng.normal(0, 0.2, (n, 2))
            neighbours = (np.arange(n)[:, None] + np.arange(1, 6)) % n
            found.runs.append(
                page_explorer.ExploredRun(
                    row, f"Title of {row}", fold, 42, fold, table, xy.astype(np.float32), neighbours, "components"
                )
            )
    return found


def write_grid(folder: Path, n: int = 30, folds=(0, 1), rows=("concat_peakl", "tensor_mixer_peakl")) -> Path:
    """A grid of invented finished cells."""
    for row in rows:
        fusion, target = row.rsplit("_", 1)
        for fold in folds:
            table = predictions(n, seed=fold, prefix=f"Sess{fold + 1:02d}_script01_F").sample(frac=1, random_state=fold)
            table = table.sort_values("segment_id", ignore_index=True)
            facts = dict(experiment="demo", fusion=fusion, target=target, fold=fold, protocol="paper", seed=42)
            facts |= dict(corpora=["kemdy19", "kemdy20"], is_synthetic=True, n_chosen_on=n, human={}, fingerprint="f")
            facts |= dict(
                label_space=KEMD, n_folds=5, code={}, versions={"erc": "0.1.0"}, seconds=1.0, peak_memory_mb=1.0
            )
            train = table[TRUTH]
            result = evaluation_predictions.make_result(table, train, [{"epoch": 0, "valid/accuracy": 0.5}], 0, facts)
            embedding = np.random.default_rng(fold).normal(0, 1, (n, 8)) + table["hard_label"].to_numpy()[:, None]
            gathered = {"segment_id": table["segment_id"].to_numpy().astype(str), "embedding": embedding}
            cell = folder / row / f"fold{fold}-seed42"
            cell.mkdir(parents=True)
            evaluation_predictions.write_fold(cell, table, result, gathered)
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
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(stream, "png")
    return stream.getvalue()
