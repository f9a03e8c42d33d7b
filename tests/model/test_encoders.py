"""Encoders: what a segment becomes does not depend on its neighbours; freezing, adapters, checkpointing, very short clips."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from torch.export import Dim
from transformers import (
    HubertConfig,
    HubertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaModel,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from erc.data.media import MIN_SAMPLES
from erc.model.encoders import AudioEncoder, TextEncoder, masked_group_norm

SMALL_AUDIO = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 12,
    "mask_time_prob": 0.3,
}
LARGE_LIKE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}  # as in XLSR
BASE_LIKE = {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False}  # as in wav2vec2-base
FAMILY = {
    "wav2vec2-layer": (Wav2Vec2Config, Wav2Vec2Model, LARGE_LIKE),
    "wav2vec2-group": (Wav2Vec2Config, Wav2Vec2Model, BASE_LIKE),
    "hubert-group": (HubertConfig, HubertModel, BASE_LIKE),
    "wavlm-group": (WavLMConfig, WavLMModel, BASE_LIKE),
}
SMALL_TEXT = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "type_vocab_size": 1,
    "pad_token_id": 1,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, str]:
    """Small audio encoders of each kind, written by ``save_pretrained``; also one as a recogniser's checkpoint."""
    folders = {}
    for name, (config, model, options) in FAMILY.items():
        torch.manual_seed(0)
        built = model(config(**SMALL_AUDIO, **options))
        norm = built.feature_extractor.conv_layers[0].layer_norm  # starts at 1 and 0, where a mistake would not show
        torch.nn.init.normal_(norm.weight, 1, 0.3)
        torch.nn.init.normal_(norm.bias, 0, 0.3)
        folders[name] = str(tmp_path_factory.mktemp(name))
        built.save_pretrained(folders[name])
    folders["ctc"] = str(tmp_path_factory.mktemp("ctc"))
    Wav2Vec2ForCTC(Wav2Vec2Config(**SMALL_AUDIO, **LARGE_LIKE, layerdrop=0.25)).save_pretrained(folders["ctc"])
    return folders


@pytest.fixture(scope="module")
def saved_text(tmp_path_factory) -> dict[str, str]:
    """A RoBERTa with a pooler, and a masked language model, which has none."""
    folders = {}
    for name, model in (("with pooler", RobertaModel), ("masked language model", RobertaForMaskedLM)):
        torch.manual_seed(1)
        folders[name] = str(tmp_path_factory.mktemp("text"))
        model(RobertaConfig(**SMALL_TEXT)).save_pretrained(folders[name])
    return folders


