"""Run folders -> the paper's figures: PNG (300 dpi) and PDF or SVG, 85 or 180 mm wide, no text below 7 pt.

Comes in: a grid's folder (``tables.load``), its ``predictions.csv`` and ``embeddings.npz``, and the data set that its
``config.yaml`` names. ``python -m fire erc.report.figures build runs/paper`` draws everything into ``runs/paper/figures``.
Conventions:

- One function per figure (``draw_...``) takes plain arrays and returns a matplotlib ``Figure``; ``build`` loads and saves.
- An emotion has one colour (Okabe and Ito, 2008: told apart by colour-blind readers) and one marker, everywhere.
- Tied segments have no emotion to be coloured by: they are left out, except where votes themselves are shown.
- Figures of one row are of its lowest seed; the pictured fold is the one whose weighted F1 is the median of the folds.
- A figure whose input is missing is left out, with one line that says why.

Shapes: N segments, K emotions (7), F folds, D width of the vector in front of the heads.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.stats import rankdata
from tqdm import tqdm

from erc import statistics as st
from erc.folds import NO_SPLIT, assign_folds
from erc.labels import EMOTIONS, N_EMOTIONS, N_RATERS, VA_MAX, VA_MIN, one_hot
from erc.metrics import concordance
from erc.peakl import peak_label
from erc.report import tables
from erc.results import PROB, SOFT
from erc.runs import write_atomically

COLORS = dict(
    surprise="#56B4E9",
    fear="#CC79A7",
    angry="#D55E00",
    neutral="#BBBBBB",
    happy="#E69F00",
    sad="#0072B2",
    disgust="#009E73",
)
"""Okabe and Ito's palette without black, which is for what is no emotion, and yellow, too pale on white; with a light grey
for the emotion that two thirds of the segments have (a middle grey is what fear's purple looks like to red-blind eyes)."""
MARKERS = dict(surprise="^", fear="v", angry="s", neutral="o", happy="D", sad="P", disgust="X")
SHORT = [emotion[:3] for emotion in EMOTIONS]
CORPUS_TITLES = {"kemdy19": "KEMDy19", "kemdy20": "KEMDy20"}
COLUMN_MM, PAGE_MM = 85, 180
MIN_FONT = 7  # pt
INK, GREY, FILL, PALE = "#000000", "#6E6E6E", "#8C8C8C", "#D0D0D0"
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.labelsize": MIN_FONT,
    "ytick.labelsize": MIN_FONT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": MIN_FONT,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.0,
    "figure.titlesize": 8,
    "figure.dpi": 100,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "path",
    "svg.hashsalt": "erc",  # the same figure, the same bytes
}
SAMPLE_NOTE = "synthetic sample corpus"
MIN_SEGMENTS = 3
"""An emotion with fewer segments has no centroid worth the name, and no ellipse."""
MIN_MAPPED = 10
UMAP_NEIGHBOURS = 15
N_BINS = 15


class NotDrawn(Exception):
    """The input of a figure is not there, or too small to show anything."""


# ------------------------------------------------------------------------------------- raters' map and model's vectors


class Mantel(NamedTuple):
    """Whether two sets of vectors put the same emotions near one another."""

    rho: float
    """Spearman's correlation of the distances between emotions, in [-1, 1]."""
    p_value: float
    """One-sided: share of all relabellings of the emotions with at least this rho."""
    n_emotions: int
    n_permutations: int


@dataclass(frozen=True)
class Alignment:
    """How the vectors in front of the heads lie to the raters' valence-arousal map."""

    space: Mantel
    """In the space of the vectors itself: the number that counts."""
    map: Mantel
    """In the plane that UMAP made of them."""
    trustworthiness: float
    """Of that plane, in [0, 1]: whether neighbours in it were neighbours before (Venna and Kaski, 2001)."""
    disparity: float
    """What is left between the emotions' centroids after the plane was turned and scaled onto the raters', in [0, 1]."""
    n_segments: int


def mantel(va: np.ndarray, vectors: np.ndarray, hard_label: np.ndarray) -> Mantel:
    r"""Mantel test between the emotions' distances in the valence-arousal plane and among some vectors.

    Spearman's rank correlation of the distances between emotion centroids, K (K - 1) / 2 of them; p from all K!
    relabellings of the emotions (5,040 for seven: exact, nothing is sampled).

    A distance between two estimated centroids is too long by their sampling noise, most for rare emotions, which would
    pass for an arrangement of its own (and moves rho below 0 for shuffled labels, where it should be 0). Squared
    distances are therefore corrected by what the noise adds on average,
    :math:`\hat d^2_{ij} = \|\bar x_i - \bar x_j\|^2 - \operatorname{tr} S_i / n_i - \operatorname{tr} S_j / n_j`.

    Equal noise is what relabelling supposes, and rare emotions have more: with shuffled labels some 7 % of worlds come
    out below p = .05 (3 to 10 % in simulations of unequal emotions). A model *trained* on valence and arousal is pushed
    towards alignment by its own loss: compare with one that was not.

    Sources: Mantel (1967), Cancer Research 27:209-220; Walther et al. (2016), NeuroImage 137:188-200, for why distances
    are to be unbiased.

    Args:
        va: (N, 2) valence and arousal by the raters.
        vectors: (N, D) of the same segments.
        hard_label: (N,) index of each segment's emotion; leave tied segments out.

    Returns:
        rho and p over the emotions with ``MIN_SEGMENTS`` segments or more; NaN for fewer than three of them, or where all
        distances are equal. Three emotions cannot reach p < 1/6, nor four p < 1/24.

    Raises:
        ValueError: Lengths differ.
    """
    va, vectors, hard_label = _same_length(va=va, vectors=vectors, hard_label=hard_label)
    present = _present(hard_label)
    k = len(present)
    n_permutations = int(np.prod(np.arange(1, k + 1)))
    if k < 3:
        return Mantel(np.nan, np.nan, k, n_permutations)
    one, other = np.triu_indices(k, 1)
    ranks = [rankdata(_squared_distances(points, hard_label, present)[one, other]) for points in (va, vectors)]
    fixed, moving = (rank - rank.mean() for rank in ranks)
    if not (fixed.any() and moving.any()):
        return Mantel(np.nan, np.nan, k, n_permutations)
    matrix = np.zeros((k, k))
    matrix[one, other] = matrix[other, one] = moving
    orders = np.array(list(itertools.permutations(range(k))))  # (K!, K); the first is the data as they are
    rho = matrix[orders[:, one], orders[:, other]] @ fixed / np.sqrt((fixed**2).sum() * (moving**2).sum())
    return Mantel(float(rho[0]), float((rho >= rho[0] - st.ROUNDING).mean()), k, n_permutations)


def _squared_distances(points: np.ndarray, hard_label: np.ndarray, present: list[int]) -> np.ndarray:
    """(K, K) unbiased squared distances between centroids; they can come out below 0."""
    members = [points[hard_label == index] for index in present]
    centroids = np.array([part.mean(axis=0) for part in members])
    noise = np.array([part.var(axis=0, ddof=1).sum() / len(part) for part in members])
    return ((centroids[:, None] - centroids[None]) ** 2).sum(axis=-1) - noise[:, None] - noise[None]


