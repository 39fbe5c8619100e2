"""Image networks: any timm backbone with an embedding layer."""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import find_weights, load_weights
from common.learn.arrays import Float32, UInt8
from competitions.shopee_matching.experiment import ImageSettings
from competitions.shopee_matching.models.encoders.classifier import split_state

EMBEDDING_BATCH = 64
MIN_FITTING_TENSORS = 0.9
"""Share of the backbone's tensors that given weights must fit."""


class EmbeddingNetwork(nn.Module):
    """A timm backbone without its classifier, a linear embedding layer, BatchNorm (BNNeck)."""

    def __init__(self, settings: ImageSettings) -> None:
        super().__init__()
        options: dict[str, Any] = {"depths": tuple(settings.depths)} if settings.depths else {}
        self.backbone = timm.create_model(settings.architecture, pretrained=False, num_classes=0, **options)
        self.embedding_size = settings.embedding_size
        statistics = timm.data.resolve_model_data_config(self.backbone)
        features: Any = self.backbone.num_features
        self.neck = nn.Sequential(
            nn.Linear(features, settings.embedding_size, bias=False),
            nn.BatchNorm1d(settings.embedding_size),
        )
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer(
            "mean", 255 * torch.tensor(statistics["mean"]).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer("std", 255 * torch.tensor(statistics["std"]).view(1, 3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, height, width, 3) uint8 RGB -> (n, embedding_size) float."""
        # (n, height, width, 3) permuted to (n, 3, height, width) is channels-last in memory, without a copy.
        return self.neck(self.backbone((images.permute(0, 3, 1, 2).float() - self.mean) / self.std))


def initial_network(settings: ImageSettings, weights: Path | None) -> EmbeddingNetwork:
    """A network to train: from the weights in the folder `weights`, or randomly initialised; logs which.

    Raises
    ------
    InputError : pretrained weights are required and none are given, or they are of another architecture.
    """
    if weights is None and settings.weights != "scratch":
        raise InputError(
            f"{settings.architecture}: this experiment starts from {settings.weights} weights; "
            f"give the folder that holds {settings.architecture}.safetensors (or .pt, .pth) with --weights"
        )
    network = EmbeddingNetwork(settings)
    if weights is None:
        log(f"  {settings.architecture}: trained from scratch; --weights DIR starts from pretrained weights")
        return network
    path = find_weights(weights, settings.architecture)
    own, given = network.backbone.state_dict(), load_weights(path)
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < MIN_FITTING_TENSORS * len(own):
        raise InputError(
            f"{display_path(path)}: {len(fitting)} of {len(own)} tensors fit timm's {settings.architecture}; "
            f"expected the weights of that architecture"
        )
    network.backbone.load_state_dict(fitting, strict=False)
    log(f"  {settings.architecture}: starts from {display_path(path)}, {len(fitting)} of {len(own)} tensors")
    return network


def load_network(settings: ImageSettings, checkpoint: Path) -> EmbeddingNetwork:
    """A trained network; InputError when its file is missing, damaged or of other settings."""
    network = EmbeddingNetwork(settings)
    try:
        network.load_state_dict(split_state(load_weights(checkpoint))[0])
    except RuntimeError:
        raise InputError(
            f"{display_path(checkpoint)}: does not fit {settings.architecture}; "
            "delete it and run 2_train_folds.py again"
        ) from None
    return network


def image_embeddings(network: EmbeddingNetwork, images: UInt8, device: str) -> Float32:
    """(n, embedding_size) embeddings of (n, height, width, 3) images, not normalised."""
    network = network.to(device).eval()
    found = np.empty((len(images), network.embedding_size), dtype=np.float32)
    starts = range(0, len(images), EMBEDDING_BATCH)
    with torch.inference_mode():
        for start in progress(starts, "embedding images", "batches"):
            batch = torch.from_numpy(np.array(images[start : start + EMBEDDING_BATCH])).to(device)
            found[start : start + EMBEDDING_BATCH] = network(batch).float().cpu().numpy()
    return found
