"""Pre-trained wav2vec2 and RoBERTa: waveform or tokens -> sequence and mask. No pooling, no fusion.

An encoder is named by a hub id, by a directory that ``save_pretrained`` wrote (both work offline), or by ``tiny``:
a small configuration with random weights, for the demo and the tests.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

from erc.batch import TINY, not_loadable, tiny_vocabulary


class AudioEncoder(nn.Module):
    """wav2vec2 (or another encoder with its interface: HuBERT, WavLM).

    Args:
        name: Hub id, directory, or ``tiny``.
        revision: Commit, tag or branch on the hub.
        freeze: Train nothing of it.
        freeze_feature_encoder: Keep the convolutions as they were pre-trained.
        gradient_checkpointing: Trade a second forward pass for memory.
        layerdrop: Share of transformer layers left out at random in training; None keeps the encoder's own value.
        lora_rank: Train low-rank adapters of that rank on the attention instead of the weights (needs ``peft``).

    Attributes:
        dim: Width D of the sequence.

    Raises:
        OSError: The encoder's files cannot be had.
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        freeze: bool = False,
        freeze_feature_encoder: bool = False,
        gradient_checkpointing: bool = False,
        layerdrop: float | None = None,
        lora_rank: int | None = None,
    ) -> None:
        super().__init__()
        overrides = {} if layerdrop is None else {"layerdrop": layerdrop}
        self.model = (
            Wav2Vec2Model(_tiny_audio(**overrides)) if name == TINY else _load("audio", name, revision, overrides)
        )
        if not hasattr(self.model, "_get_feat_extract_output_lengths"):
            raise ValueError(
                f"Audio encoders must be of the wav2vec2 family (wav2vec2, HuBERT, WavLM): {name} is a "
                f"{type(self.model).__name__}."
            )
        config = self.model.config
        self.dim: int = config.output_hidden_size if getattr(config, "add_adapter", False) else config.hidden_size
        self._group_norm = _mask_group_norm(self.model) if config.feat_extract_norm == "group" else None
        if freeze_feature_encoder:
            self.model.feature_extractor._freeze_parameters()  # what freeze_feature_encoder does; HuBERT has no such method
        self.model = _adapt(self.model, freeze, gradient_checkpointing, lora_rank, ["q_proj", "v_proj"])
        # SpecAugment needs a sequence longer than one of its masks; a batch of very short clips is padded up to that
        self.min_samples = self._samples_for(config.mask_time_length + 1)
        self._frame_samples = self._samples_for(1)

    def forward(self, waveform: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L) float32 and (B, L) bool -> (B, T, D) and (B, T) bool."""
        if waveform.shape[1] < self.min_samples:
            padding = (0, self.min_samples - waveform.shape[1])
            waveform, mask = nn.functional.pad(waveform, padding), nn.functional.pad(mask, padding)
        # a clip shorter than one frame of this encoder is that one frame, filled up with silence
        n_samples = mask.sum(dim=1).clamp(min=self._frame_samples)
        mask = torch.arange(waveform.shape[1], device=mask.device) < n_samples.unsqueeze(1)
        if self._group_norm is not None:
            config = self.model.config
            self._group_norm.n_frames = (n_samples - config.conv_kernel[0]) // config.conv_stride[0] + 1
        sequence = self.model(input_values=waveform, attention_mask=mask.long()).last_hidden_state
        n_frames = self._n_frames(n_samples)
        if self.training and torch.distributed.is_initialized() and hasattr(self.model, "masked_spec_embed"):
            # a batch in which SpecAugment draws no mask must not leave a parameter without gradient: the processes wait for it
            sequence = sequence + 0.0 * self.model.masked_spec_embed.sum()
        return sequence, torch.arange(sequence.shape[1], device=mask.device) < n_frames.unsqueeze(1)

    def _n_frames(self, n_samples: torch.Tensor) -> torch.Tensor:
        return self.model._get_feat_extract_output_lengths(n_samples).long()

    def _samples_for(self, n_frames: int) -> int:
        """Samples that give at least so many frames: the convolutions' arithmetic backwards."""
        config = self.model.config
        n = n_frames
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            n = (n - 1) * stride + kernel
        return n


