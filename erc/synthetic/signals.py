"""Bio-signals of a synthetic corpus that answer arousal, in the files and with the defects of the real ones.

Comes in: the drawn segments of a session. Goes out: text of its bio-signal CSVs; the bio cells of KEMDy19's annotation are set
to the values that the signals have there. A person's arousal is the raters' mean for that person in each segment. It raises the
heart rate and calms its variability, raises skin conductance and brings responses of it, and cools the skin. Heart, skin and
fingers of every person have a level of their own. How strong all this is, is invented.

Defects, as the format's description has them: rows without an id in several forms, ECG with the time first, missing stretches,
short segments without a sample, KEMDy20's ids of other sessions, segments that the bio files do not name, ids without an
annotation, a file that holds its header alone, beats that a moved wristband lost. All random numbers are of the stream
``signals``: nothing else that is written depends on them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from erc.data import KEMDY19, Corpus
from erc.synthetic.bio import MIDNIGHT, NO_LABELLED_BIO, WRONG_BIO_PREFIX, clock
from erc.synthetic.layout import DIALOGUES, Segment, speakers_of, stream

RATE = 4
"""Samples of EDA and TEMP a second."""

ECG_RATE = 250

ECG_STEP = 0.003615046
"""mV; values of the ECG are multiples of it."""

LEAD = 5.0
"""Seconds recorded before a dialogue begins and after it ends."""

SHORTEST = 0.5
"""Seconds; a shorter segment of KEMDy19 has no sample."""

UNNAMED = {f"Sess38_script02_User076F_{18:03d}", f"Sess39_script03_User077F_{34:03d}"}
UNNAMED |= {f"Sess39_script04_User078F_{k:03d}" for k in range(29, 35)}
UNNAMED |= {f"Sess39_script06_User077F_{k:03d}" for k in (35, 36)}
UNNAMED |= {f"Sess39_script06_User078F_{k:03d}" for k in range(26, 41)}
"""KEMDy20's segments that no row of EDA and TEMP names, beside those of ``NO_LABELLED_BIO``."""

HEADER_ONLY = ("Sess17_script02_User084F", "Sess36_script03_User072F")
"""KEMDy20's IBI files that hold their header alone; which they are is not published."""

UNANNOTATED = ("Sess01_script02_User001F", "Sess12_script03_User082F")
"""KEMDy20's EDA files that name a segment which has no annotation; which they are is not published."""


class Person(NamedTuple):
    """What is the same in all dialogues of a person."""

    heart_rate: float  # beats/min
    conductance: float  # microsiemens
    warmth: float  # degrees Celsius


class Traces(NamedTuple):
    """One person's signals in one dialogue; time 0 is the dialogue's beginning."""

    time: np.ndarray  # (L,) seconds at RATE
    eda: np.ndarray  # (L,)
    temp: np.ndarray  # (L,)
    beats: np.ndarray  # (N,) seconds


def signal_files(corpus: Corpus, session: int, drawn: list[Segment], seed: int) -> dict[str, str]:
    """Bio-signal CSVs of a session, path below the corpus folder -> text; sets ``Segment.bio`` to their values."""
    rng = stream(seed, corpus, session, "signals")
    speakers = speakers_of(corpus, session)
    people = {speaker: _draw_person(rng) for speaker in speakers}
    lines: dict[str, list[str]] = {}
    offset = LEAD  # seconds from the recording's beginning to the dialogue's
    for dialogue in (f"Sess{session:02d}_{name}" for name in DIALOGUES[corpus.name]):
        members = [segment for segment in drawn if segment.id.startswith(f"{dialogue}_") and not segment.is_phantom]
        seconds = float(np.ceil(members[-1].end))
        began = 9 * 3600 + 600 * session + offset  # seconds since midnight
        for speaker in speakers:
            rated = speaker if corpus is KEMDY19 else ""
            own = members if corpus is KEMDY19 else [m for m in members if f"_{speaker}" in m.id]
            traces = _draw_traces(people[speaker], seconds, own, rated, rng)
            if corpus is KEMDY19:
                wave = _electrocardiogram(traces, rng)
                _set_cells(own, rated, traces, wave)
                _add_nineteen(lines, session, rated, own, offset, began, (traces, wave), rng)
            else:
                _add_twenty(lines, session, f"{dialogue}_{speaker[:-1]}", own, began, traces, rng)
        offset += seconds + 2 * LEAD
    return {path: "\n".join(found) + "\n" for path, found in lines.items()}