def _present(hard_label: np.ndarray) -> list[int]:
    """Emotions with a centroid."""
    return [index for index in range(N_EMOTIONS) if (hard_label == index).sum() >= MIN_SEGMENTS]


def project(embedding: np.ndarray, seed: int = 42) -> np.ndarray:
    """(N, D) -> (N, 2) by UMAP (McInnes, Healy and Melville, 2018); the same input and seed give the same map.

    Raises:
        NotDrawn: Fewer than ``MIN_MAPPED`` segments.
    """
    if len(embedding) < MIN_MAPPED:
        raise NotDrawn(f"a map needs {MIN_MAPPED} untied segments or more: there are {len(embedding)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba and scikit-learn announce changes to umap-learn, not to us
        from umap import UMAP

        umap = UMAP(n_neighbors=min(UMAP_NEIGHBOURS, len(embedding) - 1), random_state=seed, n_jobs=1)
        return np.asarray(umap.fit_transform(np.asarray(embedding, dtype=np.float32)), dtype=np.float64)


def align_map(map_2d: np.ndarray, va: np.ndarray, hard_label: np.ndarray) -> tuple[np.ndarray, float]:
    """Map turned, mirrored, shifted and scaled so that its emotion centroids lie as near as can be to the raters'.

    The axes of a UMAP mean nothing, so nothing is lost; and nothing is proven: some turn always fits best. Every emotion
    counts the same, however frequent. Source: Gower (1975), Psychometrika 40:33-51.

    Args:
        map_2d: (N, 2).
        va: (N, 2) valence and arousal of the same segments.
        hard_label: (N,) emotion index.

    Returns:
        (N, 2) in units of the ratings; and the disparity of ``scipy.spatial.procrustes``, the share of the centroids'
        variance that does not fit, in [0, 1].

    Raises:
        NotDrawn: Fewer than three emotions have ``MIN_SEGMENTS`` segments.
    """
    map_2d, va, hard_label = _same_length(map_2d=map_2d, va=va, hard_label=hard_label)
    present = _present(hard_label)
    if len(present) < 3:
        raise NotDrawn(
            f"three emotions with {MIN_SEGMENTS} untied segments or more are needed: there are {len(present)}"
        )
    source, target = (np.array([part[hard_label == index].mean(axis=0) for index in present]) for part in (map_2d, va))
    centred = source - source.mean(axis=0)
    rotation, strength = orthogonal_procrustes(centred, target - target.mean(axis=0))
    scale = strength / (centred**2).sum()
    aligned = (map_2d - source.mean(axis=0)) @ rotation * scale + target.mean(axis=0)
    return aligned, float(procrustes(target, source)[2])


def alignment(
    va: np.ndarray, embedding: np.ndarray, hard_label: np.ndarray, map_2d: np.ndarray | None = None
) -> Alignment:
    """All numbers on how the vectors in front of the heads lie to the raters' map.

    Args:
        va: (N, 2) valence and arousal of untied segments.
        embedding: (N, D) vectors.
        hard_label: (N,) emotion index.
        map_2d: (N, 2) of ``project``; made here where not given.

    Raises:
        ValueError: Lengths differ.
        NotDrawn: Too few segments or emotions.
    """
    from sklearn.manifold import trustworthiness

    va, embedding, hard_label = _same_length(va=va, embedding=embedding, hard_label=hard_label)
    map_2d = project(embedding) if map_2d is None else map_2d
    n_neighbours = min(UMAP_NEIGHBOURS, (len(va) - 1) // 2)  # defined below N / 2 only
    return Alignment(
        space=mantel(va, embedding, hard_label),
        map=mantel(va, map_2d, hard_label),
        trustworthiness=float(trustworthiness(embedding, map_2d, n_neighbors=n_neighbours)),
        disparity=align_map(map_2d, va, hard_label)[1],
        n_segments=len(va),
    )


def _same_length(**arrays: np.ndarray) -> list[np.ndarray]:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"One row a segment: expected arrays of one length, got {lengths}.")
    return [np.asarray(array) for array in arrays.values()]


# --------------------------------------------------------------------------------------------- numbers behind a figure


def mean_distributions(distributions: np.ndarray, hard_label: np.ndarray) -> np.ndarray:
    """Mean distribution of the segments of each majority emotion: (N, K), (N,) -> (K, K); NaN rows for absent emotions."""
    means = np.full((N_EMOTIONS, N_EMOTIONS), np.nan)
    for index in np.unique(hard_label):
        means[index] = distributions[hard_label == index].mean(axis=0)
    return means


def confusions(truth: np.ndarray, prediction: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """(F, K, K) counts, truth by prediction, fold by fold in ascending order."""
    truth, prediction, folds = _same_length(truth=truth, prediction=prediction, folds=folds)
    sums = st.confusion_sums(truth=truth, prediction=prediction, clusters=folds)
    return sums.sums.astype(np.int64)


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """(F, K, K) counts -> (K, K) share of each emotion's segments predicted as each, mean over folds that have it.

    NaN rows for emotions that no fold has.
    """
    totals = confusion.sum(axis=-1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0).sum(axis=0)
    n_folds = (totals > 0).sum(axis=0)
    return np.divide(shares, n_folds, out=np.full(shares.shape, np.nan), where=n_folds > 0)


def f1_by_emotion(confusion: np.ndarray) -> np.ndarray:
    """(..., K, K) counts -> (..., K) F1; NaN for an emotion in neither truth nor prediction."""
    confusion = np.asarray(confusion, dtype=np.float64)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    hits = 2 * np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.divide(hits, total, out=np.full(total.shape, np.nan), where=total > 0)


def f1_intervals(
    truth: np.ndarray, prediction: np.ndarray, folds: np.ndarray, clusters: np.ndarray, n_resamples: int = 2000
) -> st.Interval:
    """F1 of each emotion over all folds at once, with 95 % bootstrap ends: whole dialogues, drawn within each fold.

    Over all folds at once, since a rare emotion may be absent from a fold: it is not the mean over folds. A resample
    without an emotion gives it no F1: the ends are then those of the other resamples.

    Returns:
        Estimate, low, high: (K,) each; NaN for an emotion in neither truth nor prediction.
    """
    sums = replace(st.confusion_sums(truth=truth, prediction=prediction, clusters=clusters), score=f1_by_emotion)
    _, first = np.unique(clusters, return_index=True)
    fold_of = np.asarray(folds)[first]  # (C,)
    rng, draws = np.random.default_rng(42), np.zeros((n_resamples, len(fold_of)))
    for fold in np.unique(fold_of):
        members = np.flatnonzero(fold_of == fold)
        draws[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n_resamples)
    resampled = f1_by_emotion(np.tensordot(draws, sums.sums, axes=1))
    estimate = f1_by_emotion(sums.sums.sum(axis=0))
    ends = np.full((2, N_EMOTIONS), np.nan)
    for index in np.flatnonzero(~np.isnan(estimate)):
        found = resampled[:, index][~np.isnan(resampled[:, index])]
        if len(fold_of) > len(np.unique(fold_of)) and found.size:
            ends[:, index] = np.quantile(found, [0.025, 0.975])
    return st.Interval(estimate, *ends)


class Bins(NamedTuple):
    """Calibration of the predicted emotion, bin by bin of its probability."""

    confidence: np.ndarray
    """(bins,) mean probability; NaN for an empty bin."""
    accuracy: np.ndarray
    """(bins,) share of segments that were predicted right."""
    n: np.ndarray
    """(bins,) segments."""


def calibration_bins(hard_label: np.ndarray, probs: np.ndarray, n_bins: int = N_BINS) -> Bins:
    """Equal-width bins ``((b - 1)/B, b/B]`` of the largest probability, as ``statistics.expected_calibration_error``."""
    hard_label, probs = _same_length(hard_label=hard_label, probs=probs)
    confidence, is_correct = probs.max(axis=1), probs.argmax(axis=1) == hard_label
    index = np.searchsorted(np.arange(1, n_bins) / n_bins, confidence, side="left")
    n = np.bincount(index, minlength=n_bins)
    sums = [np.bincount(index, weights=values, minlength=n_bins) for values in (confidence, is_correct)]
    means = (np.divide(total, n, out=np.full(n_bins, np.nan), where=n > 0) for total in sums)
    return Bins(*means, n)


def moved_mass(soft: np.ndarray) -> dict[int, np.ndarray]:
    """How much PeakL adds to the majority's share, by the number of raters who agree on it; ties have no majority.

    Args:
        soft: (N, K) shares of ten raters.

    Returns:
        For each number of agreeing raters that occurs, the gains of its segments.
    """
    top = soft.max(axis=1)
    untied = (soft == top[:, None]).sum(axis=1) == 1
    gain = (peak_label(soft[untied]) - soft[untied])[np.arange(untied.sum()), soft[untied].argmax(axis=1)]
    agreeing = np.rint(top[untied] * N_RATERS).astype(int)
    return {int(level): gain[agreeing == level] for level in np.unique(agreeing)}


def median_fold(values: dict[int, float]) -> int:
    """Fold with the median value; of an even number, the better of the two in the middle. NaN counts as lowest."""
    order = sorted(values, key=lambda fold: (np.nan_to_num(values[fold], nan=-np.inf), -fold))
    return order[len(order) // 2]


# --------------------------------------------------------------------------------------------------------------- style


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws with ``STYLE`` and leaves the caller's settings alone."""

    @functools.wraps(draw)
    def wrapped(*args, **kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def _figure(width_mm: float, height_mm: float, note: str, handles: list | None = None, **legend) -> Figure:
    """Figure of that printed size, with a legend and a grey note in strips of their own at the bottom."""
    fig = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")
    FigureCanvasAgg(fig)
    note_strip, legend_strip = (4.5 if note else 0.0), (7.0 if handles else 0.0)
    strips = (note_strip + legend_strip) / height_mm
    fig.get_layout_engine().set(rect=(0, strips, 1, 1 - strips), w_pad=0.04, h_pad=0.06, wspace=0.04, hspace=0.04)
    if note:
        fig.text(1 - 1.2 / width_mm, 1 / height_mm, note, ha="right", va="bottom", color=GREY, fontsize=MIN_FONT)
    if handles:
        fig.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, note_strip / height_mm),
            ncols=len(handles),
            borderpad=0.2,
            **legend,
        ).set_in_layout(False)
    return fig


def _emotion_handle(emotion: str, label: str | None = None) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=MARKERS[emotion],
        markersize=5,
        markerfacecolor=COLORS[emotion],
        markeredgecolor=INK,
        markeredgewidth=0.4,
        label=label or emotion,
    )


def _points(n: int) -> dict:
    """How the points of a cloud are drawn; as an image even in a PDF, where thousands of them would be slow to open."""
    size, alpha = (12, 0.7) if n < 1000 else (4, 0.4) if n < 8000 else (1.5, 0.3)
    return dict(s=size, alpha=alpha, linewidths=0, rasterized=True)


def _number(value: float, digits: int = 2) -> str:
    """.67, −.19; – for NaN."""
    if np.isnan(value):
        return "–"
    text = f"{abs(round(value, digits)) + 0.0:.{digits}f}"
    sign = "−" if round(value, digits) < 0 else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def _p(value: float) -> str:
    if np.isnan(value):
        return "p –"
    return "p < .001" if value < 0.001 else f"p = {_number(value, 3)}"


def _mean_std(values: list[float], digits: int) -> str:
    mean, std = st.mean_and_std(np.asarray(values, dtype=np.float64))
    return _number(mean, digits) + ("" if np.isnan(std) else f" ± {_number(std, digits)}")


def _matrix(ax: Axes, values: np.ndarray, texts: list[list[str]]) -> None:
    """Heat map of shares with numbers printed; columns by three letters, rows are labelled by the caller."""
    ax.imshow(values, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.ndindex(values.shape):
        color = "white" if values[row, column] > 0.55 else INK
        ax.text(column, row, texts[row][column], ha="center", va="center", fontsize=MIN_FONT, color=color)
    ax.set_xticks(range(values.shape[1]), SHORT)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _row_labels(ax: Axes, labels: list[str] | None) -> None:
    ax.set_yticks(range(N_EMOTIONS), labels or [""] * N_EMOTIONS)


# ---------------------------------------------------------------------------------------------------- figure 1: the map


@styled
def draw_map(
    va: np.ndarray,
    aligned: np.ndarray,
    hard_label: np.ndarray,
    numbers: Alignment,
    by_fold: dict[int, Mantel] | None = None,
    title: str = "",
    fold: str = "",
    note: str = "",
) -> Figure:
    """Left the raters' emotions in the valence-arousal plane, right the model's vectors (UMAP), turned onto it.

    Args:
        va: (N, 2) mean valence and arousal of the pictured fold's untied segments.
        aligned: (N, 2) of ``align_map``.
        hard_label: (N,) emotion index.
        numbers: Of the pictured fold.
        by_fold: ``mantel`` in the space of the vectors, of every fold.
        title: Which row.
        fold: Which fold.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 118 mm.
    """
    va, aligned, hard_label = _same_length(va=va, aligned=aligned, hard_label=hard_label)
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    handles = [_emotion_handle(emotion, f"{emotion} ({n:,})") for emotion, n in zip(EMOTIONS, counts, strict=True)]
    fig = _figure(PAGE_MM, 118, note, handles)
    left, right = fig.subplots(1, 2)
    for ax, points in ((left, va), (right, aligned)):
        _clusters(ax, points, hard_label)
        ax.set_box_aspect(1)
    left.set(xlim=(VA_MIN - 0.1, VA_MAX + 0.1), ylim=(VA_MIN - 0.1, VA_MAX + 0.1))
    left.set(xticks=range(VA_MIN, VA_MAX + 1), yticks=range(VA_MIN, VA_MAX + 1))
    left.set(xlabel="valence (mean of ten raters)", ylabel="arousal (mean of ten raters)")
    left.set_title(f"Raters: where they put each emotion\n{len(va):,} untied segments; ellipse: 1 σ")
    _equal_limits(right)
    right.set(xticks=[], yticks=[], xlabel="UMAP, turned and scaled onto the left map (no units)")
    right.set_title(f"Model: vector before the heads{', ' if fold else ''}{fold}\n{title}")
    fig.get_layout_engine().set(h_pad=0.1)  # so that the findings stand apart from the titles
    fig.suptitle("\n".join(_map_findings(numbers, by_fold)), x=0.01, ha="left")
    return fig


def _map_findings(numbers: Alignment, by_fold: dict[int, Mantel] | None) -> list[str]:
    space, plane = numbers.space, numbers.map
    lines = [
        f"Do emotions lie to one another as the raters put them? Rank correlation of distances ρ = {_number(space.rho)}, "
        f"{_p(space.p_value)}"
    ]
    second = f"In the map ρ = {_number(plane.rho)}, {_p(plane.p_value)}; its trustworthiness {_number(numbers.trustworthiness)}."
    if by_fold and len(by_fold) > 1:
        found = [by_fold[fold] for fold in sorted(by_fold)]
        n_significant = sum(one.p_value < 0.05 for one in found)
        second += (
            f" Folds {', '.join(map(str, sorted(by_fold)))}: ρ = {', '.join(_number(one.rho) for one in found)} "
            f"(p < .05 in {n_significant} of {len(found)})."
        )
    return [*lines, second]


def _clusters(ax: Axes, points: np.ndarray, hard_label: np.ndarray) -> None:
    """Points, then ellipses, then centroids; the most frequent emotion lies lowest."""
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    for index in order:
        ax.scatter(
            *points[hard_label == index].T,
            marker=MARKERS[EMOTIONS[index]],
            color=COLORS[EMOTIONS[index]],
            **_points(len(points)),
        )
    for index in (index for index in order if counts[index] >= MIN_SEGMENTS):
        members, emotion = points[hard_label == index], EMOTIONS[index]
        ax.add_patch(_ellipse(members, COLORS[emotion]))
        ax.plot(
            *members.mean(axis=0),
            linestyle="none",
            marker=MARKERS[emotion],
            markersize=8,
            markerfacecolor=COLORS[emotion],
            markeredgecolor=INK,
            markeredgewidth=0.8,
            zorder=4,
        )


def _ellipse(members: np.ndarray, color: str) -> Ellipse:
    """One standard deviation along each principal axis (39 % of a normal cloud)."""
    values, vectors = np.linalg.eigh(np.cov(members.T))
    width, height = 2 * np.sqrt(np.maximum(values, 0))
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return Ellipse(
        members.mean(axis=0), width, height, angle=angle, facecolor="none", edgecolor=color, linewidth=1.2, zorder=3
    )


def _equal_limits(ax: Axes) -> None:
    """Same scale along both axes; all points and ellipses are in."""
    boxes = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    corners = np.concatenate(
        [collection.get_offsets() for collection in ax.collections] + [[b.min, b.max] for b in boxes]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    half, middle = max((high - low).max() * 0.53, 1e-6), (low + high) / 2
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))


# ------------------------------------------------------------------------------------------------------ figure 2: PeakL

EXAMPLE_VOTES = {
    (9, 1): (4, 1, "left", "bottom"),
    (8, 2): (4, 1, "left", "bottom"),
    (7, 3): (4, 1, "left", "bottom"),
    (6, 4): (4, 1, "left", "bottom"),
    (8, 1, 1): (-3, -4, "center", "top"),
    (7, 2, 1): (0, 4, "center", "bottom"),
    (6, 2, 1, 1): (-3, -4, "center", "top"),
    (5, 3, 2): (0, -4, "center", "top"),
    (4, 3, 2, 1): (-4, 4, "center", "bottom"),
}
"""Votes of ten raters from which arrows are drawn, and where their names stand: points right, points up, alignment."""


@styled
def draw_peakl(soft: np.ndarray, hard_label: np.ndarray, example: np.ndarray | None = None, note: str = "") -> Figure:
    """What PeakL does to the raters' votes: mean distributions, examples, one segment, mass moved.

    Args:
        soft: (N, K) shares of ten raters, of untied segments.
        hard_label: (N,) majority.
        example: (K,) shares of the segment that is shown; a telling one of ``soft`` where not given.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 135 mm.
    """
    soft, hard_label = _same_length(soft=soft, hard_label=hard_label)
    example = _telling_example(soft) if example is None else np.asarray(example, dtype=np.float64)
    fig = _figure(PAGE_MM, 135, note)
    grid = fig.add_gridspec(2, 6, height_ratios=(1.25, 1))
    before, after = fig.add_subplot(grid[0, :3]), fig.add_subplot(grid[0, 3:])
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    for ax, values, name in ((before, soft, "Votes"), (after, peak_label(soft), "PeakL")):
        means = mean_distributions(values, hard_label)
        _matrix(ax, means, [[_share(value) for value in row] for row in means])
        ax.set_title(f"{name}: the majority holds {100 * values.max(axis=1).mean():.0f} %")
        ax.set_xlabel("mean share of")
    _row_labels(before, [f"{emotion} ({n:,})" for emotion, n in zip(EMOTIONS, counts, strict=True)])
    _row_labels(after, list(EMOTIONS))
    before.set_ylabel("majority emotion")
    _arrows(fig.add_subplot(grid[1, :2]))
    _label_bars(fig.add_subplot(grid[1, 2:4]), example)
    _gains(fig.add_subplot(grid[1, 4:]), moved_mass(soft))
    return fig


def _share(value: float) -> str:
    """.06; 0 for nothing at all, – for an absent emotion."""
    return "–" if np.isnan(value) else "0" if value == 0 else _number(value)


def _telling_example(soft: np.ndarray) -> np.ndarray:
    """A label of five or six votes of which PeakL keeps some emotions and drops others; the first of the best."""
    agreeing = np.rint(soft.max(axis=1) * N_RATERS)
    untied = (soft == soft.max(axis=1, keepdims=True)).sum(axis=1) == 1
    candidates = np.flatnonzero(untied & np.isin(agreeing, (5, 6)))
    chosen = soft[candidates] if candidates.size else soft
    n_named, n_kept = (chosen > 0).sum(axis=1), (peak_label(chosen) > 0).sum(axis=1)
    return chosen[(N_EMOTIONS * np.minimum(n_kept - 1, n_named - n_kept) + n_named).argmax()]


def _arrows(ax: Axes) -> None:
    """Share of the majority by share of the runner-up, before -> after, for fixed patterns of votes."""
    for votes, (right, up, ha, va) in EXAMPLE_VOTES.items():
        label = np.zeros(N_EMOTIONS)
        label[: len(votes)] = np.array(votes) / N_RATERS
        start, end = label[:2], peak_label(label)[:2]
        ax.annotate(
            "",
            xy=end,
            xytext=start,
            arrowprops=dict(arrowstyle="-|>", mutation_scale=6, color=INK, linewidth=0.8, shrinkA=0, shrinkB=0),
        )
        ax.plot(*start, "o", color="white", markeredgecolor=INK, markersize=4, markeredgewidth=0.8, zorder=3)
        text = "-".join(map(str, votes))
        ax.annotate(text, start, xytext=(right, up), textcoords="offset points", ha=ha, va=va, fontsize=MIN_FONT)
    ax.plot([0.5, 1], [0.5, 0], color=PALE, linewidth=0.8, zorder=0)
    ax.set(xlim=(0.2, 1.02), ylim=(0, 0.5), xlabel="share of the majority", ylabel="share of the runner-up")
    ax.set_title("PeakL moves votes to the majority")


def _label_bars(ax: Axes, example: np.ndarray) -> None:
    """Hard, soft and PeakL label of one segment."""
    shown = np.argsort(-example, kind="stable")[: max(3, int((example > 0).sum()))]
    kinds = {"hard": one_hot(example.argmax()), "soft": example, "PeakL": peak_label(example)}
    faces = {"hard": "white", "soft": "#B0B0B0", "PeakL": INK}
    for number, (kind, label) in enumerate(kinds.items()):
        positions = np.arange(len(shown)) + (number - 1) * 0.27
        ax.bar(positions, label[shown], 0.25, color=faces[kind], edgecolor=INK, linewidth=0.6, label=kind)
    ax.set_xticks(range(len(shown)), [SHORT[index] for index in shown])
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(0, 1.02), ylabel="share in the target")
    votes = "-".join(str(round(example[index] * N_RATERS)) for index in shown if example[index] > 0)
    ax.set_title(f"One segment, votes {votes}")
    ax.legend(loc="upper right")


