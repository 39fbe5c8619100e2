"""Metric learning on label groups: classifier, ArcFace or supervised contrastive loss."""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, SupConLoss
from timm.utils.agc import adaptive_clip_grad
from torch import nn

from common.base.errors import InputError
from common.files.weights import save_weights
from common.learn.arrays import Float32, Int64
from competitions.shopee_matching.experiment import TrainingSettings

CLASSIFIER = "classifier."
"""Prefix of the classifier's tensors in a checkpoint."""


class GroupClassifier(lightning.LightningModule):
    """A network with a classification head over the label groups, or with the supervised contrastive loss.

    Parameters
    ----------
    network : has the attributes `backbone` (a module) and `embedding_size`.
    groups : number of label groups in the training folds.
    steps : training steps in total, for the learning rate schedule.
    best : file that gets the network of the epoch with the lowest mean loss.
    """

    def __init__(self, network: Any, settings: TrainingSettings, groups: int, steps: int, best: Path) -> None:
        super().__init__()
        self.network, self.settings, self.steps, self.best = network, settings, steps, best
        self.head: nn.Module = nn.Identity()
        if settings.loss == "arcface":
            self.loss: nn.Module = ArcFaceLoss(
                groups, network.embedding_size, margin=settings.margin, scale=settings.scale
            )
        elif settings.loss == "contrastive":
            self.loss = SupConLoss(temperature=settings.temperature)
        else:
            self.head = nn.Linear(network.embedding_size, groups)
            self.loss = nn.CrossEntropyLoss()
        self.lowest_loss: torch.Tensor
        self.register_buffer("lowest_loss", torch.tensor(math.inf))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Mean loss of (inputs, groups)."""
        inputs, groups = batch
        embeddings = self.network(inputs)
        # ArcFace's angles become NaN in half precision.
        with torch.autocast(self.device.type, enabled=False):
            loss: torch.Tensor = self.loss(self.head(embeddings.float()), groups)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(groups))
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
        gradient_clip_val: float | None = None,  # noqa: ARG002
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Adaptive gradient clipping of the backbone without the head (Brock et al. 2021)."""
        if self.settings.agc_clip_factor:
            adaptive_clip_grad(list(self.network.backbone.parameters()), self.settings.agc_clip_factor)

    def on_train_epoch_end(self) -> None:
        """Keep the network of the epoch with the lowest loss, as the paper does."""
        loss = self.trainer.callback_metrics["loss"]
        if not torch.isfinite(loss):
            raise InputError(f"the training loss became {loss}; lower learning_rate of this experiment")
        if loss < self.lowest_loss:
            self.lowest_loss.fill_(loss)
            save_weights(self.best, self.state())

    def state(self) -> dict[str, torch.Tensor]:
        """Tensors of the network, and `classifier.weight` (groups, embedding_size) and `.bias`."""
        classifier: dict[str, torch.Tensor] = {}
        if isinstance(self.head, nn.Linear):
            classifier = dict(self.head.state_dict())
        elif isinstance(self.loss, ArcFaceLoss):
            classifier = {"weight": nn.functional.normalize(self.loss.W, dim=0).T}
        return self.network.state_dict() | {CLASSIFIER + name: value for name, value in classifier.items()}

    def configure_optimizers(self) -> Any:
        """AdamW with one cycle: linear warm-up over 10 % of the steps, then cosine decay."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.settings.learning_rate, total_steps=self.steps, pct_start=0.1
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def split_state(
    state: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A checkpoint's tensors of the network, and of the classifier (`weight`, `bias`)."""
    own = {name: value for name, value in state.items() if not name.startswith(CLASSIFIER)}
    classifier = {name.removeprefix(CLASSIFIER): state[name] for name in state.keys() - own.keys()}
    return own, classifier


def predicted_classes(embeddings: Float32, classifier: dict[str, torch.Tensor]) -> Int64:
    """(n,) predicted group of each row of (n, embedding_size) by a checkpoint's classifier."""
    scores = torch.from_numpy(embeddings) @ classifier["weight"].T
    if "bias" in classifier:
        scores = scores + classifier["bias"]
    return scores.argmax(1).numpy()
