"""Sample corpora: synthetic speech, text, ratings and bio-signals in the on-disk format of KEMDy19 and KEMDy20_v1_1.

Comes in: a size and a seed. Goes out: folders laid out as the licensed corpora, known defects included, so that every
command runs without a licence. Layout, columns, spellings and defects follow the corpora's on-disk format; voices,
words and the raters' confusions are invented. Each segment has a *latent* emotion; ten raters guess at it. Pitch,
pitch movement, tempo, spectral tilt and tremor carry it (loudness alone would not survive the learner's
normalisation), and so do the words. KEMDy19's emotions are about as frequent as in the corpus; KEMDy20's are flattened
(about 60 % neutral instead of 87 %), or a corpus this small would hold too few of the others to learn. Numbers
computed on sample corpora say nothing about people.
Conventions: seconds, hertz and semitones; every session draws from random streams of its own, hence a session's
bytes depend neither on the other sessions nor on the other corpus.
Shapes: N segments, R raters (10), K emotions (7), L audio samples.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from erc.corpora import CORPORA, KEMDY19, KEMDY20, Corpus, parse_dataset_name
from erc.labels import EMOTIONS, N_EMOTIONS, N_RATERS, VA_MAX, VA_MIN, count_votes, is_tied

SAMPLE_RATE = 16_000  # Hz
NOTE = "SAMPLE_CORPUS.txt"
NEUTRAL = EMOTIONS.index("neutral")
STREAMS = ("annotation", "voice", "audio", "text", "bio")  # one random stream each, so that none disturbs another

# --- layout and known defects -----------------------------------------------------------------------------------------
SCRIPTS = tuple(f"script{k:02d}" for k in range(1, 7))
DIALOGUES = {"kemdy19": SCRIPTS + tuple(f"impro{k:02d}" for k in range(1, 5)), "kemdy20": SCRIPTS}
DEFECTIVE_FIRST = {"kemdy19": (3, 4, 1, 2, 6, 7, 5, 8), "kemdy20": (1, 12, 17)}
"""Sessions with known defects, which a small sample should hold; the others follow in their order."""
USERS = {12: (81, 82), 17: (83, 84)}
"""KEMDy20 users; every other session n has 2n - 1 and 2n."""
FEMALE = frozenset(
    (1, 3, 8, 15, 16, 19, 25, 26, 27, 38, *range(41, 46), 47, 48, 50, 52, *range(57, 61), 64, 69, 70)
    + (*range(72, 75), *range(76, 85))
)  # KEMDy20 users, 38 of 80
WRONG_BIO_PREFIX = {12: "Sess41", 17: "Sess42"}
"""KEMDy20 sessions whose bio files name another session inside."""
MIDNIGHT = 1_599_955_200  # s, Unix time of an invented day
NO_LABELLED_BIO = ("Sess18_script03_User036M", "Sess36_script03_User072F")
MISNUMBERED = ("Sess03_impro02_F001", "Sess09_script06_F001", "Sess09_impro01_F001")  # M001 in the F file
PHANTOM_DIALOGUE = "Sess04_impro03"  # its last row has no files, and another id in each annotation file
EMPTY_BIO = {  # persons whose EDA and TEMP cells are empty (ECG never is); in the first dialogue from F014 on
    "Sess01_impro03": frozenset("F"),
    "Sess01_impro04": frozenset("F"),
    "Sess04_impro04": frozenset("FM"),
}
BIO_FORMATS = (".7g", ".8g", ".8g")  # ECG is a float32; EDA has up to six decimals, TEMP two
WITHOUT_CONVERTED = "Sess01_impro01"

RATERS = {  # KEMDy19 changes them after session 10; the names of its second ten are not published
    "kemdy19-1": "Eval01F Eval02M Eval03F Eval04F Eval05M Eval06M Eval07M Eval08F Eval09M Eval10F",
    "kemdy19-2": "Eval11M Eval12F Eval13F Eval14M Eval15F Eval16M Eval17F Eval18M Eval19F Eval20M",
    "kemdy20": "Eval01F Eval02M Eval03M Eval04F Eval05M Eval06F Eval07F Eval08M Eval09F Eval10M",
}
TIE_ORDER = {
    "kemdy19": ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"),
    "kemdy20": ("happy", "surprise", "angry", "neutral", "disgust", "fear", "sad"),
}

# --- ratings: one column per emotion, in the order of EMOTIONS --------------------------------------------------------
PRIOR = {
    "kemdy19": np.array([0.115, 0.048, 0.205, 0.352, 0.158, 0.084, 0.038]),
    "kemdy20": np.array([0.050, 0.040, 0.055, 0.620, 0.155, 0.045, 0.035]),
}
CONFUSION = np.array(  # row: latent emotion; what a rater who misses it says
    [  # sur, fear, ang, neu, hap, sad, dis
        [0.00, 0.15, 0.12, 0.50, 0.18, 0.02, 0.03],
        [0.50, 0.00, 0.15, 0.20, 0.00, 0.10, 0.05],
        [0.12, 0.03, 0.00, 0.42, 0.00, 0.13, 0.30],
        [0.17, 0.03, 0.24, 0.00, 0.30, 0.12, 0.14],
        [0.20, 0.00, 0.03, 0.72, 0.00, 0.03, 0.02],
        [0.04, 0.08, 0.20, 0.60, 0.02, 0.00, 0.06],
        [0.06, 0.03, 0.42, 0.42, 0.00, 0.07, 0.00],
    ]
)
AMBIGUITY = (0.78, 1.6)  # parameters of the beta distribution of a rater's chance to miss the latent emotion
VA_SHIFT, VA_RATER, VA_STRETCH = 0.35, 0.65, 1.12  # sd between segments, sd between raters; makes up for the clipping

# --- voice: what each emotion does, in the order of EMOTIONS ----------------------------------------------------------
# pitch and pitch movement (semitones), tempo (syllables/s), tilt (dB/octave), tremor and final rise (semitones)
CUES = np.array(
    [
        [6.0, 4.5, 5.0, 7.0, 0.0, 7.0],
        [4.5, 1.2, 6.6, 10.0, 1.3, 1.0],
        [3.5, 2.8, 5.8, 3.0, 0.0, -2.0],
        [0.0, 1.2, 4.2, 9.0, 0.0, -1.0],
        [3.0, 4.0, 4.6, 8.0, 0.2, 0.0],
        [-3.0, 0.6, 2.6, 14.0, 0.4, -2.0],
        [-2.5, 2.4, 3.0, 4.0, 0.1, -4.0],
    ]
)
AROUSAL_CUES = np.array([1.2, 0.2, 0.4, -1.0, 0.0, 0.0])  # added per point of arousal above what the emotion has
FORMANTS = np.array(  # Hz; a, i, u, e, o, eo
    [[800, 1250, 2600], [300, 2300, 3000], [320, 800, 2300], [500, 1900, 2600], [450, 850, 2500], [600, 1000, 2500]]
)
BANDWIDTHS = np.array([80.0, 110.0, 160.0])  # Hz

# --- words ------------------------------------------------------------------------------------------------------------
CLAUSES = {
    "neutral": "오늘 저녁에 회의가 있어|그건 책상 위에 두면 돼|내일 3시에 만나기로 했어|버스를 타고 왔어"
    "|점심은 먹었어?|지금 집에 가는 길이야|주말에는 보통 집에 있어|2번 출구로 나오면 돼|그 이야기는 들었어"
    "|전화번호를 알려 줘|창문 좀 닫아 줄래?|다음 주에 다시 올게|그 사람은 회사에 다녀|서류는 여기 있어요",
    "surprise": "헐, 진짜야?|깜짝이야|어머, 말도 안 돼|뭐라고? 언제?|세상에, 이게 뭐야?|갑자기 왜 여기 있어?",
    "fear": "너무 무서워|어떡해, 누가 따라와|살려 주세요|겁이 나서 못 가겠어|손이 막 떨려|큰일 났어, 도망가자",
    "angry": "진짜 짜증 나|왜 자꾸 거짓말해?|당장 나가|너 때문에 화가 나|이게 말이 돼?|그만 좀 해",
    "happy": "정말 행복해|너무 좋다|완전 신난다|합격했어, 고마워|진짜 재밌었어|선물 받아서 기뻐",
    "sad": "너무 슬퍼|눈물이 나|보고 싶어서 힘들어|혼자 남아서 외로워|마음이 너무 아파|이제 다 끝났어, 미안해",
    "disgust": "으, 더러워|냄새가 너무 역겨워|징그러워 죽겠어|토할 것 같아|보기도 싫어|저 벌레 좀 치워",
}
CLAUSES = {emotion: tuple(clauses.split("|")) for emotion, clauses in CLAUSES.items()}
TAGS = {"kemdy19": ("b/", "o/", "b/ o/", "n/", "u/"), "kemdy20": ("n/", "l/", "b/", "N/", "c/")}
OVERLAPS = ("(응)", "(아니잖아+그럼)", "(근데+u/)", "(그래+어/)")
ONLY_NEUTRAL_WORDS, ONLY_TAGS = 0.3, 0.01  # shares of segments; the second in KEMDy19 only


@dataclass
class Segment:
    """One segment before it is written; the dictionaries are keyed by the person rated ("F", "M"; KEMDy20: "")."""

    id: str
    start: float  # seconds since the dialogue began, as annotated
    end: float
    emotion: int  # the speaker's latent emotion, an index into EMOTIONS
    ambiguity: float  # 0 to 1: the chance that a rater misses the latent emotion; it also weakens the voice
    shift: np.ndarray  # (2,) valence and arousal beyond what the emotion brings
    has_files: bool
    is_phantom: bool
    ratings: dict[str, np.ndarray] = field(default_factory=dict)  # (R,) indices into EMOTIONS
    va: dict[str, np.ndarray] = field(default_factory=dict)  # (R, 2) integers 1 to 5
    bio: dict[str, np.ndarray] = field(default_factory=dict)  # (3, 2): ECG, EDA, TEMP by start, end
    without_bio: frozenset[str] = frozenset()  # persons whose EDA and TEMP cells are empty


def stream(seed: int, corpus: Corpus, session: int, name: str) -> np.random.Generator:
    """Random generator for one purpose in one session of one corpus."""
    return np.random.default_rng([seed, list(CORPORA).index(corpus.name), session, STREAMS.index(name)])


def choose_sessions(corpus: Corpus, n_sessions: int) -> list[int]:
    """Sessions of the sample, in ascending order: spread over the folds, within a fold those with defects first."""
    block = corpus.sessions_per_fold
    rank = {session: k for k, session in enumerate(DEFECTIVE_FIRST[corpus.name])}
    by_rank = sorted(range(1, corpus.n_sessions + 1), key=lambda session: rank.get(session, len(rank) + session))
    blocks = [[session for session in by_rank if (session - 1) // block == fold] for fold in range(5)]
    return sorted([session for turn in zip(*blocks, strict=True) for session in turn][:n_sessions])


def speakers_of(corpus: Corpus, session: int) -> tuple[str, str]:
    """The two speakers of a session as they stand in its ids: ``F``, ``M`` or ``User001F_``, ``User002M_``."""
    if corpus is KEMDY19:
        return "F", "M"
    users = USERS.get(session, (2 * session - 1, 2 * session))
    first, second = (f"User{user:03d}{'F' if user in FEMALE else 'M'}_" for user in users)
    return first, second


def persons_rated(corpus: Corpus) -> tuple[str, ...]:
    """Whom the annotation files rate: one file per person in KEMDy19, listeners included; one for all in KEMDy20."""
    return ("F", "M") if corpus is KEMDY19 else ("",)


# --- annotation -------------------------------------------------------------------------------------------------------
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
        drawn += _draw_dialogue(corpus, session, f"Sess{session:02d}_{name}", segments, seconds, rng)

    prior, n = PRIOR[corpus.name], len(drawn)
    latent = np.array([segment.emotion for segment in drawn])
    # listeners mostly stay calm; else they share the speaker's emotion or have one of their own
    other = np.where(rng.random(n) < 0.5, latent, rng.choice(N_EMOTIONS, n, p=prior))
    listener = np.where(rng.random(n) < 0.5, NEUTRAL, other)
    ambiguity = np.array([segment.ambiguity for segment in drawn])
    shift = np.stack([segment.shift for segment in drawn])
    for rated in persons_rated(corpus):
        is_speaker = np.array([not rated or f"_{rated}" in segment.id for segment in drawn])
        ratings, va = rate(np.where(is_speaker, latent, listener), ambiguity, shift, corpus, rng)
        bio = _draw_bio(va[:, :, 1].mean(axis=1), rng)
        for k, segment in enumerate(drawn):
            segment.ratings[rated], segment.va[rated], segment.bio[rated] = ratings[k], va[k], bio[k]
    return drawn


def _draw_dialogue(
    corpus: Corpus, session: int, dialogue: str, segments: int, seconds: float, rng: np.random.Generator
) -> list[Segment]:
    """One dialogue: its segments tile the time in KEMDy19; in KEMDy20 they leave gaps or overlap."""
    counts = rng.integers(segments - segments // 3, segments + segments // 3 + 1, size=2).tolist()
    turns = [  # (when, speaker, number): the speakers alternate, with exceptions
        ((k + side / 2 + rng.uniform(0, 0.6)) / counts[side], speaker, k + 1)
        for side, speaker in enumerate(speakers_of(corpus, session))
        for k in range(counts[side])
    ]
    names = [f"{dialogue}_{speaker}{number:03d}" for _, speaker, number in sorted(turns)]
    phantom = f"{dialogue}_M{max(counts) + 1:03d}" if dialogue == PHANTOM_DIALOGUE else ""
    names += [phantom] if phantom else []
    lasts = (f"{dialogue}_M{counts[1]:03d}", f"{dialogue}_F{counts[0]:03d}")
    fileless = (phantom, *lasts[: corpus.fileless.get(dialogue, 0)])

    n = len(names)
    durations = (seconds * np.exp(0.6 * rng.standard_normal(n))).clip(0.3, 3.5 * seconds).round(3)
    pauses = np.zeros(n) if corpus is KEMDY19 else rng.normal(0.15, 0.25, n).clip(-0.25).round(3)
    first = min(20.0, round(4.2 * float(np.exp(0.7 * rng.standard_normal())), 3))
    starts = first + np.concatenate([[0.0], (durations + pauses).cumsum()[:-1]])
    starts, ends = starts.round(3), (starts + durations).round(3)
    if corpus is KEMDY20:  # its times are float32 and no multiples of a millisecond
        starts, ends = (np.stack([starts, ends]) + rng.uniform(0, 5e-4, (2, n))).astype(np.float32)
    emotions, ambiguity = rng.choice(N_EMOTIONS, n, p=PRIOR[corpus.name]), rng.beta(*AMBIGUITY, n)
    shift = VA_SHIFT * rng.standard_normal((n, 2))
    found = [
        Segment(*row, shift[k], has_files=row[0] not in fileless, is_phantom=row[0] == phantom)
        for k, row in enumerate(
            zip(names, starts.tolist(), ends.tolist(), emotions.tolist(), ambiguity.tolist(), strict=True)
        )
    ]
    if dialogue in EMPTY_BIO:
        middle = f"{dialogue}_F{14 if counts[0] >= 14 else counts[0] // 2 + 1:03d}"
        for segment in found[names.index(middle) if dialogue == "Sess01_impro03" else 0 :]:
            segment.without_bio = EMPTY_BIO[dialogue]
    return found


def rate(
    latent: np.ndarray, ambiguity: np.ndarray, shift: np.ndarray, corpus: Corpus, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Ten raters' emotions, valence and arousal.

    A rater says the latent emotion, or misses it with the segment's ambiguity and says one it is confused with.
    Valence and arousal scatter around the centroids of the latent and of the chosen emotion, half each.

    Args:
        latent: (N,) indices into ``EMOTIONS``.
        ambiguity: (N,) in [0, 1].
        shift: (N, 2) valence and arousal beyond the centroid.
        corpus: Whose centroids to use.
        rng: Random generator.

    Returns:
        (N, R) indices into ``EMOTIONS`` and (N, R, 2) integers from 1 to 5.
    """
    chance = (1 - ambiguity[:, None]) * np.eye(N_EMOTIONS)[latent] + ambiguity[:, None] * CONFUSION[latent]  # (N, K)
    draws = rng.random((len(latent), N_RATERS))
    ratings = (draws[:, :, None] > chance.cumsum(axis=1)[:, None, :]).sum(axis=2).clip(max=N_EMOTIONS - 1)
    centroids = 3 + VA_STRETCH * (np.array(corpus.centroids) - 3)
    mean = (centroids[latent][:, None, :] + centroids[ratings]) / 2 + shift[:, None, :]
    va = (mean + VA_RATER * rng.standard_normal(mean.shape)).round().clip(VA_MIN, VA_MAX).astype(int)
    return ratings, va


