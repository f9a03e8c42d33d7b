"""Check of the labels between folds and sessions: effect sizes with stated bounds, corpus by corpus.

Emotions: the total variation between a fold's shares and the rest's, 0 (equal) to 1 (nothing in common). Valence and
arousal: Cohen's d, the difference of the means in standard deviations. Both are large by chance in small folds, so that
each bound is an allowance for how folds really differ, plus the mean and three standard deviations of what chance alone gives
(four for Cohen's d).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from erc.data import EMOTIONS
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, plural

ALLOWED_VARIATION = {"fold": 0.1, "session": 0.35}
"""Allowance for the emotions. The published folds of KEMDy19 differ by .04 to .12."""

ALLOWED_D = {"fold": 0.5, "session": 0.9}
"""Allowance for valence and arousal; 0.5 is called a medium effect (Cohen, 1988)."""


def check_label_shift(cases: list[Evidence]) -> list[Finding]:
    """Folds, and sessions, whose labels are distributed otherwise than the rest of their corpus."""
    where, largest = [], 0.0
    for case in cases:
        untied = case.selected[~case.selected["is_tied"]]
        for scope in ("fold", "session"):
            for number in sorted(set(untied[scope])):
                inside = untied[scope] == number
                if inside.all():
                    continue
                variation, bound, text = total_variation(untied[inside], untied[~inside], ALLOWED_VARIATION[scope])
                largest = max(largest, variation if scope == "fold" else 0)
                name = f"{case.corpus.name} {scope} {number}"
                if variation > bound:
                    where.append(f"{name}: total variation {variation:.2f} to the rest, bound {bound:.2f} ({text})")
                where += [
                    f"{name}: {text}" for text in _scale_shifts(untied[inside], untied[~inside], ALLOWED_D[scope])
                ]
    if not where:
        got = f"no fold or session is unlike the rest of its corpus (largest total variation of a fold: {largest:.2f})"
        return [Finding("label shift", "ok", got)]
    return [
        Finding(
            "label shift",
            "warning",
            f"{plural(len(where), 'shift')}: {where[0]}",
            expected=f"a total variation up to {ALLOWED_VARIATION['fold']:g} between a fold and the rest, and Cohen's d up "
            f"to {ALLOWED_D['fold']:g}, plus what chance gives",
            where=where,
            advice="Compare the annotation files of these sessions with the corpus. A result on such a fold is not "
            "comparable with the others.",
        )
    ]


def total_variation(inside: pd.DataFrame, rest: pd.DataFrame, allowed: float) -> tuple[float, float, str]:
    """Total variation between the emotions of two sets, its bound, and the emotion that differs most in words."""
    counts = [np.bincount(rows["hard_label"], minlength=len(EMOTIONS)) for rows in (inside, rest)]
    n = [len(inside), len(rest)]
    shares = [count / size for count, size in zip(counts, n, strict=True)]
    difference = shares[0] - shares[1]
    pooled = (counts[0] + counts[1]) / sum(n)
    sigma = np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    # of a half-normal distribution: mean .80 sigma, standard deviation .60 sigma; half of the sum over the emotions
    bound = allowed + 0.5 * (0.8 * sigma.sum() + 3 * 0.6 * float(np.sqrt((sigma**2).sum())))
    most = int(abs(difference).argmax())
    text = f"{100 * shares[0][most]:.0f} % {EMOTIONS[most]}, elsewhere {100 * shares[1][most]:.0f} %"
    return float(abs(difference).sum() / 2), float(bound), text


def _scale_shifts(inside: pd.DataFrame, rest: pd.DataFrame, allowed: float) -> list[str]:
    """Shifts of valence and arousal that cross their bound."""
    n = [len(inside), len(rest)]
    bound = allowed + 4 * np.sqrt(1 / n[0] + 1 / n[1])
    found = []
    for name in ("valence", "arousal"):
        values = inside[name].to_numpy(dtype=np.float64), rest[name].to_numpy(dtype=np.float64)
        spread = np.sqrt(sum(((part - part.mean()) ** 2).sum() for part in values) / max(1, sum(n) - 2))
        d = (values[0].mean() - values[1].mean()) / spread if spread > 0 else 0.0
        if abs(d) > bound:
            found.append(
                f"mean {name} {values[0].mean():.2f}, elsewhere {values[1].mean():.2f} (d {d:+.2f}, bound {bound:.2f})"
            )
    return found