def _gains(ax: Axes, gains: dict[int, np.ndarray]) -> None:
    for level, values in gains.items():
        ax.plot([level, level], [values.min(), values.max()], color=GREY, linewidth=1.2, solid_capstyle="butt")
        ax.plot(level, values.mean(), "o", color=INK, markersize=4, clip_on=False)
    levels = sorted(gains)
    ax.set_xticks(levels, [str(level) for level in levels])
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set(xlabel="raters who agree, of ten", ylabel="share gained by the majority")
    ax.set_title("Gain (line: its range)")


# ----------------------------------------------------------------------------------------------- figure 3: predictions


@styled
def draw_confusion(confusion: np.ndarray, title: str = "", note: str = "") -> Figure:
    """Counts over all folds, and each emotion's shares (mean over folds).

    Args:
        confusion: (F, K, K) counts, truth by prediction, of untied segments.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 86 mm.
    """
    fig = _figure(PAGE_MM, 86, note)
    left, right = fig.subplots(1, 2)
    counts, shares = confusion.sum(axis=0), row_shares(confusion)
    _matrix(left, row_shares(counts[None]), [[f"{n:,}" for n in row] for row in counts])  # shaded by shares, too
    _matrix(right, shares, [[_share(value) for value in row] for row in shares])
    totals = counts.sum(axis=1)
    _row_labels(left, [f"{emotion} ({n:,})" for emotion, n in zip(EMOTIONS, totals, strict=True)])
    _row_labels(right, list(EMOTIONS))
    folds = f"{len(confusion)} fold" + ("s" if len(confusion) > 1 else "")
    left.set(xlabel="predicted", ylabel="majority of the raters")
    left.set_title(f"Segments, {folds} together")
    right.set(xlabel="predicted")
    right.set_title(f"Share of each emotion, mean of {folds}")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def draw_f1(found: st.Interval, n_segments: np.ndarray, title: str = "", note: str = "") -> Figure:
    """F1 of each emotion with its 95 % interval.

    Args:
        found: (K,) estimates and ends (``f1_intervals``).
        n_segments: (K,) segments of each emotion.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        85 mm x 64 mm.
    """
    fig = _figure(COLUMN_MM, 64, note)
    ax = fig.subplots()
    for index, emotion in enumerate(EMOTIONS):
        value, low, high = (float(np.asarray(part)[index]) for part in found)
        if not np.isnan(low):
            ax.plot([low, high], [index, index], color=COLORS[emotion], linewidth=2, solid_capstyle="butt")
        if not np.isnan(value):
            ax.plot(
                value,
                index,
                marker=MARKERS[emotion],
                color=COLORS[emotion],
                markersize=6,
                markeredgecolor=INK,
                markeredgewidth=0.5,
            )
    ax.set_yticks(range(N_EMOTIONS), [f"{emotion} ({n:,})" for emotion, n in zip(EMOTIONS, n_segments, strict=True)])
    ax.set(xlim=(-0.02, 1.02), ylim=(N_EMOTIONS - 0.5, -0.5), xlabel="F1, 95 % interval over dialogues")
    ax.grid(axis="x", color=PALE, linewidth=0.5)
    ax.set_title(_wrapped("F1 by emotion", title))
    return fig


