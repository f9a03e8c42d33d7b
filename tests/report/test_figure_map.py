"""Figure "map": every segment where it belongs, and a heading that says what was found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from invented_world import world
from mapped_worlds import mapped_world

from erc.data import KEMD
from erc.evaluation import Mantel, MeanMantel
from erc.report import projection
from erc.report.figures import embedding_map


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_map_shows_every_segment_before_and_after_training(rng):
    va, vectors, hard = world(rng)
    mapped = mapped_world(va, vectors, hard)
    fig = embedding_map.draw_map(mapped, KEMD)
    aligned = [projection.align_map(one.xy, va, hard)[0] for one in (mapped.untrained, mapped.trained)]
    for ax, expected, room in zip(fig.axes, (va, *aligned), (embedding_map.JITTER, 0, 0), strict=True):
        by_emotion = [collection.get_offsets() for collection in ax.collections]
        order = np.argsort(-np.bincount(hard, minlength=7), kind="stable")
        points = np.concatenate(by_emotion)
        in_order = np.concatenate([expected[hard == k] for k in order])
        assert np.abs(points - in_order).max() <= room + 1e-12
        centroids = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines)
        means = sorted(tuple(expected[hard == k].mean(axis=0)) for k in range(KEMD.n_emotions))
        assert np.array(centroids) == pytest.approx(np.array(means), rel=1e-12)
        large = (np.bincount(hard, minlength=7) >= embedding_map.MIN_ELLIPSE).sum()
        assert len(ax.patches) == large < 8
    for ax, numbers in zip(fig.axes[1:], (mapped.untrained_numbers, mapped.numbers), strict=True):
        assert f"ρ = {numbers.map.rho:.2f}".replace("0.", ".").replace("-", "−") in ax.get_title(loc="left")
    alone = embedding_map.draw_map(replace(mapped, untrained=None, untrained_numbers=None), KEMD)
    assert len(alone.axes) == 2


def test_a_rare_emotion_has_a_centroid_and_no_ellipse(rng):
    va, vectors, hard = world(rng)
    kept = (hard != 1) | (np.cumsum(hard == 1) <= 4)
    fig = embedding_map.draw_map(mapped_world(va[kept], vectors[kept], hard[kept]), KEMD)
    for ax in fig.axes:
        assert len(ax.lines) == 7 and len(ax.patches) == 6


@pytest.mark.parametrize(
    ("p_value", "said"),
    [(0.049, "are arranged"), (0.05, "are not clearly arranged"), (np.nan, "are not clearly arranged")],
)
def test_the_map_says_whether_emotions_are_arranged_as_the_raters_arrange_them(rng, p_value, said):
    mapped = mapped_world(*world(rng))
    first, second = embedding_map._finding(mapped.numbers, MeanMantel(0.4, p_value, -0.2, 0.21, 5))
    assert first == f"Emotions {said} as the raters arrange them: rank correlation of distances ρ = .400"
    assert second.startswith("(mean over 5 folds, among the vectors; by chance −.200 to +.210; p ")
    numbers = replace(mapped.numbers, space=Mantel(0.4, p_value, 7, 5040))
    (alone,) = embedding_map._finding(numbers, None)
    assert alone.startswith(f"Emotions {said} as the raters arrange them: rank correlation of distances ρ = .40, p ")


def test_a_map_of_several_layouts_says_how_far_they_differ(rng):
    numbers = replace(mapped_world(*world(rng)).numbers, map_range=(0.16, 0.61))
    assert embedding_map._rho_text(numbers).endswith("(.160 to .610 over layouts)")


def test_ellipses_are_one_standard_deviation(rng):
    cloud = rng.normal(size=(20_000, 2)) @ np.array([[2.0, 0.3], [0, 0.5]]) + [3, 4]
    ellipse = embedding_map._ellipse(cloud, "black")
    unit = ellipse.get_transform().inverted().transform(cloud)
    assert (np.hypot(*unit.T) <= 1).mean() == pytest.approx(1 - math.exp(-0.5), abs=0.01)  # 39 %
