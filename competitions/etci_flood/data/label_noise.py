"""Suspected label noise: labelled floods that are as bright as the dry land around them.

Smooth water reflects the radar's signal away and appears dark, so a labelled flood that is no darker than the
rest of its tile is most likely a labelling error. In the real scenes these are rectangles over fields. Such
tiles can be left out of training. They are never left out of the measured tiles; the IoU without them, and
the upper bound that they leave, are reported in addition.
"""

from typing import Any

import cv2
import numpy as np

from common.learn.arrays import Bools, Int64, UInt8

MIN_AREA_FRACTION = 0.02
"""Fraction of the tile that flood and dry land must each cover; a few bridges decide in smaller floods."""
MIN_CONTRAST = 20.0
"""Grey levels of VV by which a flood must be darker than the median of its tile's dry land."""
MAX_BRIGHT_FRACTION = 0.5
"""A label is suspected noise when this fraction of its flood is bright. In two real scenes with 397 tiles,
nine tiles are above (0.54 to 0.99), the others below 0.31."""
SMOOTHING = 5
"""Side of the square that VV is averaged over, pixels; single pixels are speckle."""


def noisy_label_pixels(vv: UInt8, flood: UInt8) -> int:
    """Number of flood pixels of a tile that are as bright as its dry land; 0 where no noise is suspected.

    Parameters
    ----------
    vv : (height, width), values of the image.
    flood : (height, width), 1 = flood.
    """
    wet = flood > 0
    dry = ~wet & (vv > 0) & (vv < 255)  # 0 and 255 mean no data outside the swath
    if min(np.count_nonzero(wet), np.count_nonzero(dry)) < MIN_AREA_FRACTION * vv.size:
        return 0
    smooth: Any = cv2.boxFilter(vv, cv2.CV_32F, (SMOOTHING, SMOOTHING))
    bright = int(np.count_nonzero(wet & (smooth > _median(vv, dry) - MIN_CONTRAST)))
    return bright if bright >= MAX_BRIGHT_FRACTION * np.count_nonzero(wet) else 0


def _median(vv: UInt8, where: Bools) -> float:
    """numpy.median(vv[where]), from a histogram."""
    total = histogram(vv, where).cumsum()
    return float(np.searchsorted(total, [(total[-1] - 1) // 2, total[-1] // 2], side="right").mean())


def histogram(layer: UInt8, where: Bools | None = None) -> Int64:
    """Number of pixels of each value, (256,); numpy.bincount would first copy the layer into int64."""
    mask = None if where is None else where.view(np.uint8)
    counts: Any = cv2.calcHist([layer], [0], mask, [256], [0, 256])
    flat: Int64 = counts.ravel().astype(np.int64)
    return flat