def _wrapped(first: str, title: str, width: int = 48) -> str:
    return "\n".join([first, *textwrap.wrap(title, width)])


@styled
def draw_calibration(folds: list[tuple[np.ndarray, np.ndarray]], title: str = "", note: str = "") -> Figure:
    """Accuracy by confidence, all folds together; how many segments each bin has; ECE as the table has it.

    Args:
        folds: hard_label (N,) and probabilities (N, K) of each fold's untied segments.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        85 mm x 92 mm.
    """
    fig = _figure(COLUMN_MM, 92, note)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins = calibration_bins(*(np.concatenate(part) for part in zip(*folds, strict=True)))
    errors = [st.expected_calibration_error(hard_label=hard, probs=probs, n_bins=N_BINS) for hard, probs in folds]
    has = bins.n > 0
    top.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    top.vlines(bins.confidence[has], bins.confidence[has], bins.accuracy[has], color=INK, linewidth=1)
    top.plot(bins.confidence[has], bins.accuracy[has], "o", color=INK, markersize=4)
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share predicted right")
    top.text(0.03, 0.95, "under-confident", transform=top.transAxes, va="top", color=GREY, fontsize=MIN_FONT)
    top.text(0.97, 0.05, "over-confident", transform=top.transAxes, ha="right", color=GREY, fontsize=MIN_FONT)
    top.set_title(_wrapped(f"Calibration: ECE {_mean_std(errors, 3)}", title))
    bottom.bar((np.arange(N_BINS) + 0.5) / N_BINS, bins.n, 0.9 / N_BINS, color=GREY)
    bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    bottom.set(xlabel="probability of the predicted emotion", ylabel="segments")
    fig.align_ylabels()
    return fig