def _draw_bio(arousal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 3, 2) of one person: ECG (mV, in the device's steps), EDA (microsiemens), TEMP (deg C) at start and end."""
    n = len(arousal)
    ecg = (rng.normal(0, 0.15, (n, 2)).clip(-2.11, 3.15) / 0.003615046).round() * 0.003615046
    level = rng.uniform(0.3, 6) * np.exp(0.03 * rng.standard_normal(n + 1).cumsum())
    level[1:] += 0.06 * (arousal - 1)  # skin conductance answers arousal
    warmth = (rng.uniform(31, 34) + 0.03 * rng.standard_normal(n + 1).cumsum()).clip(26.25, 35.21)
    eda, temp = (np.stack([walk[:-1], walk[1:]], axis=1) for walk in (level, warmth))
    return np.stack([ecg + 0.0, eda.round(6), temp.round(2)], axis=1)


def total_cells(corpus: Corpus, ratings: np.ndarray, va: np.ndarray) -> list[str]:
    """Total evaluation: plurality of the votes (ties joined in the corpus's order), mean valence, mean arousal."""
    votes = count_votes(ratings[None])[0]
    winners = {EMOTIONS[k] for k in np.flatnonzero(votes == votes.max())}
    label = ";".join(spell(corpus, emotion) for emotion in TIE_ORDER[corpus.name] if emotion in winners)
    return [label, *(f"{total / N_RATERS:g}" for total in va.sum(axis=0).tolist())]


def spell(corpus: Corpus, emotion: str) -> str:
    """An emotion as the corpus spells it: KEMDy20 has ``disqust`` throughout."""
    return "disqust" if corpus is KEMDY20 and emotion == "disgust" else emotion


def header(corpus: Corpus, session: int) -> list[list[str]]:
    """The two header lines; blank cells are empty in KEMDy19 and hold one space in KEMDy20."""
    blank, wav = ("", "Wav") if corpus is KEMDY19 else (" ", "WAV")
    signals = ["ECG", "E4-EDA", "E4-TEMP"] if corpus is KEMDY19 else []
    group = RATERS["kemdy20" if corpus is KEMDY20 else f"kemdy19-{1 if session <= 10 else 2}"]
    top = [cell for name in (wav, *signals) for cell in (name, blank)]
    judges = [cell for name in ("Total Evaluation", *group.split()) for cell in (name, blank, blank)]
    return [
        ["Numb", *top, "Segment ID", *judges],
        [blank, *["start", "end"] * (1 + len(signals)), blank, *["Emotion", "Valence", "Arousal"] * (1 + N_RATERS)],
    ]


def annotation_csv(corpus: Corpus, session: int, drawn: Iterable[Segment], rated: str) -> str:
    """Text of one annotation file.

    Args:
        corpus: Corpus to imitate.
        session: Session number; it decides the raters' names.
        drawn: All segments of the session, both speakers'.
        rated: Person whom the file rates: ``F`` or ``M`` in KEMDy19, the empty string in KEMDy20.
    """
    lines = header(corpus, session)
    for number, segment in enumerate(drawn, start=1):
        ratings, va = segment.ratings[rated], segment.va[rated]
        times = [time_cell(corpus, seconds) for seconds in (segment.start, segment.end)]
        signals = bio_cells(segment, rated) if corpus is KEMDY19 else []
        line = [str(number), *times, *signals, listed_id(segment, rated), *total_cells(corpus, ratings, va)]
        for emotion, (valence, arousal) in zip(ratings.tolist(), va.tolist(), strict=True):
            line += [spell(corpus, EMOTIONS[emotion]), str(valence), str(arousal)]
        lines.append(line)
    return "".join(",".join(line) + "\n" for line in lines)


def listed_id(segment: Segment, rated: str) -> str:
    """A segment's id as the annotation file of that person states it, wrong ones included."""
    if rated == "F" and segment.id in MISNUMBERED:
        return segment.id.replace("_F", "_M")
    return segment.id.replace("_M", "_F") if rated == "M" and segment.is_phantom else segment.id


def time_cell(corpus: Corpus, seconds: float) -> str:
    """Milliseconds without trailing zeros in KEMDy19, a float32 of up to eight digits in KEMDy20."""
    if corpus is KEMDY19:
        return np.format_float_positional(seconds, precision=3, trim="-")
    return np.format_float_positional(np.float32(seconds), precision=8, fractional=False, trim="-")


def bio_cells(segment: Segment, rated: str) -> list[str]:
    """Start and end cells of ECG, EDA and TEMP."""
    cells = [f"{value:{BIO_FORMATS[k // 2]}}" for k, value in enumerate(segment.bio[rated].ravel().tolist())]
    return cells[:2] + [""] * 4 if rated in segment.without_bio else cells


# --- audio ------------------------------------------------------------------------------------------------------------
class Voice(NamedTuple):
    """What stays the same in all of a speaker's segments."""

    pitch: float  # Hz
    formants: float  # factor
    tempo: float  # factor
    tilt: float  # dB/octave, added


def draw_voices(corpus: Corpus, session: int, seed: int) -> dict[str, Voice]:
    """The two speakers' voices, by the speaker's mark in the ids."""
    rng = stream(seed, corpus, session, "voice")
    voices = {}
    for speaker in speakers_of(corpus, session):
        pitch, formants = (205.0, 1.12) if "F" in speaker else (115.0, 1.0)
        own = rng.standard_normal(4).tolist()
        voices[speaker] = Voice(pitch * 2 ** (own[0] / 12), formants * 1.03 ** own[1], 1.06 ** own[2], 0.7 * own[3])
    return voices


def synthesise(
    n_samples: int, voice: Voice, emotion: int, ambiguity: float, arousal: float, rng: np.random.Generator
) -> np.ndarray:
    """Speech-like audio: syllables of one vowel each, pauses, consonant-like bursts and light noise.

    One period of each syllable is a row of a wave table (harmonics under three formants); the pitch contour reads it.

    Args:
        n_samples: Length in samples of 16 kHz.
        voice: The speaker's voice.
        emotion: Latent emotion, an index into ``EMOTIONS``.
        ambiguity: 0 to 1; the voice moves that far (times 0.6) towards neutral.
        arousal: Arousal beyond what the emotion brings.
        rng: Random generator.

    Returns:
        (L,) int16; a loud one may clip, as in the corpora.
    """
    cues = CUES[emotion] + 0.6 * ambiguity * (CUES[NEUTRAL] - CUES[emotion]) + arousal * AROUSAL_CUES
    pitch, movement, tempo, tilt, tremor, rise = cues * (1 + 0.08 * rng.standard_normal(len(cues)))
    tempo, tilt = tempo * voice.tempo, tilt + voice.tilt

    n_units = int(n_samples / SAMPLE_RATE * tempo * 1.6) + 4  # more than will fit
    lengths = (SAMPLE_RATE / tempo * np.exp(0.18 * rng.standard_normal(n_units))).astype(int).clip(400)
    unit = np.repeat(np.arange(n_units), lengths)[:n_samples]  # (L,) syllable or pause of each sample
    unit = np.pad(unit, (0, n_samples - len(unit)), mode="edge")
    begins = lengths.cumsum() - lengths
    time = np.arange(n_samples, dtype=np.float32)
    inside = ((time - begins[unit]) / lengths[unit]).clip(0, 1).astype(np.float32)  # 0 to 1 within the unit
    progress = time / n_samples
    is_pause = rng.random(n_units) < 0.12
    is_pause[0] = False

    steps = pitch + abs(movement) * rng.standard_normal(n_units)  # (units,) semitones
    semitones = steps[unit] - 1.5 * progress + rise * (progress - 0.7).clip(0) / 0.3 - 0.4 * movement * (inside - 0.5)
    semitones += tremor * np.sin(2 * np.pi * 6.5 / SAMPLE_RATE * time + rng.uniform(0, 2 * np.pi))
    hertz = voice.pitch * np.exp2(semitones / 12)
    phase = (hertz / SAMPLE_RATE).cumsum() % 1.0
    tables = _wave_tables(voice.pitch * np.exp2(steps / 12), FORMANTS[rng.integers(6, size=n_units)], tilt, voice)
    loudness = np.where(is_pause, 0, np.exp(0.2 * rng.standard_normal(n_units)))[unit]
    voiced = tables[unit, (phase * tables.shape[1]).astype(int)] * np.sqrt(np.sin(np.pi * inside).clip(0))
    noise = rng.standard_normal(n_samples, dtype=np.float32)
    wave = loudness * (voiced + 0.15 * noise * np.exp(-25 * inside)) + 0.02 * noise
    return (wave / abs(wave).max() * rng.uniform(0.15, 1.02) * 32767).clip(-32768, 32767).astype(np.int16)


def _wave_tables(pitches: np.ndarray, formants: np.ndarray, tilt: float, voice: Voice) -> np.ndarray:
    """(units, 1024) one period each, root mean square 1: harmonics below 7 kHz under formants and a spectral tilt."""
    harmonics = np.arange(1, 129)
    frequency = pitches[:, None] * harmonics  # (units, harmonics)
    peaks = voice.formants * formants[:, None, :] - frequency[:, :, None]
    level = 0.03 + (1 / (1 + (peaks / BANDWIDTHS) ** 2)).sum(axis=2)
    level *= np.where(frequency < 7000, 10 ** (-tilt / 20 * np.log2(frequency / 100)), 0)
    spectrum = np.zeros((len(pitches), 513), dtype=complex)
    spectrum[:, harmonics] = level * np.exp(1j * 2.4 * np.sqrt(harmonics))  # spread phases: no click per period
    tables = np.fft.irfft(spectrum, axis=1)
    return tables / tables.std(axis=1, keepdims=True)


def wav_length(corpus: Corpus, segment: Segment, rng: np.random.Generator) -> int:
    """Samples in a segment's wav: the annotated time in KEMDy20; in KEMDy19 22 fewer, one in twenty shorter still."""
    n_samples = round((segment.end - segment.start) * SAMPLE_RATE)
    if corpus is KEMDY20:
        return n_samples
    return int((n_samples - 22) * (rng.uniform(0.8, 0.98) if rng.random() < 0.05 else 1))


# --- text -------------------------------------------------------------------------------------------------------------
def transcript(corpus: Corpus, segment: Segment, rng: np.random.Generator) -> str:
    """One line: clauses of the segment's emotion among neutral ones, tags, overlaps; ends with a newline."""
    if corpus is KEMDY19 and rng.random() < ONLY_TAGS:
        return "b/ o/\n"
    n_clauses = 1 + min(7, int((segment.end - segment.start) / 1.5))
    emotional = CLAUSES["neutral" if rng.random() < ONLY_NEUTRAL_WORDS else EMOTIONS[segment.emotion]]
    words = [str(rng.choice(emotional if rng.random() < 0.6 else CLAUSES["neutral"])) for _ in range(n_clauses)]
    words[rng.integers(n_clauses)] = str(rng.choice(emotional))
    words = [clause if clause.endswith("?") else clause + "." for clause in words]
    for share, extra in ((0.35, TAGS[corpus.name]), (0.35, TAGS[corpus.name]), (0.1, OVERLAPS)):
        if rng.random() < share:
            words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(extra)))
    return " ".join(words) + (" \n" if corpus is KEMDY19 and rng.random() < 0.3 else "\n")


