"""A transcript -> one with missing or wrong words, as a recogniser makes them; and how wrong a transcript is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torchaudio.functional import edit_distance

MAX_DRAWS = 100


def drop_words(words: Sequence[str], rate: float, rng: np.random.Generator) -> list[str]:
    """Leaves out a share of the words: a recogniser's deletions.

    Args:
        words: Of one transcript.
        rate: Share of them, 0 to 1; see ``places_of_errors``.
        rng: Draws which.
    """
    places = set(places_of_errors(len(words), rate, rng))
    return [word for place, word in enumerate(words) if place not in places]


def replace_words(words: Sequence[str], rate: float, rng: np.random.Generator, vocabulary: Sequence[str]) -> list[str]:
    """Puts other words in the place of a share of the words: a recogniser's substitutions.

    Args:
        words: Of one transcript.
        rate: Share of them, 0 to 1; see ``places_of_errors``.
        rng: Draws which, and the other words.
        vocabulary: Words from which is drawn; one that stands there more often is drawn more often.
    """
    found = list(words)
    for place in places_of_errors(len(words), rate, rng):
        found[place] = _other_word(found[place], rng, vocabulary)
    return found


def places_of_errors(n_words: int, rate: float, rng: np.random.Generator) -> list[int]:
    """Places of ``rate * n_words`` errors. What is not a whole number is rounded up or down at random, right on average.

    With the same ``rng``, the errors at a lower rate are among those at a higher one.
    """
    n_errors = min(int(rate * n_words + rng.random()), n_words)
    return [int(place) for place in rng.permutation(n_words)[:n_errors]]


def _other_word(word: str, rng: np.random.Generator, vocabulary: Sequence[str]) -> str:
    """A word that is not this one; the word itself where the vocabulary seems to have no other."""
    for _ in range(MAX_DRAWS if len(vocabulary) else 0):
        drawn = vocabulary[int(rng.integers(len(vocabulary)))]
        if drawn != word:
            return drawn
    return word


def count_errors(truth: str, heard: str) -> tuple[int, int]:
    """Word errors of a transcript and words of the right one: what a word error rate is the ratio of.

    Errors are the fewest deletions, insertions and substitutions that make one of the other (Levenshtein, 1966, Soviet Physics
    Doklady 10:707-710).
    """
    right = truth.split()
    return int(edit_distance(right, heard.split())), len(right)
