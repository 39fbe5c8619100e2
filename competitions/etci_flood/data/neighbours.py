"""Context padding: tiles padded with the pixels of adjacent tiles.

Predictions are worst at a tile's border, where half of the context is missing. The tiles of a scene abut, so
the padding is taken from adjacent tiles; where there is none (or only a no-data tile) the tile is mirrored,
as in the U-Net paper.
"""

import numpy as np
import pandas as pd

from common.learn.arrays import Bools, UInt8
from competitions.etci_flood.data.tiles import TileArrays


class PaddedTiles:
    """VV, VH and water of tiles with context padding on each side.

    Adjacent tiles of any split are used; only images and permanent water are read, which are given for all
    tiles.
    """

    def __init__(self, arrays: TileArrays) -> None:
        self.layers = (arrays.vv, arrays.vh, arrays.water)
        self.keys = list(zip(*(arrays.tiles[key].tolist() for key in ("scene", "x", "y")), strict=True))
        informative = arrays.tiles["readable"] & ~arrays.tiles["no_data"]
        self.rows = {self.keys[row]: int(row) for row in np.flatnonzero(informative)}

    def layers_of(self, row: int, padding: int) -> UInt8:
        """(3, side + 2 padding, side + 2 padding) uint8; `padding` is below the tile's side."""
        own = np.stack([layer[row] for layer in self.layers])
        if not padding:
            return own
        around = np.pad(own, ((0, 0), (padding, padding), (padding, padding)), mode="reflect")
        scene, x, y = self.keys[row]
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                neighbour = self.rows.get((scene, x + down, y + across))
                if neighbour is None or (down, across) == (0, 0):
                    continue
                rows, its_rows = _strip(down, padding, own.shape[-1])
                columns, its_columns = _strip(across, padding, own.shape[-1])
                for layer, source in zip(around, self.layers, strict=True):
                    layer[rows, columns] = source[neighbour][its_rows, its_columns]
        return around


def adjacent_to(tiles: pd.DataFrame, chosen: Bools) -> Bools:
    """Which tiles share a side or corner with a chosen tile of their scene, (n,); chosen ones included."""
    around: set[tuple[str, int, int]] = set()
    keys = list(zip(*(tiles[key].tolist() for key in ("scene", "x", "y")), strict=True))
    for row in np.flatnonzero(chosen):
        scene, x, y = keys[row]
        around |= {(scene, x + down, y + across) for down in (-1, 0, 1) for across in (-1, 0, 1)}
    return np.array([key in around for key in keys], dtype=bool)


def _strip(step: int, padding: int, side: int) -> tuple[slice, slice]:
    """Where an adjacent tile's pixels go along one axis, and which of its pixels they are."""
    return {
        -1: (slice(0, padding), slice(side - padding, side)),
        0: (slice(padding, padding + side), slice(0, side)),
        1: (slice(padding + side, None), slice(0, padding)),
    }[step]