# --- bio-signals ------------------------------------------------------------------------------------------------------
def bio_files(corpus: Corpus, session: int, drawn: list[Segment], seed: int) -> dict[str, str]:
    """Bio-signal CSVs of a session, path below the corpus folder -> text.

    Samples lie 0.25 s apart and run straight from the value at a segment's start to that at its end; two seconds
    before each dialogue belong to no segment and carry no id. ECG is thinned to the same rate.
    """
    rng = stream(seed, corpus, session, "bio")
    lines: dict[str, list[str]] = {}
    offset = 0.0  # seconds from the first dialogue's beginning to this one's
    for dialogue in (f"Sess{session:02d}_{name}" for name in DIALOGUES[corpus.name]):
        members = [segment for segment in drawn if segment.id.startswith(dialogue) and not segment.is_phantom]
        began = 9 * 3600 + 600 * session + offset  # seconds since midnight
        for speaker in speakers_of(corpus, session):
            if corpus is KEMDY19:
                for row, signal in enumerate(("ECG", "EDA", "TEMP")):
                    path = f"{signal}/Session{session:02d}/Original/Sess{session:02d}{speaker}.csv"
                    usable = [m for m in members if signal == "ECG" or speaker not in m.without_bio]
                    for time, value, *ids in _samples(usable, speaker, row):
                        pair = (f"{offset + time:.10g}", value) if signal == "ECG" else (value, f"{offset + time:.10g}")
                        lines.setdefault(path, []).append(",".join((*pair, _clock(began + time), *ids)))
                continue
            stem = f"{dialogue}_{speaker[:-1]}"
            own = [m for m in members if m.id.startswith(stem) and stem not in NO_LABELLED_BIO]
            prefix = WRONG_BIO_PREFIX.get(session, stem[:6])
            for row, signal in enumerate(("IBI", "EDA", "TEMP")):
                begin = f"{MIDNIGHT + began:.6f}"
                found = lines[f"{signal}/Session{session:02d}/{stem}.csv"] = (
                    [f"{begin}, IBI"] if signal == "IBI" else [begin, "4.000000"]
                )
                for time, value, *ids in _samples(own, "", row):
                    cells = (value, _clock(began + time), *(prefix + name[6:] for name in ids))
                    if signal != "IBI":
                        found.append(",".join(cells))
                    elif rng.random() < 0.3:  # about one beat in 0.8 s
                        found.append(",".join((f"{time:.6f}", f"{rng.normal(0.8, 0.06):.6f}", *cells[1:])))
        offset += float(np.ceil(members[-1].end)) + 30
    return {path: "\n".join(found) + "\n" for path, found in lines.items()}


