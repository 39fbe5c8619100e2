"""What surrounds a pixel, as numbers: backscatter, texture and water at several scales.

A speckled pixel alone says little. Means over ever larger squares say how dark it is and how dark its
surroundings are; deviations, minima and maxima tell smooth water from rough fields; the size of the dark
patch that a pixel lies in tells a river from a shadow; the permanent water says where water is expected.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

MARGIN = 64
"""Pixels around what is mapped that the features look at."""
MEANS = (3, 5, 9, 17, 33, 65, 127)
"""Sides of squares, pixels."""
DEVIATIONS = (5, 9, 17, 33)
MINIMA = (7, 21, 61)
WATER_MEANS = (5, 17, 65, 127)
DARK_LEVELS = (60, 80, 100)
"""VV below these is dark: levels of the official pictures."""
DARK_MEANS = (17, 65)
FARTHEST = 64.0
"""Distances to water are cut off here, pixels."""


def pixel_features(layers: Bytes, scale: FloatArray) -> FloatArray:
    """Features of every pixel but those of the margin.

    Parameters
    ----------
    layers : (3, height + 2 MARGIN, width + 2 MARGIN) uint8: VV, VH, permanent water (0 or 1).
    scale : (2, 2), median and spread of VV and VH in the scene.

    Returns
    -------
    (height, width, features) float32, in the order of `feature_names`.
    """
    features = _named(layers, scale)
    inside = slice(MARGIN, -MARGIN)
    return np.stack([feature[inside, inside] for feature in features.values()], axis=-1, dtype=np.float32)


def feature_names() -> list[str]:
    """What the features are called, in order."""
    side = 2 * MARGIN + 1
    return list(_named(np.zeros((3, side, side), np.uint8), np.ones((2, 2), np.float32)))


def _named(layers: Bytes, scale: FloatArray) -> dict[str, FloatArray]:
    vv, vh, water = layers.astype(np.float32)
    found = {"vv": vv, "vh": vh, "vv - vh": vv - vh, "water": water}
    for name, layer, (centre, _) in (("vv", vv, scale[0]), ("vh", vh, scale[1])):
        found |= _of_backscatter(name, layer, centre)
    for side in WATER_MEANS:
        found[f"water mean {side}"] = _mean(water, side)
    found["distance to water"] = _distance(water == 0)
    found["distance into water"] = _distance(water > 0)
    for level in DARK_LEVELS:
        found |= _of_dark_patches(_mean(vv, 3) < level, water, level)
    return found


def _of_backscatter(name: str, layer: FloatArray, centre: np.floating) -> dict[str, FloatArray]:
    found: dict[str, Any] = {}
    for side in MEANS:
        mean = found[f"{name} mean {side}"] = _mean(layer, side)
        if side in DEVIATIONS:
            variance = _mean(layer * layer, side) - mean * mean
            found[f"{name} deviation {side}"] = np.sqrt(np.maximum(variance, 0))
    smooth = found[f"{name} mean 3"]
    for side in MINIMA:
        found[f"{name} least {side}"] = cv2.erode(smooth, np.ones((side, side), np.uint8))
    found[f"{name} most 7"] = cv2.dilate(smooth, np.ones((7, 7), np.uint8))
    found[f"{name} median 5"] = cv2.medianBlur(layer, 5)
    found[f"{name} of the scene"] = smooth - centre
    return found


def _of_dark_patches(dark: npt.NDArray[np.bool_], water: FloatArray, level: int) -> dict[str, FloatArray]:
    """Size of the dark patch that a pixel lies in, its share of water, and how much is dark around."""
    number, patch, measures, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8), connectivity=4)
    size = measures[:, cv2.CC_STAT_AREA]
    wet = np.bincount(patch.ravel(), water.ravel(), number) / np.maximum(size, 1)
    log_size = np.log1p(size)
    log_size[0], wet[0] = 0, -1  # patch 0 is what is not dark
    found: dict[str, Any] = {
        f"patch below {level}": log_size[patch].astype(np.float32),
        f"water of patch below {level}": wet[patch].astype(np.float32),
    }
    for side in DARK_MEANS:
        found[f"below {level} mean {side}"] = _mean(dark.astype(np.float32), side)
    return found


def _mean(layer: FloatArray, side: int) -> FloatArray:
    mean: Any = cv2.blur(layer, (side, side))
    return np.asarray(mean, np.float32)


def _distance(of: npt.NDArray[np.bool_]) -> FloatArray:
    """Distance of `of` pixels to the nearest other one, pixels, cut off."""
    if of.all():
        return np.full(of.shape, FARTHEST, np.float32)
    distance: Any = cv2.distanceTransform(of.astype(np.uint8), cv2.DIST_L2, 3)
    return np.minimum(distance, FARTHEST, dtype=np.float32)
