"""Loaders: the sampler's batches, with workers and without, with labels and without."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from datasets import Dataset

from erc.data import KEMD
from erc.data.collate import Collator, InputCollator
from erc.data.sampler import LengthBucketSampler
from erc.model.pretrained import load_feature_extractor, load_tokenizer
from erc.training.loaders import _Ahead, make_loader


def make_rows(lengths: tuple[int, ...] = (4_000, 16_000, 9_000, 6_500)) -> list[dict]:
    rng = np.random.default_rng(7)
    return [
        {
            "segment_id": f"Sess01_script01_F{i:03d}",
            "waveform": rng.normal(0, 2_000, size=n).astype(np.int16),
            "transcript": "네. " * (i + 1),
            "votes": np.array([0, 0, 9, 1, 0, 0, 0]),
            "hard_label": 2,
            "is_tied": False,
            "valence": 1.5 + 0.1 * i,
            "arousal": 4.5 - 0.1 * i,
        }
        for i, n in enumerate(lengths)
    ]


def collator() -> Collator:
    return Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, "peakl")


def as_data_set(rows: list[dict]) -> Dataset:
    return Dataset.from_list(
        [row | {"waveform": row["waveform"].tolist(), "votes": row["votes"].tolist(), "not_used": "x"} for row in rows]
    )


def test_the_loader_yields_the_sampler_s_batches():
    rows = make_rows((4_000, 16_000, 9_000, 6_500, 700))
    loader = make_loader(
        as_data_set(rows), collator(), LengthBucketSampler([len(r["waveform"]) for r in rows], 2, shuffle=False)
    )
    batches = list(loader)
    order = [4, 0, 3, 2, 1]  # by length
    assert [name for batch in batches for name in batch["segment_id"]] == [rows[i]["segment_id"] for i in order]
    expected = collator()([rows[4], rows[0]])
    assert torch.equal(batches[0]["inputs"]["audio"]["values"], expected["inputs"]["audio"]["values"])
    assert torch.equal(batches[0]["inputs"]["text"]["values"], expected["inputs"]["text"]["values"])


@pytest.mark.slow
def test_workers_yield_what_the_process_itself_would():
    rows = make_rows()
    sampler = LengthBucketSampler([len(row["waveform"]) for row in rows], 1, epoch=2)
    alone = list(make_loader(as_data_set(rows), collator(), sampler))
    with_workers = list(make_loader(as_data_set(rows), collator(), sampler, num_workers=2))
    assert [b["segment_id"] for b in with_workers] == [b["segment_id"] for b in alone]
    for a, b in zip(alone, with_workers, strict=True):
        assert torch.equal(a["inputs"]["audio"]["values"], b["inputs"]["audio"]["values"])


def test_rows_without_labels_load_as_well():
    rows = [{name: row[name] for name in ("segment_id", "transcript")} for row in make_rows()]
    collate = InputCollator(None, load_tokenizer("tiny"))
    (batch,) = make_loader(Dataset.from_list(rows), collate, LengthBucketSampler([1] * 4, 4, shuffle=False))
    assert batch["segment_id"] == [row["segment_id"] for row in rows] and batch["inputs"].keys() == {"text"}


# --- a batch ahead ----------------------------------------------------------------------------------------------------
def test_the_next_batch_is_prepared_while_one_is_worked_on():
    prepared = []

    def batches():
        for index in range(3):
            prepared.append((index, threading.current_thread() is threading.main_thread()))
            yield index

    ahead = _Ahead(batches())
    found = []
    for batch in ahead:
        found.append(batch)
        deadline = time.monotonic() + 10
        while len(prepared) < min(batch + 2, 3) and time.monotonic() < deadline:  # the work
            time.sleep(0.001)
        assert len(prepared) == min(batch + 2, 3)
    assert found == [0, 1, 2]
    assert prepared == [(0, False), (1, False), (2, False)]  # by another thread, in order


def test_an_error_in_a_batch_that_is_prepared_ahead_comes_where_the_batch_would():
    def batches():
        yield 0
        raise ValueError("Segments of one batch")

    ahead = _Ahead(batches())
    assert next(ahead) == 0
    with pytest.raises(ValueError, match="Segments of one batch"):
        next(ahead)


def test_batches_are_prepared_ahead_with_a_card_only_and_are_the_same(monkeypatch):
    rows = make_rows()
    loader = make_loader(as_data_set(rows), collator(), LengthBucketSampler([1] * 4, 2, shuffle=False))
    plain = iter(loader)
    assert not isinstance(plain, _Ahead)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    ahead = iter(loader)
    assert isinstance(ahead, _Ahead) and len(ahead) == 2
    for one, other in zip(plain, ahead, strict=True):
        assert torch.equal(one["inputs"]["audio"]["values"], other["inputs"]["audio"]["values"])
