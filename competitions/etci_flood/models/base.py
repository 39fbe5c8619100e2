"""Probability maps of flood: predicted tile by tile, kept as one byte a pixel."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_array
from common.base.console import progress
from competitions.etci_flood.data.layout import TILE_SIDE
from competitions.etci_flood.data.neighbours import SurroundedTiles
from competitions.etci_flood.data.tiles import TileArrays

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class FloodModel(Protocol):
    """What maps floods, whatever it has learned with."""

    margin: int
    """Pixels around what is mapped that it needs to see, too."""

    def probability(self, layers: Bytes, scale: FloatArray) -> FloatArray:
        """Probability of flood at each pixel.

        Parameters
        ----------
        layers : (n, 3, height + 2 margin, width + 2 margin) uint8: VV, VH, permanent water (0 or 1).
        scale : (n, 2, 2), median and spread of VV and VH in the scene.

        Returns
        -------
        (n, height, width) float32.
        """


Weighted = Sequence[tuple[float, FloodModel]]
"""Models and their shares in a mean; the shares add up to 1."""


def equal_shares(models: Sequence[FloodModel]) -> Weighted:
    """The plain mean of some models."""
    return [(1 / len(models), model) for model in models]


def mean_probability(models: Weighted, layers: Bytes, scale: FloatArray, margin: int) -> FloatArray:
    """The weighted mean of the models' maps; `layers` have `margin` pixels around, enough for any model."""
    total: FloatArray | None = None
    for share, model in models:
        spare = margin - model.margin
        seen = layers[..., spare : layers.shape[-2] - spare, spare : layers.shape[-1] - spare]
        probability = np.float32(share) * model.probability(seen, scale)
        total = probability if total is None else total + probability
    if total is None:
        raise ValueError("a mean of no models")
    return total


def widest_margin(models: Weighted) -> int:
    """Pixels that must be seen around what is mapped."""
    return max(model.margin for _, model in models)


def levels_of(probability: FloatArray) -> Bytes:
    """Probability x 255, rounded, as one byte."""
    return np.rint(probability * 255).clip(0, 255).astype(np.uint8)


def predicted_maps(models: Weighted, arrays: TileArrays, rows: Rows, batch: int) -> Iterator[Bytes]:
    """Yield (batch, 256, 256) uint8 maps for `rows`, in order: mean probability x 255.

    Tiles that could not be read are predicted as no flood.
    """
    readable = arrays.tiles["readable"].to_numpy()
    surrounded = SurroundedTiles(arrays)
    margin = widest_margin(models)
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        layers = np.stack([surrounded.layers_of(row, margin) for row in some])
        maps = levels_of(mean_probability(models, layers, arrays.scale(some), margin))
        maps[~readable[some]] = 0
        yield maps


def write_maps(path: Path, tiles: int, batches: Iterable[Bytes], what: str) -> None:
    """Write batches of maps as one memory-mapped .npy, uint8 (tiles, 256, 256), whole or not at all."""
    with atomic_array(path, (tiles, TILE_SIDE, TILE_SIDE), np.uint8) as maps:
        start = 0
        for batch in progress(batches, what, "batches"):
            maps[start : start + len(batch)] = batch
            start += len(batch)
