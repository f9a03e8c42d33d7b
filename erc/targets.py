"""What a model is trained on: one distribution over emotions per segment, made from its votes and its hard label.

A label kind is one entry in ``KINDS`` and one yaml in ``config/target/``. Those of the paper's grid are ``peakl``, ``soft`` and
``hard``; the others are rivals of PeakL. What a kind takes besides votes and hard labels are its options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Interval

from erc.labels import drawn_vote, entropy, has_votes, one_hot, sharpen_label, smooth_label, soft_label
from erc.peakl import peak_label


@dataclass(frozen=True)
class LabelKind:
    """One way from votes (N, K) and hard labels (N,) to targets (N, K)."""

    make: Callable[..., np.ndarray]
    """Target of each segment from ``votes`` (N, K) counts, at least one a row, and ``hard_label`` (N,) indices, and the options
    by name; float64, rows sum to 1."""
    drops_tied: bool = False
    """Whether training leaves tied segments out."""
    options: tuple[str, ...] = ()
    """Names of its options, of those in ``OPTIONS``."""
    draw: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    """Target of one epoch from ``votes`` and one number in [0, 1) a segment (N,); ``make`` is then its mean over epochs. None
    for a kind whose targets are the same in every epoch."""


KINDS = {
    "peakl": LabelKind(lambda votes, hard_label: peak_label(soft_label(votes))),
    "soft": LabelKind(lambda votes, hard_label: soft_label(votes)),
    # a tie has no majority that the 1 could stand for
    "hard": LabelKind(lambda votes, hard_label: one_hot(hard_label, votes.shape[1]), drops_tied=True),
    "smoothed": LabelKind(
        lambda votes, hard_label, epsilon: smooth_label(one_hot(hard_label, votes.shape[1]), epsilon),
        drops_tied=True,
        options=("epsilon",),
    ),
    "sharpened": LabelKind(
        lambda votes, hard_label, temperature: sharpen_label(soft_label(votes), temperature), options=("temperature",)
    ),
    "sampled": LabelKind(lambda votes, hard_label: soft_label(votes), draw=drawn_vote),
}
"""Label kinds by name: peaked votes, votes / raters, one-hot majority, smoothed majority, votes sharpened by a temperature, the
vote of one rater drawn anew in every epoch."""

OPTIONS = {
    "epsilon": Annotated[float, Interval(gt=0, lt=1)],
    "temperature": Annotated[float, Interval(gt=0, le=100)] | None,
}
"""Type of every option of a label kind; where None is allowed, ``resolve_options`` finds the value."""

if TYPE_CHECKING:
    TargetKind = str
else:
    TargetKind = Literal[tuple(KINDS)]
    """Name of a label kind."""


def make_target(kind: TargetKind, votes: np.ndarray, hard_label: np.ndarray, **options: float) -> np.ndarray:
    """Training target of each segment.

    Args:
        kind: A name in ``KINDS``.
        votes: (N, K) counts.
        hard_label: (N,) indices of emotions.
        **options: Those of the kind.

    Returns:
        (N, K) float64, rows summing to 1; a row of NaN for a segment that nobody voted on. Of a kind that is drawn, the mean
        over all draws.

    Raises:
        ValueError: Unknown kind, or options that are not those of the kind.
    """
    complaint = options_complaint(kind, options)
    if complaint:
        raise ValueError(complaint)
    return _where_known(lambda *known: _kind(kind).make(*known, **options), votes, hard_label)


def draw_target(
    kind: TargetKind, votes: np.ndarray, segment_id: Sequence[str], seed: int, epoch: int
) -> np.ndarray | None:
    """Training target of each segment in one epoch; None for a kind that is not drawn.

    What is drawn is a function of (seed, epoch, segment), and of nothing else: neither of the order of the segments, nor of the
    number of processes, nor of where a run was resumed.

    Args:
        kind: A name in ``KINDS``.
        votes: (N, K) counts.
        segment_id: (N,) names.
        seed: Of the run.
        epoch: From 0.

    Returns:
        (N, K) float64, one-hot; a row of NaN for a segment that nobody voted on.
    """
    draw = _kind(kind).draw
    return None if draw is None else _where_known(draw, votes, uniform_of(segment_id, seed, epoch))


def uniform_of(segment_id: Sequence[str], seed: int, epoch: int) -> np.ndarray:
    """(N,) numbers in [0, 1): the first 53 bits of a hash of seed, epoch and segment, so that each has a number of its own."""
    digests = (hashlib.blake2b(f"{seed} {epoch} {name}".encode(), digest_size=8).digest() for name in segment_id)
    return np.array([(int.from_bytes(digest, "big") >> 11) * 2.0**-53 for digest in digests])


def options_complaint(kind: TargetKind, options: dict[str, Any]) -> str:
    """What is wrong with the names of the options of a kind; empty if nothing is.

    Raises:
        ValueError: Unknown kind.
    """
    expected = _kind(kind).options
    if set(options) == set(expected):
        return ""
    return (
        f"target.kind={kind} takes {' and '.join(expected) or 'no option'}: got {' and '.join(sorted(options)) or 'none'}. Set "
        f"target={kind} and its own options."
    )


def resolve_options(kind: TargetKind, options: dict[str, Any], votes: Callable[[], np.ndarray]) -> dict[str, float]:
    """Options of a label kind with a value for each: what was left open follows from the training segments.

    Args:
        kind: A name in ``KINDS``.
        options: As configured; a temperature of None is ``matched_temperature``.
        votes: Reads the (N, K) counts of the training segments; only called where they are needed.

    Raises:
        ValueError: Unknown kind, or options that are not those of the kind.
    """
    complaint = options_complaint(kind, options)
    if complaint:
        raise ValueError(complaint)
    if "temperature" in options and options["temperature"] is None:
        return options | {"temperature": matched_temperature(votes())}
    return dict(options)


def matched_temperature(votes: np.ndarray) -> float:
    """Temperature at which sharpened labels have the mean entropy of peaked ones, so that the two differ in shape alone.

    PeakL never flattens a label, and never parts what is tied. The mean entropy of sharpened labels rises with the temperature,
    from that of the ties alone to that of the soft labels at 1. So there is one temperature in (0, 1], unless every segment is
    unanimous or evenly split: then each temperature gives the same labels, and this one is 1. Where every segment has three
    raters, 2 to 1 is all that can be sharpened, and the labels are those of PeakL.

    Args:
        votes: (N, K) counts; rows without a vote do not count.

    Returns:
        In [1e-4, 1]; at 1e-4 the labels are one-hot in float64.

    Raises:
        ValueError: Nobody voted on any segment.
    """
    from scipy.optimize import brentq  # slow to import; a command line is checked without it

    votes = np.asarray(votes)
    voted = has_votes(votes)
    if not voted.any():
        raise ValueError("A temperature is matched to votes: the training segments have none. Set target.temperature.")
    soft = soft_label(votes[voted])
    aim = float(entropy(peak_label(soft)).mean())

    def excess(log_temperature: float) -> float:
        return float(entropy(sharpen_label(soft, np.exp(log_temperature))).mean()) - aim

    ends = (np.log(1e-4), 0.0)
    if excess(ends[1]) <= 1e-12:
        return 1.0
    if excess(ends[0]) >= -1e-12:
        return 1e-4
    return float(np.exp(brentq(excess, *ends, xtol=1e-12)))


def drops_tied(kind: TargetKind) -> bool:
    """Whether training on this kind leaves tied segments out.

    Raises:
        ValueError: Unknown kind.
    """
    return _kind(kind).drops_tied


def _where_known(make: Callable[..., np.ndarray], votes: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """``make`` of the segments that somebody voted on; a row of NaN for the others."""
    votes, known = np.asarray(votes), has_votes(votes)
    target = np.full(votes.shape, np.nan)
    if known.any():
        target[known] = make(votes[known], *(np.asarray(one)[known] for one in others))
    return target


def _kind(kind: TargetKind) -> LabelKind:
    if kind not in KINDS:
        raise ValueError(f"target.kind must be one of {', '.join(KINDS)}: got {kind!r}.")
    return KINDS[kind]
