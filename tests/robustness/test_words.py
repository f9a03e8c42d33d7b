"""Corruptions of words: errors are counted a second way, and their share is the one that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from erc.robustness.words import count_errors, drop_words, places_of_errors, replace_words


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def distance(a: list[str], b: list[str]) -> int:
    """Levenshtein's distance, as the textbook has it."""
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, one in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (one != other))
    return int(table[-1, -1])


TRANSCRIPTS = [[f"w{k}-{place}" for place in range(1 + k % 9)] for k in range(400)]
"""No word twice, so that no error can be taken for another one."""


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_the_word_error_rate_is_the_one_that_was_asked_for(rate):
    vocabulary = ["other", "than", "all"]
    n_words = sum(map(len, TRANSCRIPTS))
    for change in (drop_words, lambda *given: replace_words(*given, vocabulary)):
        changed = [change(words, rate, rng(k)) for k, words in enumerate(TRANSCRIPTS)]
        n_errors = sum(distance(words, one) for words, one in zip(TRANSCRIPTS, changed, strict=True))
        assert n_errors / n_words == pytest.approx(rate, abs=0.02)


def test_dropped_words_are_missing_and_the_others_stay_in_their_order():
    for k, words in enumerate(TRANSCRIPTS):
        kept = drop_words(words, 0.3, rng(k))
        assert kept == [word for word in words if word in kept]
    assert drop_words(["one"], 1.0, rng(0)) == [] and drop_words([], 0.3, rng(0)) == []


def test_a_replaced_word_is_another_one_of_the_vocabulary():
    words = ["a", "b", "a", "b"] * 10
    replaced = replace_words(words, 1.0, rng(0), ["a", "b"])
    assert len(replaced) == 40 and all(one != other for one, other in zip(words, replaced, strict=True))
    assert replace_words(["a"], 1.0, rng(0), ["a"]) == ["a"]  # there is no other one
    assert replace_words(["a"], 1.0, rng(0), []) == ["a"]


def test_the_errors_at_a_lower_rate_are_among_those_at_a_higher_one():
    for k in range(50):
        few, many = (set(places_of_errors(20, rate, rng(k))) for rate in (0.1, 0.3))
        assert few < many


@pytest.mark.parametrize(
    ("truth", "heard"),
    [("a b c", "a c"), ("a b", "a x b y"), ("a b c d", "b c x d"), ("", "a b"), ("a b", ""), ("", "")],
)
def test_errors_are_counted_as_levenshtein_counts_them(truth, heard):
    assert count_errors(truth, heard) == (distance(truth.split(), heard.split()), len(truth.split()))
