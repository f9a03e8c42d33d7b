"""Draws synthetic corpora and writes them to disk, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from erc.data import EMOTIONS, KEMDY19, SAMPLE_RATE, SYNTHETIC_NOTE, Corpus, parse_dataset_name
from erc.labels import count_votes, is_tied
from erc.synthetic.annotation_files import annotation_csv
from erc.synthetic.bio import bio_files, draw_bio
from erc.synthetic.layout import (
    DIALOGUES,
    NEUTRAL,
    PRIOR,
    Segment,
    choose_sessions,
    draw_dialogue,
    persons_rated,
    stream,
)
from erc.synthetic.ratings import rate
from erc.synthetic.signals import signal_files
from erc.synthetic.voice import draw_voices, synthesise, wav_length
from erc.synthetic.words import transcript

WITHOUT_CONVERTED = "Sess01_impro01"
"""KEMDy19's one dialogue folder that has no folder ``converted`` in it."""


def draw_session(corpus: Corpus, session: int, segments: int, seconds: float, seed: int) -> list[Segment]:
    """All segments of a session in the order of the annotation, with ratings and bio values; writes nothing.

    Args:
        corpus: Corpus to imitate.
        session: Session number in that corpus.
        segments: Mean number of segments per speaker and dialogue, at least 2; a group has up to a third more or less.
        seconds: Median duration; durations are log-normal from 0.3 s to 3.5 times the median.
        seed: Seed of all streams.
    """
    rng = stream(seed, corpus, session, "annotation")
    drawn: list[Segment] = []
    for name in DIALOGUES[corpus.name]:
        drawn += draw_dialogue(corpus, session, f"Sess{session:02d}_{name}", segments, seconds, rng)

    prior, n = PRIOR[corpus.name], len(drawn)
    latent = np.array([segment.emotion for segment in drawn])
    # half of the listeners stay neutral; the others share the speaker's emotion or have one of their own
    other = np.where(rng.random(n) < 0.5, latent, rng.choice(len(EMOTIONS), n, p=prior))
    listener = np.where(rng.random(n) < 0.5, NEUTRAL, other)
    ambiguity = np.array([segment.ambiguity for segment in drawn])
    shift = np.stack([segment.shift for segment in drawn])
    for rated in persons_rated(corpus):
        is_speaker = np.array([not rated or f"_{rated}" in segment.id for segment in drawn])
        ratings, va = rate(np.where(is_speaker, latent, listener), ambiguity, shift, corpus, rng)
        bio = draw_bio(va[:, :, 1].mean(axis=1), rng)
        for k, segment in enumerate(drawn):
            segment.ratings[rated], segment.va[rated], segment.bio[rated] = ratings[k], va[k], bio[k]
    return drawn


