"""A grid's report as one HTML page: tables, statistics, figures and an embedding map to explore, in a single file.

Comes in: a grid's folder, from which tables.py, figures.py and raters.py make what they make. Goes out: ``<out>/index.html``, which opens by
double click and reaches no network: ``page_template.html``, ``page.css`` and ``page.js`` go in as they are, arrays as base64
(little-endian), figures as data URIs.
Conventions:

- One embedding space per fold: each is projected by itself, and no two are laid over each other.
- A transcript or audio is human-subject data: neither is read unless ``with_media`` asks for it.
- All text is escaped; a content security policy lets no script run but the page's own, by its hash.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import functools
import hashlib
import html
import io
import json
import re
import string
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from erc.corpora import N_FOLDS
from erc.folds import NO_SPLIT
from erc.labels import EMOTIONS, N_RATERS, VA_MAX, VA_MIN
from erc.report import figures, raters, tables
from erc.report.tables import short, short_p
from erc.results import PROB, SOFT
from erc.runs import status, write_atomically

SHAPES = {"^": "up", "v": "down", "s": "square", "o": "circle", "D": "diamond", "P": "plus", "X": "cross"}
"""What page.js calls matplotlib's markers."""
CAPTIONS = {
    "folds": (
        "Dot plot of weighted F1 and both concordances, a line a row of the table",
        "Every fold of every row: a dot each, the same fold joined by lines, the mean a bar.",
    ),
    "confusion": (
        "Two confusion matrices of seven emotions: counts and shares",
        "Raters' majority by predicted emotion, untied segments of all folds: counts, and shares of each emotion.",
    ),
    "f1": (
        "Dot plot of the F1 of seven emotions with intervals",
        "F1 of each emotion over all folds, with 95 % bootstrap intervals over dialogues.",
    ),
    "calibration": (
        "Reliability diagram above a histogram of the predicted probabilities",
        "How often a prediction is right, by the probability that the model gave it; below, how many there are.",
    ),
    "predictions": (
        "Two scatter plots, predicted by true valence and predicted by true arousal",
        "Predicted by true valence and arousal, untied segments of all folds.",
    ),
    "curves": (
        "Four line plots by epoch: training loss, weighted F1, concordance of arousal and of valence",
        "Training loss and validation metrics by epoch, a line a fold; a dot marks the selected epoch.",
    ),
    "peakl": (
        "Five plots of label distributions before and after PeakL",
        "What PeakL does to the raters' votes: mean distributions, the runner-up's share, one segment, mass moved.",
    ),
    "corpus": (
        "Four bar plots of the corpora",
        "The corpora: votes, agreement of the raters, durations, and emotions by fold.",
    ),
    "map": (
        "Two scatter plots with a centroid and an ellipse for each emotion: raters' plane, and UMAP of the model's vectors",
        "Where the raters put each emotion, and where the vectors in front of the heads lie: one fold, untied segments only, "
        "hence another projection than that of the map to explore.",
    ),
}
"""Text for those who do not see it, and caption, by the name under which figures.py writes a figure."""
MAX_AUDIO_SECONDS = 7
"""What the model hears of a segment."""


@dataclass
class EmbeddingMap:
    """Segments of one row of the table, fold after fold.

    Args:
        title: The row, for people.
        table: (N rows) ``results.COLUMNS`` and ``fold``, ``seed``.
        xy: (N, 2) place in the fold's own two-dimensional projection.
        methods: By fold, how it was projected.
        transcripts: (N,) or None for a page without.
        audio: (N,) mu-law bytes at ``sample_rate``, empty where left out; or None for a page without.
        sample_rate: Hz.
    """

    title: str
    table: pd.DataFrame
    xy: np.ndarray
    methods: dict[int, str]
    transcripts: list[str] | None = None
    audio: list[bytes] | None = None
    sample_rate: int = 16_000


class Picture(NamedTuple):
    """One figure as it goes into the page."""

    alt: str
    """What is seen, for those who do not see it."""
    caption: str
    png: bytes
    """Content of the file."""


