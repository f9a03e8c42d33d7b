"""How far the ten raters agree: Fleiss' kappa, Krippendorff's alpha, correlations between raters, each with its interval.

Comes in: individual ratings, one row a segment, one column a rater. Goes out: numbers, and a table for a terminal:
``python -m fire erc.report.raters show --root=data``. Only annotation files are read; no audio.
Conventions:

- *Rater groups* are never mixed: KEMDy19 changed its ten raters after session 10, and KEMDy20 has ten of its own.
- Emotion is nominal. Valence and arousal are ordinal and interval; Fleiss' kappa takes their five steps for names.
- Intervals: bias-corrected bootstrap over whole dialogues (over segments where no dialogue is known), within a rater group.
- Undefined is NaN, never 0: one category throughout, no pair of ratings, a rater who always says the same.

Every statistic here depends on the segments only through sums over them (coincidences of categories, moments of raters),
so that a resample is a weighted sum (``statistics.ClusterSums``).
Shapes: N segments, R raters (10), V categories.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from erc import statistics as st
from erc.annotations import find_folder, read_annotations
from erc.corpora import parse_dataset_name
from erc.labels import N_EMOTIONS, VA_MAX, VA_MIN
from erc.report.tables import short
from erc.sample import NOTE

Level = Literal["nominal", "ordinal", "interval"]

GROUPS = {
    "KEMDy19, sessions 1-10": ("kemdy19", 1, 10),
    "KEMDy19, sessions 11-20": ("kemdy19", 11, 20),
    "KEMDy20": ("kemdy20", 1, 40),
}
"""Rater groups: corpus, first and last session."""
KNOWN = {
    "emotion": (0.491, 0.505, 0.241),
    "arousal": (0.271, 0.298, 0.077),
    "valence": (0.335, 0.368, 0.223),
}
"""Fleiss' kappa of the licensed corpora, in the order of ``GROUPS``."""
SAMPLE_NOTE = (
    "Figures of a sample corpus are of invented raters: they are not those of KEMDy19 and KEMDy20, which stand under "
    "'known' (Fleiss' kappa of the licensed corpora)."
)
STATISTICS = {
    "fleiss_kappa": "Fleiss' kappa",
    "alpha_nominal": "Krippendorff's alpha, nominal",
    "alpha_ordinal": "Krippendorff's alpha, ordinal",
    "alpha_interval": "Krippendorff's alpha, interval",
    "correlation_mean": "correlation of two raters, mean",
    "correlation_min": "correlation of two raters, lowest",
    "correlation_max": "correlation of two raters, highest",
}


class Agreement(NamedTuple):
    """One statistic of one rater group."""

    group: str
    ratings: str
    """emotion, valence or arousal."""
    statistic: str
    """Key of ``STATISTICS``."""
    estimate: float
    low: float
    high: float
    n_segments: int
    n_clusters: int
    """Dialogues, or segments where no dialogue is known."""
    known: float
    """The licensed corpora's value; NaN where none is known."""


# ------------------------------------------------------------------------------------------------------- statistics


def fleiss_kappa(votes: np.ndarray) -> float:
    r"""Agreement of many raters on names, beyond what their preferences alone would give.

    .. math:: \kappa = \frac{\bar P - \bar P_e}{1 - \bar P_e}, \quad
        \bar P = \frac{1}{N} \sum_i \frac{\sum_j n_{ij} (n_{ij} - 1)}{m (m - 1)}, \quad
        \bar P_e = \sum_j \Big(\frac{1}{N m} \sum_i n_{ij}\Big)^2

    Source: Fleiss (1971), Measuring nominal scale agreement among many raters, Psychological Bulletin 76:378-382.

    Args:
        votes: (N, V) counts; each row sums to the same m >= 2. Raters need not be the same persons from row to row.

    Returns:
        At most 1; 0 is chance. NaN where only one category occurs (chance agreement is 1 then), or no segment.

    Raises:
        ValueError: Not (N, V), a negative count, rows of different sums, or fewer than two votes a row.
    """
    votes = np.asarray(votes, dtype=np.float64)
    if votes.ndim != 2 or not (votes >= 0).all():
        raise ValueError(f"Votes must be (N, V) counts >= 0: got shape {votes.shape}, a negative count or NaN.")
    totals = np.unique(votes.sum(axis=1))
    if totals.size > 1 or (totals < 2).any():
        raise ValueError(
            f"Fleiss' kappa needs the same number of raters, two or more, on every segment: got {totals.tolist()}. "
            "Where ratings are missing take krippendorff_alpha."
        )
    return float(_kappa(_coincidences_of_votes(votes).sum(axis=0)))