def _draw_person(rng: np.random.Generator) -> Person:
    rate, conductance, warmth = rng.standard_normal(3).tolist()
    return Person(72 + 5 * rate, 2.5 * float(np.exp(0.4 * conductance)), 33 + 0.7 * warmth)


def _draw_traces(person: Person, seconds: float, own: list[Segment], rated: str, rng: np.random.Generator) -> Traces:
    """One person's signals in one dialogue: arousal 3 brings none of the changes."""
    time = np.arange(-LEAD, seconds + LEAD, 1 / RATE)
    excess = np.zeros(len(time))
    responses = np.zeros(len(time))
    for segment in own:
        arousal = float(segment.va[rated][:, 1].mean()) - 3
        excess[(time >= segment.start) & (time < segment.end)] = arousal
        chance = 0.15 * np.exp(1.2 * arousal) * (segment.end - segment.start)
        for at in rng.uniform(segment.start, segment.end, rng.poisson(chance)):
            after = (time - at - rng.uniform(0.2, 0.6)).clip(0)
            responses += 0.25 * np.exp(0.5 * arousal) * (np.exp(-after / 2) - np.exp(-after / 0.5)) / 0.4725
    drive = gaussian_filter1d(excess, RATE)  # 1 s
    wander = 0.01 * rng.standard_normal((2, len(time))).cumsum(axis=1)
    eda = (person.conductance + 0.3 * drive + responses + wander[0] + 0.002 * rng.standard_normal(len(time))).clip(0)
    temp = (person.warmth - 0.3 * gaussian_filter1d(excess, 2 * RATE) + wander[1]).clip(26.25, 35.21)
    beats = [-LEAD + rng.uniform(0, 0.8)]
    while beats[-1] < seconds + LEAD:
        now = float(np.interp(beats[-1], time, drive))
        breath = 0.04 * np.exp(-0.4 * now) * np.sin(2 * np.pi * 0.25 * beats[-1])
        beats.append(beats[-1] + 60 / (person.heart_rate + 8 * now) + breath + 0.01 * rng.standard_normal())
    return Traces(time, eda.round(6), temp.round(2), np.array(beats[:-1]))


