"""Tiles with their surroundings: a scene's tiles abut, so what lies beyond a tile's border is known.

A map is worst at the tile's border, where half of what would tell water from a shadow is missing. What
neighbours show is put there; where there is no neighbour (or one without information) the tile is mirrored,
as U-Net's authors do at the picture's edge.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from competitions.etci_flood.data.layout import TILE_SIDE
from competitions.etci_flood.data.tiles import TileArrays

Bytes = npt.NDArray[np.uint8]


class SurroundedTiles:
    """VV, VH and water of tiles with a margin all around.

    Neighbours are taken from whatever split they are in: nothing but radar pictures and the permanent water
    are looked at, which are given for all tiles.
    """

    def __init__(self, arrays: TileArrays) -> None:
        self.layers = (arrays.vv, arrays.vh, arrays.water)
        self.keys = list(zip(*(arrays.tiles[key].tolist() for key in ("scene", "x", "y")), strict=True))
        telling = arrays.tiles["readable"] & ~arrays.tiles["blank"]
        self.rows = {self.keys[row]: int(row) for row in np.flatnonzero(telling)}

    def layers_of(self, row: int, margin: int) -> Bytes:
        """(3, 256 + 2 margin, 256 + 2 margin) uint8; `margin` is at most 255."""
        own = np.stack([layer[row] for layer in self.layers])
        if not margin:
            return own
        around = np.pad(own, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
        scene, x, y = self.keys[row]
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                neighbour = self.rows.get((scene, x + down, y + across))
                if neighbour is None or (down, across) == (0, 0):
                    continue
                rows, its_rows = _strip(down, margin)
                columns, its_columns = _strip(across, margin)
                for layer, seen in zip(around, self.layers, strict=True):
                    layer[rows, columns] = seen[neighbour][its_rows, its_columns]
        return around


def touching(tiles: pd.DataFrame, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which tiles touch a chosen one of their scene, by a side or a corner; the chosen ones do, too."""
    around: set[tuple[str, int, int]] = set()
    keys = list(zip(*(tiles[key].tolist() for key in ("scene", "x", "y")), strict=True))
    for row in np.flatnonzero(chosen):
        scene, x, y = keys[row]
        around |= {(scene, x + down, y + across) for down in (-1, 0, 1) for across in (-1, 0, 1)}
    return np.array([key in around for key in keys], dtype=bool)


def _strip(step: int, margin: int) -> tuple[slice, slice]:
    """Where a neighbour's pixels go along one axis, and which of its pixels they are."""
    return {
        -1: (slice(0, margin), slice(TILE_SIDE - margin, TILE_SIDE)),
        0: (slice(margin, margin + TILE_SIDE), slice(0, TILE_SIDE)),
        1: (slice(margin + TILE_SIDE, None), slice(0, margin)),
    }[step]
