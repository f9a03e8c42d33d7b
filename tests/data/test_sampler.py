"""The order of the batches: every segment once, a function of seed and epoch, little padding, equal shares."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, strategies as st

from erc.data.sampler import LengthBucketSampler

sizes = {
    "n": st.integers(0, 200),
    "batch_size": st.integers(1, 17),
    "pool": st.integers(1, 9),
    "seed": st.integers(0, 99),
}


def draw_lengths(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(400, 112_000, size=n)


@given(**sizes, shuffle=st.booleans())
def test_each_segment_comes_once_an_epoch(n, batch_size, pool, seed, shuffle):
    sampler = LengthBucketSampler(draw_lengths(n), batch_size, seed, 3, pool, shuffle)
    batches = list(sampler)
    assert sorted(i for batch in batches for i in batch) == list(range(n))
    assert len(batches) == len(sampler) == -(-n // batch_size)
    assert max(map(len, batches), default=0) <= batch_size


@given(**sizes, n_processes=st.integers(1, 5))
def test_training_processes_together_take_the_steps_of_one_process_with_larger_batches(
    n, batch_size, pool, seed, n_processes
):
    lengths = draw_lengths(n)
    samplers = [
        LengthBucketSampler(lengths, batch_size, seed, 1, pool, True, n_processes, process)
        for process in range(n_processes)
    ]
    steps = list(zip(*samplers, strict=True))  # strict: all take equally many
    assert all(len(steps) == len(sampler) for sampler in samplers)
    alone = [sorted(batch) for batch in LengthBucketSampler(lengths, batch_size * n_processes, seed, 1, pool)]
    for shares in steps:
        assert len({len(share) for share in shares}) == 1 and len(shares[0]) <= batch_size
        together = sorted(index for share in shares for index in share)
        # all of it, but for what does not divide in the last batch
        (whole,) = [batch for batch in alone if together[0] in batch]
        assert set(together) <= set(whole) and len(whole) - len(together) < n_processes
    assert n - sum(len(share) for shares in steps for share in shares) < n_processes


@given(**sizes, n_processes=st.integers(1, 5))
def test_evaluation_processes_together_see_every_segment_once(n, batch_size, pool, seed, n_processes):
    samplers = [
        LengthBucketSampler(draw_lengths(n), batch_size, seed, 1, pool, False, n_processes, process)
        for process in range(n_processes)
    ]
    assert sorted(i for sampler in samplers for batch in sampler for i in batch) == list(range(n))
    assert all(len(list(sampler)) == len(sampler) for sampler in samplers)


def test_the_order_is_a_function_of_seed_and_epoch():
    lengths = draw_lengths(300)

    def order(seed, epoch):
        return list(LengthBucketSampler(lengths, 8, seed, epoch, pool_batches=4))

    np.random.seed(1)
    first = order(42, 0)
    torch.manual_seed(5)
    np.random.seed(2)
    assert order(42, 0) == first  # the global generators play no part
    others = [order(42, 1), order(42, 2), order(43, 0)]
    assert first not in others and others[0] != others[1]
    sampler = LengthBucketSampler(lengths, 8)
    assert list(sampler) == list(sampler)


def test_evaluation_runs_from_the_shortest_to_the_longest():
    lengths = draw_lengths(100)
    order = [i for batch in LengthBucketSampler(lengths, 8, shuffle=False) for i in batch]
    assert (np.diff(lengths[order]) >= 0).all()


def test_batches_of_like_length_waste_less_padding_than_random_ones():
    rng = np.random.default_rng(0)
    # lengths as in the corpora: median about 3 s, cut at 7 s
    lengths = np.exp(rng.normal(np.log(48_000), 0.6, size=2_000)).clip(400, 112_000).astype(int)

    def padding(batches):
        return sum(len(batch) * lengths[batch].max() - lengths[batch].sum() for batch in batches)

    order = rng.permutation(len(lengths))
    at_random = padding([order[i : i + 8] for i in range(0, len(order), 8)])
    bucketed = padding(list(LengthBucketSampler(lengths, 8)))
    assert bucketed < 0.1 * at_random  # 0.02 when this was written
    # control: pools of one batch sort nothing, and gain nothing
    assert padding(list(LengthBucketSampler(lengths, 8, pool_batches=1))) > 0.9 * at_random


def test_training_batches_do_not_come_sorted():
    lengths = draw_lengths(400)
    longest = [lengths[batch].max() for batch in LengthBucketSampler(lengths, 8)]
    assert (np.diff(longest) < 0).mean() > 0.3