def krippendorff_alpha(ratings: np.ndarray, level: Level = "nominal") -> float:
    r"""Agreement as the share of chance disagreement that is absent; ratings may be missing.

    .. math:: \alpha = 1 - (n - 1) \frac{\sum_{c,k} o_{ck} \delta^2_{ck}}{\sum_{c,k} n_c n_k \delta^2_{ck}}

    with coincidences :math:`o_{ck}` (a segment of m ratings adds 1/(m - 1) for each ordered pair of them), their margins
    :math:`n_c` and their total n. :math:`\delta^2_{ck}` is 1 for c != k (nominal); :math:`(c - k)^2` (interval);
    :math:`(\sum_{g=c}^{k} n_g - (n_c + n_k)/2)^2` (ordinal).

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, Annenberg School for Communication.

    Args:
        ratings: (N, R) numbers, NaN where a rater did not rate; a segment with fewer than two ratings does not count.
        level: How far two categories lie apart: ``nominal``, ``ordinal`` or ``interval``.

    Returns:
        At most 1; 0 is chance. NaN where only one category occurs, or no segment has two ratings.

    Raises:
        ValueError: Not (N, R), infinite ratings, or an unknown level.
    """
    ratings = _ratings("ratings", ratings)
    if level not in get_args(Level):
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}: got {level!r}.")
    categories = np.unique(ratings[~np.isnan(ratings)])
    return float(_alpha(coincidences(ratings, categories).sum(axis=0), level=level, categories=categories))


def rater_correlations(ratings: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every two raters over the segments.

    Args:
        ratings: (N, R) numbers, none missing.

    Returns:
        (R, R) symmetric, 1 on the diagonal; NaN in the row and column of a rater who always says the same.

    Raises:
        ValueError: Not (N, R), or a missing or infinite rating.
    """
    return _correlations(_moments(_ratings("ratings", ratings, may_miss=False)).sum(axis=0))


def coincidences(ratings: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Coincidence matrix of each segment: how often two of its raters said c and k.

    Args:
        ratings: (N, R), NaN where missing.
        categories: (V,) sorted; ratings outside them do not count.

    Returns:
        (N, V, V) float64, symmetric; a segment's sum is the number of its ratings, or 0 where that is below two.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    return _coincidences_of_votes((ratings[:, :, None] == np.asarray(categories)).sum(axis=1).astype(np.float64))


def _coincidences_of_votes(votes: np.ndarray) -> np.ndarray:
    n_ratings = votes.sum(axis=1)[:, None, None]
    pairs = votes[:, :, None] * votes[:, None, :] - votes[:, :, None] * np.eye(votes.shape[1])
    return np.divide(pairs, n_ratings - 1, out=np.zeros_like(pairs), where=n_ratings > 1)


def _kappa(total: np.ndarray) -> np.ndarray:
    """(..., V, V) coincidences -> Fleiss' kappa. The trace over the sum is the mean agreement where all segments have m."""
    n = total.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):  # no segment: NaN, as promised
        observed = np.trace(total, axis1=-2, axis2=-1) / n
        expected = ((total.sum(axis=-1) / n[..., None]) ** 2).sum(axis=-1)
        return np.where(1 - expected > st.ROUNDING, (observed - expected) / (1 - expected), np.nan)


def _alpha(total: np.ndarray, level: Level, categories: np.ndarray) -> np.ndarray:
    """(..., V, V) coincidences -> Krippendorff's alpha."""
    margins = total.sum(axis=-1)  # (..., V)
    n = margins.sum(axis=-1)
    if level == "nominal":
        apart = 1.0 - np.eye(len(categories))
    elif level == "interval":
        apart = np.subtract.outer(categories, categories) ** 2.0
    else:
        # middle of a category's ranks; the difference of two is the formula's sum, up to its sign
        rank = margins.cumsum(axis=-1) - margins / 2
        apart = (rank[..., :, None] - rank[..., None, :]) ** 2
    observed = (total * apart).sum(axis=(-2, -1))
    expected = (margins[..., :, None] * margins[..., None, :] * apart).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):  # one category or none: NaN, as promised
        return np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)


