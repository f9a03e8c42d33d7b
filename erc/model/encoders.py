"""Pre-trained encoders: waveform or tokens -> sequence and mask. No pooling, no fusion.

An encoder is named by a hub id, by a directory that ``save_pretrained`` wrote, or by ``tiny``: a small configuration with
random weights, for the demo and the tests. A directory and ``tiny`` need no network.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Interval
from torch import nn
from transformers import AutoModel, PreTrainedConfig, RobertaModel, Wav2Vec2Model
from transformers.modeling_layers import GradientCheckpointingLayer

from erc.model.adaptation import adapt
from erc.model.layer_cut import LayerCut, cut_complaint
from erc.model.pretrained import TINY, load_encoder, tiny_audio_config, tiny_text_config


class Encoder(nn.Module):
    """What every encoder has: the width of its sequence, one signature.

    Attributes:
        dim: Width D of the sequence.
    """

    dim: int

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and mask of ``ModalityInput`` -> sequence (B, T, D) and its mask (B, T) bool."""
        raise NotImplementedError


class PretrainedEncoder(Encoder):
    """An encoder that holds a model of Hugging Face, which may be divided into a frozen and a trained part.

    Attributes:
        cut: Where it is divided (option ``train_last``); None where it is not.
    """

    model: Any
    cut: LayerCut | None = None

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and mask of ``ModalityInput`` -> sequence (B, T, D) and its mask (B, T) bool.

        An encoder with a cut also takes what ``below`` gave before: hidden states (B, T, D) and their mask.
        """
        if self.cut is None:
            return self._run(self.model, values, mask)
        hidden, mask = (values, mask) if values.dim() == 3 else self.below(values, mask)
        return self.cut.above(hidden, mask, self.training), mask

    def below(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the cut lets through: arguments of ``forward`` -> hidden states (B, T, D) and their mask (B, T) bool.

        No activation is kept. The result is the same in training and in evaluation mode.
        """
        assert self.cut is not None
        with torch.no_grad():
            return self._run(self.cut.below(), values, mask)

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """As for every module; what is below a cut stays in evaluation mode."""
        super().train(mode)
        if self.cut is not None:
            self.cut.set_mode(mode)
        return self

    def _run(self, model: Any, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The model, or its part below the cut, and arguments of ``forward`` -> last hidden state and the mask of that."""
        raise NotImplementedError

    def _divide(self, **options: Any) -> None:
        """Sets the cut, or takes it away; arguments as those of ``adapt``."""
        complaint = cut_complaint(options)
        if complaint:
            raise ValueError(f"{complaint}.")
        self.cut = None if options["train_last"] is None else LayerCut(self.model, options["train_last"])
        if self.cut is not None:
            self.cut.set_mode(self.training)


class AudioEncoder(PretrainedEncoder):
    """wav2vec2, or another encoder with the same interface (HuBERT, WavLM).

    Args:
        name: Hub id, directory, or ``tiny``.
        revision: Commit, tag or branch on the hub.
        freeze: Train nothing of it.
        freeze_feature_encoder: Keep the convolutions as they were pre-trained.
        gradient_checkpointing: Save memory at the cost of a second forward pass.
        layerdrop: Share of the transformer layers that training leaves out at random; None keeps the encoder's own value.
        lora_rank: Rank of low-rank adapters of the attention, which are trained instead of the weights (needs ``peft``).
        train_last: Train only so many of its last layers, 0 for none, and freeze the rest (``layer_cut.py``); None trains all.
        compile_layers: Compile the transformer layers with ``torch.compile``, when each kind of batch comes first.

    Attributes:
        dim: Width D of the sequence.
        min_samples: Shorter batches are padded to so many samples: SpecAugment needs a sequence longer than one mask.

    Raises:
        OSError: The encoder's files cannot be loaded.
        ValueError: The encoder is not of the wav2vec2 family, or cannot be divided as ``train_last`` says, or its layers are
            not found for ``compile_layers``.
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        freeze: bool = False,
        freeze_feature_encoder: bool = False,
        gradient_checkpointing: bool = False,
        layerdrop: Annotated[float, Interval(ge=0, lt=1)] | None = None,
        lora_rank: Annotated[int, Ge(1)] | None = None,
        train_last: Annotated[int, Ge(0)] | None = None,
        compile_layers: bool = False,
    ) -> None:
        super().__init__()
        overrides = {} if layerdrop is None else {"layerdrop": layerdrop}
        # Any, here and below: the types of Hugging Face's models do not declare their submodules
        model: Any = (
            Wav2Vec2Model(tiny_audio_config(**overrides))
            if name == TINY
            else load_encoder("audio", name, revision, overrides)
        )
        self._take(model, name)
        self.adapt(freeze, freeze_feature_encoder, gradient_checkpointing, None, lora_rank, train_last, compile_layers)

    def adapt(
        self,
        freeze: bool = False,
        freeze_feature_encoder: bool = False,
        gradient_checkpointing: bool = False,
        layerdrop: float | None = None,
        lora_rank: int | None = None,
        train_last: int | None = None,
        compile_layers: bool = False,
    ) -> None:
        """Sets what is trained of it, and how; arguments as above."""
        if layerdrop is not None:
            self.model.config.layerdrop = layerdrop
        if freeze_feature_encoder:
            # what the model's freeze_feature_encoder does; HubertModel has no such method
            self.model.feature_extractor._freeze_parameters()
        self.model = adapt(self.model, freeze, gradient_checkpointing, lora_rank, ["q_proj", "v_proj"], compile_layers)
        self._divide(
            freeze=freeze, freeze_feature_encoder=freeze_feature_encoder, lora_rank=lora_rank, train_last=train_last
        )

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> AudioEncoder:
        """An encoder with new weights, in the form that a configuration says; for weights that are loaded afterwards."""
        encoder = cls.__new__(cls)
        nn.Module.__init__(encoder)
        encoder._take(AutoModel.from_config(config), config.model_type)
        return encoder

    def _take(self, model: Any, name: str) -> None:
        """Makes a Hugging Face model the encoder's own."""
        if not hasattr(model, "_get_feat_extract_output_lengths"):
            raise ValueError(
                f"Audio encoders must be of the wav2vec2 family (wav2vec2, HuBERT, WavLM): {name} is a "
                f"{type(model).__name__}. Set encoders.audio.name to one of these."
            )
        config = model.config
        self.dim: int = config.output_hidden_size if getattr(config, "add_adapter", False) else config.hidden_size
        self._reads_mask = config.feat_extract_norm == "group"
        if self._reads_mask:
            model.feature_extractor = _MaskedFeatureEncoder(model.feature_extractor)
        self.model = model
        self.min_samples = self._samples_for(config.mask_time_length + 1)
        self._frame_samples = self._samples_for(1)

    def _run(self, model: Any, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (B, L) float32 and mask (B, L) bool -> sequence (B, T, D) and mask (B, T) bool."""
        if values.shape[1] < self.min_samples:
            padding = (0, self.min_samples - values.shape[1])
            values, mask = nn.functional.pad(values, padding), nn.functional.pad(mask, padding)
        # A clip that is shorter than one frame counts as one frame: it is filled up with silence.
        n_samples = mask.sum(dim=1).clamp(min=self._frame_samples)
        mask = torch.arange(values.shape[1], device=mask.device) < n_samples.unsqueeze(1)
        read = torch.stack([values, mask.to(values.dtype)], dim=1) if self._reads_mask else values
        sequence = model(input_values=read, attention_mask=mask.long()).last_hidden_state
        n_frames = self.n_steps(n_samples)
        if self.training and torch.distributed.is_initialized() and hasattr(self.model, "masked_spec_embed"):
            # SpecAugment may draw no mask in a batch. Keep its parameter in the graph even then; otherwise DDP waits for
            # the parameter's gradient forever.
            sequence = sequence + 0.0 * self.model.masked_spec_embed.sum()
        return sequence, torch.arange(sequence.shape[1], device=mask.device) < n_frames.unsqueeze(1)

    def n_steps(self, n_samples: torch.Tensor) -> torch.Tensor:
        """Number of samples (B,) of each segment -> steps of its sequence (B,), 1 or more."""
        return self.model._get_feat_extract_output_lengths(n_samples.clamp(min=self._frame_samples)).long()

    def _samples_for(self, n_frames: int) -> int:
        """Fewest samples that give so many frames: the arithmetic of the convolutions, backwards."""
        config = self.model.config
        n = n_frames
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            n = (n - 1) * stride + kernel
        return n


class TextEncoder(PretrainedEncoder):
    """RoBERTa, or another encoder that ``AutoModel`` loads.

    Args:
        name: Hub id, directory, or ``tiny``.
        revision: Commit, tag or branch on the hub.
        freeze: Train nothing of it.
        gradient_checkpointing: Save memory at the cost of a second forward pass.
        lora_rank: Rank of low-rank adapters of the attention, which are trained instead of the weights (needs ``peft``).
        train_last: Train only so many of its last layers, 0 for none, and freeze the rest (``layer_cut.py``); None trains all.
        compile_layers: Compile the transformer layers with ``torch.compile``, when each kind of batch comes first.

    Attributes:
        dim: Width D of the sequence.

    Raises:
        OSError: The encoder's files cannot be loaded.
        ValueError: It cannot be divided as ``train_last`` says, or its layers are not found for ``compile_layers``.
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        freeze: bool = False,
        gradient_checkpointing: bool = False,
        lora_rank: Annotated[int, Ge(1)] | None = None,
        train_last: Annotated[int, Ge(0)] | None = None,
        compile_layers: bool = False,
    ) -> None:
        super().__init__()
        model: Any = RobertaModel(tiny_text_config()) if name == TINY else load_encoder("text", name, revision, {})
        self._take(model)
        self.adapt(freeze, gradient_checkpointing, lora_rank, train_last, compile_layers)

    def adapt(
        self,
        freeze: bool = False,
        gradient_checkpointing: bool = False,
        lora_rank: int | None = None,
        train_last: int | None = None,
        compile_layers: bool = False,
    ) -> None:
        """Sets what is trained of it, and how; arguments as above."""
        self.model = adapt(self.model, freeze, gradient_checkpointing, lora_rank, ["query", "value"], compile_layers)
        self._divide(freeze=freeze, lora_rank=lora_rank, train_last=train_last)

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> TextEncoder:
        """An encoder with new weights, in the form that a configuration says; for weights that are loaded afterwards."""
        encoder = cls.__new__(cls)
        nn.Module.__init__(encoder)
        encoder._take(AutoModel.from_config(config))
        return encoder

    def _take(self, model: Any) -> None:
        """Makes a Hugging Face model the encoder's own."""
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # not used here; random where the checkpoint is a masked language model's
        self.dim: int = model.config.hidden_size
        self.model = model

    def _run(self, model: Any, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids (B, S) int64 and mask (B, S) bool -> sequence (B, S, D) and the same mask."""
        return model(input_ids=values, attention_mask=mask.long()).last_hidden_state, mask


class _MaskedFeatureEncoder(nn.Module):
    """The convolutions of an encoder with ``feat_extract_norm="group"``, with a group norm that knows the real samples.

    The Hugging Face model passes its ``input_values`` to this module unchanged. They hold the waveform and its mask, so the
    number of frames is computed from an argument, which ``torch.export`` and ONNX can follow. The parameters keep their
    names, so checkpoints load as before.

    Args:
        feature_encoder: The model's own.
    """

    def __init__(self, feature_encoder: Any) -> None:
        super().__init__()
        first, *others = feature_encoder.conv_layers
        self.conv_layers = nn.ModuleList([_MaskedConvLayer(first), *others])

    def _freeze_parameters(self) -> None:
        """Has the name of the method of the module that is replaced."""
        self.requires_grad_(False)

    def forward(self, waveform_and_mask: torch.Tensor) -> torch.Tensor:
        """(B, 2, L): waveform, and 1 where it is real -> (B, C, T)."""
        first, *others = self.conv_layers
        n_samples = waveform_and_mask[:, 1].bool().sum(dim=1)
        hidden = first(waveform_and_mask[:, :1], n_samples)
        for layer in others:
            hidden = layer(hidden)
        return hidden


class _MaskedConvLayer(GradientCheckpointingLayer):
    """Convolution, group norm over the real frames, activation: the parts of the first layer of a wav2vec2 encoder."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.conv: nn.Conv1d = layer.conv
        self.layer_norm: nn.GroupNorm = layer.layer_norm
        self.activation: nn.Module = layer.activation

    def forward(self, waveform: torch.Tensor, n_samples: torch.Tensor) -> torch.Tensor:
        """(B, 1, L) and number of real samples (B,) -> (B, C, T)."""
        n_frames = (n_samples - self.conv.kernel_size[0]) // self.conv.stride[0] + 1
        norm = self.layer_norm
        hidden = masked_group_norm(self.conv(waveform), n_frames, norm.weight, norm.bias, norm.eps)
        return self.activation(hidden)


def masked_group_norm(
    hidden: torch.Tensor, n_frames: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """Group norm with one group per channel; mean and variance come from the real frames only.

    wav2vec2 with ``feat_extract_norm="group"`` normalises its first layer over time, padding included. A prediction would
    then depend on the longest segment of the batch (16 to 52 % of the pooled vector, measured).

    Source: Wu and He (2018), "Group Normalization", arXiv 1803.08494; the variance divides by the number of frames.

    Args:
        hidden: (B, C, T).
        n_frames: (B,) number of real frames, which come first.
        weight: (C,) factor of each channel.
        bias: (C,) offset of each channel.
        eps: Added to the variance.

    Returns:
        (B, C, T); a padded frame holds ``bias``.
    """
    mask = (torch.arange(hidden.shape[-1], device=hidden.device) < n_frames.unsqueeze(1)).unsqueeze(1)
    count = n_frames.view(-1, 1, 1).to(hidden.dtype)
    mean = (hidden * mask).sum(dim=-1, keepdim=True) / count
    centred = (hidden - mean) * mask
    variance = centred.square().sum(dim=-1, keepdim=True) / count
    return centred * torch.rsqrt(variance + eps) * weight.view(1, -1, 1) + bias.view(1, -1, 1)
