"""Weights & Biases: online or offline, and why. The one rule for train.py and for the doctor."""

from __future__ import annotations

import netrc
import os
from typing import Literal


def wandb_mode() -> tuple[Literal["online", "offline"], str]:
    """Whether runs go online, and the reason in words.

    ``WANDB_MODE`` decides where it is set. Otherwise runs go online when a key is known, from ``WANDB_API_KEY`` or from
    netrc. Nobody is ever asked for a key.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode:
        return ("online" if mode == "online" else "offline"), f"WANDB_MODE={mode}"
    if os.environ.get("WANDB_API_KEY"):
        if mode == "":
            return "offline", "WANDB_MODE is set, but empty"
        return "online", "a key is in WANDB_API_KEY"
    try:
        is_known = has_key_in_netrc()
    except (OSError, netrc.NetrcParseError) as err:
        return "offline", f"netrc cannot be read ({err})"
    return ("online", "a key is in netrc") if is_known else ("offline", "no key is known")


def has_key_in_netrc() -> bool:
    """Whether netrc holds a key for Weights & Biases.

    Raises:
        OSError, netrc.NetrcParseError: The file is there and cannot be read.
    """
    try:
        return any("wandb" in host for host in netrc.netrc().hosts)
    except FileNotFoundError:
        return False