def build(
    runs: str,
    out: str = "report",
    row: str | None = None,
    with_media: bool = False,
    max_audio_mb: float = 12.0,
    n_resamples: int = 2000,
    seed: int = 42,
) -> str:
    """Writes ``<out>/index.html``, and the tables and figures that go into it.

    Args:
        runs: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        out: Folder of the report.
        row: The row that figures and the embedding map show; as in ``tables.build`` where not given.
        with_media: Put transcripts and audio into the page. They are human-subject data: keep such a page to yourself.
        max_audio_mb: Audio beyond so many megabytes is left out, segment by segment in random order.
        n_resamples: Of the bootstrap.
        seed: Of the projection and of that order.

    Returns:
        Where the page is, how large, and what is in it.

    Raises:
        FileNotFoundError: No cell is finished, or a finished one has lost its ``embeddings.npz``.
        ValueError: ``row`` is not a finished one, or a run's files do not belong together.
    """
    rows = tables.load(runs)
    chosen = choose_row(rows, row)
    target = Path(out)
    with tqdm(total=4 + len(chosen.folds) * (1 + with_media), desc="report", unit="step", file=sys.stderr) as bar:

        def done(following: str) -> None:
            bar.update()
            bar.set_postfix_str(following)

        bar.set_postfix_str("tables")
        markdown = tables.build(runs, n_resamples=n_resamples)
        done("projections")
        embedding_map = map_of(chosen, seed=seed, on_fold=lambda fold: done(f"projected fold {fold}"))
        if with_media:
            add_media(
                embedding_map, chosen, max_audio_mb, seed=seed, on_fold=lambda fold: done(f"media of fold {fold}")
            )
        bar.set_postfix_str("figures")
        pictures, missing = draw_figures(
            runs, target / "figures", chosen, n_resamples, on_line=lambda line: bar.set_postfix_str(line.split()[0])
        )
        done("raters")
        more = [raters_section(chosen, n_resamples)]
        # where the map is missing, alignment.csv may be an older grid's
        if not any(line.startswith("Figure map ") for line in missing):
            more.insert(0, alignment_section(rows, target / "figures" / "alignment.csv"))
        done("page")
        text = render(
            markdown,
            embedding_map,
            more="\n".join(more),
            pictures=pictures,
            missing=missing,
            facts=facts_of(rows, runs),
            cells=cells_of(rows, runs),
        )
        write_atomically(target / "index.html", text)
        done("")
    media = "without transcripts and audio"
    if with_media:
        media = f"with transcripts and {sum(map(bool, embedding_map.audio)):,} recordings: human-subject data"
    return "\n".join(
        [
            f"{target / 'index.html'}: {(target / 'index.html').stat().st_size / 1e6:.1f} MB, "
            f"{len(embedding_map.table):,} segments of {chosen.name}, {len(pictures)} figures, {media}",
            *missing,
        ]
    )


def choose_row(rows: list[tables.Row], name: str | None) -> tables.Row:
    """The row that is mapped.

    Raises:
        ValueError: It is not a finished one.
    """
    by_name = {row.name: row for row in rows}
    if name is None:
        name = "tensor_mixer_peakl" if "tensor_mixer_peakl" in by_name else rows[-1].name
    if name not in by_name:
        raise ValueError(f"row must be a finished row, one of {', '.join(by_name)}: got {name!r}.")
    return by_name[name]


# ---- embedding map


def map_of(row: tables.Row, seed: int = 42, on_fold: Callable[[int], None] = lambda fold: None) -> EmbeddingMap:
    """Predictions and projected embeddings of a row: the lowest seed of each finished fold, each in its own space.

    Raises:
        FileNotFoundError: A run has no ``embeddings.npz``.
        ValueError: It holds other segments than ``predictions.csv``, or values that are not finite.
    """
    parts, places, methods = [], [], {}
    for fold, run in row.first_seed().items():
        table = run.predictions
        embedding = read_embeddings(run.folder, table["segment_id"])
        va, hard_label = table[["valence", "arousal"]].to_numpy(), table["hard_label"].to_numpy()
        xy, methods[fold] = project(embedding, va, hard_label, seed)
        parts.append(table.assign(fold=fold, seed=run.result["seed"]))
        places.append(xy)
        on_fold(fold)
    return EmbeddingMap(row.title, pd.concat(parts, ignore_index=True), np.concatenate(places), methods)


