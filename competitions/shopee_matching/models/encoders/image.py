"""Networks whose picture embeddings are compared, trained to tell the label groups apart."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import nn

from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import find_weights, load_weights
from competitions.shopee_matching.experiment import Pictures
from competitions.shopee_matching.models.encoders.classifier import split_state

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
        log(f"  {settings.network}: trained from scratch; --weights DIR starts from pretrained weights")
        return network
    path = find_weights(weights, settings.network)
    own, given = network.backbone.state_dict(), load_weights(path)
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < LEAST_FITTING * len(own):
        raise InputError(
            f"{display_path(path)}: only {len(fitting)} of {len(own)} tensors fit timm's {settings.network}; "
            f"expected the weights of that architecture"
        )
    network.backbone.load_state_dict(fitting, strict=False)
    log(f"  {settings.network}: starts from {display_path(path)}, {len(fitting)} of {len(own)} tensors")
    return network


def load_network(settings: Pictures, checkpoint: Path) -> EmbeddingNetwork:
    """A trained network; InputError when its file is missing, damaged or of other settings."""
    network = EmbeddingNetwork(settings)
    try:
        network.load_state_dict(split_state(load_weights(checkpoint))[0])
    except RuntimeError:
        raise InputError(
            f"{display_path(checkpoint)}: does not fit {settings.network}; delete it and run 2_train_folds.py again"
        ) from None
    return network


def picture_outputs(
    network: EmbeddingNetwork, pictures: npt.NDArray[np.uint8], device: str
) -> npt.NDArray[np.float32]:
    """What the network makes of (n, height, width, 3) pictures, (n, embedding)."""
    network = network.to(device).eval()
    found = np.empty((len(pictures), network.embedding), dtype=np.float32)
    starts = range(0, len(pictures), EMBEDDING_BATCH)
    with torch.inference_mode():
        for start in progress(starts, "embedding pictures", "batches"):
            batch = torch.from_numpy(np.array(pictures[start : start + EMBEDDING_BATCH])).to(device)
            found[start : start + EMBEDDING_BATCH] = network(batch).float().cpu().numpy()
    return found
