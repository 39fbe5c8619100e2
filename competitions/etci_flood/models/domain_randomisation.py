"""Domain randomisation: tiles as other processing, other speckle and other pixel spacing would show them.

The stretch of the official images is one of many. Rasters of other sources differ in calibration, incidence
angle and wetness (an offset in decibels), in contrast (a gain), in the number of looks (speckle) and in pixel
spacing (structures of another size), and often come without a map of permanent water. A model that was
trained on all of these rests on none of them (Tobin et al. 2017).
"""

import math

import cv2
import numpy as np

from common.learn.arrays import Bools, Float32, UInt8
from competitions.etci_flood.experiment import DomainSettings

LEVELS_PER_DECIBEL = (9.5, 15.5)
"""Of VV and VH in the official images, by the levels of their water and land (`decision.anchors`)."""
PIVOT = (95.0, 115.0)
"""Level half-way between water and land, which a gain leaves where it is."""
OWN_FRACTION = 0.4
"""Fraction of an offset or gain that VV and VH do not share."""
ZOOMED_FRACTION = 0.5
"""Fraction of the changed tiles that are enlarged, where the settings have a zoom."""
CROPPED_FRACTION = 0.5
"""Fraction of the changed tiles of which only a part is seen, mirrored at its borders as rasters are."""
SMALLEST_CROP = 64
WINDY_FRACTION = 0.5
"""Fraction of the changed tiles with wind, where the settings have wind."""
WIND_IN_VH = 0.5
"""dB in VH for each in VV: rough water returns little cross-polarised power."""
STEADY_WIND = 0.4
"""Fraction of the strongest wind that blows everywhere."""
GUST = 48
"""Grain of gusts, pixels."""
MAX_LOOKS = 40.0
"""Speckle of more looks changes nothing that can be seen."""


def changed_domain(layers: UInt8, wet: Bools, settings: DomainSettings, rng: np.random.Generator) -> UInt8:
    """Random gain, offset and speckle of VV and VH, wind over water, permanent water hidden or not.

    Values 0 and 255 (mostly no data) stay.

    Parameters
    ----------
    layers : (3, height, width): VV, VH, permanent water.
    wet : (height, width), water that wind may roughen.

    Returns
    -------
    A changed copy.
    """
    noise = _speckle_decibels(layers.shape[1:], settings, rng)
    wind = _wind_decibels(wet, settings, rng)
    if wind is not None:
        noise = wind if noise is None else noise + wind
    shared = rng.uniform(-1, 1, 2)
    changed = layers.copy()
    if rng.random() < settings.hidden_water:
        changed[2] = 0
    for place in range(2):
        own = (1 - OWN_FRACTION) * shared + OWN_FRACTION * rng.uniform(-1, 1, 2)
        gain, offset = 1 + settings.gain * own[0], settings.offset * own[1]
        values = layers[place].astype(np.float32)
        values = (values - PIVOT[place]) * gain + PIVOT[place]
        values += LEVELS_PER_DECIBEL[place] * (offset + (0 if noise is None else noise[place]))
        kept = (layers[place] == 0) | (layers[place] == 255)
        changed[place] = np.where(kept, layers[place], np.rint(values).clip(1, 254)).astype(np.uint8)
    return changed


def _speckle_decibels(
    shape: tuple[int, ...], settings: DomainSettings, rng: np.random.Generator
) -> Float32 | None:
    """(2, height, width) of correlated speckle, dB around 0; None where none is to be added."""
    if rng.random() >= settings.speckle:
        return None
    looks = 1 / rng.uniform(1 / MAX_LOOKS, 1 / settings.min_looks)
    blur = rng.uniform(0.3, 0.9)
    noise = rng.standard_normal((2, *shape), dtype=np.float32)
    smooth = np.stack([cv2.GaussianBlur(band, (0, 0), blur) for band in noise])
    # The logarithm of multi-look power is nearly normal, of standard deviation 4.34 dB / sqrt(looks).
    decibels: Float32 = (smooth / smooth.std() * (10 / np.log(10)) / np.sqrt(looks)).astype(np.float32)
    return decibels


def _wind_decibels(wet: Bools, settings: DomainSettings, rng: np.random.Generator) -> Float32 | None:
    """(2, height, width) of dB by which wind brightens water, in gusts; None where there is none."""
    strongest = settings.wind * rng.random()
    if not settings.wind or rng.random() >= WINDY_FRACTION or not wet.any():
        return None
    height, width = wet.shape
    gusts = rng.random((height // GUST + 2, width // GUST + 2), dtype=np.float32)
    gusts = STEADY_WIND + (1 - STEADY_WIND) * gusts
    field = strongest * cv2.resize(gusts, (width, height), interpolation=cv2.INTER_LINEAR)
    decibels: Float32 = np.stack([field * wet, WIND_IN_VH * field * wet]).astype(np.float32)
    return decibels


def random_zoom(settings: DomainSettings, rng: np.random.Generator) -> float:
    """How many pixels a pixel of the tile becomes along each axis: 1, or up to `settings.max_zoom`."""
    if settings.max_zoom <= 1 or rng.random() >= ZOOMED_FRACTION:
        return 1.0
    return float(rng.uniform(1, settings.max_zoom))


def enlarged_tile(
    layers: UInt8, flood: UInt8, padding: int, zoom: float, rng: np.random.Generator
) -> tuple[UInt8, UInt8]:
    """A random part of a tile, enlarged: its pixel spacing becomes smaller.

    Parameters
    ----------
    layers : (3, side + 2 padding, side + 2 padding): VV, VH, permanent water.
    flood : (side, side) labels.

    Returns
    -------
    Layers and labels of the old shapes; the labelled pixels all belong to the labelled tile.
    """
    side, whole = len(flood), layers.shape[-1]
    small = round(side / zoom)
    around = round(padding / zoom)
    top, left = rng.integers(0, side - small + 1, 2)
    # Of the padded tile; `around` pixels on each side become the new padding.
    rows, columns = (
        slice(start + padding - around, start + padding + small + around) for start in (top, left)
    )
    part = [cv2.resize(layer[rows, columns], (whole, whole)) for layer in layers]
    labels = np.asarray(flood[top : top + small, left : left + small])
    enlarged = cv2.resize(labels, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.stack(part).astype(np.uint8), enlarged.astype(np.uint8)


def cropped_tile(
    layers: UInt8, flood: UInt8, padding: int, pixels: int, rng: np.random.Generator
) -> tuple[UInt8, UInt8]:
    """A random part of a tile as a raster of its own: what is around it is mirrored, not known.

    Parameters
    ----------
    layers : (3, side + 2 padding, side + 2 padding): VV, VH, permanent water.
    flood : (side, side) labels.
    pixels : how many the part has at least.

    Returns
    -------
    (3, height + 2 padding, width + 2 padding) layers, and (height, width) labels.
    """
    side = len(flood)
    smallest = min(max(SMALLEST_CROP, math.isqrt(pixels) + 1), side)
    height, width = rng.integers(smallest, side + 1, 2)
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    part = layers[:, padding + top : padding + top + height, padding + left : padding + left + width]
    around = ((0, 0), (padding, padding), (padding, padding))
    return np.pad(part, around, mode="symmetric"), flood[top : top + height, left : left + width]
