"""Input channels of a network: backscatter and what is derived from it.

The official images hold backscatter in decibels, stretched to 0..255. The third channel of the paper is a
ratio of VV and VH, whose formula is not printed. VH / VV of such images, clipped to 1 (the second-placed team
used 1 - clip(VH / VV, 0, 1)), saturates wherever VH >= VV, which is 80 to 98 % of the pixels of some scenes;
that is `saturated_ratio` here. Decibels are logarithms, so the ratio of the two powers is the plain
difference VV - VH, which saturates only where VV or VH itself does; that is `ratio` here.
"""

from collections.abc import Sequence

import numpy as np

from common.learn.arrays import Float32, UInt8

MEAN, STD = 128.0, 90.0
"""Of VV in the official training split, no-data tiles included (128.0, 89.8; VH 128.1, 95.3)."""


def input_channels(layers: UInt8, channels: Sequence[str], scale: Float32 | None = None) -> Float32:
    """Make the network's input from a tile's layers.

    Parameters
    ----------
    layers : (..., 3, height, width) uint8: VV and VH as in the images, water mask 0 or 1.
    channels : names out of vv, vh, ratio, saturated_ratio, water.
    scale : (..., 2, 2), centre and spread of VV and VH to normalise by. None: mean and standard deviation of
        the official training split.

    Returns
    -------
    (..., number of channels, height, width) float32.
    """
    vv, vh, water = np.moveaxis(layers.astype(np.float32), -3, 0)  # each (..., height, width)
    if scale is None:
        scale = np.array([[MEAN, STD]] * 2, dtype=np.float32)
    # Two axes for height and width, then polarisation and (centre, spread) to the front.
    centre, spread = np.moveaxis(scale[..., None, None].astype(np.float32), (-3, -4), (0, 1))
    known = {
        "vv": lambda: (vv - centre[0]) / spread[0],
        "vh": lambda: (vh - centre[1]) / spread[1],
        "ratio": lambda: (vv - vh - (centre[0] - centre[1])) / ((spread[0] + spread[1]) / 2),
        "saturated_ratio": lambda: 1 - np.clip(vh / np.maximum(vv, 1), 0, 1),
        "water": lambda: water,
    }
    return np.stack([known[name]() for name in channels], axis=-3)
