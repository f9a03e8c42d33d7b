"""Fusions: one file per row of the paper's table, one signature.

A fusion takes ``audio`` (B, T, D_audio), ``audio_mask`` (B, T), ``text`` (B, S, D_text) and ``text_mask`` (B, S) and
returns one vector per segment, (B, ``dim``). It is built with ``audio_dim`` and ``text_dim``; ``uses_audio`` and
``uses_text`` say which encoders it needs.
"""