def read_embeddings(folder: Path, segment_ids: pd.Series) -> np.ndarray:
    """(N, D) vectors in front of the heads, in the order of ``segment_ids``; errors as ``map_of``."""
    path = folder / "embeddings.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"An embedding map needs the embeddings of every finished cell: {path} is not there. "
            "Remove the cell's result.json and train it again, or map another row (--row)."
        )
    with np.load(path) as stored:
        ids, embedding = stored["segment_id"], stored["embedding"]
    place = pd.Index(ids).get_indexer(segment_ids)
    if (place < 0).any():
        raise ValueError(
            f"Embeddings and predictions must be of the same segments: {int((place < 0).sum())} of {len(place)} in "
            f"predictions.csv have no embedding in {path}. Train the cell again."
        )
    embedding = embedding[place]
    if not np.isfinite(embedding).all():
        raise ValueError(f"Embeddings must be finite: {path} holds NaN or infinite values. Train the cell again.")
    return embedding


def project(embedding: np.ndarray, va: np.ndarray, hard_label: np.ndarray, seed: int = 42) -> tuple[np.ndarray, str]:
    """Vectors in front of the heads in two dimensions, turned as a whole to lie as the raters' plane does.

    Too few segments for a UMAP are shown by their first two principal components.

    Args:
        embedding: (N, D).
        va: (N, 2) valence and arousal.
        hard_label: (N,) emotion index.
        seed: Of UMAP; the same seed gives the same map.

    Returns:
        (N, 2) float32 without unit, and what was done.
    """
    if len(embedding) < figures.MIN_MAPPED:
        left, size, _ = np.linalg.svd(embedding - embedding.mean(axis=0), full_matrices=False)
        xy, method = np.zeros((len(embedding), 2)), "principal components (too few segments for UMAP)"
        xy[:, : len(size)] = (left * size)[:, :2]
    else:
        xy, method = figures.project(embedding, seed), "UMAP"
    with contextlib.suppress(figures.NotDrawn), np.errstate(invalid="ignore", divide="ignore"):
        turned, _ = figures.align_map(xy, va, hard_label)
        turned = (turned - turned.mean(axis=0)) / turned.std()
        if np.isfinite(turned).all():
            return turned.astype(np.float32), f"{method}, turned to lie like the plane, no unit"
    return xy.astype(np.float32), method


def pack(embedding_map: EmbeddingMap) -> dict:
    """Content of the page's ``#data``: names, folds, and one flat little-endian array per quantity, base64.

    Folds become indices into ``folds``, corpora into ``corpora``; votes are the ten raters' counts.
    """
    table = embedding_map.table
    if not np.isfinite(table[[*SOFT, *PROB, "valence", "arousal", "pred_valence", "pred_arousal"]]).all(axis=None):
        raise ValueError("Predictions must be finite: predictions.csv holds NaN or infinite values.")
    folds = sorted(table["fold"].unique())
    corpora = sorted(table["corpus"].unique())
    first = table.groupby("fold")["seed"].first()
    arrays = {
        "xy": (embedding_map.xy, "<f4"),
        "va": (table[["valence", "arousal", "pred_valence", "pred_arousal"]], "<f4"),
        "probs": (table[PROB], "<f4"),
        "votes": (np.rint(table[SOFT].to_numpy() * N_RATERS), "u1"),
        "truth": (table["hard_label"], "u1"),
        "predicted": (table[PROB].to_numpy().argmax(axis=1), "u1"),
        "tied": (table["is_tied"], "u1"),
        "corpus": (table["corpus"].map(corpora.index), "u1"),
        "fold": (table["fold"].map(folds.index), "u1"),
    }
    names = {"<f4": "float32", "u1": "uint8"}
    return {
        "emotions": EMOTIONS,
        "colours": [figures.COLORS[emotion] for emotion in EMOTIONS],
        "shapes": [SHAPES[figures.MARKERS[emotion]] for emotion in EMOTIONS],
        "raters": N_RATERS,
        "vaMin": VA_MIN,
        "vaMax": VA_MAX,
        "corpora": corpora,
        "folds": [
            {
                "fold": int(fold),
                "seed": int(first[fold]),
                "n": int((table["fold"] == fold).sum()),
                "method": embedding_map.methods[fold],
            }
            for fold in folds
        ],
        "ids": "\n".join(table["segment_id"]),
        "arrays": {
            name: {
                "type": names[kind],
                "data": base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode(),
            }
            for name, (values, kind) in arrays.items()
        },
        "transcripts": embedding_map.transcripts,
        "hasAudio": embedding_map.audio is not None,
        "sampleRate": embedding_map.sample_rate,
    }