def _samples(members: list[Segment], rated: str, row: int) -> list[tuple]:
    """(seconds since two before the dialogue, value, id if any) of one row of a person's ``Segment.bio``."""
    form = BIO_FORMATS[row]
    found: list[tuple] = [(k / 4, f"{members[0].bio[rated][row, 0] if members else 0:{form}}") for k in range(8)]
    for segment in members:
        times = np.arange(np.ceil(segment.start * 4), np.ceil(segment.end * 4)) / 4
        values = np.interp(times, [segment.start, segment.end], segment.bio[rated][row]).round((7, 6, 2)[row])
        found += [(2 + t, f"{v:{form}}", segment.id) for t, v in zip(times.tolist(), values.tolist(), strict=True)]
    return found


def _clock(seconds: float) -> str:
    """HH:MM:SS.mmm."""
    milliseconds = round(seconds * 1000)
    hours, minutes, rest = milliseconds // 3_600_000, milliseconds // 60_000 % 60, milliseconds % 60_000
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


# --- writing ----------------------------------------------------------------------------------------------------------
def write_session(
    corpus: Corpus, folder: Path, session: int, drawn: list[Segment], seed: int, bio: bool, bar: tqdm
) -> None:
    """Write one session's annotation, audio, transcripts and bio-signals below ``folder``."""
    files = bio_files(corpus, session, drawn, seed) if bio else {}
    for rated in persons_rated(corpus):
        name = f"Session{session:02d}_{rated}_res.csv" if rated else f"Sess{session:02d}_eval.csv"
        files[f"annotation/{name}"] = annotation_csv(corpus, session, drawn, rated)
    for name, text in files.items():
        _write(folder / name, text.encode("utf-8"))

    audio, words = stream(seed, corpus, session, "audio"), stream(seed, corpus, session, "text")
    voices = draw_voices(corpus, session, seed)
    for segment in drawn:
        path = corpus.wav_path(folder, segment.id)
        speaker = next(mark for mark in voices if f"_{mark}" in segment.id)
        n_samples = wav_length(corpus, segment, audio)
        wave = synthesise(n_samples, voices[speaker], segment.emotion, segment.ambiguity, segment.shift[1], audio)
        line = transcript(corpus, segment, words)
        if segment.has_files:
            _write(path.with_suffix(".txt"), line.encode("utf-8" if corpus is KEMDY19 else "cp949"))
            soundfile.write(path, wave * (segment.id not in corpus.silent), SAMPLE_RATE, subtype="PCM_16")
            bar.update()
        if corpus is KEMDY19 and path.parent.name != WITHOUT_CONVERTED:
            (path.parent / "converted").mkdir(parents=True, exist_ok=True)


