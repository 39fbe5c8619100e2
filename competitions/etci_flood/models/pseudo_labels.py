"""Unlabelled tiles with the maps of a teacher that is sure of them (Lee 2013).

The teacher of fold k is the parent's network of fold k: it has not seen the tiles that fold k holds out, so
neither has, through its maps, the network that learns from them.
"""

import numpy as np
import numpy.typing as npt

from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.models.base import FloodModel, equal_shares, predicted_maps

Bytes = npt.NDArray[np.uint8]

SURE = 0.95
"""Probability of what is called, flood or not, from which on a pixel counts as sure."""
SURE_SHARE = 0.90
"""Of a tile's pixels that must be sure. Both as the second-placed team has them."""


def pseudo_labels(teacher: FloodModel, arrays: TileArrays, batch: int) -> dict[int, Bytes]:
    """Masks of the unlabelled tiles that the teacher is sure of, by row; blank tiles are left out."""
    usable = ~arrays.tiles["labelled"] & arrays.tiles["readable"] & ~arrays.tiles["blank"]
    rows = np.flatnonzero(usable)
    found: dict[int, Bytes] = {}
    place = 0
    for maps in predicted_maps(equal_shares([teacher]), arrays, rows, batch):
        for levels in maps:
            if is_sure(levels):
                found[int(rows[place])] = (levels > 127).astype(np.uint8)
            place += 1
    return found


def is_sure(levels: Bytes) -> bool:
    """Whether enough pixels of a map (probability x 255) are sure."""
    surest = np.maximum(levels, 255 - levels)
    return bool((surest >= SURE * 255).mean() >= SURE_SHARE)