def _electrocardiogram(traces: Traces, rng: np.random.Generator) -> np.ndarray:
    """(L,) mV at ``ECG_RATE``, in steps of ``ECG_STEP``, from the first time of the traces on."""
    first, n = traces.time[0], len(traces.time) * ECG_RATE // RATE
    around = np.arange(-ECG_RATE // 10, ECG_RATE // 2)  # .1 s before a beat to .5 s after it
    seconds = around / ECG_RATE
    shape = 1.2 * np.exp(-((seconds / 0.01) ** 2) / 2) + 0.25 * np.exp(-(((seconds - 0.25) / 0.04) ** 2) / 2)
    wave = 0.02 * rng.standard_normal(n) + 0.1 * np.sin(np.arange(n) / ECG_RATE * 1.5)
    for beat in ((traces.beats - first) * ECG_RATE).round().astype(int).tolist():
        places = around + beat
        inside = (places >= 0) & (places < n)
        wave[places[inside]] += shape[inside]
    return (wave / ECG_STEP).round() * ECG_STEP + 0.0


def _set_cells(own: list[Segment], rated: str, traces: Traces, wave: np.ndarray) -> None:
    """Values at each segment's start and end, as the annotation file states them."""
    for segment in own:
        borders = np.array([segment.start, segment.end])
        at = np.ceil((borders - traces.time[0]) * RATE).astype(int).clip(0, len(traces.time) - 1)
        ecg = wave[np.ceil((borders - traces.time[0]) * ECG_RATE).astype(int).clip(0, len(wave) - 1)]
        segment.bio[rated] = np.stack([ecg, traces.eda[at], traces.temp[at]])


def _named(time: np.ndarray, own: list[Segment], unnamed: set[str]) -> list[str]:
    """Id of each sample, "" for none; where two segments overlap, that of the later one."""
    names = np.full(len(time), "", dtype=object)
    for segment in own:
        if segment.id not in unnamed:
            names[(time >= segment.start) & (time < segment.end)] = segment.id
    return names.tolist()


def _add_nineteen(
    lines: dict[str, list[str]],
    session: int,
    rated: str,
    own: list[Segment],
    offset: float,
    began: float,
    drawn: tuple[Traces, np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Rows of one dialogue and person of KEMDy19; now and then ten seconds of all signals are missing."""
    traces, wave = drawn
    short = {m.id for m in own if m.end - m.start < SHORTEST}
    lacking = {m.id for m in own if rated in m.without_bio}
    hole = rng.uniform(0, traces.time[-1]) if rng.random() < 0.15 else np.inf
    ecg_time = traces.time[0] + np.arange(len(wave)) / ECG_RATE
    for signal, time, values, form, unnamed in (
        ("ECG", ecg_time, wave, ".7g", short),
        ("EDA", traces.time, traces.eda, ".8g", short | lacking),
        ("TEMP", traces.time, traces.temp, ".8g", short | lacking),
    ):
        found = lines.setdefault(f"{signal}/Session{session:02d}/Original/Sess{session:02d}{rated}.csv", [])
        is_ecg = signal == "ECG"
        for t, value, name in zip(time.tolist(), values.tolist(), _named(time, own, unnamed), strict=True):
            if hole <= t < hole + 10:
                continue
            elapsed, cell = f"{offset + t:.10g}", f"{value:{form}}"
            cells = [elapsed, cell] if is_ecg else [cell, elapsed]
            found.append(",".join([*cells, clock(began + t), *([name] if name else [])]))


def _add_twenty(
    lines: dict[str, list[str]],
    session: int,
    stem: str,
    own: list[Segment],
    began: float,
    traces: Traces,
    rng: np.random.Generator,
) -> None:
    """The three files of one dialogue and speaker of KEMDy20."""
    start = f"{MIDNIGHT + began - LEAD:.6f}"
    prefix = WRONG_BIO_PREFIX.get(session, stem[:6])
    unnamed = UNNAMED | ({m.id for m in own} if stem in NO_LABELLED_BIO else set())
    names = [name and prefix + name[6:] for name in _named(traces.time, own, unnamed)]
    for signal, values in (("EDA", traces.eda), ("TEMP", traces.temp)):
        found = lines[f"{signal}/Session{session:02d}/{stem}.csv"] = [start, f"{RATE:.6f}"]
        for k, (t, value, name) in enumerate(zip(traces.time.tolist(), values.tolist(), names, strict=True)):
            when = clock(began + t)
            without = ("", f",{when}", f",{when},")[k % 3]  # a row that names no segment has several forms
            found.append(f"{value:.8g}" + (f",{when},{name}" if name else without))
        if signal == "EDA" and stem in UNANNOTATED:
            found[-1] = f"{values[-1]:.8g},{clock(began + float(traces.time[-1]))},{prefix}{stem[6:]}_977"
    found = lines[f"IBI/Session{session:02d}/{stem}.csv"] = [f"{start}, IBI"]
    if stem in HEADER_ONLY:
        return
    named = _named(traces.beats, own, unnamed)
    is_lost = np.repeat(rng.random(len(named) // 4 + 1) < 0.1, 4)  # four beats at a time
    for k in range(1, len(named)):
        if not is_lost[k]:
            beat = float(traces.beats[k])
            cells = [f"{beat + LEAD:.6f}", f"{beat - traces.beats[k - 1]:.6f}", clock(began + beat)]
            found.append(",".join([*cells, *([prefix + named[k][6:]] if named[k] else [])]))