def _write(path: Path, content: bytes) -> None:
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
) -> dict[str, dict]:
    """Write sample corpora below ``root``, as ``KEMDy19`` and ``KEMDy20_v1_1``; same arguments, same bytes.

    Args:
        root: Data folder; made if missing. An existing corpus in it is never touched.
        sessions: Sessions per corpus, 1 to 40 (KEMDy19 has 20 at most), spread over the five folds.
        segments: Mean number of segments per speaker and dialogue, 2 to 200.
        corpora: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        seed: Seed, 0 or more.
        seconds: Median duration of a segment in seconds, 0.5 to 20.
        bio: Whether to write the bio-signal folders. KEMDy19's annotation has its bio cells in any case.

    Returns:
        Per corpus: folder, sessions, segments (with files), ties among them, seconds of audio.

    Raises:
        ValueError: An argument is out of its range.
        FileExistsError: The corpus is there already, sample or licensed, in any release.
    """
    wanted = parse_dataset_name(corpora)
    checks = {
        "sessions must be an integer from 1 to 40": isinstance(sessions, int) and 1 <= sessions <= 40,
        "segments must be an integer from 2 to 200": isinstance(segments, int) and 2 <= segments <= 200,
        "seconds must be a number from 0.5 to 20": isinstance(seconds, int | float) and 0.5 <= seconds <= 20,
        "seed must be an integer of 0 or more": isinstance(seed, int) and seed >= 0,
        "bio must be True or False": isinstance(bio, bool),
    }
    given = {"sessions": sessions, "segments": segments, "seconds": seconds, "seed": seed, "bio": bio}
    if complaints := [f"{rule}: got {given[rule.split()[0]]!r}." for rule, holds in checks.items() if not holds]:
        raise ValueError(" ".join(complaints))
    if present := [path for corpus in wanted for name in corpus.folders if os.path.lexists(path := Path(root, name))]:
        raise FileExistsError(
            f"A sample corpus needs a free place: {', '.join(map(str, present))} exists and stays as it is. "
            "Choose another --root, leave that corpus out of --corpora, or move the folder away yourself."
        )

    drawn = {
        corpus.name: {k: draw_session(corpus, k, segments, seconds, seed) for k in choose_sessions(corpus, sessions)}
        for corpus in wanted
    }
    total = sum(s.has_files for by_session in drawn.values() for found in by_session.values() for s in found)
    arguments = f"sessions={sessions} segments={segments} seed={seed} seconds={float(seconds)} bio={bio}"
    partial = {corpus.name: Path(root, f".{corpus.folders[0]}.tmp-{os.getpid()}") for corpus in wanted}
    try:
        with tqdm(total=total, unit="segment", mininterval=1) as bar:
            for corpus in wanted:
                _write(
                    partial[corpus.name] / NOTE,
                    f"Synthetic {corpus.folders[0]}: no human speech, text or rating; its numbers mean nothing.\n"
                    f"Written by erc.sample with {arguments}\n".encode(),
                )
                for session, found in drawn[corpus.name].items():
                    write_session(corpus, partial[corpus.name], session, found, seed, bio, bar)
        for corpus in wanted:
            partial[corpus.name].rename(Path(root, corpus.folders[0]))
    except BaseException:  # also a keyboard interrupt must leave nothing half-written behind
        for path in partial.values():
            shutil.rmtree(path, ignore_errors=True)
        raise
    return {corpus.name: _summary(corpus, Path(root, corpus.folders[0]), drawn[corpus.name]) for corpus in wanted}


def _summary(corpus: Corpus, folder: Path, by_session: dict[int, list[Segment]]) -> dict:
    """What ``write`` reports about one corpus; a segment's own rating decides whether it is a tie."""
    kept = [segment for found in by_session.values() for segment in found if segment.has_files]
    own = [segment.ratings[corpus.parse(segment.id).gender if corpus is KEMDY19 else ""] for segment in kept]
    return {
        "folder": str(folder),
        "sessions": list(by_session),
        "segments": len(kept),
        "ties": int(is_tied(count_votes(np.stack(own))).sum()),
        "seconds": round(sum(segment.end - segment.start for segment in kept), 1),
    }