# ---- human-subject data: only on request


def add_media(
    embedding_map: EmbeddingMap,
    row: tables.Row,
    max_audio_mb: float,
    seed: int = 42,
    on_fold: Callable[[int], None] = lambda fold: None,
) -> None:
    """Puts transcripts and the first seven seconds of audio into a map, from the data sets that the runs were scored on.

    Raises:
        ValueError: ``max_audio_mb`` is negative, or a predicted segment is not in the data set.
        FileNotFoundError: A run has no ``config.yaml``, or its corpora are not there.
    """
    from erc.datasets import HF_KEMD  # Hugging Face datasets: seconds to import
    from erc.media import SAMPLE_RATE

    if max_audio_mb < 0:
        raise ValueError(f"max_audio_mb must be 0 or more megabytes: got {max_audio_mb}.")
    transcripts: list[str] = []
    sizes: list[np.ndarray] = []
    waveforms = []  # one call per segment, so that only what goes into the page is read
    for fold, run in row.first_seed().items():
        ids = embedding_map.table.loc[embedding_map.table["fold"] == fold, "segment_id"]
        ds = HF_KEMD("test", fold, **data_options(run.folder)).ds
        segments = ds.select_columns(["segment_id", "transcript", "n_samples"]).to_pandas()
        place = pd.Index(segments["segment_id"]).get_indexer(ids)
        if (place < 0).any():
            raise ValueError(
                f"Every predicted segment must be in the data set: {int((place < 0).sum())} of fold {fold} are not in what "
                f"{run.folder / 'config.yaml'} describes. Has the corpus changed?"
            )
        transcripts += segments["transcript"].iloc[place].tolist()
        sizes.append(np.minimum(segments["n_samples"].to_numpy()[place], MAX_AUDIO_SECONDS * SAMPLE_RATE))
        media = ds.select_columns("waveform").with_format("numpy")
        waveforms += [functools.partial(media.__getitem__, index) for index in place.tolist()]
        on_fold(fold)
    order = np.random.default_rng(seed).permutation(len(waveforms))
    n_characters = 4 * -(-np.concatenate(sizes) // 3)  # a byte a sample, as base64
    audio = [b""] * len(waveforms)
    for index in order[np.cumsum(n_characters[order]) <= max_audio_mb * 1e6]:
        audio[index] = mu_law(np.asarray(waveforms[index]()["waveform"])[: MAX_AUDIO_SECONDS * SAMPLE_RATE])
    embedding_map.transcripts, embedding_map.audio, embedding_map.sample_rate = transcripts, audio, SAMPLE_RATE


def data_options(folder: Path) -> dict:
    """Arguments of ``HF_KEMD`` that a run was scored with, but mode and fold.

    Relative paths are relative to where the run was started, as they were for it: the repository.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"A run's data are found through its configuration: {path} is not there. Put it back, or build without --with-media."
        )
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    options = {key: value for key, value in config["dataset"].items() if not key.startswith("_")}
    del options["validation_fold"]
    return options | {"protocol": config["protocol"]}


def mu_law(waveform: np.ndarray) -> bytes:
    """(L,) int16 -> L bytes of mu-law, half the size and good enough to listen to (ITU-T G.711)."""
    samples = waveform.astype(np.int32)
    magnitude = np.minimum(np.abs(samples), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(((samples < 0) << 7) | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()


# ---- what stands around the map


def facts_of(rows: list[tables.Row], runs: str) -> dict[str, str]:
    """What this report is of, label by label."""
    results = [run.result for row in rows for run in row.runs.values()]

    def each(values) -> str:
        return ", ".join(map(str, sorted(set(values))))

    folds = sorted({result["fold"] for result in results})
    return {
        # as in grid.EXPERIMENTS: demo/tensor_mixer_peakl is of demo, tensor_mixer_peakl of paper
        "Experiment": each(
            result["experiment"].split("/")[0] if "/" in result["experiment"] else "paper" for result in results
        ),
        "Corpora": each(name for result in results for name in result["corpora"]),
        "Protocol": each(result["protocol"] for result in results),
        "Seeds": each(result["seed"] for result in results),
        "Folds with a finished cell": f"{each(folds)} ({len(folds)} of {N_FOLDS}); {len(results)} cells in all",
        "Versions": "; ".join(
            sorted({", ".join(f"{k} {v}" for k, v in result["versions"].items()) for result in results})
        ),
    }


def cells_of(rows: list[tables.Row], runs: str) -> pd.DataFrame:
    """State of each cell that was begun: one line a row, one column a fold."""
    titles = {row.name: row.title for row in rows}
    found: dict[str, dict[int, list[str]]] = {}
    for path in sorted(Path(runs).glob("*/fold*-seed*")):
        match = re.fullmatch(r"fold(\d+)-seed(\d+)", path.name)
        if match and path.is_dir():
            state = f"{status(path)} (seed {match[2]})"
            found.setdefault(path.parent.name, {}).setdefault(int(match[1]), []).append(state)
    order = [*titles, *sorted(set(found) - set(titles))]
    return pd.DataFrame(
        [[", ".join(found.get(name, {}).get(fold, ["not begun"])) for fold in range(N_FOLDS)] for name in order],
        index=[titles.get(name, name) for name in order],
        columns=[f"fold {fold}" for fold in range(N_FOLDS)],
    )


def draw_figures(
    runs: str, folder: Path, row: tables.Row, n_resamples: int, on_line: Callable[[str], None] = lambda line: None
) -> tuple[list[Picture], list[str]]:
    """Every figure that could be drawn, into ``folder``; and one line on each that could not."""
    said = _Lines(on_line)
    with contextlib.redirect_stdout(said):
        figures.build(runs, str(folder), row=row.name, n_resamples=n_resamples)
    pictures, missing = [], []
    for line in said.getvalue().splitlines():
        name, _, rest = line.partition(" ")
        if rest.strip().startswith("left out:"):
            missing.append(f"Figure {name} is missing: {rest.strip().removeprefix('left out: ')}")
        elif (folder / f"{name}.png").is_file():
            pictures.append(Picture(*CAPTIONS.get(name, (name, name)), (folder / f"{name}.png").read_bytes()))
    return pictures, missing


class _Lines(io.StringIO):
    """Keeps what is printed, and tells of each line."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self.on_line = on_line

    def write(self, text: str) -> int:
        """As ``StringIO.write``."""
        if text.strip():
            self.on_line(text)
        return super().write(text)


def alignment_section(rows: list[tables.Row], path: Path) -> str:
    """How the vectors of every row and fold lie to the raters' plane, as HTML."""
    titles = {row.name: row.title for row in rows}
    header = [
        "",
        "fold",
        "segments",
        "emotions",
        "rank correlation",
        "p",
        "on the map",
        "p",
        "trustworthiness",
        "disparity",
    ]
    lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))[1:]
    shown = (short, short_p, short, short_p, short, short)
    body = [
        [
            titles.get(name, name),
            *counts,
            *(show(float(value or "nan")) for show, value in zip(shown, values, strict=True)),
        ]
        for name, *rest in lines
        for counts, values in [(rest[:3], rest[3:])]
    ]
    title = "Do emotions lie to one another as the raters put them?"
    note = (
        "Spearman's rank correlation between the emotions' distances in the raters' valence-arousal plane and among the vectors "
        "in front of the heads; p from all relabellings of the emotions (Mantel, 1967), not corrected for the number of lines. "
        "A model trained on valence and arousal is pushed towards alignment by its own loss. On the map: the same after UMAP; "
        "trustworthiness: whether neighbours on the map were neighbours before; disparity: what does not fit after turning."
    )
    return f"<h3>{html.escape(title)}</h3>\n{_paragraph(note)}\n{_table_html([header, [], *body], title)}"


