"""Labels that no map of water can meet: floods as bright as the dry land around them.

A radar looks at water from the side and sees next to nothing of it, so a labelled flood that is no darker
than the rest of its tile is most likely a slip of the label. In the real scenes these are rectangles over
fields. They can be left out of training; from what is measured they are never left out, but figures without
them, and the highest IoU that is possible with them, stand beside.
"""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

LEAST_SHARE = 0.05
"""Of the tile; in smaller floods a few bright boats and bridges would decide."""
LEAST_CONTRAST = 20.0
"""Levels of VV that a flood must be darker than its tile's dry land. In two real scenes with 397 tiles six
tiles lie between -9 and 8, the next one at 41."""


def is_bright_flood(vv: Bytes, flood: Bytes) -> bool:
    """Whether the labelled flood of a tile is hardly darker than its dry land.

    Parameters
    ----------
    vv : (height, width), levels of the picture.
    flood : (height, width), 1 = flood.
    """
    wet = flood > 0
    share = float(wet.mean())
    if not LEAST_SHARE <= share < 1:
        return False
    return float(vv[~wet].mean()) - float(vv[wet].mean()) < LEAST_CONTRAST
