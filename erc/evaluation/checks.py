"""Arguments of the statistics, checked: shapes, class indices, distributions."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

ROUNDING = 1e-12
"""Differences of metrics (all within [-1, 1]) smaller than this are rounding errors, and count as zero."""


class Segments(Protocol):
    """What is read of a data set, so that nothing here imports one: ``HF_KEMD(...).ds`` is such a table."""

    def __len__(self) -> int:
        """Number of segments."""
        ...

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        ...

    def select_columns(self, column_names: list[str]) -> Any:
        """A table of some columns, which ``to_pandas()`` turns into a data frame."""
        ...


def as_vector(name: str, values: np.ndarray) -> np.ndarray:
    """(n,) float64."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional: expected (n,), got shape {values.shape}.")
    return values


def as_aligned(**arrays: np.ndarray) -> list[np.ndarray]:
    """One-dimensional arrays of one length."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(f"One value per segment: expected (N,) arrays of one length, got {shapes}.")
    return list(arrays.values())


def as_class_indices(name: str, values: np.ndarray, n_classes: int) -> np.ndarray:
    """int64 class indices, each from 0 to ``n_classes`` - 1."""
    values = np.asarray(values)
    if not np.isin(values, np.arange(n_classes)).all():
        raise ValueError(f"{name} must hold class indices: expected integers 0 to {n_classes - 1}, got others.")
    return values.astype(np.int64)


def as_distributions(name: str, probs: np.ndarray) -> np.ndarray:
    """(N, K) float64 rows that sum to 1, rescaled: float32 and half-precision softmax sums are a little off."""
    probs = np.asarray(probs, dtype=np.float64)
    if probs.ndim != 2 or not (np.isfinite(probs).all() and (probs >= 0).all()):
        raise ValueError(f"{name} must be (N, K) probabilities >= 0, got shape {probs.shape}, or negative or NaN.")
    total = probs.sum(axis=1, keepdims=True)
    if (np.abs(total - 1) > 1e-3).any():
        raise ValueError(f"Rows of {name} must sum to 1, got sums from {total.min():.4g} to {total.max():.4g}.")
    return probs / total


def as_paired_distributions(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of distributions, of one shape."""
    truth, prediction = as_distributions("truth", truth), as_distributions("prediction", prediction)
    if truth.shape != prediction.shape:
        raise ValueError(f"One prediction per truth: expected shape {truth.shape}, got {prediction.shape}.")
    return truth, prediction


def as_plain(value: np.ndarray) -> float | np.ndarray:
    """A float for a single number, the array otherwise."""
    return float(value) if np.ndim(value) == 0 else value
