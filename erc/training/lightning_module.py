"""The LightningModule: batch -> prediction -> loss -> step; predictions of a fold -> metrics -> log.

Keys of the log: ``train/loss``, ``train/loss_emotion``, ``train/loss_va`` per epoch; ``valid/<metric>`` for each metric of
``erc.evaluation.evaluate``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from pytorch_lightning.utilities.types import LRSchedulerConfigType, OptimizerConfig, OptimizerLRSchedulerConfig
from torch import nn

from erc.data import Batch, InputBatch
from erc.evaluation import evaluate
from erc.model import EmotionModel, Prediction
from erc.training.frozen_weights import complete, fingerprints, names_left_out
from erc.training.losses import MultitaskLoss


class EmotionModule(pl.LightningModule):
    """Trains an ``EmotionModel`` and evaluates it over whole folds.

    The generators of random numbers (dropout, layer drop, SpecAugment) are seeded from (seed, step) before every training
    step. So a run that was resumed at the end of an epoch takes the same steps as a run that was never stopped.

    Args:
        model: Model that predicts.
        loss: What is minimised.
        optimizer: Builds the optimizer from the model.
        scheduler: Builds the schedule from the optimizer and the number of steps.
        seed: Seed of the training steps.

    Attributes:
        valid_metrics: Metrics of the last validation.
        valid_predictions: Its predictions, as ``gathered`` gives them.
    """

    def __init__(
        self,
        model: EmotionModel,
        loss: MultitaskLoss,
        optimizer: Callable[[EmotionModel], torch.optim.Optimizer],
        scheduler: Callable[..., LRSchedulerConfigType | None],
        seed: int,
    ) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self._build_optimizer, self._build_scheduler = optimizer, scheduler
        self.seed = seed
        self.valid_metrics: dict[str, float] = {}
        self.valid_predictions: dict[str, np.ndarray] = {}
        self._gathered: list[dict] = []
        self._segments: list[str] = []
        self._fingerprints: dict[str, str] = {}
        self._norm: torch.Tensor | None = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves out the frozen layers, and writes down which they were; see ``frozen_weights.py``."""
        left_out = names_left_out(self.model)
        if left_out:
            state = checkpoint["state_dict"]
            checkpoint["state_dict"] = {name: value for name, value in state.items() if name not in left_out}
            self._fingerprints = self._fingerprints or fingerprints(self.model)
            checkpoint["frozen"] = self._fingerprints

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts the frozen layers back; raises ValueError if the encoders are others than those of the checkpoint."""
        complete(checkpoint, self.model)

    def setup(self, stage: str) -> None:
        """Switches layer drop off if several processes train.

        Each process would drop other layers; DDP would wait for the gradients of the dropped layers forever.
        """
        if self.trainer.world_size == 1:
            return
        for modality, encoder in self.model.encoders.items():
            configs: list[Any] = [module.config for module in encoder.modules() if hasattr(module, "config")]
            dropping = [config for config in configs if getattr(config, "layerdrop", 0.0) > 0]
            for config in dropping:
                config.layerdrop = 0.0
            if dropping and self.trainer.is_global_zero:
                print(f"Several processes: the {modality} encoder's layerdrop is set to 0.")

    def configure_optimizers(self) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        """Optimizer, and its schedule if there is one."""
        optimizer = self._build_optimizer(self.model)
        schedule = self._build_scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer} if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}

    def forward(self, batch: InputBatch) -> Prediction:
        """Prediction for a batch, with or without labels."""
        return self.model(batch["inputs"])

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seeds the global generators: SpecAugment of wav2vec2 draws from NumPy's, dropout from torch's."""
        seed = int(np.random.SeedSequence([self.seed, self.global_step, self.global_rank]).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, torch.Tensor]:
        """Losses of one batch.

        Raises:
            ValueError: The loss is not finite.
        """
        self._segments = batch["segment_id"]
        losses = self._losses(self(batch), batch)
        if not torch.isfinite(losses["loss"]):
            raise ValueError(
                f"The loss must be finite: got {losses['loss'].item()} at step {self.global_step}, epoch "
                f"{self.current_epoch}, on the segments {', '.join(batch['segment_id'])}. Check their audio, or lower "
                "the learning rates (optim.lr)."
            )
        self.log_dict(
            {f"train/{name}": value for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch["segment_id"]),
            sync_dist=True,
        )
        self.log("loss", losses["loss"], prog_bar=True, logger=False, batch_size=len(batch["segment_id"]))
        return losses

    def _losses(self, prediction: Prediction, batch: Batch) -> dict[str, torch.Tensor]:
        return self.loss(
            emotion_logits=prediction.emotion_logits.float(),
            va=prediction.va.float(),
            target=batch["target"].float(),
            va_target=batch["va"].float(),
        )

    def on_after_backward(self) -> None:
        """Checks the gradients of the batch before the optimizer takes its step.

        Raises:
            ValueError: A gradient is not finite. Clipping would turn it into weights that are not finite.
        """
        self._norm = None
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return  # float16: the scaler skips such a step and lowers its scale
        self._norm = nn.utils.get_total_norm(
            [
                one.grad
                for optimizer in self.trainer.optimizers
                for one in _trained_by(optimizer)
                if one.grad is not None
            ]
        )
        if torch.isfinite(self._norm):
            return
        found = [
            name
            for name, parameter in self.named_parameters()
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
        ]
        if found:  # else the sum of squares is too large a number, and every gradient is finite
            raise ValueError(
                f"Gradients must be finite: got others in {len(found)} parameters, {found[0]} first, at step "
                f"{self.global_step}, epoch {self.current_epoch}, on the segments {', '.join(self._segments)}. Check their "
                "audio, or lower the learning rates (optim.lr)."
            )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips as Lightning does, with the norm that ``on_after_backward`` has computed; also with a fused optimizer.

        A callback that changes gradients after that must not expect them to be clipped by their new norm.

        Lightning refuses bf16-mixed with a fused optimizer, because that one unscales the gradients of float16 after they were
        clipped. bfloat16 scales none (Lightning's issue 21435).
        """
        plugin, norm = self.trainer.precision_plugin, self._norm
        self._norm = None
        is_known = type(plugin) in (Precision, MixedPrecision)
        if norm is not None and is_known and gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            if norm + 1e-6 > gradient_clip_val:  # else torch would multiply by 1
                nn.utils.clip_grads_with_norm_(_trained_by(optimizer), gradient_clip_val, norm)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_validation_epoch_start(self) -> None:
        """Forgets the last validation's predictions."""
        self._gathered = []

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, torch.Tensor]:
        """Keeps the predictions of one batch.

        Returns:
            Its losses, which decide nothing.

        Raises:
            ValueError: A prediction is not finite.
        """
        prediction = self(batch)
        self._gathered.append(self._checked(prediction, batch))
        return self._losses(prediction, batch)

    def on_validation_epoch_end(self) -> None:
        """Metrics over the whole fold."""
        found = self.valid_predictions = self.gathered()
        self._gathered = []
        self.valid_metrics = evaluate(
            label_space=self.model.label_space,
            hard_label=found["hard_label"],
            is_tied=found["is_tied"],
            va=found["va"],
            emotion_probs=found["emotion_probs"],
            pred_va=found["pred_va"],
        )
        self.log_dict(
            {f"valid/{name}": float(value) for name, value in self.valid_metrics.items()},
            batch_size=1,
            rank_zero_only=False,
        )

    def on_test_epoch_start(self) -> None:
        """Forgets earlier predictions."""
        self._gathered = []

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Keeps the predictions of one batch; ``gathered`` returns them.

        Raises:
            ValueError: A prediction is not finite.
        """
        self._gathered.append(self._checked(self(batch), batch))

    def _checked(self, prediction: Prediction, batch: Batch) -> dict[str, np.ndarray]:
        """Predictions of one batch beside its labels."""
        found = _as_arrays(prediction, batch)
        is_finite = np.isfinite(found["emotion_probs"]).all(axis=1) & np.isfinite(found["pred_va"]).all(axis=1)
        if not is_finite.all():
            raise ValueError(
                f"Predictions must be finite: got others at step {self.global_step}, epoch {self.current_epoch}, for the "
                f"segments {', '.join(found['segment_id'][~is_finite])} of the batch {', '.join(batch['segment_id'])}. Check "
                "their audio, or lower the learning rates (optim.lr)."
            )
        return found

    def gathered(self) -> dict[str, np.ndarray]:
        """Predictions of the last validation or test, from all processes.

        Returns:
            segment_id (N,), hard_label (N,), is_tied (N,), va (N, R), emotion_probs (N, K), pred_va (N, R),
            embedding (N, D); each segment once, sorted by id.
        """
        parts = self._gathered
        if self.trainer.world_size > 1:
            everyone: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(everyone, parts)
            parts = [part for process in everyone for part in process]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        _, first = np.unique(joined["segment_id"], return_index=True)
        return {name: values[first] for name, values in joined.items()}


def _trained_by(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _as_arrays(prediction: Prediction, batch: Batch) -> dict[str, np.ndarray]:
    return {
        "segment_id": np.array(batch["segment_id"]),
        "hard_label": batch["hard_label"].cpu().numpy(),
        "is_tied": batch["is_tied"].cpu().numpy(),
        "va": batch["va_exact"],
        "emotion_probs": prediction.probabilities().cpu().numpy(),
        "pred_va": prediction.va.double().cpu().numpy(),
        "embedding": prediction.embedding.float().cpu().numpy(),
    }
