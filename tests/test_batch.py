"""Batches: what a segment is normalised, cut, masked and labelled to, in which order segments come, which tokenizers fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer, RobertaConfig, RobertaTokenizer, Wav2Vec2FeatureExtractor

from erc.batch import (
    Collator,
    LengthBucketSampler,
    load_feature_extractor,
    load_tokenizer,
    make_loader,
    tiny_vocabulary,
)
from erc.labels import N_EMOTIONS

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
    return Collator(load_tokenizer("tiny"), load_feature_extractor("tiny"), target, **lengths)


# --- audio ------------------------------------------------------------------------------------------------------------
def test_a_waveform_is_normalised_over_its_real_samples():
    rows = make_rows()
    batch = collator()(rows)
    assert batch["waveform"].dtype == torch.float32
    for row, waveform in zip(rows, batch["waveform"].numpy(), strict=True):
        x = row["waveform"].astype(np.float64) / 2**15
        # NumPy in float64; 1e-7 under the root is wav2vec2's own (transformers, Wav2Vec2FeatureExtractor)
        expected = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
        np.testing.assert_allclose(waveform[: len(x)], expected, atol=2e-5)


def test_padding_is_zero_and_the_mask_says_where_it_is():
    rows = make_rows()
    batch = collator()(rows)
    assert batch["waveform"].shape == (4, 16_000)  # the longest of the batch
    assert batch["waveform_mask"].dtype == torch.bool
    for row, waveform, mask in zip(rows, batch["waveform"], batch["waveform_mask"], strict=True):
        n = len(row["waveform"])
        assert mask[:n].all() and not mask[n:].any()
        assert (waveform[n:] == 0).all() and (waveform[:n] != 0).any()


def test_audio_is_cut_before_it_is_normalised():
    rows = make_rows((20_000, 8_000))
    rows[0]["waveform"][10_000:] = 32_000  # loud behind the cut: must not count
    batch = collator(max_samples=10_000)(rows)
    assert batch["waveform"].shape == (2, 10_000)
    assert batch["waveform"][0].mean().abs() < 1e-5 and abs(batch["waveform"][0].std().item() - 1) < 1e-3
    assert batch["waveform_mask"].sum(dim=1).tolist() == [10_000, 8_000]


def test_a_silent_segment_stays_finite():
    rows = make_rows()
    rows[1]["waveform"][:] = 0  # ten segments of KEMDy20 are digital silence
    waveform = collator()(rows)["waveform"]
    assert torch.isfinite(waveform).all() and (waveform[1] == 0).all()


def test_a_row_that_came_as_a_list_gives_the_same_batch():
    as_lists = [row | {"waveform": row["waveform"].tolist(), "votes": row["votes"].tolist()} for row in make_rows()]
    assert torch.equal(collator()(as_lists)["waveform"], collator()(make_rows())["waveform"])


# --- text -------------------------------------------------------------------------------------------------------------
def test_text_is_padded_with_the_padding_id_and_masked():
    batch = collator()(make_rows())
    ids, mask = batch["token_ids"], batch["token_mask"]
    assert ids.dtype == torch.int64 and mask.dtype == torch.bool
    assert (ids[:, 0] == 0).all()  # [CLS] is 0, [PAD] 1, [SEP] 2: klue/roberta-large
    for row, real in zip(ids, mask, strict=True):
        n = int(real.sum())
        assert real[:n].all() and row[n - 1] == 2 and (row[n:] == 1).all()


def test_text_is_cut_to_the_tokens_allowed_with_both_special_ones():
    rows = make_rows()
    rows[0]["transcript"] = "가" * 500 + " 나" * 500
    batch = collator(max_tokens=12)(rows)
    assert batch["token_ids"].shape == (4, 12)
    assert batch["token_ids"][0, 0] == 0 and batch["token_ids"][0, -1] == 2


def test_korean_text_has_no_unknown_token():
    assert 3 not in collator()(make_rows())["token_ids"]


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
    assert batch["target"].shape == (4, N_EMOTIONS)


def test_shuffling_the_rows_permutes_the_batch():
    rows, order = make_rows(), [2, 0, 3, 1]
    straight, shuffled = collator()(rows), collator()([rows[i] for i in order])
    for name, values in straight.items():
        if name == "segment_id":
            assert shuffled[name] == [values[i] for i in order]
        else:
            assert torch.equal(shuffled[name], values[order]), name


# --- order ------------------------------------------------------------------------------------------------------------
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
    assert torch.equal(batches[0]["waveform"], expected["waveform"])
    assert torch.equal(batches[0]["token_ids"], expected["token_ids"])


@pytest.mark.slow
def test_workers_yield_what_the_process_itself_would():
    rows = make_rows()
    sampler = LengthBucketSampler([len(row["waveform"]) for row in rows], 1, epoch=2)
    alone = list(make_loader(as_data_set(rows), collator(), sampler))
    with_workers = list(make_loader(as_data_set(rows), collator(), sampler, num_workers=2))
    assert [b["segment_id"] for b in with_workers] == [b["segment_id"] for b in alone]
    assert all(torch.equal(a["waveform"], b["waveform"]) for a, b in zip(alone, with_workers, strict=True))


# --- tokenizers and feature extractors --------------------------------------------------------------------------------
VOCABULARY = {token: i for i, token in enumerate(tiny_vocabulary())}


def save_config(folder, **changes) -> None:
    ids = {"vocab_size": len(VOCABULARY), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    RobertaConfig(**ids | changes).save_pretrained(folder)


def test_the_tiny_tokenizer_has_the_special_ids_of_klue_roberta():
    tokenizer = load_tokenizer("tiny")
    assert tokenizer.convert_tokens_to_ids(["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert sum("가" <= token <= "힣" for token in VOCABULARY) == 2_350  # syllables of KS X 1001
    assert tokenizer.tokenize("안녕 Hi") == ["안", "##녕", "H", "##i"]  # case kept, syllables whole


def test_a_saved_wordpiece_tokenizer_beside_a_roberta_loads(tmp_path):
    BertTokenizer(vocab=VOCABULARY, do_lower_case=False).save_pretrained(tmp_path)
    save_config(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer("안녕 Hi")["input_ids"] == load_tokenizer("tiny")("안녕 Hi")["input_ids"]


def test_a_vocab_txt_beside_a_roberta_configuration_is_wordpiece(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(tiny_vocabulary()) + "\n", encoding="utf-8")
    save_config(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer("안녕 Hi")["input_ids"] == [0, *(VOCABULARY[t] for t in ("안", "##녕", "H", "##i")), 2]


def test_a_byte_pair_tokenizer_of_a_roberta_loads_as_it_is(tmp_path):
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "h": 5, "i": 6, "hi": 7}
    RobertaTokenizer(vocab=vocabulary, merges=[("h", "i")]).save_pretrained(tmp_path)
    save_config(tmp_path, vocab_size=8)
    assert load_tokenizer(str(tmp_path))("hi")["input_ids"] == [0, 7, 2]


def test_a_padding_id_that_is_not_the_model_s_is_an_error(tmp_path):
    BertTokenizer(vocab=VOCABULARY, do_lower_case=False).save_pretrained(tmp_path)
    save_config(tmp_path, pad_token_id=0)
    with pytest.raises(ValueError, match="the model pads with id 0, the tokenizer with 1"):
        load_tokenizer(str(tmp_path))


def test_more_ids_than_the_model_has_embeddings_is_an_error(tmp_path):
    BertTokenizer(vocab=VOCABULARY, do_lower_case=False).save_pretrained(tmp_path)
    save_config(tmp_path, vocab_size=100)
    with pytest.raises(ValueError, match=f"the model knows 100 ids, the tokenizer has {len(VOCABULARY)}"):
        load_tokenizer(str(tmp_path))


def test_a_roberta_directory_without_a_vocabulary_is_an_error(tmp_path):
    save_config(tmp_path)
    with pytest.raises(ValueError, match="must belong to the text encoder"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("option", [{"do_lower_case": True}, {"do_lower_case": False, "strip_accents": True}])
def test_a_tokenizer_that_splits_hangul_into_jamo_is_an_error(tmp_path, option):
    # a vocabulary of jamo, as bert-base-multilingual-uncased has: read with whole syllables, every word is [UNK]
    jamo = [chr(code) for code in range(0x1100, 0x1200)]
    pieces = [*tiny_vocabulary()[:5], *jamo, *(f"##{letter}" for letter in jamo)]
    BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, **option).save_pretrained(tmp_path)
    save_config(tmp_path, vocab_size=len(pieces))
    with pytest.raises(ValueError, match="jamo"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("load", [load_tokenizer, load_feature_extractor])
@pytest.mark.parametrize("name", ["{}/nowhere", "nobody/no-such-encoder"])
def test_an_encoder_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path, load, name):
    name = name.format(tmp_path)
    which = "text" if load is load_tokenizer else "audio"
    with pytest.raises(OSError, match=f"{which} encoder must be .* save_pretrained.*encoders.{which}.name=") as caught:
        load(name)
    assert name in str(caught.value)


def test_an_audio_directory_without_a_preprocessor_gets_the_standard_one(tmp_path, capsys):
    extractor = load_feature_extractor(str(tmp_path))
    assert extractor.do_normalize and extractor.return_attention_mask and extractor.sampling_rate == 16_000
    assert str(tmp_path) in capsys.readouterr().out  # said, not silent


def test_an_encoder_s_own_preprocessor_is_kept(tmp_path):
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False).save_pretrained(tmp_path)
    extractor = load_feature_extractor(str(tmp_path))
    assert not extractor.do_normalize
    # wav2vec2-base's says return_attention_mask=false; the batch has its mask all the same
    rows = make_rows()
    batch = Collator(load_tokenizer("tiny"), extractor, "soft")(rows)
    assert batch["waveform_mask"].sum(dim=1).tolist() == [4_000, 16_000, 9_000, 6_500]
    # not normalised, a 16-bit sample is a share of full scale, 2 to the 15th
    np.testing.assert_array_equal(batch["waveform"][1], rows[1]["waveform"] / np.float32(2**15))


def test_an_encoder_for_another_rate_is_an_error(tmp_path):
    Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="16000 Hz.*expects 8000"):
        load_feature_extractor(str(tmp_path))