@styled
def draw_predictions(
    va: np.ndarray, pred_va: np.ndarray, hard_label: np.ndarray, folds: np.ndarray, title: str = "", note: str = ""
) -> Figure:
    """Predicted by true valence and arousal, with the concordance that the table has.

    Args:
        va: (N, 2) valence and arousal of untied segments.
        pred_va: (N, 2) as predicted.
        hard_label: (N,) emotion index, for the colour.
        folds: (N,) fold in which each was predicted.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 112 mm.
    """
    va, pred_va, hard_label, folds = _same_length(va=va, pred_va=pred_va, hard_label=hard_label, folds=folds)
    fig = _figure(PAGE_MM, 112, note, [_emotion_handle(emotion) for emotion in EMOTIONS])
    low, high = (
        edge(side, bound) for edge, side, bound in ((min, pred_va.min(), VA_MIN), (max, pred_va.max(), VA_MAX))
    )
    counts = np.bincount(hard_label, minlength=N_EMOTIONS)
    for column, (name, ax) in enumerate(zip(("valence", "arousal"), fig.subplots(1, 2), strict=True)):
        cccs = [
            concordance(truth=va[folds == fold, column], prediction=pred_va[folds == fold, column])
            for fold in np.unique(folds)
        ]
        ax.plot([VA_MIN, VA_MAX], [VA_MIN, VA_MAX], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        for index in np.argsort(-counts, kind="stable"):
            chosen, emotion = hard_label == index, EMOTIONS[index]
            ax.scatter(
                va[chosen, column],
                pred_va[chosen, column],
                marker=MARKERS[emotion],
                color=COLORS[emotion],
                **_points(len(va)),
            )
        ax.set(xlabel=f"{name}, mean of ten raters", ylabel=f"{name}, predicted")
        ax.set(xlim=(low - 0.1, high + 0.1), ylim=(low - 0.1, high + 0.1), box_aspect=1)
        ax.set(xticks=range(VA_MIN, VA_MAX + 1), yticks=range(VA_MIN, VA_MAX + 1))
        ax.set_title(f"{name.capitalize()}: CCC {_mean_std(cccs, 3)}")
    n_folds = len(np.unique(folds))
    over = f"CCC: mean ± standard deviation of {n_folds} folds" if n_folds > 1 else "one fold"
    fig.suptitle(f"{title}; {over}" if title else over, x=0.01, ha="left")
    return fig


LINE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
CURVES = {
    "train/loss": "training loss",
    "valid/weighted_f1": "weighted F1, validation",
    "valid/ccc_arousal": "CCC (arousal), validation",
    "valid/ccc_valence": "CCC (valence), validation",
}


@styled
def draw_curves(histories: dict[int, list[dict]], selected: dict[int, int], title: str = "", note: str = "") -> Figure:
    """Loss and validation metrics by epoch, a line a fold, the selected epoch marked.

    Args:
        histories: Per fold, ``result["history"]``.
        selected: Per fold, the selected epoch, from 0.
        title: Which row.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 110 mm.
    """
    handles = [
        Line2D([], [], color=GREY, linewidth=1, linestyle=LINE_STYLES[number % len(LINE_STYLES)], label=f"fold {fold}")
        for number, fold in enumerate(sorted(histories))
    ]
    handles.append(Line2D([], [], color=INK, linestyle="none", marker="o", markersize=4, label="selected epoch"))
    fig = _figure(PAGE_MM, 110, note, handles, handlelength=3.2)
    axes = fig.subplots(2, 2, sharex=True)
    for ax, (key, name) in zip(axes.ravel(), CURVES.items(), strict=True):
        for number, (fold, history) in enumerate(sorted(histories.items())):
            epochs = np.array([row["epoch"] for row in history])
            values = np.array([np.nan if row.get(key) is None else row[key] for row in history], dtype=np.float64)
            ax.plot(epochs + 1, values, color=GREY, linewidth=1, linestyle=LINE_STYLES[number % len(LINE_STYLES)])
            at = epochs == selected[fold]
            ax.plot(epochs[at] + 1, values[at], "o", color=INK, markersize=4, zorder=3)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        ax.set_xlim(0.5, max(len(history) for history in histories.values()) + 0.5)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        if key.startswith("valid/"):
            ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
        ax.set(ylabel=name)
    for ax in axes[1]:
        ax.set(xlabel="epoch")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def draw_folds(values: dict[str, dict[str, dict[int, float]]], note: str = "") -> Figure:
    """Every fold of every row: a dot each, folds paired by lines, the mean a bar.

    Args:
        values: By metric's title, by row's title: a value for each fold.
        note: Grey remark at the bottom.

    Returns:
        180 mm wide, 11 mm a row.
    """
    names = list(next(iter(values.values())))
    folds = sorted({fold for by_row in values.values() for by_fold in by_row.values() for fold in by_fold})
    fig = _figure(PAGE_MM, 24 + 11 * max(len(names), 2), note)
    shift = {fold: (number - (len(folds) - 1) / 2) * 0.13 for number, fold in enumerate(folds)}
    for ax, (metric, by_row) in zip(
        np.atleast_1d(fig.subplots(1, len(values), sharey=True)), values.items(), strict=True
    ):
        for fold in folds:
            places = [(by_row[name].get(fold, np.nan), row + shift[fold]) for row, name in enumerate(names)]
            ax.plot(*zip(*places, strict=True), color=PALE, linewidth=0.8, zorder=1)
            ax.plot(
                *zip(*places, strict=True), "o", color="white", markeredgecolor=INK, markersize=4, markeredgewidth=0.7
            )
        for row, name in enumerate(names):
            mean = np.mean(list(by_row[name].values())) if by_row[name] else np.nan
            ax.plot([mean, mean], [row - 0.34, row + 0.34], color=INK, linewidth=1.6, zorder=3)
            ax.text(
                0.99,
                row,
                _number(mean, 3),
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=MIN_FONT,
            )
        known = [value for by_fold in by_row.values() for value in by_fold.values() if not np.isnan(value)]
        low, high = min(known, default=0), max(known, default=1)
        ax.set_xlim(low - 0.08 * (high - low + 1e-3), high + 0.32 * (high - low + 1e-3))  # the means' room
        ax.set_title("mean", loc="right", fontsize=MIN_FONT)
        ax.set_title(metric)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.tick_params(axis="y", length=0)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.7)
    if len(folds) > 1:
        order = f"dots: folds {', '.join(map(str, folds))} from top to bottom, a line joins a fold's; bar: mean"
        fig.supxlabel(order, fontsize=MIN_FONT)
    return fig