def _moments(ratings: np.ndarray) -> np.ndarray:
    """(N, R) -> (N, 1 + R + R * R): 1, each rating, each product of two; shifted by the raters' means, for their digits."""
    x = ratings - ratings.mean(axis=0) if len(ratings) else ratings
    return np.concatenate([np.ones((len(x), 1)), x, (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)], axis=1)


def _correlations(total: np.ndarray) -> np.ndarray:
    """(..., 1 + R + R * R) sums of moments -> (..., R, R)."""
    n_raters = int(np.sqrt(total.shape[-1] - 1))  # 1 + R + R^2 lies between R^2 and (R + 1)^2
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant rater: NaN, as promised
        means = total / total[..., :1]
        mean = means[..., 1 : 1 + n_raters]
        product = means[..., 1 + n_raters :].reshape(*means.shape[:-1], n_raters, n_raters)
        covariance = product - mean[..., :, None] * mean[..., None, :]
        deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0))
        deviation = np.where(deviation**2 > st.ROUNDING, deviation, np.nan)
        return np.clip(covariance / (deviation[..., :, None] * deviation[..., None, :]), -1, 1)


def _correlation_summary(total: np.ndarray) -> np.ndarray:
    """(..., 1 + R + R * R) sums of moments -> (..., 3): mean, lowest and highest correlation of two raters."""
    matrix = _correlations(total)
    one, other = np.triu_indices(matrix.shape[-1], k=1)
    pairs = matrix[..., one, other]
    if pairs.shape[-1] == 0:
        return np.full((*pairs.shape[:-1], 3), np.nan)
    return np.stack([pairs.mean(axis=-1), pairs.min(axis=-1), pairs.max(axis=-1)], axis=-1)


def _ratings(name: str, ratings: np.ndarray, may_miss: bool = True) -> np.ndarray:
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.ndim != 2 or np.isinf(ratings).any() or (np.isnan(ratings).any() and not may_miss):
        missing = "" if may_miss else ", none missing"
        raise ValueError(f"{name} must be (N, R) finite numbers{missing}: got shape {ratings.shape}, or others.")
    return ratings


# ----------------------------------------------------------------------------------------------------- rater groups


def agreement(segments, n_resamples: int = 2000, level: float = 0.95, seed: int = 42) -> list[Agreement]:
    """Every statistic of every rater group that has segments, with its bootstrap interval.

    The lowest and the highest of 45 correlations are extremes, which chance drives apart: the bias-corrected interval lies
    further inwards. With few dialogues (below some 20) all intervals come out too narrow.

    Args:
        segments: ``HF_KEMD``, its ``.ds``, or a table, with corpus, session, emotion_ratings, valence_ratings and
            arousal_ratings (a list of ten a segment), and dialogue where it is known.
        n_resamples: Resamples of the bootstrap.
        level: Coverage of the intervals.
        seed: Of the bootstrap.

    Returns:
        For each group: emotion (kappa, nominal alpha), then valence and arousal (kappa, ordinal and interval alpha,
        correlations).

    Raises:
        ValueError: A column is missing, or no segment belongs to a group.
    """
    table = _as_table(segments)
    rows: list[Agreement] = []
    for number, (group, (corpus, first, last)) in enumerate(GROUPS.items()):
        part = table[(table["corpus"] == corpus) & table["session"].between(first, last)]
        if not len(part):
            continue
        clusters = part["dialogue"].to_numpy() if "dialogue" in part else np.arange(len(part))
        n_clusters = len(np.unique(clusters))
        for kind in KNOWN:
            ratings = np.stack(part[f"{kind}_ratings"].to_numpy()).astype(np.float64)
            for names, per_segment, score in _statistics(kind, ratings):
                sums = _cluster_sums(score, per_segment, clusters)
                found = st.cluster_bootstrap(sums, np.zeros(len(part)), clusters, n_resamples, level, seed)
                for name, *ends in zip(names, *(np.atleast_1d(end) for end in found), strict=True):
                    known = KNOWN[kind][number] if name == "fleiss_kappa" else np.nan
                    rows.append(Agreement(group, kind, name, *map(float, ends), len(part), n_clusters, known))
    if not rows:
        raise ValueError(f"Rater groups are {', '.join(GROUPS)}: none of the {len(table)} segments belongs to one.")
    return rows


