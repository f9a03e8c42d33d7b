"""The length of a sound -> the stretches that a model reads; what is said of the stretches -> what is said of the whole."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

MIN_WINDOW = 0.25
"""Seconds; a shorter stretch of speech says nothing."""

SLACK = 0.02
"""Seconds by which a sound may be longer than a window and still count as one; what is over is cut."""


def check_window(window: float, stride: float | None, longest: float) -> float:
    """The stride of windows, half a window where none is given.

    Args:
        window: Seconds.
        stride: Seconds from one window to the next.
        longest: Longest audio that the model's training read, in seconds.

    Raises:
        ValueError: A number is out of its range.
    """
    for name, value in (("window", window), ("stride", stride)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
            raise ValueError(f"Seconds are a number: expected one, got {value!r} ({name}).")
    if not MIN_WINDOW <= window <= longest:
        raise ValueError(
            f"A window is as long as speech that the model knows: expected {MIN_WINDOW:g} to {longest:g} seconds, got {window:g} "
            "(window)."
        )
    stride = window / 2 if stride is None else stride
    if not 0.05 <= stride <= window:
        raise ValueError(
            f"A stride leaves out no speech: expected 0.05 to {window:g} seconds, the length of a window, got {stride:g} (stride)."
        )
    return stride


def windows_of(seconds: float, window: float, stride: float) -> list[tuple[float, float]]:
    """Start and end of each window, in seconds.

    All windows are equally long, so the last one begins earlier than a whole stride after the one before it. A sound that is
    no longer than a window is one window.

    Examples:
        >>> windows_of(8.0, 4.0, 3.0)
        [(0.0, 4.0), (3.0, 7.0), (4.0, 8.0)]
        >>> windows_of(2.5, 4.0, 3.0)
        [(0.0, 2.5)]
    """
    if seconds <= window + SLACK:
        return [(0.0, min(seconds, window))]
    n = math.ceil((seconds - window) / stride - 1e-9) + 1
    starts = [min(i * stride, seconds - window) for i in range(n)]
    return [(start, start + window) for start in starts]


def of_the_whole(values: np.ndarray) -> np.ndarray:
    """What is said of the whole sound: the mean over its windows, which are equally long. (W, ...) -> (...)."""
    return np.asarray(values, dtype=np.float64).mean(axis=0)
