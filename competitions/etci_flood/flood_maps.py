"""Probability maps of flood: predicted tile by tile, kept as one byte a pixel."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from common.atomic import whole_array
from common.console import progress
from competitions.etci_flood.experiment import Channels, PredictionSettings
from competitions.etci_flood.input_channels import input_channels
from competitions.etci_flood.official_layout import TILE_SIDE
from competitions.etci_flood.tile_arrays import TileArrays

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

VIEWS: dict[str, list[tuple[int, bool]]] = {
    "one": [(0, False)],
    "flips": [(0, False), (0, True), (2, False), (2, True)],
    "d4": [(turns, mirrored) for turns in range(4) for mirrored in (False, True)],
}
"""Quarter turns, and whether the tile is mirrored first."""


def predicted_maps(
    networks: Sequence[nn.Module],
    arrays: TileArrays,
    rows: Rows,
    channels: Channels,
    settings: PredictionSettings,
    device: str,
) -> Iterator[Bytes]:
    """Yield (batch, 256, 256) uint8 maps for `rows`, in order: mean probability x 255 of networks and views.

    Tiles that could not be read are predicted as no flood.
    """
    networks = [network.to(device).eval() for network in networks]
    readable = arrays.tiles["readable"].to_numpy()
    for start in range(0, len(rows), settings.batch):
        batch = rows[start : start + settings.batch]
        layers = np.stack([arrays.vv[batch], arrays.vh[batch], arrays.water[batch]], axis=1)
        seen = torch.from_numpy(input_channels(layers, channels)).to(device)
        maps = np.rint(_mean_probability(networks, seen, settings).cpu().numpy() * 255).astype(np.uint8)
        maps[~readable[batch]] = 0
        yield maps


def write_maps(path: Path, tiles: int, batches: Iterable[Bytes], what: str) -> None:
    """Write batches of maps as one memory-mapped .npy, uint8 (tiles, 256, 256), whole or not at all."""
    with whole_array(path, (tiles, TILE_SIDE, TILE_SIDE), np.uint8) as maps:
        start = 0
        for batch in progress(batches, what, "batches"):
            maps[start : start + len(batch)] = batch
            start += len(batch)


@torch.inference_mode()
def _mean_probability(networks: Sequence[nn.Module], seen: Tensor, settings: PredictionSettings) -> Tensor:
    """Mean probability, (n, height, width), over all networks and views of the tiles."""
    views = VIEWS[settings.views]
    total = torch.zeros_like(seen[:, 0])
    for turns, mirrored in views:
        view = torch.rot90(seen.flip(-1) if mirrored else seen, turns, (-2, -1))
        for network in networks:
            probability = torch.sigmoid(network(view)[:, 0].float())
            back = torch.rot90(probability, -turns, (-2, -1))
            total += back.flip(-1) if mirrored else back
    return total / (len(views) * len(networks))
