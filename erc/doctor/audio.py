"""Checks of the audio: whether it can be used, its format, clipping, and what a batch cuts."""

from __future__ import annotations

from erc.data import SAMPLE_RATE
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, plural

CLIPPED_SHARE = 0.01
"""A segment is clipped when more than this share of its samples lies at full scale."""

CLIPPED_SEGMENTS = 0.01
"""Some files of KEMDy19 are known to clip: the finding is a note up to this share of the segments."""

MAX_SAMPLES = 112_000
"""A batch keeps this many samples at 16 kHz (7 s) of a segment: ``dataloader.collate.max_samples``."""

COPY_AGAIN = "Copy it from the corpus again, or go on without it: dataset.on_bad_segment=skip."
"""Advice on a file that cannot be used."""


def check_unusable_audio(case: Evidence) -> list[Finding]:
    """Wav files that cannot be trained on, one finding per kind."""
    table = case.table
    findings = []
    for name, kinds, expected in (
        ("unreadable audio", ["unreadable audio", "audio not finite"], "a wav file with finite samples"),
        ("empty audio", ["empty audio"], "a wav file, not 0 bytes"),
        ("truncated audio", ["truncated audio"], "as many bytes of sound as the header promises"),
        ("short audio", ["short audio"], "at least 25 ms, one frame of the encoder"),
    ):
        rows = table[table["wav_kind"].isin(kinds)]
        places = [f"{row.wav_problem} ({row.wav_path})" for row in rows.itertuples()]
        findings.append(case.judge(name, rows, places, "problem", "none", expected=expected, advice=COPY_AGAIN))
    known = case.corpus.silent
    is_known = table["segment_id"].isin(known)
    rows = table[table["is_silent"] & ~is_known]
    n_known = int((table["is_silent"] & is_known).sum())
    silent = case.judge(
        "silent audio",
        rows,
        [f"all samples are zero ({row.wav_path})" for row in rows.itertuples()],
        "problem",
        f"only known ones ({n_known} of {len(known)} are here; they stay in)" if known else "none",
        expected="sound" + (f", except in the {len(known)} known segments, which stay in" if known else ""),
        advice=COPY_AGAIN,
    )
    return [*findings, silent]


def check_audio(case: Evidence) -> list[Finding]:
    """Format and clipping of the audio that can be read."""
    table = case.table[case.table["wav_kind"] == ""]
    other = table[table["wav_format"] != ""]
    clipped = table[table["clipped"] > CLIPPED_SHARE].sort_values("clipped", ascending=False)
    is_common = len(clipped) > CLIPPED_SEGMENTS * len(table)
    percent = f"{100 * CLIPPED_SHARE:g} %"
    return [
        case.judge(
            "audio format",
            other,
            [f"{row.wav_format} ({row.wav_path})" for row in other.itertuples()],
            "warning",
            "16 kHz, mono, 16 bits",
            expected="16 kHz, mono, 16-bit PCM, as the corpus is",
            advice="The build mixes it down and resamples it. Check whether the corpus was converted.",
        ),
        case.judge(
            "clipped audio",
            clipped,
            [f"{100 * row.clipped:.1f} % of the samples ({row.wav_path})" for row in clipped.itertuples()],
            "warning" if is_common else "note",
            f"no segment with more than {percent} of its samples at full scale",
            expected=f"at most {percent} of a segment's samples at full scale; a few files of KEMDy19 have more",
            advice="Check whether the corpus was amplified." if is_common else "Nothing to do: they are few.",
        ),
        _long_audio(case),
    ]


def _long_audio(case: Evidence) -> Finding:
    n_samples = case.selected["n_samples"]
    n_long, n_cut = int((n_samples > MAX_SAMPLES).sum()), int((n_samples - MAX_SAMPLES).clip(lower=0).sum())
    limit = f"{MAX_SAMPLES / SAMPLE_RATE:g} s"
    if not n_long:
        return case.finding("long audio", "ok", f"no segment is longer than {limit}")
    return case.finding(
        "long audio",
        "note",
        f"{plural(n_long, 'segment')} ({100 * n_long / len(n_samples):.1f} %) longer than {limit}: "
        f"{100 * n_cut / n_samples.sum():.1f} % of all sound is cut; "
        f"the longest has {n_samples.max() / SAMPLE_RATE:.1f} s",
        expected=f"training keeps the first {limit} of a segment",
        advice="As published. dataloader.collate.max_samples keeps more, for more memory.",
    )
