"""Training one detector, of any family, in a Lightning module."""

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
from competitions.face_counting.models.augmentation import Batch, TrainingCanvases, collate
from competitions.face_counting.models.base import FaceDetector

AVERAGING_STEPS = 200.0
"""The running average starts short and has its full length after some of these."""


class DetectorTraining(lightning.LightningModule):
    """Minimise a detector's losses over canvases.

    Parameters
    ----------
    steps : all optimizer steps of the training; warm-up and cosine are laid out over them.
    """

    def __init__(self, network: FaceDetector, settings: TrainingSettings, steps: int) -> None:
        super().__init__()
        self.network, self.settings, self.steps = network, settings, steps
        for beginning in settings.frozen:
            named = [value for name, value in network.named_parameters() if name.startswith(beginning)]
            if not named:
                raise InputError(f"training.frozen: no weights of this network begin with {beginning!r}")
            for value in named:
                value.requires_grad_(False)
        # A child, so that it is in the checkpoint of a training that is stopped.
        self.average = copy.deepcopy(network).requires_grad_(False) if settings.averaging else None

    @property
    def trained(self) -> FaceDetector:
        """The network to keep: the running average where there is one."""
        return self.network if self.average is None else self.average

    def train(self, mode: bool = True) -> "DetectorTraining":
        """Training mode, but for the statistics that are to stay."""
        super().train(mode)
        if self.settings.frozen_statistics:
            for layer in self.network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.eval()
        return self

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """The mean loss of a batch."""
        canvases, boxes = batch
        losses = self.network.losses(canvases, boxes)
        for name, value in losses.items():
            self.log(name, value.detach(), on_step=False, on_epoch=True, batch_size=len(canvases))
        return torch.stack(list(losses.values())).sum()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Move the running average."""
        if self.average is None:
            return
        decay = self.settings.averaging * (1 - math.exp(-self.global_step / AVERAGING_STEPS))
        with torch.no_grad():
            for mean, value in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def configure_optimizers(self) -> Any:
        """Decay for the convolutions' weights alone; warm-up, then a cosine, step by step."""
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
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._step_size)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _step_size(self, step: int) -> float:
        """Share of the highest step size."""
        warmup = max(1, round(self.settings.warmup * self.steps))
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, self.steps - warmup))
        least = self.settings.final_learning_rate
        return least + (1 - least) * (1 + math.cos(math.pi * done)) / 2


def train_detector(
    network: FaceDetector,
    canvases: TrainingCanvases,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    device: str,
    what: str,
) -> tuple[FaceDetector, History]:
    """Train a detector on canvases; goes on from the checkpoint in `folder` when there is one.

    Returns
    -------
    The trained network, and the mean losses of each epoch; the network as it is for no epochs.
    """
    if settings.epochs == 0:
        return network, []
    batch = min(settings.batch, len(canvases))
    loader = DataLoader(
        canvases,
        batch_size=batch,
        sampler=EpochSampler(canvases, seed, augmentations=canvases),
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
        clip=settings.clip,
    )
    return training.trained, history
