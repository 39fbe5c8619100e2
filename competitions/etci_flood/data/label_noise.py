"""Labels that no map of water can meet: floods as bright as the dry land around them.

A radar looks at water from the side and sees next to nothing of it, so a labelled flood that is no darker
than the rest of its tile is most likely a slip of the label. In the real scenes these are rectangles over
fields. They can be left out of training; from what is measured they are never left out, but figures without
them, and the highest IoU that is possible with them, stand beside.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

LEAST_SHARE = 0.02
"""Of the tile, for flood and dry land alike; in smaller floods a few bright bridges would decide."""
LEAST_CONTRAST = 20.0
"""Levels of VV that flood must lie below the median of its tile's dry land to be believed."""
BRIGHT_SHARE = 0.5
"""Of a flood: when so much is bright, the label is not believed. In two real scenes with 397 tiles nine tiles
lie above (0.54 to 0.99), the others below 0.31."""
SMOOTHED = 5
"""Side of the square that backscatter is averaged over, pixels: single pixels are speckle."""


def bright_flood_pixels(vv: Bytes, flood: Bytes) -> int:
    """Number of flood pixels of a tile that are as bright as its dry land; 0 where the label can be believed.

    Parameters
    ----------
    vv : (height, width), levels of the picture.
    flood : (height, width), 1 = flood.
    """
    wet = flood > 0
    dry = ~wet & (vv > 0) & (vv < 255)  # 0 and 255 mean no data beyond the swath's edge
    if min(np.count_nonzero(wet), np.count_nonzero(dry)) < LEAST_SHARE * vv.size:
        return 0
    smooth: Any = cv2.boxFilter(vv, cv2.CV_32F, (SMOOTHED, SMOOTHED))
    bright = int(np.count_nonzero(wet & (smooth > _median_level(vv, dry) - LEAST_CONTRAST)))
    return bright if bright >= BRIGHT_SHARE * np.count_nonzero(wet) else 0


def _median_level(vv: Bytes, where: npt.NDArray[np.bool_]) -> float:
    """numpy.median(vv[where]), from counts."""
    counts = counts_of_levels(vv, where)
    total = counts.cumsum()
    return float(np.searchsorted(total, [(total[-1] - 1) // 2, total[-1] // 2], side="right").mean())


def counts_of_levels(layer: Bytes, where: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
    """How often each of the 256 levels stands in a layer; numpy.bincount would copy it into int64 first."""
    mask = None if where is None else where.view(np.uint8)
    counts: Any = cv2.calcHist([layer], [0], mask, [256], [0, 256])
    levels: npt.NDArray[np.int64] = counts.ravel().astype(np.int64)
    return levels