# -------------------------------------------------------------------------------------------------- figure 4: the corpus


@styled
def draw_corpus(table: pd.DataFrame, cut_seconds: float | None = 7.0, note: str = "") -> Figure:
    """Votes, agreement, durations and folds of the corpora.

    Args:
        table: A row a segment: corpus, fold, votes (list of K counts), hard_label, is_tied, seconds.
        cut_seconds: Where the model's input ends; None for nowhere.
        note: Grey remark at the bottom.

    Returns:
        180 mm x 138 mm.
    """
    handles = [Patch(facecolor=COLORS[e], edgecolor=INK, linewidth=0.5, label=e) for e in EMOTIONS]
    handles.append(Patch(facecolor="white", edgecolor=INK, linewidth=0.5, label="tied"))
    fig = _figure(PAGE_MM, 138, note, handles)
    (ax_votes, ax_agreement), (ax_seconds, ax_folds) = fig.subplots(2, 2)
    parts = {name: part for name, part in table.groupby("corpus", sort=True)}
    hatches = dict(zip(parts, (None, "////"), strict=False))
    _corpus_bars(ax_votes, ax_agreement, parts, hatches)
    _durations(ax_seconds, parts, hatches, cut_seconds)
    _fold_bars(ax_folds, parts)
    for ax in (ax_votes, ax_agreement, ax_seconds):
        ax.yaxis.set_major_locator(MaxNLocator(5))
    for ax in (ax_votes, ax_agreement, ax_seconds, ax_folds):
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return fig


