"""Sessions, dialogues and segments of a synthetic corpus, with the known defects of the real ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from erc.data import CORPORA, EMOTIONS, KEMDY19, KEMDY20, Corpus

NEUTRAL = EMOTIONS.index("neutral")

STREAMS = ("annotation", "voice", "audio", "text", "bio", "signals")
"""Purposes that draw random numbers, each from a stream of its own: none changes what another draws."""

SCRIPTS = tuple(f"script{k:02d}" for k in range(1, 7))

DIALOGUES = {"kemdy19": SCRIPTS + tuple(f"impro{k:02d}" for k in range(1, 5)), "kemdy20": SCRIPTS}

DEFECTIVE_FIRST = {"kemdy19": (3, 4, 1, 2, 6, 7, 5, 8), "kemdy20": (1, 12, 17)}
"""Sessions with known defects, which a small corpus should hold; the others follow in ascending order."""

USERS = {12: (81, 82), 17: (83, 84)}
"""KEMDy20's users of two sessions; every other session n has 2n - 1 and 2n."""

FEMALE = frozenset(
    (1, 3, 8, 15, 16, 19, 25, 26, 27, 38, *range(41, 46), 47, 48, 50, 52, *range(57, 61), 64, 69, 70)
    + (*range(72, 75), *range(76, 85))
)
"""KEMDy20's women, 38 of its 80 users."""

MISNUMBERED = ("Sess03_impro02_F001", "Sess09_script06_F001", "Sess09_impro01_F001")
"""The F file calls these segments M001."""

PHANTOM_DIALOGUE = "Sess04_impro03"
"""Its last row has no files, and another id in each of the two annotation files."""

EMPTY_BIO = {
    "Sess01_impro03": frozenset("F"),
    "Sess01_impro04": frozenset("F"),
    "Sess04_impro04": frozenset("FM"),
}
"""Persons whose EDA and TEMP cells are empty (ECG never is); in the first of these dialogues only from F014 on."""

PRIOR = {
    "kemdy19": np.array([0.115, 0.048, 0.205, 0.352, 0.158, 0.084, 0.038]),
    "kemdy20": np.array([0.050, 0.040, 0.055, 0.620, 0.155, 0.045, 0.035]),
}
"""Share of each latent emotion, in the order of ``EMOTIONS``."""

AMBIGUITY = (0.78, 1.6)
"""Parameters of the beta distribution of a segment's ambiguity."""

VA_SHIFT = 0.35
"""Standard deviation of valence and arousal between the segments of one latent emotion."""


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
    """Sessions to write, in ascending order: spread over the folds; within a fold, those with defects come first."""
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
    """Whom the annotation files rate: KEMDy19 has a file for each of the two persons, KEMDy20 one for both ("")."""
    return ("F", "M") if corpus is KEMDY19 else ("",)


def draw_dialogue(
    corpus: Corpus, session: int, dialogue: str, segments: int, seconds: float, rng: np.random.Generator
) -> list[Segment]:
    """One dialogue. In KEMDy19 each segment begins where the one before ends; in KEMDy20 there are gaps and overlaps."""
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
    emotions, ambiguity = rng.choice(len(EMOTIONS), n, p=PRIOR[corpus.name]), rng.beta(*AMBIGUITY, n)
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
