"""Training a detector of any family in a Lightning module."""

import copy
import math
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from common.base.errors import InputError
from common.learn.training import EpochSampler, History, fit
from competitions.face_counting.experiment import TrainingSettings
from competitions.face_counting.models.augmentation import Batch, TrainingImages, collate
from competitions.face_counting.models.base import FaceDetector

EMA_RAMP_STEPS = 200.0
"""The decay of the EMA rises from 0 to its full value over a few times this number of steps."""


class DetectorTraining(lightning.LightningModule):
    """Minimise a detector's losses.

    Parameters
    ----------
    steps : optimizer steps of the whole training, over which warm-up and cosine are spread.
    """

    def __init__(self, network: FaceDetector, settings: TrainingSettings, steps: int) -> None:
        super().__init__()
        self.network, self.settings, self.steps = network, settings, steps
        for prefix in settings.freeze:
            named = [value for name, value in network.named_parameters() if name.startswith(prefix)]
            if not named:
                raise InputError(f"training.freeze: no parameter of this network begins with {prefix!r}")
            for value in named:
                value.requires_grad_(False)
        # A child module, so that the checkpoint of an interrupted training holds it.
        self.average = copy.deepcopy(network).requires_grad_(False) if settings.ema_decay else None

    @property
    def trained(self) -> FaceDetector:
        """The network to keep: the moving average where there is one."""
        return self.network if self.average is None else self.average

    def train(self, mode: bool = True) -> "DetectorTraining":
        """Training mode, except for frozen BatchNorm layers."""
        super().train(mode)
        if self.settings.freeze_batchnorm:
            for layer in self.network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.eval()
        return self

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """The mean loss of a batch."""
        images, boxes = batch
        losses = self.network.losses(images, boxes)
        for name, value in losses.items():
            self.log(name, value.detach(), on_step=False, on_epoch=True, batch_size=len(images))
        return torch.stack(list(losses.values())).sum()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Update the moving average."""
        if self.average is None:
            return
        decay = self.settings.ema_decay * (1 - math.exp(-self.global_step / EMA_RAMP_STEPS))
        with torch.no_grad():
            for mean, value in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def configure_optimizers(self) -> Any:
        """Weight decay for convolutions only; linear warm-up, then a cosine, step by step."""
        settings = self.settings
        trained = [value for value in self.network.parameters() if value.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [value for value in trained if value.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if settings.optimizer == "sgd":
            optimizer = torch.optim.SGD(
                groups, settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0
            )
        else:
            optimizer = torch.optim.AdamW(groups, settings.learning_rate, betas=(settings.momentum, 0.999))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        """Learning rate of a step relative to the peak."""
        warmup = max(1, round(self.settings.warmup_ratio * self.steps))
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, self.steps - warmup))
        least = self.settings.min_lr_ratio
        return least + (1 - least) * (1 + math.cos(math.pi * done)) / 2


def train_detector(
    network: FaceDetector,
    images: TrainingImages,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    device: str,
    what: str,
) -> tuple[FaceDetector, History]:
    """Train a detector; continues from the checkpoint in `folder` when there is one.

    Returns
    -------
    The trained network and the mean losses of each epoch; with 0 epochs the network as it is.

    Raises
    ------
    InputError : epochs are set for a family that is used off the shelf.
    """
    if settings.epochs == 0:
        return network, []
    if not network.trainable:
        raise InputError(f"{what}: this detector is used off the shelf; set training.epochs = 0")
    loader = DataLoader(
        images,
        batch_size=min(settings.batch_size, len(images)),
        sampler=EpochSampler(images, seed, augmentations=images),
        collate_fn=collate,
        drop_last=True,
    )
    training = DetectorTraining(network, settings, steps=len(loader) * settings.epochs)
    history = fit(
        training,
        loader,
        None,
        epochs=settings.epochs,
        folder=folder,
        device=device,
        what=what,
        grad_clip_norm=settings.grad_clip_norm,
    )
    return training.trained, history
