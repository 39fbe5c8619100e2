"""Levels of calm open water and of land in the official tiles, which fix the scale of other rasters.

See `predict.backscatter_scale` for what is made of them.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from common.learn.arrays import Bools, Int64, Integers
from competitions.etci_flood.data.label_noise import histogram
from competitions.etci_flood.data.tiles import TileArrays

MIN_ANCHOR_PIXELS = 1000
"""Pixels of water, and of land, that a scene needs to be counted."""
MIN_ANCHOR_CONTRAST = 20.0
"""Levels by which land must be brighter than water; less is no water."""
SHORE = 2
"""Pixels on both sides of the shore that count as neither: mixed, or moved since the mask was made."""


def fit_anchors(arrays: TileArrays) -> dict[str, list[float]] | None:
    """Levels of calm open water and of land in the labelled tiles, the same weight for each scene and tile.

    Water is permanent water; where no scene has enough of it, labelled flood. The level of a scene is the
    median over its pixels, values 0 and 255 (mostly no data) left out; the median is robust against ships,
    wind, cities and fields.

    Returns
    -------
    water and land, each [VV, VH]; None where the tiles have no water that is darker than land.
    """
    for water in (arrays.water, arrays.flood):
        counts: dict[str, Int64] = {}
        for scene, of_tile in _histograms(arrays, water):
            counts[scene] = counts.get(scene, 0) + of_tile
        usable = [each for each in counts.values() if (each.sum(axis=-1) >= MIN_ANCHOR_PIXELS).all()]
        if not usable:
            continue
        # (water and land, VV and VH): the mean over scenes, each weighted by the root of its water.
        weights = [float(np.sqrt(each[0, 0].sum())) for each in usable]
        medians = np.array([[[_median(row) for row in kind] for kind in each] for each in usable])
        wet, dry = np.average(medians, axis=0, weights=weights)
        if (dry - wet >= MIN_ANCHOR_CONTRAST).all():
            return {"water": wet.tolist(), "land": dry.tolist()}
    return None


def _histograms(arrays: TileArrays, water: Integers) -> Iterator[tuple[str, Int64]]:
    """Scene, and histograms (water and land, VV and VH, 256), of each labelled tile with data."""
    tiles = arrays.tiles
    for row in np.flatnonzero(tiles["labelled"] & tiles["readable"] & ~tiles["no_data"]):
        wet = np.asarray(water[row] > 0)
        dry = (arrays.water[row] == 0) & (arrays.flood[row] == 0)
        layers = arrays.vv[row], arrays.vh[row]
        counts = np.array([[histogram(layer, _away_from_shore(of)) for layer in layers] for of in (wet, dry)])
        counts[..., [0, 255]] = 0  # mostly pixels outside the swath
        yield str(tiles["scene"].iloc[row]), counts


def _away_from_shore(of: Bools) -> Bools:
    side = 2 * SHORE + 1
    return cv2.erode(of.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)


def _median(counts: Integers) -> float:
    total = counts.cumsum()
    middle = total[-1] / 2
    return float(np.interp(middle, np.concatenate([[0], total]), np.arange(len(counts) + 1) - 0.5))