def _corpus_bars(ax_votes: Axes, ax_agreement: Axes, parts: dict[str, pd.DataFrame], hatches: dict) -> None:
    width = 0.8 / len(parts)
    for number, (name, part) in enumerate(parts.items()):
        votes = np.stack(part["votes"].to_numpy())
        shift = (number - (len(parts) - 1) / 2) * width
        style = dict(width=width * 0.94, edgecolor=INK, linewidth=0.5, hatch=hatches[name])
        shares = votes.sum(axis=0) / votes.sum()
        ax_votes.bar(np.arange(N_EMOTIONS) + shift, shares, color=[COLORS[emotion] for emotion in EMOTIONS], **style)
        agreeing = np.bincount(votes.max(axis=1), minlength=N_RATERS + 1)[2:] / len(part)
        color = "white" if hatches[name] else FILL
        ax_agreement.bar(np.arange(2, N_RATERS + 1) + shift, agreeing, color=color, **style)
    handles = [
        Patch(
            facecolor="white" if hatch else FILL,
            edgecolor=INK,
            linewidth=0.5,
            hatch=hatch,
            label=CORPUS_TITLES.get(name, name),
        )
        for name, hatch in hatches.items()
    ]
    ax_votes.legend(handles=handles, loc="upper right")
    ax_agreement.legend(handles=handles, loc="upper left")
    ax_agreement.margins(y=0.25)
    ax_votes.set_xticks(range(N_EMOTIONS), EMOTIONS)
    ax_votes.tick_params(axis="x", length=0)
    ax_votes.set(ylabel="share of all votes")
    ax_votes.set_title("Votes by emotion")
    ax_agreement.set_xticks(range(2, N_RATERS + 1))
    ax_agreement.set(xlabel="votes for the most frequent emotion, of ten", ylabel="share of segments")
    ax_agreement.set_title("Agreement of the raters")