class TextEncoder(nn.Module):
    """RoBERTa (or another encoder that ``AutoModel`` loads).

    Args:
        name: Hub id, directory, or ``tiny``.
        revision: Commit, tag or branch on the hub.
        freeze: Train nothing of it.
        gradient_checkpointing: Trade a second forward pass for memory.
        lora_rank: Train low-rank adapters of that rank on the attention instead of the weights (needs ``peft``).

    Attributes:
        dim: Width D of the sequence.

    Raises:
        OSError: The encoder's files cannot be had.
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        freeze: bool = False,
        gradient_checkpointing: bool = False,
        lora_rank: int | None = None,
    ) -> None:
        super().__init__()
        self.model = RobertaModel(_tiny_text()) if name == TINY else _load("text", name, revision, {})
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # random in a masked language model's checkpoint, and not used here
        self.dim: int = self.model.config.hidden_size
        self.model = _adapt(self.model, freeze, gradient_checkpointing, lora_rank, ["query", "value"])

    def forward(self, token_ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S) int64 and (B, S) bool -> (B, S, D) and (B, S) bool."""
        return self.model(input_ids=token_ids, attention_mask=mask.long()).last_hidden_state, mask


def _load(which: str, name: str, revision: str | None, overrides: dict) -> nn.Module:
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, **overrides)
        model = AutoModel.from_pretrained(name, revision=revision, config=config, dtype=torch.float32)
    except (OSError, ValueError) as err:
        raise OSError(not_loadable(which, name, err)) from err
    # it comes in evaluation mode, which Lightning leaves as it is: dropout and SpecAugment would never run
    return model.train()


def _adapt(
    model: nn.Module, freeze: bool, gradient_checkpointing: bool, lora_rank: int | None, lora_targets: list[str]
) -> nn.Module:
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if freeze:
        model.requires_grad_(False).eval()
    elif lora_rank is not None:
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as err:
            raise ImportError("lora_rank needs the package peft, which is optional: pip install peft") from err
        lora = LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, lora_dropout=0.05, target_modules=lora_targets)
        # the adapters are put into the model itself, so it keeps its class and its methods
        model = get_peft_model(model, lora).get_base_model()
    return model


class _MaskedGroupNorm(nn.GroupNorm):
    """Group norm with one group a channel whose mean and variance come from the real frames only.

    wav2vec2 with ``feat_extract_norm="group"`` normalises its first layer over time, padding included, so a prediction
    would depend on the longest segment of the batch (16 to 52 % of the pooled vector, measured).
    """

    n_frames: torch.Tensor

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, C, T) -> (B, C, T)."""
        mask = (torch.arange(hidden.shape[-1], device=hidden.device) < self.n_frames.unsqueeze(1)).unsqueeze(1)
        count = self.n_frames.view(-1, 1, 1).to(hidden.dtype)
        mean = (hidden * mask).sum(dim=-1, keepdim=True) / count
        centred = (hidden - mean) * mask
        variance = centred.square().sum(dim=-1, keepdim=True) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight.view(1, -1, 1) + self.bias.view(1, -1, 1)


def _mask_group_norm(model: nn.Module) -> _MaskedGroupNorm:
    first = model.feature_extractor.conv_layers[0]
    masked = _MaskedGroupNorm(first.layer_norm.num_groups, first.layer_norm.num_channels, eps=first.layer_norm.eps)
    masked.load_state_dict(first.layer_norm.state_dict())
    first.layer_norm = masked
    return masked


def _tiny_audio(layerdrop: float = 0.0) -> Wav2Vec2Config:
    """wav2vec2-large's layer norm variant at 1/16 of its width with two layers, and 20 ms a frame in three convolutions.

    Seven convolutions, as wav2vec2 has, would take several times as long: the first few run at the highest rates.
    """
    return Wav2Vec2Config(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=(16, 32, 64),
        conv_kernel=(20, 12, 8),
        conv_stride=(10, 8, 4),
        num_feat_extract_layers=3,
        feat_extract_norm="layer",
        feat_extract_activation="relu",
        do_stable_layer_norm=True,
        conv_bias=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        layerdrop=layerdrop,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        mask_time_prob=0.05,
    )


def _tiny_text() -> RobertaConfig:
    """RoBERTa's shape at width 64, two layers, with the vocabulary of ``batch.tiny_vocabulary``."""
    return RobertaConfig(
        vocab_size=len(tiny_vocabulary()),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,
    )
