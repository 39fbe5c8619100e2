"""Labels that no map of water can meet: floods as bright as the dry land around them.

A radar looks at water from the side and sees next to nothing of it, so a labelled flood that is no darker
than the rest of its tile is most likely a slip of the label. In the real scenes these are rectangles over
fields. They can be left out of training; from what is measured they are never left out, but figures without
them, and the highest IoU that is possible with them, stand beside.
"""

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
    if min(float(wet.mean()), float(dry.mean())) < LEAST_SHARE:
        return 0
    smooth = np.asarray(cv2.blur(vv.astype(np.float32), (SMOOTHED, SMOOTHED)))
    bright = int((smooth[wet] > np.median(vv[dry]) - LEAST_CONTRAST).sum())
    return bright if bright >= BRIGHT_SHARE * int(wet.sum()) else 0
