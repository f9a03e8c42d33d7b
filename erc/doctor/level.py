"""Checks of the audio's level: no signal, faint, a constant part, and limited below full scale."""

from __future__ import annotations

import numpy as np
import pandas as pd

from erc.doctor.audio import COPY_AGAIN
from erc.doctor.evidence import Evidence
from erc.doctor.findings import Finding, plural

NO_SIGNAL = 4.0
"""Root mean square in steps of 16 bits (about -78 dB of full scale), below which nobody speaks."""

FAINT_DB = 40.0
"""Decibels below the corpus's median, from which on a segment is faint. Speakers differ by about 20 dB."""

SESSION_DB = 20.0
"""Decibels between the median of a session and that of the corpus, from which on the session is said to be of another
level."""

ROUGH = 0.2
"""Correlation of neighbouring samples, below which a wav is noise. In speech at 16 kHz it is above 0.5."""

ZEROS = 0.5
"""Share of a wav's samples that may be zero."""

OFFSET_SHARE = 0.5
"""Share of a wav's power that its constant part may have."""

LIMITED_PEAK = 500
"""A wav is looked at for flat tops when its peak is above this: the tops of faint noise are flat by themselves."""

FLAT_SHARE = 0.001
"""Share of samples in flat tops, from which on a wav is limited. In speech it is below 0.0001."""

LIMITED_SEGMENTS = 0.01
"""A few limited wavs are a note; from this share of the segments or of a session on they are a warning. Where most wavs
of the corpus have flat tops, they are the recordings' own, and a note again."""

LIMITED_IN_SESSION = 0.2


def check_level(case: Evidence) -> list[Finding]:
    """Signal, loudness, constant part and flat tops of the audio that is not silent."""
    table = case.heard
    is_dead = table["rms"] < NO_SIGNAL
    dead, alive = table[is_dead], table[~is_dead]
    power = alive["rms"] ** 2
    offset = alive[alive["mean"] ** 2 > OFFSET_SHARE * (alive["mean"] ** 2 + power)]
    level = 20 * np.log10(alive["rms"] / alive["rms"].median()) if len(alive) else alive["rms"]
    faint = alive[level < -FAINT_DB]
    return [
        case.judge(
            "audio without signal",
            dead,
            [
                f"{'constant' if row.rms < 0.5 else 'noise of a step or two'}, around {row.mean:.0f} ({row.wav_path})"
                for row in dead.itertuples()
            ],
            "problem",
            "every wav has a signal",
            expected=f"sound with a root mean square of {NO_SIGNAL:g} steps and more (of 32,768)",
            advice=COPY_AGAIN,
        ),
        case.judge(
            "faint audio",
            faint,
            [
                f"{-level[index]:.0f} dB below the median ({row.wav_path})"
                for index, row in faint["wav_path"].to_frame().iterrows()
            ],
            "warning",
            f"no wav is {FAINT_DB:g} dB below the median",
            expected=f"less than {FAINT_DB:g} dB between a wav and the corpus's median",
            advice="Listen to one. Check whether the files were converted.",
        ),
        case.judge(
            "audio offset",
            offset,
            [
                f"a constant part of {row.mean:.0f}, sound of {row.rms:.0f} ({row.wav_path})"
                for row in offset.itertuples()
            ],
            "warning",
            "no wav has a large constant part",
            expected="a constant part (DC) below half of the power",
            advice="Check whether the files were converted: the corpus has no such part.",
        ),
        *_content(case, alive),
        _limited(case),
        _session_level(case, alive.assign(level=level)),
    ]


def _content(case: Evidence, alive: pd.DataFrame) -> list[Finding]:
    """Wavs that are noise, and wavs that are mostly zero."""
    # a corpus whose every wav is noise holds no speech at all: a test corpus of another generator
    has_speech = len(alive) > 0 and alive["smoothness"].median() > ROUGH
    rough = alive[(alive["smoothness"] < ROUGH) & has_speech]
    patchy = alive[alive["zeros"] > ZEROS]
    return [
        case.judge(
            "noise audio",
            rough,
            [f"neighbouring samples correlate by {row.smoothness:.2f} ({row.wav_path})" for row in rough.itertuples()],
            "warning",
            "no wav is noise",
            expected=f"a correlation of {ROUGH:g} and more between neighbouring samples",
            advice="Listen to one. Bytes may have been exchanged or damaged: copy the files from the corpus again.",
        ),
        case.judge(
            "partly silent audio",
            patchy,
            [f"{100 * row.zeros:.0f} % of the samples are zero ({row.wav_path})" for row in patchy.itertuples()],
            "warning",
            f"no wav is zero in more than {100 * ZEROS:g} %",
            expected=f"at most {100 * ZEROS:g} % of the samples are zero",
            advice=COPY_AGAIN,
        ),
    ]


def _session_level(case: Evidence, table: pd.DataFrame) -> Finding:
    """Sessions that are louder or fainter than the corpus as a whole."""
    levels = table.groupby("session")["level"].median()
    odd = levels[abs(levels - table["level"].median()) > SESSION_DB] if len(levels) > 1 else levels[:0]
    if odd.empty:
        return case.finding("session level", "ok", f"no session is {SESSION_DB:g} dB from the corpus's median")
    return case.finding(
        "session level",
        "warning",
        f"{plural(len(odd), 'session')} of another level",
        expected=f"session medians within {SESSION_DB:g} dB of the corpus's",
        where=[f"session {session}: {level:+.0f} dB" for session, level in odd.items()],
        advice="Check whether these files were converted or amplified.",
    )


def _limited(case: Evidence) -> Finding:
    """Wavs with flat tops below full scale: they were limited before they were made quieter."""
    table = case.heard
    is_limited = (table["peak"] > LIMITED_PEAK) & (table["peak"] < 32767) & (table["flat"] > FLAT_SHARE)
    rows = table[is_limited & (table["rms"] >= NO_SIGNAL)].sort_values("flat", ascending=False)
    by_session = is_limited.groupby(table["session"]).agg(["mean", "sum"])
    sessions = by_session.index[(by_session["mean"] > LIMITED_IN_SESSION) & (by_session["sum"] > 2)]
    is_everywhere = len(table) > 0 and table["flat"].median() > FLAT_SHARE
    is_common = not is_everywhere and len(rows) > max(2, LIMITED_SEGMENTS * len(table))
    is_common |= not is_everywhere and len(sessions) > 0
    named = f" Most of them: session {', '.join(map(str, sessions))}." if len(sessions) else ""
    return case.judge(
        "limited audio",
        rows,
        [
            f"{100 * row.flat:.2f} % of the samples stay at the file's own maximum of {row.peak} ({row.wav_path})"
            for row in rows.itertuples()
        ],
        "warning" if is_common else "note",
        "no wav has flat tops below full scale",
        expected=f"at most {100 * FLAT_SHARE:g} % of a wav's samples in flat tops below full scale.{named}",
        advice="The sound was cut off at a fixed level. Copy the files from the corpus again.",
    )
