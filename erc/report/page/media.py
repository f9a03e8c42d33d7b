"""Transcripts and audio for the page: human-subject data, read only on request."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from erc.report.grid_results import Row
from erc.report.page.embedding_map import EmbeddingMap

MAX_AUDIO_SECONDS = 7
"""Length of the page's audio of a segment, and of the model's input: seconds."""


def add_media(
    embedding_map: EmbeddingMap,
    row: Row,
    max_audio_mb: float,
    seed: int = 42,
    on_fold: Callable[[int], None] = lambda fold: None,
) -> None:
    """Puts transcripts and the first seven seconds of audio into a map, from the data sets that the runs were scored on.

    Raises:
        ValueError: ``max_audio_mb`` is negative, or a predicted segment is not in the data set.
        FileNotFoundError: A run has no ``config.yaml``, or its corpora are not there.
    """
    from erc.data import SAMPLE_RATE

    if max_audio_mb < 0:
        raise ValueError(f"max_audio_mb must be 0 or more megabytes: got {max_audio_mb}.")
    transcripts: list[str] = []
    sizes: list[np.ndarray] = []
    waveforms = []  # one call for each segment, so that nothing is read that does not go into the page
    for fold, run in row.first_seed().items():
        ids = embedding_map.table.loc[embedding_map.table["fold"] == fold, "segment_id"]
        ds = run.dataset().ds
        segments = ds.select_columns(["segment_id", "transcript", "n_samples"]).to_pandas()
        place = pd.Index(segments["segment_id"]).get_indexer(ids)
        if (place < 0).any():
            raise ValueError(
                f"Every predicted segment must be in the data set: {int((place < 0).sum())} of fold {fold} are not in what "
                f"{run.folder / 'config.yaml'} describes. Has the corpus changed?"
            )
        transcripts += segments["transcript"].iloc[place].tolist()
        sizes.append(np.minimum(segments["n_samples"].to_numpy()[place], MAX_AUDIO_SECONDS * SAMPLE_RATE))
        media = ds.select_columns("waveform").with_format("numpy")
        waveforms += [functools.partial(media.__getitem__, index) for index in place.tolist()]
        on_fold(fold)
    order = np.random.default_rng(seed).permutation(len(waveforms))
    n_characters = 4 * -(-np.concatenate(sizes) // 3)  # a byte a sample, as base64
    audio = [b""] * len(waveforms)
    for index in order[np.cumsum(n_characters[order]) <= max_audio_mb * 1e6]:
        audio[index] = mu_law(np.asarray(waveforms[index]()["waveform"])[: MAX_AUDIO_SECONDS * SAMPLE_RATE])
    embedding_map.transcripts, embedding_map.audio, embedding_map.sample_rate = transcripts, audio, SAMPLE_RATE


def mu_law(waveform: np.ndarray) -> bytes:
    """(L,) int16 -> L bytes of mu-law (ITU-T G.711): half the size, and good enough to listen to."""
    samples = waveform.astype(np.int32)
    magnitude = np.minimum(np.abs(samples), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(((samples < 0) << 7) | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()
