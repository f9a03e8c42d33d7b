"""Invented maps of a fold, for the figure "map"."""

from __future__ import annotations

import numpy as np

from erc.report.arrangement import Mapped, alignment
from erc.report.projection import project


def mapped_world(va, vectors, hard) -> Mapped:
    """A fold's map before training, where the vectors are noise, and after it."""
    before = np.random.default_rng(1).normal(size=vectors.shape)
    one, other = project(vectors), project(before)
    return Mapped(va, hard, one, alignment(va, vectors, hard, one), other, alignment(va, before, hard, other))
