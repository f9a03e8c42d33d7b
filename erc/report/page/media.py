"""Transcripts and audio for the page: human-subject data, read only on request."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import soundfile

from erc.data import SAMPLE_RATE
from erc.report.grid_results import Row
from erc.report.page.explorer import Explorer, Segments

MAX_AUDIO_SECONDS = 7
"""Length of the page's audio of a segment, and of the model's input: seconds."""

COMPRESSION = 0.895
"""Of soundfile, in [0, 1]: 24 kbit/s, a constant rate, for mono at 16 kHz."""


def add_media(
    explorer: Explorer,
    row: Row,
    max_audio_mb: float,
    seed: int = 42,
    on_fold: Callable[[int], None] = lambda fold: None,
) -> None:
    """Puts transcripts and the first seven seconds of audio into an explorer, from the data sets that the runs were scored on.

    Args:
        explorer: Gets them, in the folds of ``row``.
        row: Whose runs name the data sets.
        max_audio_mb: Largest total of the audio in the page, in megabytes; segments are taken in random order up to it.
        seed: Of that order.
        on_fold: Called after each fold.

    Raises:
        ValueError: ``max_audio_mb`` is negative, or a predicted segment is not in the data set.
        FileNotFoundError: A run has no ``config.yaml``, or its corpora are not there.
    """
    if max_audio_mb < 0:
        raise ValueError(f"max_audio_mb must be 0 or more megabytes: got {max_audio_mb}.")
    recordings: list[tuple[Segments, int, Callable[[], dict]]] = []
    of_fold = {run.fold: explorer.segments[run.segments] for run in reversed(explorer.runs) if run.row == row.name}
    for fold, run in row.first_seed().items():
        one = of_fold[fold]
        ds = run.dataset().ds
        segments = ds.select_columns(["segment_id", "transcript"]).to_pandas()
        place = pd.Index(segments["segment_id"]).get_indexer(one.table["segment_id"])
        if (place < 0).any():
            raise ValueError(
                f"Every predicted segment must be in the data set: {int((place < 0).sum())} of fold {fold} are not in what "
                f"{run.folder / 'config.yaml'} describes. Has the corpus changed?"
            )
        one.transcripts = segments["transcript"].iloc[place].tolist()
        one.audio = [b""] * len(place)
        media = ds.select_columns("waveform").with_format("numpy")
        # one call for each segment, so that nothing is read that does not go into the page
        recordings += [(one, k, functools.partial(media.__getitem__, index)) for k, index in enumerate(place.tolist())]
        on_fold(fold)
    room = max_audio_mb * 1e6
    for index in np.random.default_rng(seed).permutation(len(recordings)):
        one, k, read = recordings[index]
        audio = mp3(np.asarray(read()["waveform"], dtype=np.int16)[: MAX_AUDIO_SECONDS * SAMPLE_RATE])
        room -= 4 * -(-len(audio) // 3)  # as base64
        if room < 0:
            break
        assert one.audio is not None
        one.audio[k] = audio


def mp3(waveform: np.ndarray) -> bytes:
    """(L,) int16 at ``SAMPLE_RATE`` -> an mp3 of 24 kbit/s, which every browser plays: a tenth of the wav."""
    stream = io.BytesIO()
    soundfile.write(
        stream,
        waveform,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=COMPRESSION,
    )
    return stream.getvalue()
