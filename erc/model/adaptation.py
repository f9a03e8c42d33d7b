"""What is trained of a pre-trained encoder, and how: frozen weights, adapters, checkpointing, compiled layers."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

N_GRAPHS = 64
"""Kinds of inputs for which layers are compiled, at most."""


def adapt(
    model: PreTrainedModel,
    freeze: bool,
    gradient_checkpointing: bool,
    lora_rank: int | None,
    lora_targets: list[str],
    compile_layers: bool = False,
) -> nn.Module:
    """The model with what is trained of it, and how.

    Args:
        model: Changed in place.
        freeze: Train nothing of it, and leave dropout off.
        gradient_checkpointing: Save memory at the cost of a second forward pass.
        lora_rank: Rank of low-rank adapters, which are trained instead of the weights; None trains the weights.
        lora_targets: Names of the linear maps that get adapters.
        compile_layers: Compile each transformer layer for sequences of any length; the layers share what was compiled.

    Raises:
        ImportError: Adapters are asked for, and ``peft`` is not installed.
        ValueError: The encoder has no layers that are known.
    """
    if compile_layers:
        _compile(model)
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
        # The adapters stand in the model itself, so the model keeps its class and its methods.
        return get_peft_model(model, lora).get_base_model()
    return model


def _compile(model: PreTrainedModel) -> None:
    # the layers of all encoders are one piece of code to torch, which gives up after eight kinds of inputs: training or not,
    # with padding or not, a batch of one, an input that has a gradient or has none
    from torch._dynamo import config  # heavy

    config.recompile_limit = max(N_GRAPHS, config.recompile_limit)
    for layer in _layers(model):
        layer.compile(dynamic=True)


def _layers(model: PreTrainedModel) -> nn.ModuleList:
    """The transformer layers of an encoder."""
    encoder = getattr(model, "encoder", nn.Module())
    found = next((part for _, part in encoder.named_children() if isinstance(part, nn.ModuleList)), None)
    if found is None:
        raise ValueError(
            f"compile_layers compiles the transformer layers of an encoder: expected some in model.encoder, got none in "
            f"{type(model).__name__}. Set compile_layers=false."
        )
    return found
