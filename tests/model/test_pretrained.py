"""Tokenizers and feature extractors: which belong to an encoder, which are refused."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import BertTokenizer, RobertaConfig, RobertaTokenizer, Wav2Vec2FeatureExtractor

from erc.data.collate import InputCollator
from erc.model.pretrained import load_feature_extractor, load_tokenizer, tiny_vocabulary

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
    rng, lengths = np.random.default_rng(7), [4_000, 16_000, 9_000, 6_500]
    waveforms = [rng.normal(500, 2_000, size=n).astype(np.int16) for n in lengths]
    audio = InputCollator(extractor, None)([{"segment_id": "x", "waveform": x} for x in waveforms])["inputs"]["audio"]
    assert audio["mask"].sum(dim=1).tolist() == lengths
    # not normalised, a 16-bit sample is a share of full scale, 2 to the 15th
    np.testing.assert_array_equal(audio["values"][1], waveforms[1] / np.float32(2**15))


def test_an_encoder_for_another_rate_is_an_error(tmp_path):
    Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="16000 Hz.*expects 8000"):
        load_feature_extractor(str(tmp_path))
