"""Multimodal emotion recognition from speech and its transcript.

The modules stand in the order in which the data flows; README, "Code structure", lists them.
Nothing is imported here, so that ``python -m fire erc.datasets HF_KEMD ...`` starts fast.
"""

__version__ = "0.1.0"