def raters_section(row: tables.Row, n_resamples: int) -> str:
    """Agreement of the raters in the data set that the row's runs were scored on, as HTML; a line where it is not there."""
    from erc.datasets import HF_KEMD  # Hugging Face datasets: seconds to import

    title = "How far the raters agree"
    heading = f"<h3>{title}</h3>\n"
    try:
        options = data_options(next(iter(row.first_seed().values())).folder) | {
            "on_bad_segment": "skip",
            "protocol": "paper",
        }
        found = raters.agreement(HF_KEMD("test", NO_SPLIT, **options), n_resamples=n_resamples)
    except FileNotFoundError as err:
        return heading + _paragraph(f"Not computed: {str(err).splitlines()[0]}", "notice")
    names = {
        "fleiss_kappa": "Fleiss' kappa",
        "known": "licensed corpora",
        "alpha_nominal": "alpha, nominal",
        "alpha_ordinal": "alpha, ordinal",
        "alpha_interval": "alpha, interval",
        "correlation_mean": "mean correlation of two raters",
        "correlation_range": "lowest to highest",
    }
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        line = lines.setdefault((one.group, one.ratings), {})
        ends = "" if np.isnan(one.low) else f" ({short(one.low)} to {short(one.high)})"
        line[one.statistic] = short(one.estimate) + ends
        if not np.isnan(one.known):
            line["known"] = short(one.known)
        if one.statistic == "correlation_max":
            line["correlation_range"] = f"{line['correlation_min'].split(' (')[0]} to {short(one.estimate)}"
    body = [[*key, *(line.get(name, "") for name in names)] for key, line in lines.items()]
    sizes = {one.group: f"{one.group}: {one.n_segments:,} segments, {one.n_clusters:,} dialogues" for one in found}
    note = (
        "Within each group of ten raters, with 95 % bootstrap intervals over dialogues; beside kappa, that of the licensed "
        f"corpora; alpha is Krippendorff's. {'; '.join(sizes.values())}."
    )
    return heading + _paragraph(note) + "\n" + _table_html([["", "ratings", *names.values()], [], *body], title)


