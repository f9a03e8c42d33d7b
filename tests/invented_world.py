"""Emotions at the centroids of a corpus, and vectors that follow them or do not."""

from __future__ import annotations

import numpy as np

from erc.data import KEMD
from erc.data.corpora import KEMDY19

CENTROIDS = np.array(KEMDY19.centroids)
SHARES = np.array([0.10, 0.05, 0.18, 0.38, 0.15, 0.08, 0.06])


def world(rng, n=300, aligned=True, noise=0.6):
    """Emotions at the corpus's centroids; vectors that follow valence and arousal, or know nothing of them."""
    hard = rng.choice(KEMD.n_emotions, n, p=SHARES)
    va = (CENTROIDS[hard] + rng.normal(0, 0.4, (n, 2))).clip(1, 5).round(1)
    source = va if aligned else rng.normal(0, 1, (n, 2))
    return va, source @ rng.normal(size=(2, 16)) + rng.normal(0, noise, (n, 16)), hard
