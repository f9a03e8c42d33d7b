"""Checks of the options that the data set and the doctor share; each complaint names the option, the values and what came."""

from __future__ import annotations

from typing import Any, Literal, get_args

Exclude = Literal["paper", "none"]
"""``paper`` leaves out the segments that the paper leaves out; ``none`` keeps every usable segment."""

SignalForm = Literal["features", "sequence"]
"""In which form a data set holds bio-signals: ``features``, eleven numbers a segment (``signal_features.FEATURES``); ``sequence``,
4 Hz, normalised by the speaker's dialogue so far (``signal_sequences.py``)."""


def check_choice(name: str, value: object, choices: Any) -> None:
    """Checks that a value is one of a ``Literal``'s.

    Raises:
        ValueError: It is not.
    """
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}: got {value!r}.")


def check_num_proc(num_proc: object) -> None:
    """Checks a number of processes; None, 0 and 1 stand for this process alone.

    Raises:
        ValueError: It is no whole number, or below 0.
    """
    if num_proc is not None and (isinstance(num_proc, bool) or not isinstance(num_proc, int) or num_proc < 0):
        raise ValueError(f"num_proc must be a whole number of processes, 0 or more: got {num_proc!r}.")
