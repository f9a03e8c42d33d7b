"""The figures' common look: text that is legible and does not overlap, one colour and one marker for each emotion."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

import matplotlib
import numpy as np
import pytest
from invented_cells import corpus, fold_values, history, make_votes, robustness_effects
from invented_world import world
from mapped_worlds import mapped_world
from matplotlib.text import Text
from scipy.spatial.distance import pdist

from erc.data import EMOTIONS, KEMD
from erc.evaluation import MeanMantel
from erc.evaluation.bootstrap import f1_by_emotion_interval
from erc.report.figures import (
    calibration,
    confusion as figures_confusion,
    corpus_overview,
    curves,
    embedding_map,
    f1,
    over_folds,
    peakl,
    robustness,
    style,
    valence_arousal,
)

LONG_TITLE = "Tensor Mixer Network, PeakL (3/5 folds)"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def all_figures(rng, n, note, scale=1, width_mm=style.PAGE_MM):
    """Every figure on so many segments; ``scale`` multiplies the counts that are printed."""
    look = dict(note=note, width_mm=width_mm)
    va, vectors, hard = world(rng, n)
    votes = make_votes(rng, n)
    probs = rng.dirichlet(np.full(7, 0.5), n)
    prediction, folds = probs.argmax(axis=1), np.arange(n) % 5
    mapped = mapped_world(va, vectors, hard)
    interval = f1_by_emotion_interval(hard, prediction, np.zeros(n), np.arange(n) % 20, 7, 50)
    counts = scale * np.bincount(hard, minlength=7)
    n_epochs = 6 if n < 200 else 30
    pred_va = va + rng.normal(0, 0.5, va.shape)
    confusion = scale * figures_confusion.confusions(hard, prediction, folds, 7)
    histories = {fold: history(rng, n_epochs) for fold in range(5)}
    return {
        "map": embedding_map.draw_map(
            mapped, KEMD, MeanMantel(0.412, 0.003, -0.2, 0.2, 5), LONG_TITLE, "fold 4 (median F1)", **look
        ),
        "peakl": peakl.draw_peakl(votes, votes.argmax(axis=1), KEMD, **look),
        "confusion": figures_confusion.draw_confusion(confusion, EMOTIONS, LONG_TITLE, **look),
        "f1": f1.draw_f1(interval, counts, EMOTIONS, LONG_TITLE, **look),
        "calibration": calibration.draw_calibration(hard, probs, LONG_TITLE, **look),
        "predictions": valence_arousal.draw_predictions(va, pred_va, hard, folds, KEMD, LONG_TITLE, **look),
        "curves": curves.draw_curves(histories, dict.fromkeys(range(5), 3), "valid/accuracy", LONG_TITLE, **look),
        "folds": over_folds.draw_folds(fold_values(rng, 3 if n < 200 else 9), **look),
        "corpus": corpus_overview.draw_corpus(corpus(rng, n), KEMD, 7.0, **look),
        "robustness": robustness.draw_robustness(robustness_effects(rng), f"{LONG_TITLE}, fold 4, seed 42", **look),
    }


NAMES = ("map", "peakl", "confusion", "f1", "calibration", "predictions", "curves", "folds", "corpus", "robustness")


@pytest.fixture(scope="module")
def small():
    return all_figures(np.random.default_rng(3), 110, style.SYNTHETIC_REMARK)


@pytest.fixture(scope="module")
def large():
    return all_figures(np.random.default_rng(4), 1500, "", scale=70)


@pytest.fixture(scope="module")
def narrow():
    return all_figures(np.random.default_rng(3), 110, style.SYNTHETIC_REMARK, width_mm=style.COLUMN_MM)


@pytest.fixture(scope="module")
def narrow_and_large():
    return all_figures(np.random.default_rng(4), 1500, "", scale=70, width_mm=style.COLUMN_MM)


@lru_cache(maxsize=40)  # drawing takes the time: the figures of this file are drawn once
def drawn_texts(fig):
    """Each text that is really drawn, with its box in pixels."""
    found = {}
    original = Text.draw

    def draw(self, renderer, *args, **kwargs):
        original(self, renderer, *args, **kwargs)
        if self.get_visible() and self.get_text().strip():
            found[self] = self.get_window_extent(renderer)

    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context(style.STYLE):
        patch.setattr(Text, "draw", draw)
        fig.canvas.draw()
    return found


def overlaps(texts):
    """Pairs of texts whose boxes share more than half a pixel each way."""
    found = []
    for (one, a), (other, b) in itertools.combinations(texts.items(), 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5:
            found.append((one.get_text(), other.get_text()))
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["small", "large", "narrow", "narrow_and_large"])
def test_text_is_legible_inside_the_page_and_does_not_overlap(name, size, request):
    fig = request.getfixturevalue(size)[name]
    texts = drawn_texts(fig)
    assert min(text.get_fontsize() for text in texts) >= 6
    assert overlaps(texts) == []
    page = fig.bbox
    outside = [
        t.get_text() for t, b in texts.items() if not (b.x0 >= 0 and b.y0 >= 0 and b.x1 <= page.x1 and b.y1 <= page.y1)
    ]
    assert outside == []
    width_mm = fig.get_figwidth() * 25.4
    is_narrow = size.startswith("narrow")
    assert width_mm == pytest.approx(84 if is_narrow else 174)
    assert fig.get_figheight() * 25.4 <= (235 if is_narrow else 145)


def test_overlapping_and_cut_text_would_be_found(small):
    fig = style.new_figure(84, 60, "")
    ax = fig.subplots()
    ax.set_xticks(range(40), ["surprise"] * 40)
    assert overlaps(drawn_texts(fig))


@pytest.mark.parametrize("width_mm", [84, 174])
@pytest.mark.parametrize("n", range(1, 15))
def test_a_legend_of_any_length_fits_the_width(width_mm, n):
    handles = style.emotion_handles(tuple(f"frustrated {k}" for k in range(n)))
    fig = style.new_figure(width_mm, 60, "", handles)
    fig.subplots()
    box = fig.legends[0].get_window_extent(fig.canvas.get_renderer())
    assert 0 <= box.x0 and box.x1 <= fig.bbox.x1


@pytest.mark.parametrize("name", NAMES)
def test_the_note_stands_on_a_synthetic_corpus_only(name, small, large):
    assert style.SYNTHETIC_REMARK in [text.get_text() for text in drawn_texts(small[name])]
    assert style.SYNTHETIC_REMARK not in [text.get_text() for text in drawn_texts(large[name])]


def test_every_emotion_has_one_colour_and_one_marker(small):
    looks = dict(zip(EMOTIONS, style.looks_of(EMOTIONS), strict=True))
    for name in ("map", "predictions"):
        handles = small[name].legends[0].legend_handles
        for handle in (one for one in handles if "segments" not in one.get_label()):
            emotion = handle.get_label().split()[0]
            assert (handle.get_markerfacecolor(), handle.get_marker()) == (
                looks[emotion].color,
                looks[emotion].marker,
            )
    dots = {line.get_ydata()[0]: line for line in small["f1"].axes[0].lines if line.get_marker() != "None"}
    for index, line in dots.items():
        assert (line.get_color(), line.get_marker()) == looks[EMOTIONS[int(index)]]


def test_kemd_s_emotions_keep_their_published_looks():
    colors = ["#56B4E9", "#994477", "#D55E00", "#BBBBBB", "#F0B020", "#0072B2", "#009E73"]
    assert [(one.color, one.marker) for one in style.looks_of(EMOTIONS)] == list(zip(colors, "^vsoDPX", strict=True))


def test_other_names_of_an_emotion_have_its_look():
    names = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")  # as MELD has them
    known = dict(zip(EMOTIONS, style.looks_of(EMOTIONS), strict=True))
    order = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert style.looks_of(names) == tuple(known[name] for name in order)
    assert set(style.SYNONYMS.values()) <= style.LOOKS.keys() and not style.SYNONYMS.keys() & style.LOOKS.keys()


@pytest.mark.parametrize(
    "names",
    [
        ("ja", "nein"),
        ("angry", "anger", "Angry", "fury"),
        tuple(style.LOOKS),
        (*style.LOOKS, *(f"emotion {k}" for k in range(20))),
        tuple(f"emotion {k}" for k in range(12)),
    ],
)
def test_no_two_emotions_of_a_space_look_alike(names):
    looks = style.looks_of(names)
    assert len(set(looks)) == len(names) and looks == style.looks_of.__wrapped__(names)
    if len(names) <= len(style.LOOKS):
        assert len({one.color for one in looks}) == len({one.marker for one in looks}) == len(names)


def test_short_names_tell_the_emotions_apart():
    assert style.short_names(EMOTIONS) == ["sur", "fea", "ang", "neu", "hap", "sad", "dis"]
    assert style.short_names(("disgust", "disappointed", "sad")) == ["disg", "disa", "sad"]
    assert style.short_names(("a", "ab", "abc", "abcd")) == ["a", "ab", "abc", "abcd"]


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [((1, 5), [1, 2, 3, 4, 5]), ((-1, 1), [-1, 0, 1]), ((0, 100), [0, 25, 50, 75, 100]), ((0, 0.5), None)],
)
def test_a_scale_has_whole_numbers_or_five_ticks(scale, ticks):
    assert style.scale_ticks(scale) == (ticks or [0, 0.125, 0.25, 0.375, 0.5])


def test_colours_stay_apart_for_colour_blind_readers():
    """Viénot, Brettel and Mollon (1999): what a dichromat sees; each two emotions stay at least 25 of 441 apart in RGB."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    without_red = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    without_green = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    colours = np.array([matplotlib.colors.to_rgb(look.color) for look in style.LOOKS.values()])
    for loss in (np.eye(3), without_red, without_green):
        seen = (colours**2.2 @ (np.linalg.inv(to_lms) @ loss @ to_lms).T).clip(0, 1) ** (1 / 2.2)
        assert pdist(255 * seen).min() > 25