def padded(lengths: list[int], width: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms of these lengths, the same for the same place, padded with zeros; and the mask."""
    width = width or max(lengths)
    waveform, mask = torch.zeros(len(lengths), width), torch.zeros(len(lengths), width, dtype=torch.bool)
    for i, n in enumerate(lengths):
        waveform[i, :n] = torch.from_numpy(np.random.default_rng(i).normal(size=n)).float()
        mask[i, :n] = True
    return waveform, mask


LENGTHS = [9_000, 16_000, 3_333, 6_400]


# --- a segment's sequence is its own ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["tiny", *FAMILY])
@torch.no_grad()
def test_a_segment_alone_in_a_batch_and_with_more_padding_gives_the_same_sequence(saved, name):
    torch.manual_seed(0)
    encoder = AudioEncoder(saved.get(name, name)).eval()
    waveform, mask = padded(LENGTHS)
    together, together_mask = encoder(waveform, mask)
    wider, wider_mask = encoder(*padded(LENGTHS, width=30_000))
    assert together.std() > 0.1  # else a constant would pass
    for i, n in enumerate(LENGTHS):
        alone, alone_mask = encoder(waveform[i : i + 1, :n], mask[i : i + 1, :n])
        frames = int(alone_mask.sum())
        assert frames == int(together_mask[i].sum()) == int(wider_mask[i].sum())
        alone = alone[:, :frames]
        # 1e-5 is what float32 leaves after two layers at values around 1
        torch.testing.assert_close(together[i, :frames], alone[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(wider[i, :frames], alone[0], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_plain_group_norm_model_would_depend_on_the_padding(saved):
    # negative control of the test above: the same weights and the right mask, without our group norm
    model = Wav2Vec2Model.from_pretrained(saved["wav2vec2-group"]).eval()
    waveform, mask = padded(LENGTHS)
    together = model(waveform, attention_mask=mask.long()).last_hidden_state
    alone = model(waveform[2:3, :3_333]).last_hidden_state
    assert (together[2, : alone.shape[1]] - alone[0]).abs().max() > 0.1


@torch.no_grad()
def test_a_wrong_mask_would_be_noticed(saved):
    # negative control: all ones, as the published code has it
    encoder = AudioEncoder(saved["wav2vec2-layer"]).eval()
    waveform, mask = padded(LENGTHS)
    right, frames = encoder(waveform, mask)
    wrong, _ = encoder(waveform, torch.ones_like(mask))
    assert (right - wrong)[2][frames[2]].abs().max() > 1e-2


@torch.no_grad()
def test_masked_group_norm_equals_torch_s_where_nothing_is_padded(saved):
    waveform, mask = padded([8_000, 8_000])
    ours, _ = AudioEncoder(saved["wav2vec2-group"]).eval()(waveform, mask)
    theirs = Wav2Vec2Model.from_pretrained(saved["wav2vec2-group"]).eval()(waveform).last_hidden_state
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_masked_group_norm_is_torch_s_over_the_real_frames_of_each_segment():
    torch.manual_seed(4)
    hidden, weight, bias = torch.randn(3, 5, 9), torch.randn(5), torch.randn(5)
    found = masked_group_norm(hidden, torch.tensor([9, 2, 6]), weight, bias, eps=1e-5)
    for row, result, n in zip(hidden, found, (9, 2, 6), strict=True):
        expected = torch.nn.functional.group_norm(row[None, :, :n], 5, weight, bias, eps=1e-5)[0]
        torch.testing.assert_close(result[:, :n], expected, rtol=0, atol=1e-6)
        assert torch.equal(result[:, n:], bias[:, None].expand(5, 9 - n))


@pytest.mark.parametrize("name", FAMILY)
def test_parameters_have_the_names_of_the_checkpoint(saved, name):
    _, cls, _ = FAMILY[name]
    encoder, theirs = AudioEncoder(saved[name]), cls.from_pretrained(saved[name]).state_dict()
    assert list(encoder.state_dict()) == [f"model.{key}" for key in theirs]
    assert all(torch.equal(value, theirs[key]) for key, value in encoder.model.state_dict().items())


@pytest.mark.slow
@pytest.mark.filterwarnings("error:.*was assigned during export")
@pytest.mark.parametrize("name", ["tiny", "wav2vec2-layer", "wav2vec2-group", "hubert-group"])
@torch.no_grad()
def test_an_exported_encoder_follows_the_lengths_of_other_batches(saved, name):
    # number of frames and mask must be computed in the exported program, not stored from the example
    torch.manual_seed(0)
    encoder = AudioEncoder(saved.get(name, name)).eval()
    n_segments, n_samples = Dim("B", min=2, max=16), Dim("L", min=encoder.min_samples, max=112_000)
    dynamic = {part: {0: n_segments, 1: n_samples} for part in ("values", "mask")}
    exported = torch.export.export(encoder, padded(LENGTHS), dynamic_shapes=dynamic).module()
    for lengths in (LENGTHS, [4_100, 16_000, 9_000, 500], [7_777, 21_000]):
        sequence, mask = exported(*padded(lengths))
        expected, expected_mask = encoder(*padded(lengths))
        assert torch.equal(mask, expected_mask)
        torch.testing.assert_close(sequence, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["tiny", *FAMILY])
@torch.no_grad()
def test_the_frame_mask_is_hugging_face_s(saved, name):
    encoder = AudioEncoder(saved.get(name, name)).eval()
    waveform, mask = padded([4_000, *range(4_399, 4_405), 4_720, 400 + 320 * 20])
    sequence, frames = encoder(waveform, mask)
    theirs = encoder.model._get_feature_vector_attention_mask(sequence.shape[1], mask.long())
    assert torch.equal(frames, theirs.bool())


@torch.no_grad()
def test_the_frame_mask_counts_the_windows_that_hold_real_samples_only(saved):
    encoder = AudioEncoder(saved["wav2vec2-layer"]).eval()
    lengths = [4_000, 4_399, 4_400, 4_719, 4_720, 6_800]
    _, frames = encoder(*padded(lengths))
    # a wav2vec2 frame sees 400 samples and the next starts 320 later (Baevski et al. 2020, section 4.2)
    assert frames.sum(dim=1).tolist() == [(n - 400) // 320 + 1 for n in lengths]
    waveform, mask = padded(lengths)
    spoilt = torch.where(mask, waveform, 1e4)
    torch.testing.assert_close(encoder(spoilt, mask)[0][frames], encoder(waveform, mask)[0][frames], rtol=0, atol=1e-5)


@torch.no_grad()
def test_tokens_alone_and_padded_give_the_same_sequence(saved_text):
    encoder = TextEncoder(saved_text["with pooler"]).eval()
    tokens = torch.randint(5, 60, (3, 11))
    lengths = [11, 4, 7]
    mask = torch.arange(11) < torch.tensor(lengths).unsqueeze(1)
    together, same_mask = encoder(torch.where(mask, tokens, 1), mask)
    assert torch.equal(same_mask, mask)
    for i, n in enumerate(lengths):
        alone, _ = encoder(tokens[i : i + 1, :n], torch.ones(1, n, dtype=torch.bool))
        torch.testing.assert_close(together[i, :n], alone[0], rtol=0, atol=1e-5)


# --- very short clips -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lengths", [[MIN_SAMPLES] * 3, [MIN_SAMPLES, 16_000], [1_000, 700]])
@pytest.mark.parametrize("name", ["tiny", "wav2vec2-layer", "wav2vec2-group"])
def test_a_batch_of_very_short_clips_trains(saved, name, lengths):
    encoder = AudioEncoder(saved.get(name, name)).train()
    sequence, mask = encoder(*padded(lengths))
    assert (mask.sum(dim=1) >= 1).all()
    sequence[mask].sum().backward()
    gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(gradient).all() for gradient in gradients)


def test_very_short_clips_would_stop_a_plain_model(saved):
    # negative control: SpecAugment's masks are ten frames long
    model = Wav2Vec2Model.from_pretrained(saved["wav2vec2-layer"]).train()
    with pytest.raises(ValueError, match="mask_length"):
        model(padded([1_000])[0])


@torch.no_grad()
def test_a_short_clip_gives_the_same_alone_as_beside_a_long_one(saved):
    for name in ("wav2vec2-layer", "wav2vec2-group"):
        encoder = AudioEncoder(saved[name]).eval()
        alone, mask = encoder(*padded([MIN_SAMPLES]))
        beside, _ = encoder(*padded([MIN_SAMPLES, 16_000]))
        torch.testing.assert_close(beside[0, :1], alone[mask], rtol=0, atol=1e-5)


# --- what is trained --------------------------------------------------------------------------------------------------
def trained(module: torch.nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_freeze_trains_nothing(saved, saved_text):
    assert trained(AudioEncoder("tiny")) and trained(TextEncoder("tiny"))
    assert not trained(AudioEncoder("tiny", freeze=True))
    assert not trained(TextEncoder("tiny", freeze=True))
    assert not trained(AudioEncoder(saved["wav2vec2-group"], freeze=True))
    assert not trained(TextEncoder(saved_text["with pooler"], freeze=True))


@pytest.mark.parametrize("name", ["tiny", *FAMILY])
def test_freeze_feature_encoder_keeps_exactly_the_convolutions(saved, name):
    name = saved.get(name, name)
    everything = trained(AudioEncoder(name))
    assert everything - trained(AudioEncoder(name, freeze_feature_encoder=True)) == {
        parameter for parameter in everything if ".feature_extractor." in f".{parameter}"
    }


@pytest.mark.parametrize("which", ["wav2vec2-layer", "wav2vec2-group", "text"])
def test_gradient_checkpointing_changes_neither_output_nor_gradient(saved, saved_text, which):
    found = []
    for checkpointing in (False, True):
        if which != "text":
            encoder = AudioEncoder(saved[which], gradient_checkpointing=checkpointing).train()
            inputs = padded([4_000, 6_000])
            # the first convolution has the most frames, so its activations are the largest
            assert encoder.model.feature_extractor.conv_layers[0].gradient_checkpointing == checkpointing
        else:
            encoder = TextEncoder(saved_text["with pooler"], gradient_checkpointing=checkpointing).train()
            inputs = (torch.arange(5, 29).view(2, 12), torch.ones(2, 12, dtype=torch.bool))
        assert any(getattr(part, "gradient_checkpointing", False) for part in encoder.modules()) == checkpointing
        torch.manual_seed(3)  # dropout is on
        np.random.seed(3)  # SpecAugment is on
        output, _ = encoder(*inputs)
        output.square().sum().backward()
        found.append((output, {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}))
    (plain, gradients), (checkpointed, theirs) = found
    assert torch.equal(plain, checkpointed)
    assert gradients.keys() == theirs.keys() and len(gradients) > 20
    for name, gradient in gradients.items():
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.slow  # a compiler runs
def test_compiled_layers_give_the_same_output_and_gradients_at_every_length(saved_text):
    from torch._dynamo.utils import counters

    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    torch._dynamo.reset()
    found = []
    for compiled in (False, True):
        counters.clear()
        # in evaluation mode, because dropout draws in another order when it is compiled
        encoder = TextEncoder(saved_text["with pooler"], compile_layers=compiled).eval()
        outputs = [encoder(torch.arange(5, 5 + 2 * n).view(2, n), torch.ones(2, n).bool())[0] for n in (6, 9, 12)]
        sum(output.square().sum() for output in outputs).backward()
        gradients = {name: one.grad for name, one in encoder.named_parameters() if one.grad is not None}
        found.append((outputs, gradients, counters["stats"]["unique_graphs"]))
    (plain, gradients, n_plain), (compiled, theirs, n_compiled) = found
    assert n_plain == 0 and 1 <= n_compiled < 6  # two layers at three lengths share their graphs
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)
    assert gradients.keys() == theirs.keys() and len(gradients) > 20
    for name, gradient in gradients.items():
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
def test_every_kind_of_batch_is_compiled_for_audio_and_text(saved, saved_text, monkeypatch):
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **kw: compile_(self, backend="eager", **kw))
    encoders = [
        AudioEncoder(saved["wav2vec2-layer"], layerdrop=0.0, compile_layers=True, train_last=1),
        TextEncoder(saved_text["with pooler"], compile_layers=True, train_last=1),
    ]

    def run(limit: int) -> None:
        torch._dynamo.reset()
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True, recompile_limit=limit):
            for is_training in (True, False):
                for lengths in ([6_000, 6_000], [6_000, 7_000], [8_000], [9_000, 9_000, 5_000]):
                    tokens = torch.tensor(lengths) // 1_000
                    mask = torch.arange(int(tokens.max())) < tokens[:, None]
                    inputs = [padded(lengths), (torch.full(mask.shape, 7), mask)]
                    for encoder, given in zip(encoders, inputs, strict=True):
                        encoder.train(is_training)
                        with torch.set_grad_enabled(is_training):
                            encoder(*given)

    run(torch._dynamo.config.recompile_limit)
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):  # control: torch's own limit
        run(8)


def test_an_encoder_without_known_layers_is_not_compiled(saved_text):
    encoder = TextEncoder(saved_text["with pooler"])
    encoder.model.encoder = torch.nn.Identity()
    with pytest.raises(
        ValueError, match="expected some in model.encoder, got none in RobertaModel. Set compile_layers"
    ):
        encoder.adapt(compile_layers=True)


@pytest.mark.parametrize("which", ["audio", "text"])
def test_lora_trains_its_adapters_only_and_starts_as_the_plain_encoder(saved, saved_text, which):
    pytest.importorskip("peft")
    name, cls = (
        (saved["wav2vec2-group"], AudioEncoder) if which == "audio" else (saved_text["with pooler"], TextEncoder)
    )
    plain, adapted = cls(name), cls(name, lora_rank=4)
    assert trained(adapted) and all("lora_" in parameter for parameter in trained(adapted))
    # two maps in each of two layers, each with two factors of 4 x 32 (LoRA, Hu et al. 2021: the second starts at 0)
    assert sum(p.numel() for p in adapted.parameters() if p.requires_grad) == 2 * 2 * 2 * 4 * 32
    inputs = padded([4_000, 6_000]) if which == "audio" else (torch.arange(5, 29).view(2, 12), torch.ones(2, 12).bool())
    with torch.no_grad():
        torch.testing.assert_close(adapted.eval()(*inputs)[0], plain.eval()(*inputs)[0], rtol=0, atol=0)
    adapted(*inputs)[0].square().sum().backward()
    touched = {parameter for parameter, p in adapted.named_parameters() if p.grad is not None}
    assert touched == trained(adapted)


def test_lora_weights_load_again(saved):
    pytest.importorskip("peft")
    first, second = (AudioEncoder(saved["wav2vec2-layer"], lora_rank=2) for _ in range(2))
    with torch.no_grad():
        for parameter in first.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    second.load_state_dict(first.state_dict(), strict=True)
    inputs = padded([4_000])
    with torch.no_grad():
        assert torch.equal(first.eval()(*inputs)[0], second.eval()(*inputs)[0])


def test_lora_with_gradient_checkpointing_still_trains(saved_text):
    pytest.importorskip("peft")
    encoder = TextEncoder(saved_text["with pooler"], lora_rank=2, gradient_checkpointing=True).train()
    encoder(torch.arange(5, 17).view(1, 12), torch.ones(1, 12).bool())[0].square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters() if p.requires_grad)


def test_layerdrop_leaves_layers_out_in_training_only(saved):
    inputs = padded([6_000])
    for share, is_used in ((0.0, True), (1.0, False)):
        encoder = AudioEncoder(saved["wav2vec2-layer"], layerdrop=share).train()
        encoder(*inputs)[0].sum().backward()
        in_layers = [p.grad for name, p in encoder.named_parameters() if ".layers." in name]
        assert in_layers and all((gradient is not None) == is_used for gradient in in_layers)
    with torch.no_grad():
        dropping = AudioEncoder(saved["wav2vec2-layer"], layerdrop=1.0).eval()
        keeping = AudioEncoder(saved["wav2vec2-layer"], layerdrop=0.0).eval()
        assert torch.equal(dropping(*inputs)[0], keeping(*inputs)[0])


def test_layerdrop_is_the_encoder_s_own_where_none_is_given(saved):
    assert AudioEncoder(saved["ctc"]).model.config.layerdrop == 0.25
    assert AudioEncoder(saved["ctc"], layerdrop=0.5).model.config.layerdrop == 0.5
    assert AudioEncoder("tiny", layerdrop=0.5).model.config.layerdrop == 0.5


# --- loading ----------------------------------------------------------------------------------------------------------
def test_a_recogniser_s_checkpoint_loads_as_its_encoder(saved):
    # kresnik/wav2vec2-large-xlsr-korean is one
    encoder, recogniser = AudioEncoder(saved["ctc"]), Wav2Vec2ForCTC.from_pretrained(saved["ctc"])
    theirs = recogniser.wav2vec2.state_dict()
    assert encoder.model.state_dict().keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in encoder.model.state_dict().items())
    assert encoder.dim == 32


@pytest.mark.parametrize("name", ["with pooler", "masked language model"])
def test_a_text_encoder_has_no_pooler(saved_text, name):
    # a masked language model's checkpoint has none: it would be random, and not the same in two loads
    first, second = TextEncoder(saved_text[name]), TextEncoder(saved_text[name])
    assert not any("pooler" in parameter for parameter, _ in first.named_parameters())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert first.dim == 32


def test_weights_saved_in_half_precision_load_as_float32(tmp_path):
    RobertaModel(RobertaConfig(**SMALL_TEXT)).half().save_pretrained(tmp_path)
    assert {p.dtype for p in TextEncoder(str(tmp_path)).parameters()} == {torch.float32}


@pytest.mark.parametrize(("cls", "which"), [(AudioEncoder, "audio"), (TextEncoder, "text")])
def test_an_encoder_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path, cls, which):
    with pytest.raises(OSError, match=f"{which} encoder must be .* save_pretrained.*encoders.{which}.name="):
        cls(str(tmp_path / "nowhere"))


def test_a_text_model_is_no_audio_encoder(saved_text):
    with pytest.raises(ValueError, match="wav2vec2 family.*RobertaModel"):
        AudioEncoder(saved_text["with pooler"])


def test_tiny_encoders_come_from_the_seed_alone():
    def build():
        torch.manual_seed(11)
        return [*AudioEncoder("tiny").parameters(), *TextEncoder("tiny").parameters()]

    assert all(torch.equal(a, b) for a, b in zip(build(), build(), strict=True))
