"""Networks whose picture embeddings are compared, trained to tell the label groups apart."""

import math
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import timm
import torch
from pytorch_metric_learning.losses import ArcFaceLoss
from timm.utils.agc import adaptive_clip_grad
from torch import nn

from common.console import say
from common.errors import InputError
from common.paths import shown
from common.weights import find_weights, load_weights, save_weights
from competitions.shopee_matching.experiment import Pictures

EMBEDDING_BATCH = 64
LEAST_FITTING = 0.9


class EmbeddingNetwork(nn.Module):
    """A timm network without its classifier, a linear map to the embedding, and batch normalisation of it."""

    def __init__(self, settings: Pictures) -> None:
        super().__init__()
        options: dict[str, Any] = {"depths": tuple(settings.depths)} if settings.depths else {}
        self.backbone = timm.create_model(settings.network, pretrained=False, num_classes=0, **options)
        self.embedding = settings.embedding
        statistics = timm.data.resolve_model_data_config(self.backbone)
        features: Any = self.backbone.num_features
        self.neck = nn.Sequential(
            nn.Linear(features, settings.embedding, bias=False),
            nn.BatchNorm1d(settings.embedding),
        )
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer(
            "mean", 255 * torch.tensor(statistics["mean"]).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer("std", 255 * torch.tensor(statistics["std"]).view(1, 3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(n, height, width, 3) uint8 RGB -> (n, embedding) float."""
        # A permuted batch of rows already lies in memory as channels last.
        return self.neck(self.backbone((pictures.permute(0, 3, 1, 2).float() - self.mean) / self.std))


class GroupClassifier(lightning.LightningModule):
    """Trains an `EmbeddingNetwork` with a classifier over the label groups on top of it.

    Parameters
    ----------
    groups : number of label groups in the training folds.
    steps : training steps in all, for the learning rate's course.
    best : file that gets the network of the epoch with the lowest mean loss.
    """

    def __init__(
        self, network: EmbeddingNetwork, settings: Pictures, groups: int, steps: int, best: Path
    ) -> None:
        super().__init__()
        self.network, self.settings, self.steps, self.best = network, settings, steps, best
        self.head: nn.Module = nn.Linear(settings.embedding, groups)
        self.loss: nn.Module = nn.CrossEntropyLoss()
        if settings.loss == "arcface":
            self.head = nn.Identity()
            self.loss = ArcFaceLoss(groups, settings.embedding, margin=settings.margin, scale=settings.scale)
        self.lowest_loss: torch.Tensor
        self.register_buffer("lowest_loss", torch.tensor(math.inf))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Mean loss of (pictures, groups)."""
        pictures, groups = batch
        embeddings = self.network(pictures)
        # The angles of ArcFace become NaN in half precision.
        with torch.autocast(self.device.type, enabled=False):
            loss = self.loss(self.head(embeddings.float()), groups)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(groups))
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
        gradient_clip_val: float | None = None,  # noqa: ARG002
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Adaptive gradient clipping of the backbone alone: not the classifier (Brock et al. 2021)."""
        if self.settings.clip_factor:
            adaptive_clip_grad(list(self.network.backbone.parameters()), self.settings.clip_factor)

    def on_train_epoch_end(self) -> None:
        """Keep the network of the epoch with the lowest loss, as the article does."""
        loss = self.trainer.callback_metrics["loss"]
        if not torch.isfinite(loss):
            raise InputError(
                f"{self.settings.network}: the training loss became {loss}; lower pictures.learning_rate"
            )
        if loss < self.lowest_loss:
            self.lowest_loss.fill_(loss)
            save_weights(self.best, self.network.state_dict())

    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises over a tenth of the steps, then falls along a cosine."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.settings.learning_rate, total_steps=self.steps, pct_start=0.1
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def initial_network(settings: Pictures, weights: Path | None) -> EmbeddingNetwork:
    """A network to train: with the weights that lie in folder `weights`, or from noise, and says which.

    Raises
    ------
    InputError : pretrained weights are asked for and none are given, or they are of another network.
    """
    if weights is None and settings.weights != "scratch":
        raise InputError(
            f"{settings.network}: this experiment starts from {settings.weights} weights; "
            f"give the folder that holds {settings.network}.safetensors (or .pt, .pth) with --weights"
        )
    network = EmbeddingNetwork(settings)
    if weights is None:
        say(f"  {settings.network}: trained from scratch; --weights DIR starts from pretrained weights")
        return network
    path = find_weights(weights, settings.network)
    own, given = network.backbone.state_dict(), load_weights(path)
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < LEAST_FITTING * len(own):
        raise InputError(
            f"{shown(path)}: only {len(fitting)} of {len(own)} tensors fit timm's {settings.network}; "
            f"expected the weights of that architecture"
        )
    network.backbone.load_state_dict(fitting, strict=False)
    say(f"  {settings.network}: starts from {shown(path)}, {len(fitting)} of {len(own)} tensors")
    return network


def load_network(settings: Pictures, checkpoint: Path) -> EmbeddingNetwork:
    """A trained network; InputError when its file is missing, damaged or of other settings."""
    network = EmbeddingNetwork(settings)
    try:
        network.load_state_dict(load_weights(checkpoint))
    except RuntimeError:
        raise InputError(
            f"{shown(checkpoint)}: does not fit {settings.network}; delete it and run 2_train_folds.py again"
        ) from None
    return network


def embed(network: EmbeddingNetwork, pictures: npt.NDArray[np.uint8], device: str) -> npt.NDArray[np.float32]:
    """Embeddings of unit length, (n, embedding), of (n, height, width, 3) pictures."""
    network = network.to(device).eval()
    found = np.empty((len(pictures), network.embedding), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(pictures), EMBEDDING_BATCH):
            batch = torch.from_numpy(np.array(pictures[start : start + EMBEDDING_BATCH])).to(device)
            unit = nn.functional.normalize(network(batch).float())
            found[start : start + EMBEDDING_BATCH] = unit.cpu().numpy()
    return found
