"""Batches: what a segment is normalised, cut, masked and labelled to; inputs without labels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from erc.data import KEMD
from erc.data.collate import LABEL_COLUMNS, Collator, InputCollator
from erc.model.pretrained import load_feature_extractor, load_tokenizer

TEXTS = ["네.", "정말 기뻐요! 오늘은 참 좋은 날이에요.", "아니 b/ 왜 그래?", "몰라요"]


def make_rows(lengths: tuple[int, ...] = (4_000, 16_000, 9_000, 6_500)) -> list[dict]:
    """Segments as the data set holds them: 16-bit waveforms of these lengths."""
    rng = np.random.default_rng(7)
    votes = np.array([[0, 0, 9, 1, 0, 0, 0], [0, 0, 0, 0, 10, 0, 0], [0, 0, 5, 0, 0, 5, 0], [2, 0, 0, 6, 1, 1, 0]])
    return [
        {
            "segment_id": f"Sess01_script01_F{i:03d}",
            "waveform": rng.normal(500 * i, 2_000, size=n).astype(np.int16),  # not centred
            "transcript": TEXTS[i % 4],
            "votes": votes[i % 4],
            "hard_label": int(votes[i % 4].argmax()),
            "is_tied": i % 4 == 2,
            "valence": 1.5 + 0.1 * i,
            "arousal": 4.5 - 0.1 * i,
        }
        for i, n in enumerate(lengths)
    ]


def collator(target: str = "peakl", **lengths: int) -> Collator:
    return Collator(load_feature_extractor("tiny"), load_tokenizer("tiny"), KEMD, target, **lengths)


def audio(batch: dict) -> torch.Tensor:
    return batch["inputs"]["audio"]["values"]


# --- audio ------------------------------------------------------------------------------------------------------------
def test_a_waveform_is_normalised_over_its_real_samples():
    rows = make_rows()
    batch = collator()(rows)
    assert audio(batch).dtype == torch.float32
    for row, waveform in zip(rows, audio(batch).numpy(), strict=True):
        x = row["waveform"].astype(np.float64) / 2**15
        # NumPy in float64; 1e-7 under the root is wav2vec2's own (transformers, Wav2Vec2FeatureExtractor)
        expected = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
        np.testing.assert_allclose(waveform[: len(x)], expected, atol=2e-5)


def test_padding_is_zero_and_the_mask_says_where_it_is():
    rows = make_rows()
    batch = collator()(rows)
    values, masks = batch["inputs"]["audio"]["values"], batch["inputs"]["audio"]["mask"]
    assert values.shape == (4, 16_000)  # the longest of the batch
    assert masks.dtype == torch.bool
    for row, waveform, mask in zip(rows, values, masks, strict=True):
        n = len(row["waveform"])
        assert mask[:n].all() and not mask[n:].any()
        assert (waveform[n:] == 0).all() and (waveform[:n] != 0).any()


@pytest.mark.parametrize("lengths", [{"max_samples": 0}, {"max_samples": -5}, {"max_tokens": 0}, {"max_tokens": 2}])
def test_a_length_that_leaves_no_audio_or_no_text_is_an_error(lengths):
    # two special tokens begin and end every text: RoBERTa's <s> and </s>
    with pytest.raises(ValueError, match="expected max_samples of 1 or more and max_tokens of 3 or more"):
        collator(**lengths)


def test_audio_is_cut_before_it_is_normalised():
    rows = make_rows((20_000, 8_000))
    rows[0]["waveform"][10_000:] = 32_000  # loud behind the cut: must not count
    batch = collator(max_samples=10_000)(rows)
    assert audio(batch).shape == (2, 10_000)
    assert audio(batch)[0].mean().abs() < 1e-5 and abs(audio(batch)[0].std().item() - 1) < 1e-3
    assert batch["inputs"]["audio"]["mask"].sum(dim=1).tolist() == [10_000, 8_000]


def test_a_silent_segment_stays_finite():
    rows = make_rows()
    rows[1]["waveform"][:] = 0  # ten segments of KEMDy20 are digital silence
    waveform = audio(collator()(rows))
    assert torch.isfinite(waveform).all() and (waveform[1] == 0).all()


def test_a_row_that_came_as_a_list_gives_the_same_batch():
    as_lists = [row | {"waveform": row["waveform"].tolist(), "votes": row["votes"].tolist()} for row in make_rows()]
    assert torch.equal(audio(collator()(as_lists)), audio(collator()(make_rows())))


# --- text -------------------------------------------------------------------------------------------------------------
def test_text_is_padded_with_the_padding_id_and_masked():
    batch = collator()(make_rows())
    ids, mask = batch["inputs"]["text"]["values"], batch["inputs"]["text"]["mask"]
    assert ids.dtype == torch.int64 and mask.dtype == torch.bool
    assert (ids[:, 0] == 0).all()  # [CLS] is 0, [PAD] 1, [SEP] 2: klue/roberta-large
    for row, real in zip(ids, mask, strict=True):
        n = int(real.sum())
        assert real[:n].all() and row[n - 1] == 2 and (row[n:] == 1).all()


def test_text_is_cut_to_the_tokens_allowed_with_both_special_ones():
    rows = make_rows()
    rows[0]["transcript"] = "가" * 500 + " 나" * 500
    ids = collator(max_tokens=12)(rows)["inputs"]["text"]["values"]
    assert ids.shape == (4, 12)
    assert ids[0, 0] == 0 and ids[0, -1] == 2


def test_korean_text_has_no_unknown_token():
    assert 3 not in collator()(make_rows())["inputs"]["text"]["values"]


# --- labels -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("hard", [0, 0, 1, 0, 0, 0, 0]),
        ("soft", [0, 0, 0.9, 0.1, 0, 0, 0]),
        ("peakl", [0, 0, 0.939436, 0.060564, 0, 0, 0]),  # printed by the authors' own run
    ],
)
def test_the_target_is_the_label_kind_asked_for(kind, expected):
    batch = collator(kind)(make_rows())
    assert batch["target"].dtype == torch.float32
    np.testing.assert_allclose(batch["target"][0], expected, atol=5e-7)
    np.testing.assert_allclose(batch["target"].sum(dim=1), 1, atol=1e-6)


def test_labels_stand_beside_their_segments():
    rows = make_rows()
    batch = collator()(rows)
    assert batch["segment_id"] == [row["segment_id"] for row in rows]
    assert batch["hard_label"].tolist() == [2, 4, 2, 3] and batch["is_tied"].tolist() == [False, False, True, False]
    np.testing.assert_allclose(batch["va"], [[row["valence"], row["arousal"]] for row in rows], rtol=1e-6)
    np.testing.assert_array_equal(batch["va_exact"], [[row["valence"], row["arousal"]] for row in rows])
    assert batch["target"].shape == (4, KEMD.n_emotions)


def flat(batch: dict) -> dict:
    """The batch with its inputs as entries of their own, ``audio.values`` and so on."""
    labels = {name: values for name, values in batch.items() if name != "inputs"}
    return labels | {f"{m}.{name}": part for m, parts in batch["inputs"].items() for name, part in parts.items()}


def test_shuffling_the_rows_permutes_the_batch():
    rows, order = make_rows(), [2, 0, 3, 1]
    straight, shuffled = flat(collator()(rows)), flat(collator()([rows[i] for i in order]))
    assert len(straight) == 10
    for name, values in straight.items():
        if name == "segment_id":
            assert shuffled[name] == [values[i] for i in order]
        else:
            assert torch.equal(torch.as_tensor(shuffled[name]), torch.as_tensor(values[order])), name


# --- inputs without labels --------------------------------------------------------------------------------------------
def unlabelled(rows: list[dict]) -> list[dict]:
    return [{name: row[name] for name in ("segment_id", "waveform", "transcript")} for row in rows]


def test_rows_without_labels_give_the_inputs_that_rows_with_labels_give():
    rows = make_rows()
    lengths = {"max_samples": 10_000, "max_tokens": 9}
    collate = InputCollator(load_feature_extractor("tiny"), load_tokenizer("tiny"), **lengths)
    found, expected = collate(unlabelled(rows)), collator(**lengths)(rows)
    assert found.keys() == {"segment_id", "inputs"} and found["inputs"].keys() == {"audio", "text"}
    found, expected = flat(found), flat(expected)
    assert found.pop("segment_id") == expected["segment_id"]
    assert all(torch.equal(values, expected[name]) for name, values in found.items()) and len(found) == 4


def test_a_modality_without_a_processor_is_left_out():
    rows = unlabelled(make_rows())
    text_only = InputCollator(None, load_tokenizer("tiny"))
    audio_only = InputCollator(load_feature_extractor("tiny"), None)
    assert text_only(rows)["inputs"].keys() == {"text"} and audio_only(rows)["inputs"].keys() == {"audio"}
    assert text_only.columns == ["segment_id", "transcript"] and audio_only.columns == ["segment_id", "waveform"]
    labelled = Collator(None, load_tokenizer("tiny"), KEMD, "soft")
    assert labelled.columns == ["segment_id", "transcript", *LABEL_COLUMNS, "valence", "arousal"]
    batch = labelled([{name: row[name] for name in labelled.columns} for row in make_rows()])
    assert batch["inputs"].keys() == {"text"} and batch["hard_label"].tolist() == [2, 4, 2, 3]


@pytest.mark.parametrize(("column", "left"), [("waveform", "text"), ("transcript", "audio")])
@pytest.mark.parametrize("is_none", [False, True])
def test_a_modality_that_no_row_holds_is_left_out(column, left, is_none):
    rows = unlabelled(make_rows())
    for row in rows:
        row.pop(column)
        if is_none:
            row[column] = None
    collate = InputCollator(load_feature_extractor("tiny"), load_tokenizer("tiny"))
    assert collate(rows)["inputs"].keys() == {left}


def test_rows_that_hold_different_modalities_are_an_error_that_names_them():
    rows = unlabelled(make_rows())
    rows[2]["transcript"] = None
    collate = InputCollator(load_feature_extractor("tiny"), load_tokenizer("tiny"))
    with pytest.raises(ValueError, match=r"expected 'transcript' in all 4, got none in Sess01_script01_F002\."):
        collate(rows)
    with pytest.raises(ValueError, match="transcript"):
        collator()([row | others for row, others in zip(make_rows(), rows, strict=True)])


def test_a_collator_goes_to_a_worker_process():
    rows = make_rows()
    sent = pickle.loads(pickle.dumps(collator()))
    assert torch.equal(audio(sent(rows)), audio(collator()(rows)))