def write_session(
    corpus: Corpus,
    folder: Path,
    session: int,
    drawn: list[Segment],
    seed: int,
    bio: bool,
    bar: tqdm,
    signals: bool = False,
) -> None:
    """Writes one session's annotation, audio, transcripts and bio-signals below ``folder``."""
    files = (signal_files if signals else bio_files)(corpus, session, drawn, seed) if bio else {}
    for rated in persons_rated(corpus):
        name = f"Session{session:02d}_{rated}_res.csv" if rated else f"Sess{session:02d}_eval.csv"
        files[f"annotation/{name}"] = annotation_csv(corpus, session, drawn, rated)
    for name, text in files.items():
        write_file(folder / name, text.encode("utf-8"))

    audio, words = stream(seed, corpus, session, "audio"), stream(seed, corpus, session, "text")
    voices = draw_voices(corpus, session, seed)
    for segment in drawn:
        path = corpus.wav_path(folder, segment.id)
        speaker = next(mark for mark in voices if f"_{mark}" in segment.id)
        n_samples = wav_length(corpus, segment, audio)
        wave = synthesise(n_samples, voices[speaker], segment.emotion, segment.ambiguity, segment.shift[1], audio)
        line = transcript(corpus, segment, words)
        if segment.has_files:
            write_file(path.with_suffix(".txt"), line.encode("utf-8" if corpus is KEMDY19 else "cp949"))
            soundfile.write(path, wave * (segment.id not in corpus.silent), SAMPLE_RATE, subtype="PCM_16")
            bar.update()
        if corpus is KEMDY19 and path.parent.name != WITHOUT_CONVERTED:
            (path.parent / "converted").mkdir(parents=True, exist_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Writes one file, and its folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write(
    root: str = "data",
    sessions: int = 5,
    segments: int = 6,
    corpora: str = "kemdy19-kemdy20",
    seed: int = 42,
    seconds: float = 2.0,
    bio: bool = True,
    signals: bool = False,
) -> dict[str, dict[str, Any]]:
    """Writes synthetic corpora below ``root``, as ``KEMDy19`` and ``KEMDy20_v1_1``; same arguments, same bytes.

    Args:
        root: Data folder; made where it is missing. A corpus that is there is never touched.
        sessions: Sessions per corpus, 1 to 40 (KEMDy19 has 20 at most), spread over the five folds.
        segments: Mean number of segments per speaker and dialogue, 2 to 200.
        corpora: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        seed: Seed, 0 or more.
        seconds: Median duration of a segment in seconds, 0.5 to 20.
        bio: Whether to write the bio-signal folders. KEMDy19's annotation has its bio cells in any case.
        signals: Whether the bio-signals answer arousal, with an ECG of 250 Hz and the defects of the real files
            (``synthetic/signals.py``); otherwise they are straight lines. Only bio-signals and their cells differ.

    Returns:
        Per corpus: folder, sessions, segments (with files), ties among them, seconds of audio.

    Raises:
        ValueError: An argument is out of its range.
        FileExistsError: The corpus is there already, synthetic or licensed, in any release.
    """
    wanted = parse_dataset_name(corpora)
    _check_arguments(sessions, segments, seconds, seed, bio, signals)
    _check_place(wanted, root)
    drawn = {
        corpus.name: {k: draw_session(corpus, k, segments, seconds, seed) for k in choose_sessions(corpus, sessions)}
        for corpus in wanted
    }
    total = sum(s.has_files for by_session in drawn.values() for found in by_session.values() for s in found)
    arguments = f"sessions={sessions} segments={segments} seed={seed} seconds={float(seconds)} bio={bio}{' signals=True' * signals}"
    partial = {corpus.name: Path(root, f".{corpus.folders[0]}.tmp-{os.getpid()}") for corpus in wanted}
    try:
        with tqdm(total=total, unit="segment", mininterval=1) as bar:
            for corpus in wanted:
                write_file(
                    partial[corpus.name] / SYNTHETIC_NOTE,
                    f"Synthetic {corpus.folders[0]}: no human speech, text or rating; its numbers mean nothing.\n"
                    f"Written by erc.synthetic with {arguments}\n".encode(),
                )
                for session, found in drawn[corpus.name].items():
                    write_session(corpus, partial[corpus.name], session, found, seed, bio, bar, signals)
        for corpus in wanted:
            partial[corpus.name].rename(Path(root, corpus.folders[0]))
    except BaseException:  # also a keyboard interrupt must leave nothing half-written behind
        for path in partial.values():
            shutil.rmtree(path, ignore_errors=True)
        raise
    return {corpus.name: _summary(corpus, Path(root, corpus.folders[0]), drawn[corpus.name]) for corpus in wanted}


def _check_arguments(sessions: int, segments: int, seconds: float, seed: int, bio: bool, signals: bool) -> None:
    """Raises one ValueError with all complaints about the arguments of ``write``."""
    checks = (
        ("sessions must be an integer from 1 to 40", sessions, isinstance(sessions, int) and 1 <= sessions <= 40),
        ("segments must be an integer from 2 to 200", segments, isinstance(segments, int) and 2 <= segments <= 200),
        ("seconds must be a number from 0.5 to 20", seconds, isinstance(seconds, int | float) and 0.5 <= seconds <= 20),
        ("seed must be an integer of 0 or more", seed, isinstance(seed, int) and seed >= 0),
        ("bio must be True or False", bio, isinstance(bio, bool)),
        ("signals must be True or False, and need bio=True", signals, signals is False or (signals is True and bio)),
    )
    if complaints := [f"{rule}: got {value!r}." for rule, value, holds in checks if not holds]:
        raise ValueError(" ".join(complaints))


def _check_place(wanted: tuple[Corpus, ...], root: str) -> None:
    """Raises FileExistsError where a corpus, or a link in its place, is there already."""
    if present := [path for corpus in wanted for name in corpus.folders if os.path.lexists(path := Path(root, name))]:
        raise FileExistsError(
            f"A synthetic corpus needs a free place: {', '.join(map(str, present))} exists and stays as it is. "
            "Choose another --root, leave that corpus out of --corpora, or move the folder away yourself."
        )


def _summary(corpus: Corpus, folder: Path, by_session: dict[int, list[Segment]]) -> dict[str, Any]:
    """What ``write`` reports about one corpus; whether a segment is a tie is decided by its speaker's own ratings."""
    kept = [segment for found in by_session.values() for segment in found if segment.has_files]
    own = [segment.ratings[corpus.parse(segment.id).gender if corpus is KEMDY19 else ""] for segment in kept]
    return {
        "folder": str(folder),
        "sessions": list(by_session),
        "segments": len(kept),
        "ties": int(is_tied(count_votes(np.stack(own), len(EMOTIONS))).sum()),
        "seconds": round(sum(segment.end - segment.start for segment in kept), 1),
    }
