"""What a network sees of a tile: backscatter and what is made of it.

The official pictures hold backscatter in decibels, stretched to 0..255. The article's third channel is a
ratio of VV and VH, printed without its form. Taken from such pictures as VH / VV and clipped to 1 (as the
second-placed team did: 1 - clip(VH / VV, 0, 1)) it is 0 wherever VH >= VV, which is 80 to 98 % of the pixels
of some scenes; that form is `clipped` here. Decibels are logarithms, so the ratio of the two powers is a
plain difference, which saturates nowhere but where VV or VH itself does: `ratio` here.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

MEAN, DEVIATION = 128.0, 90.0
"""Of VV in the whole official training split, blank tiles included (128.0, 89.8; VH 128.1, 95.3)."""


def channel_names(channels: str) -> list[str]:
    """`vv_vh_ratio` -> vv, vh, ratio."""
    return channels.split("_")


def input_channels(
    layers: npt.NDArray[np.uint8], channels: str, scale: FloatArray | None = None
) -> FloatArray:
    """Make the network's input of a tile's layers.

    Parameters
    ----------
    layers : (..., 3, height, width) uint8: VV and VH as in the pictures, water mask 0 or 1.
    channels : names out of vv, vh, ratio, clipped, water, joined by `_`.
    scale : (..., 2, 2), of VV and VH: the level that becomes 0, and how many levels become 1. None: those of
        the official training split.

    Returns
    -------
    (..., number of channels, height, width) float32.
    """
    vv, vh, water = np.moveaxis(layers.astype(np.float32), -3, 0)
    if scale is None:
        scale = np.array([[MEAN, DEVIATION]] * 2, dtype=np.float32)
    centre, spread = np.moveaxis(scale[..., None, None].astype(np.float32), (-3, -4), (0, 1))
    known = {
        "vv": lambda: (vv - centre[0]) / spread[0],
        "vh": lambda: (vh - centre[1]) / spread[1],
        "ratio": lambda: (vv - vh - (centre[0] - centre[1])) / ((spread[0] + spread[1]) / 2),
        "clipped": lambda: 1 - np.clip(vh / np.maximum(vv, 1), 0, 1),
        "water": lambda: water,
    }
    return np.stack([known[name]() for name in channel_names(channels)], axis=-3)