def _statistics(kind: str, ratings: np.ndarray):
    """(names, what each segment adds, score of the sum) of one kind of rating."""
    categories = np.arange(N_EMOTIONS) if kind == "emotion" else np.arange(VA_MIN, VA_MAX + 1)
    pairs = coincidences(ratings, categories)
    yield ("fleiss_kappa",), pairs, _kappa
    for level in ("nominal",) if kind == "emotion" else ("ordinal", "interval"):
        yield (f"alpha_{level}",), pairs, partial(_alpha, level=level, categories=categories)
    if kind != "emotion":
        yield ("correlation_mean", "correlation_min", "correlation_max"), _moments(ratings), _correlation_summary


def _cluster_sums(
    score: Callable[[np.ndarray], np.ndarray], per_segment: np.ndarray, clusters: np.ndarray
) -> st.ClusterSums:
    names, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    sums = np.zeros((names.size, *per_segment.shape[1:]))
    np.add.at(sums, index, per_segment)
    return st.ClusterSums(score, sums, names, sizes)


def _as_table(segments) -> pd.DataFrame:
    needed = ["corpus", "session", "emotion_ratings", "valence_ratings", "arousal_ratings"]
    source = getattr(segments, "ds", segments)
    columns = list(source.columns if isinstance(source, pd.DataFrame) else source.column_names)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ValueError(f"Rater agreement needs the columns {', '.join(needed)}: {', '.join(missing)} is missing.")
    chosen = [*needed, *(["dialogue"] if "dialogue" in columns else [])]
    return source[chosen] if isinstance(source, pd.DataFrame) else source.select_columns(chosen).to_pandas()


# ------------------------------------------------------------------------------------------------------ on a terminal


def show(
    root: str = "data", dataset_name: str = "kemdy19-kemdy20", exclude: str = "paper", n_resamples: int = 2000
) -> str:
    """Table of the raters' agreement in the corpora under ``root``, beside the known values of the licensed ones.

    Args:
        root: Folder that holds the corpora.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        exclude: ``paper`` for the paper's selection of segments, ``none`` for all.
        n_resamples: Resamples of the bootstrap.

    Raises:
        FileNotFoundError: A corpus or its annotation files are missing.
        ValueError: An argument out of its range.
    """
    if exclude not in ("paper", "none"):
        raise ValueError(f"exclude must be paper or none: got {exclude!r}.")
    corpora = parse_dataset_name(dataset_name)
    folders = [find_folder(corpus, root) for corpus in corpora]
    tables = [read_annotations(corpus, folder).table for corpus, folder in zip(corpora, folders, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    if exclude == "paper":
        table = table[table["in_paper"].astype(bool)]
    is_sample = any((Path(folder) / NOTE).is_file() for folder in folders)
    return as_text(agreement(table, n_resamples=n_resamples), is_sample)


def as_text(rows: list[Agreement], is_sample: bool = False) -> str:
    """Rows of ``agreement`` for a terminal."""
    lines, group = [], ""
    for row in rows:
        if row.group != group:
            group = row.group
            drawn = "one by one" if row.n_clusters == row.n_segments else f"in {row.n_clusters:,} dialogues"
            lines += ["", f"{group}: {row.n_segments:,} segments, resampled {drawn}"]
            lines.append(f"  {'':<44}{'ours':>6}   {'95 % interval':<14}{'known':>6}")
        ends = "–" if np.isnan(row.low) else f"{short(row.low)} to {short(row.high)}"
        known = "" if np.isnan(row.known) else short(row.known)
        name = f"{row.ratings:<9}{STATISTICS[row.statistic]}"
        lines.append(f"  {name:<44}{short(row.estimate):>6}   {ends:<14}{known:>6}".rstrip())
    lines += ["", "Chance drives the lowest and the highest correlation apart: their intervals lie further inwards."]
    lines += [("This is a sample corpus. " if is_sample else "") + SAMPLE_NOTE]
    return "\n".join(lines[1:])