def _durations(ax: Axes, parts: dict[str, pd.DataFrame], hatches: dict, cut_seconds: float | None) -> None:
    longest = max(part["seconds"].max() for part in parts.values())
    edges = np.linspace(0, max(longest, cut_seconds or 0), 33)
    for name, part in parts.items():
        longer = "" if cut_seconds is None else f", {100 * (part['seconds'] > cut_seconds).mean():.1f} % longer"
        shares = np.histogram(part["seconds"], edges)[0] / len(part)
        ax.stairs(
            shares,
            edges,
            fill=hatches[name] is None,
            facecolor=FILL,
            edgecolor=FILL if hatches[name] is None else INK,
            linewidth=1,
            label=f"{CORPUS_TITLES.get(name, name)}: median {part['seconds'].median():.1f} s{longer}",
        )
    ax.set_ylim(0, ax.get_ylim()[1] / 0.75)  # the legend's room
    if cut_seconds is not None:
        ax.axvline(cut_seconds, ymax=0.76, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        ax.annotate(
            f"cut at {cut_seconds:g} s",
            (cut_seconds, 0.6),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=MIN_FONT,
        )
    ax.set(xlabel="duration of a segment, seconds", ylabel="share of segments", xlim=(0, edges[-1] * 1.12))
    ax.set_title("Durations")
    ax.legend(loc="upper right")


def _fold_bars(ax: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Shares of the majority emotions and of ties, a bar for each fold of each corpus."""
    places, labels, middles = [], [], {}
    position = 0.0
    for name, part in parts.items():
        start = position
        for fold, members in part.groupby("fold", sort=True):
            untied = members.loc[~members["is_tied"].astype(bool), "hard_label"]
            counts = [*np.bincount(untied, minlength=N_EMOTIONS), len(members) - len(untied)]
            below = 0.0
            for count, color in zip(counts, [*(COLORS[emotion] for emotion in EMOTIONS), "white"], strict=True):
                share = count / len(members)
                ax.bar(position, share, 0.85, bottom=below, color=color, edgecolor=INK, linewidth=0.4)
                below += share
            places.append(position)
            labels.append(f"{fold}\n{len(members):,}")
            position += 1
        middles[name] = (start + position - 1) / 2
        position += 0.7
    ax.set_xticks(places, labels)
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(0, 1), ylabel="share of segments", xlabel="fold, and its number of segments")
    for name, middle in middles.items():
        ax.text(middle, 1.015, CORPUS_TITLES.get(name, name), ha="center", va="bottom", fontsize=MIN_FONT)
    ax.set_title("Majority emotion by fold", pad=13)


# ---------------------------------------------------------------------------------------------------- from a grid's folder


def build(
    folder: str,
    out: str | None = None,
    row: str | None = None,
    fold: int | None = None,
    vector: str = "pdf",
    n_resamples: int = 2000,
) -> str:
    """Draws every figure of a grid, and writes ``alignment.csv``, the alignment of every row and fold.

    Args:
        folder: The grid's folder, with ``<row>/fold<k>-seed<s>/`` in it.
        out: Where figures go; ``<folder>/figures`` where not given.
        row: Row of the figures that show one; as in ``tables.build`` where not given.
        fold: Fold of the map; the one of median weighted F1 where not given.
        vector: ``pdf`` or ``svg``, beside the PNG.
        n_resamples: Of the bootstrap.

    Returns:
        How many figures were drawn, and where.

    Raises:
        FileNotFoundError: No cell is finished.
        ValueError: An argument out of its range.
    """
    if vector not in ("pdf", "svg"):
        raise ValueError(f"vector must be pdf or svg: got {vector!r}.")
    rows = tables.load(folder)
    names = [one.name for one in rows]
    if row is None:
        row = "tensor_mixer_peakl" if "tensor_mixer_peakl" in names else names[-1]
    if row not in names:
        raise ValueError(f"row must be a finished row, one of {', '.join(names)}: got {row!r}.")
    chosen = rows[names.index(row)]
    if fold is not None and fold not in chosen.folds:
        raise ValueError(f"fold must be a finished fold of {row}, one of {chosen.folds}: got {fold!r}.")
    out_dir = Path(folder, "figures") if out is None else Path(out)
    out_dir.mkdir(parents=True, exist_ok=True)
    results = [run.result for one in rows for run in one.runs.values()]
    note = SAMPLE_NOTE if any(result["experiment"].split("/")[0] == "demo" for result in results) else ""

    n_drawn = 0
    for name, draw in _plan(rows, chosen, fold, note, n_resamples, out_dir):
        started = time.monotonic()
        try:
            save(draw(), out_dir / name, vector)
        except (FileNotFoundError, NotDrawn) as err:
            print(f"{name:<14} left out: {str(err).splitlines()[0]}", flush=True)
            continue
        n_drawn += 1
        print(f"{name:<14} {out_dir / name}.png, .{vector}  {time.monotonic() - started:.1f} s", flush=True)
    return f"{n_drawn} figures of {chosen.title} in {out_dir}"


def save(fig: Figure, stem: Path, vector: str = "pdf") -> None:
    """Writes ``<stem>.png`` (300 dpi) and ``<stem>.pdf`` or ``.svg``, each whole or not at all; no date inside."""
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with matplotlib.rc_context(STYLE):
        for kind in ("png", vector):
            stream = io.BytesIO()
            fig.savefig(stream, format=kind, dpi=300, metadata=dates[kind])
            write_atomically(stem.with_name(f"{stem.name}.{kind}"), stream.getvalue())


def _plan(
    rows: list[tables.Row], row: tables.Row, fold: int | None, note: str, n_resamples: int, out_dir: Path
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Name of each figure, and what draws it."""
    runs = row.first_seed()
    title = row.title

    def pooled() -> pd.DataFrame:
        table = pd.concat([run.predictions.assign(fold=k) for k, run in runs.items()], ignore_index=True)
        return table[~table["is_tied"].astype(bool)]

    def truth_and_prediction(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        return table["hard_label"].to_numpy(), table[PROB].to_numpy().argmax(axis=1)

    def map_figure() -> Figure:
        found = alignments(rows, row, out_dir / "alignment.csv")
        shown = fold if fold is not None else median_fold(dict(zip(row.folds, row.values("weighted_f1"), strict=True)))
        va, _, hard = vectors(runs[shown])
        map_2d, numbers = found[shown]
        by_fold = {k: one.space for k, (_, one) in found.items()}
        aligned = align_map(map_2d, va, hard)[0]
        which = f"fold {shown}" + (" (median F1)" if fold is None and len(runs) > 1 else "")
        return draw_map(va, aligned, hard, numbers, by_fold, title, which, note)

    def peakl_figure() -> Figure:
        table = pooled()
        return draw_peakl(table[SOFT].to_numpy(), table["hard_label"].to_numpy(), note=note)

    def confusion_figure() -> Figure:
        table = pooled()
        return draw_confusion(confusions(*truth_and_prediction(table), table["fold"].to_numpy()), title, note)

    def f1_figure() -> Figure:
        table = pooled()
        found = f1_intervals(
            *truth_and_prediction(table), table["fold"].to_numpy(), table["dialogue"].to_numpy(), n_resamples
        )
        return draw_f1(found, np.bincount(table["hard_label"], minlength=N_EMOTIONS), title, note)

    def calibration_figure() -> Figure:
        folds = [(part["hard_label"].to_numpy(), part[PROB].to_numpy()) for _, part in pooled().groupby("fold")]
        return draw_calibration(folds, title, note)

    def predictions_figure() -> Figure:
        table = pooled()
        va, pred_va = (table[[f"{kind}valence", f"{kind}arousal"]].to_numpy() for kind in ("", "pred_"))
        return draw_predictions(va, pred_va, table["hard_label"].to_numpy(), table["fold"].to_numpy(), title, note)

    def curves_figure() -> Figure:
        histories = {k: run.result["history"] for k, run in runs.items() if run.result["history"]}
        if not histories:
            raise NotDrawn("the results hold no history of epochs")
        return draw_curves(histories, {k: runs[k].result["selected"]["epoch"] for k in histories}, title, note)

    def folds_figure() -> Figure:
        values = {
            tables.METRICS[metric]: {
                one.title: dict(zip(one.folds, one.values(metric).tolist(), strict=True)) for one in rows
            }
            for metric in tables.COMPARED
        }
        return draw_folds(values, note)

    def corpus_figure() -> Figure:
        return draw_corpus(*corpus_table(next(iter(runs.values())).folder), note)

    yield from (("folds", folds_figure), ("confusion", confusion_figure), ("f1", f1_figure))
    yield from (("calibration", calibration_figure), ("predictions", predictions_figure), ("curves", curves_figure))
    yield from (("peakl", peakl_figure), ("corpus", corpus_figure), ("map", map_figure))


def vectors(run: tables.Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raters' va (N, 2), vectors in front of the heads (N, D) and hard_label (N,) of a run's untied segments.

    Raises:
        FileNotFoundError: The run has no ``embeddings.npz``.
        ValueError: It is not of the segments of ``predictions.csv``.
    """
    table = run.predictions
    with np.load(run.folder / "embeddings.npz", allow_pickle=False) as file:
        segment_id, embedding = file["segment_id"], file["embedding"].astype(np.float64)
    if not np.array_equal(segment_id.astype(str), table["segment_id"].to_numpy().astype(str)):
        raise ValueError(f"embeddings.npz and predictions.csv must be of the same segments: {run.folder} differs.")
    untied = ~table["is_tied"].to_numpy(dtype=bool)
    return (
        table.loc[untied, ["valence", "arousal"]].to_numpy(),
        embedding[untied],
        table["hard_label"].to_numpy()[untied],
    )


def alignments(rows: list[tables.Row], row: tables.Row, path: Path) -> dict[int, tuple[np.ndarray, Alignment]]:
    """Map and numbers of each fold of ``row``; ``path`` gets a line for each fold of each row (a map of that row's only).

    Each fold has its own space of vectors, hence its own map.
    """
    found, stream = {}, io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["row", "fold", "n_segments", "n_emotions", "rho", "p", "map_rho", "map_p", "trustworthiness", "disparity"]
    )
    cells = [(one, fold, run) for one in rows for fold, run in one.first_seed().items()]
    for one, fold, run in tqdm(cells, desc="alignment", unit="fold", disable=None):
        try:
            va, embedding, hard = vectors(run)
        except FileNotFoundError:
            if one is row:
                raise
            continue
        space, rest = mantel(va, embedding, hard), [""] * 4
        if one is row:
            map_2d = project(embedding)
            numbers = alignment(va, embedding, hard, map_2d)
            found[fold] = map_2d, numbers
            rest = [repr(value) for value in (*numbers.map[:2], numbers.trustworthiness, numbers.disparity)]
        writer.writerow([one.name, fold, len(va), space.n_emotions, repr(space.rho), repr(space.p_value), *rest])
    write_atomically(path, stream.getvalue())
    return found


def corpus_table(run_dir: Path) -> tuple[pd.DataFrame, float | None]:
    """Segments of the data set that a run's ``config.yaml`` names, for ``draw_corpus``; and where the run cuts, in seconds.

    Relative paths are relative to where the run was started, as they were for it.

    Raises:
        FileNotFoundError: The configuration or the corpora are not there.
    """
    from erc.datasets import HF_KEMD
    from erc.media import SAMPLE_RATE

    config = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    options = {name: config["dataset"][name] for name in ("dataset_name", "root", "cache_dir", "exclude")}
    ds = HF_KEMD("test", NO_SPLIT, on_bad_segment="skip", **options).ds
    names = ["corpus", "session", "speaker", "segment_id", "votes", "hard_label", "is_tied", "n_samples"]
    table = ds.select_columns(names).to_pandas()
    table["fold"] = assign_folds(table)
    table["seconds"] = table["n_samples"] / SAMPLE_RATE
    cut = config["dataloader"]["collate"]["max_samples"]
    return table, None if cut is None else cut / SAMPLE_RATE