def render(
    markdown: str,
    embedding_map: EmbeddingMap,
    more: str = "",
    pictures: Sequence[Picture] = (),
    missing: Sequence[str] = (),
    facts: dict[str, str] | None = None,
    cells: pd.DataFrame | None = None,
) -> str:
    """The whole page.

    Args:
        markdown: Text of ``table.md``.
        embedding_map: What is explored.
        more: HTML of further statistics.
        pictures: Figures in their order.
        missing: A line on each figure that could not be had.
        facts: Label and text.
        cells: State of each cell.
    """
    here = Path(__file__)
    style, script, template = (
        here.with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "page_template.html")
    )
    preamble, sections = sections_of(markdown)
    is_reading = {title: title.startswith("Reading ") for title in sections}
    has_media = embedding_map.transcripts is not None
    n = len(embedding_map.table)
    audio = "\n".join(base64.b64encode(one).decode() for one in embedding_map.audio or [])
    digest = hashlib.sha256(script.encode()).digest()
    return string.Template(template).substitute(
        title=html.escape(_title(markdown)),
        notices=_paragraph(_media_notice(has_media), "notice"),
        preamble=preamble,
        facts="\n".join(
            f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in (facts or {}).items()
        ),
        cells="" if cells is None else _cells_html(cells),
        results="\n".join(body for title, body in sections.items() if is_reading[title]),
        statistics="\n".join([body for title, body in sections.items() if not is_reading[title]] + [more]),
        figures="\n".join([_figure_html(one) for one in pictures] + [_paragraph(line, "notice") for line in missing]),
        map_text=html.escape(
            f"{n:,} segments of {embedding_map.title}, each predicted while its fold was held out. A point of the map is "
            "the vector in front of the two heads, brought to two dimensions; each fold has a network, and so a space, of its "
            "own. Distances between groups on such a map are not to be read as distances in the space."
        ),
        footer="Made by <code>python -m fire erc.report build</code>. This file is whole: it loads nothing, and sends nothing.",
        data=json_for_html(pack(embedding_map)),
        audio=audio,
        style=style,
        script=script,
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
    )


