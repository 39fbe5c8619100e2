"""Pseudo-labels: unlabelled tiles with the maps of a model that is confident about them (Lee 2013).

The source for fold k is the parent's network of fold k. It has not seen the tiles that fold k holds out, so
the pseudo-labels carry nothing of them into the network that learns from them.
"""

import numpy as np

from common.learn.arrays import UInt8
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.models.base import FloodModel, equal_weights, predict_tiles

CONFIDENT = 0.95
"""Probability of the predicted class from which a pixel counts as confident."""
CONFIDENT_FRACTION = 0.90
"""Fraction of a tile's pixels that must be confident. Both values are those of the second-placed team."""


def pseudo_labels(source: FloodModel, arrays: TileArrays, batch_size: int) -> dict[int, UInt8]:
    """Masks of the unlabelled tiles that `source` is confident about, by row; no-data tiles are left out."""
    usable = ~arrays.tiles["labelled"] & arrays.tiles["readable"] & ~arrays.tiles["no_data"]
    rows = np.flatnonzero(usable)
    found: dict[int, UInt8] = {}
    place = 0
    for batch in predict_tiles(equal_weights([source]), arrays, rows, batch_size):
        for probability in batch:
            if is_confident(probability):
                found[int(rows[place])] = (probability > 127).astype(np.uint8)
            place += 1
    return found


def is_confident(probability: UInt8) -> bool:
    """Whether enough pixels of a probability map (x 255) are confident."""
    of_class = np.maximum(probability, 255 - probability)
    return bool((of_class >= CONFIDENT * 255).mean() >= CONFIDENT_FRACTION)
