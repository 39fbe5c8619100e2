"""What a network sees of a tile: backscatter and what is made of it.

The official pictures hold backscatter in decibels, stretched to 0..255. The article's third channel is a
ratio of VV and VH. Taken from such pictures as VH / VV and clipped to 1, it is constant wherever VH >= VV,
which is 80 to 98 % of the pixels of some scenes. Decibels are logarithms: there the ratio of the two powers
is a plain difference. It is free of saturation, so `ratio` is that here.
"""

import numpy as np
import numpy.typing as npt

from competitions.etci_flood.experiment import Channels

FloatArray = npt.NDArray[np.float32]

MEAN, DEVIATION = 128.0, 90.0
"""Of VV in the whole official training split, blank tiles included (128.0, 89.8; VH 128.1, 95.3)."""


def channel_names(channels: Channels) -> list[str]:
    """`vv_vh_ratio` -> vv, vh, ratio."""
    return channels.split("_")


def input_channels(layers: npt.NDArray[np.uint8], channels: Channels) -> FloatArray:
    """Make the network's input of a tile's layers.

    Parameters
    ----------
    layers : (..., 3, height, width) uint8: VV and VH as in the pictures, water mask 0 or 1.

    Returns
    -------
    (..., number of channels, height, width) float32.
    """
    vv, vh, water = np.moveaxis(layers.astype(np.float32), -3, 0)
    known = {
        "vv": (vv - MEAN) / DEVIATION,
        "vh": (vh - MEAN) / DEVIATION,
        "ratio": (vv - vh) / DEVIATION,
        "water": water,
    }
    return np.stack([known[name] for name in channel_names(channels)], axis=-3)
