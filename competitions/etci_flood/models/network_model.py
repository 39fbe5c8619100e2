"""A trained segmentation network as a model that maps floods."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from competitions.etci_flood.data.channels import input_channels
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.fuse_batchnorm import without_batch_norms
from competitions.etci_flood.models.openvino import compiled

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

VIEWS: dict[str, list[tuple[int, bool]]] = {
    "one": [(0, False)],
    "flips": [(0, False), (0, True), (2, False), (2, True)],
    "d4": [(turns, mirrored) for turns in range(4) for mirrored in (False, True)],
}
"""Quarter turns, and whether the tile is mirrored first."""
VIEWS_BEFORE_COMPILING = 400
"""Views of tiles that a network maps before it is compiled, which takes as long as some hundred of them."""


class NetworkModel:
    """Mean probability over the views of a tile (flood_maps.FloodModel).

    Parameters
    ----------
    network : maps (n, channels, height, width) to logits (n, 1, height, width).
    settings : its channels, its views and the margin that it is shown.
    """

    def __init__(self, network: nn.Module, settings: FloodExperiment, device: str) -> None:
        self.network = without_batch_norms(network).to(device)
        self.settings, self.device = settings, device
        self.margin = settings.prediction.margin
        self.mapped = 0
        self.compiled: dict[tuple[int, ...], Callable[[Tensor], Tensor] | None] = {}

    @torch.inference_mode()
    def probability(self, layers: Bytes, scale: FloatArray) -> FloatArray:
        """(n, height, width) for (n, 3, height + 2 margin, width + 2 margin)."""
        own_scale = scale if self.settings.backscatter == "scene" else None
        seen = torch.from_numpy(input_channels(layers, self.settings.channels, own_scale)).to(self.device)
        views = VIEWS[self.settings.prediction.views]
        total = torch.zeros_like(seen[:, 0])
        for turns, mirrored in views:
            total += self._view(seen, turns, mirrored)
        inside = slice(self.margin, -self.margin or None)
        mapped: FloatArray = (total / len(views))[:, inside, inside].cpu().numpy()
        return mapped

    def _view(self, seen: Tensor, turns: int, mirrored: bool) -> Tensor:
        view = torch.rot90(seen.flip(-1) if mirrored else seen, turns, (-2, -1))
        logits = self._logits(view)
        probability = torch.sigmoid(logits[:, 0].float())
        back = torch.rot90(probability, -turns, (-2, -1))
        return back.flip(-1) if mirrored else back

    def _logits(self, view: Tensor) -> Tensor:
        """By the compiled network, once many tiles of that size have been mapped on a processor."""
        size = tuple(view.shape[1:])
        self.mapped += len(view)
        if self.device == "cpu" and self.mapped > VIEWS_BEFORE_COMPILING and size not in self.compiled:
            self.compiled[size] = compiled(self.network, view)
        run = self.compiled.get(size)
        if run is not None:
            return run(view)
        logits: Tensor = self.network(view.contiguous(memory_format=torch.channels_last))
        return logits
