"""What is unusual about an input or a prediction, in plain sentences. An input like the training speech has none."""

from __future__ import annotations

import math
from typing import Any

from erc.data import SAMPLE_RATE, script_shares

FEW = 0.01
"""A script with a smaller share of the training transcripts is new to the model."""

NEARLY_FLAT = 0.95
"""Share of the greatest entropy, ln K, from which on a prediction says next to nothing."""


def on_the_sound(
    rate: int, seconds: float, is_silent: bool, training: dict[str, Any], is_window: bool = False
) -> list[str]:
    """Remarks on a sound.

    Args:
        rate: Of the source, in Hz.
        seconds: Its length, or that of each of its windows.
        is_silent: Whether all its samples are zero.
        training: See ``EmotionModelConfig``.
        is_window: Whether the length is that of a window.
    """
    found = []
    if is_silent:
        found.append("The audio is digital silence.")
    if rate < SAMPLE_RATE:
        found.append(f"The audio has {rate:,} Hz; the model was trained on {SAMPLE_RATE:,} Hz.")
    usual = training.get("seconds") or {}
    if usual and not usual["p01"] <= seconds <= usual["p99"]:
        longer = "longer" if seconds > usual["p99"] else "shorter"
        what = "Each window" if is_window else "The audio"
        found.append(
            f"{what} has {seconds:.2f} s and is {longer} than 99 % of the training segments ({usual['p01']:.2f} to "
            f"{usual['p99']:.2f} s)."
        )
    return found


def on_the_text(text: str, training: dict[str, Any]) -> list[str]:
    """Remarks on a transcript: it says nothing, or in a script that the training transcripts did not have."""
    known = {script for script, share in (training.get("scripts") or {}).items() if share >= FEW}
    shares = script_shares([text])
    if not shares:
        return ["The transcript has no letter."]
    if not known:
        return []
    foreign = {script: share for script, share in shares.items() if script not in known}
    if sum(foreign.values()) <= 0.5:
        return []
    return [
        f"Most of the transcript is in {next(iter(foreign)).title()} script; the training transcripts are in "
        f"{' and '.join(name.title() for name in sorted(known))} script."
    ]


def on_the_prediction(entropy: float, n_emotions: int, training: dict[str, Any]) -> list[str]:
    """Remarks on a prediction whose entropy is in nats."""
    found = []
    if entropy > NEARLY_FLAT * math.log(n_emotions):
        found.append(f"The model cannot tell: all {n_emotions} emotions are nearly as likely.")
    if training.get("is_synthetic"):
        found.append("The model was trained on synthetic speech; its answers say nothing about people.")
    return found