def lab(colours):
    """CIELAB (1976, D65) of linear RGB colours, (N, 3)."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = colours @ to_xyz.T / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * 841 / 108 + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


WITHOUT_GREEN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
WITHOUT_RED = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def nearest(colours, seen):
    """Smallest CIE 1976 difference of two colours as a reader sees them (Machado, Oliveira and Fernandes, 2009; severity 1)."""
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return pdist(lab((linear @ np.array(seen).T).clip(0, 1))).min()


@pytest.mark.parametrize("seen", [np.eye(3), WITHOUT_GREEN, WITHOUT_RED], ids=["all colours", "no green", "no red"])
def test_kemd_s_seven_emotions_stay_20_apart_for_every_reader(seen):
    assert nearest([look.color for look in style.looks_of(EMOTIONS)], seen) >= 20


def test_the_palette_of_okabe_and_ito_with_a_grey_would_not_stay_apart():
    # what an outside look measured of the palette before: fear and neutral differ by 15 without green
    okabe_ito = ["#56B4E9", "#CC79A7", "#D55E00", "#BBBBBB", "#E69F00", "#0072B2", "#009E73"]
    assert nearest(okabe_ito, WITHOUT_GREEN) == pytest.approx(14.6, abs=0.1)


LETTERS = {
    "peakl": "abcde",
    "confusion": "ab",
    "f1": "",
    "calibration": "ab",
    "predictions": "ab",
    "curves": "abcdef",
} | {
    "folds": "abc",
    "corpus": "abcd",
}


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("size", ["small", "narrow"])
def test_panels_have_bold_letters_at_their_top_left(name, size, request):
    fig = request.getfixturevalue(size)[name]
    boxes = drawn_texts(fig)
    found = {text.get_text(): text for text in boxes if text.get_fontweight() == "bold"}
    assert sorted(found) == list(LETTERS[name])
    for text, ax in zip((found[letter] for letter in sorted(found)), fig.axes, strict=False):
        panel = ax.get_window_extent()
        assert boxes[text].x1 < panel.x0 + 1 and boxes[text].y0 > panel.y1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["small", "narrow_and_large"])
def test_no_number_has_a_zero_before_its_point(name, size, request):
    shown = [text.get_text() for text in drawn_texts(request.getfixturevalue(size)[name])]
    assert [text for text in shown if re.search(r"(^|[^\d,])[-−]?0\.\d", text)] == []


def test_a_zero_before_the_point_would_be_found():
    fig = style.new_figure(84, 60, "")
    fig.subplots().set(xlim=(0, 1))
    assert any(re.search(r"(^|[^\d,])[-−]?0\.\d", text.get_text()) for text in drawn_texts(fig))


def test_drawing_leaves_the_settings_of_others_alone(rng):
    before = dict(matplotlib.rcParams)
    over_folds.draw_folds(fold_values(rng, 2))
    assert dict(matplotlib.rcParams) == before


def test_one_corpus_without_a_cut_is_drawn(rng):
    fig = corpus_overview.draw_corpus(corpus(rng, 60, names=("kemdy20",)), KEMD, None)
    assert overlaps(drawn_texts(fig)) == []