def _title(markdown: str) -> str:
    first = markdown.split("\n", 1)[0]
    return first.removeprefix("# ") if first.startswith("# ") else "Report"


def _media_notice(has_media: bool) -> str:
    if has_media:
        return (
            "Built with transcripts and audio. They are human-subject data: keep this file to yourself, and within the "
            "licence of the corpora."
        )
    return (
        "Built without transcripts and audio, which are human-subject data; --with-media puts them in. Segment ids, "
        "votes and predictions are in this file: the licence of the corpora holds for them, too."
    )


def json_for_html(value: object) -> str:
    """JSON that can stand between ``<script>`` tags whatever its strings hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def sections_of(markdown: str) -> tuple[str, dict[str, str]]:
    """``table.md`` as HTML, escaped: what stands before the first section, and each section by its title.

    Knows what tables.py writes: headings, paragraphs of one line, tables, ``**bold**`` and code in backticks.
    """
    preamble, *parts = re.split(r"^## ", markdown, flags=re.MULTILINE)
    sections = {}
    for part in parts:
        title, _, body = part.partition("\n")
        sections[title] = f"<h3>{_inline(title)}</h3>\n{_blocks(body, title)}"
    return _blocks(re.sub(r"^# .*\n", "", preamble), ""), sections


def _blocks(text: str, title: str) -> str:
    found, lines = [], text.splitlines()
    while lines:
        line = lines.pop(0).strip()
        if line.startswith("|"):
            table = [line]
            while lines and lines[0].lstrip().startswith("|"):
                table.append(lines.pop(0).strip())
            found.append(_table_html([[cell.strip() for cell in one.strip("|").split("|")] for one in table], title))
        elif line:
            found.append(_paragraph(line, "notice" if line.startswith("**") and line.endswith("**") else ""))
            title = line if line.endswith(":") else title
    return "\n".join(found)


def _table_html(cells: list[list[str]], title: str) -> str:
    header, _, *rows = cells
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in header)
    body = []
    for first, *rest in rows:
        if any(rest):
            text = "".join(f"<td>{_inline(cell)}</td>" for cell in rest)
            body.append(f'<tr><th scope="row">{_inline(first)}</th>{text}</tr>')
        else:
            body.append(f'<tr><th scope="row" colspan="{len(header)}">{_inline(first)}</th></tr>')
    return _scroll(
        f'<table><caption class="unseen">{_inline(title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>",
        title,
    )


def _cells_html(cells: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in ["", *cells.columns])
    body = ""
    for title, states in cells.iterrows():
        body += f'<tr><th scope="row">{html.escape(str(title))}</th>'
        body += "".join(
            f'<td class="text {html.escape(state.split()[0])}">{html.escape(state)}</td>' for state in states
        )
        body += "</tr>"
    title = "State of each row and fold"
    return _scroll(
        f'<table><caption class="unseen">{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>',
        title,
    )


def _scroll(table: str, title: str) -> str:
    label = html.escape(title.replace("`", "").replace("*", ""))
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">{table}</div>'


def _figure_html(picture: Picture) -> str:
    pixels = struct.unpack(">II", picture.png[16:24])  # PNG: the header chunk's first two numbers
    width, height = (size * 96 // 220 for size in pixels)  # 180 mm at 300 dpi: 927 CSS pixels
    uri = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    return (
        f'<figure class="figure"><img src="{uri}" width="{width}" height="{height}" alt="{html.escape(picture.alt)}">'
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
    )


def _paragraph(text: str, name: str = "") -> str:
    return f'<p class="{name}">{_inline(text)}</p>' if name else f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
