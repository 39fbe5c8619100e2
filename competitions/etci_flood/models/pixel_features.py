"""Features of a pixel from its neighbourhood: backscatter, texture and water at several scales.

A single pixel of speckle is uninformative. Means over squares of growing size measure how dark the pixel and
its surroundings are. Standard deviations, minima and maxima separate smooth water from rough fields. The area
of the dark connected component separates a river from a shadow. Permanent water says where water is expected.
"""

from typing import Any

import cv2
import numpy as np

from common.learn.arrays import Bools, Float32, UInt8

PADDING = 64
"""Pixels of context that the features need on each side."""
MEAN_SIDES = (3, 5, 9, 17, 33, 65, 127)
"""Sides of squares, pixels."""
STD_SIDES = (5, 9, 17, 33)
MIN_SIDES = (7, 21, 61)
WATER_MEAN_SIDES = (5, 17, 65, 127)
DARK_THRESHOLDS = (60, 80, 100)
"""VV below these values of the official images counts as dark."""
DARK_MEAN_SIDES = (17, 65)
MAX_DISTANCE = 64.0
"""Distances to water are clipped here, pixels."""


BRIGHTEST_SIDES = (61, 121)
"""Sides of squares in which the brightest ground is looked for, pixels."""
BRIGHTEST_STEP = 4
"""The brightest ground is looked for among means over squares of this side, which cost little."""


def pixel_features(layers: UInt8, scale: Float32, scene_medians: bool = True) -> Float32:
    """Features of every pixel but those of the padding.

    Parameters
    ----------
    layers : (3, height + 2 PADDING, width + 2 PADDING) uint8: VV, VH, permanent water (0 or 1).
    scale : (2, 2), median and spread of VV and VH in the scene.
    scene_medians : whether backscatter is compared with the medians of the scene; otherwise with the
        brightest ground around each pixel.

    Returns
    -------
    (height, width, features) float32, in the order of `feature_names`.
    """
    features = _named(layers, scale, scene_medians)
    inside = slice(PADDING, -PADDING)
    return np.stack([feature[inside, inside] for feature in features.values()], axis=-1, dtype=np.float32)


def feature_names(scene_medians: bool = True) -> list[str]:
    """Names of the features, in order."""
    side = 2 * PADDING + 1
    return list(_named(np.zeros((3, side, side), np.uint8), np.ones((2, 2), np.float32), scene_medians))


def _named(layers: UInt8, scale: Float32, scene_medians: bool) -> dict[str, Float32]:
    vv, vh, water = layers.astype(np.float32)
    found = {"vv": vv, "vh": vh, "vv - vh": vv - vh, "water": water}
    for name, layer, (centre, _) in (("vv", vv, scale[0]), ("vh", vh, scale[1])):
        found |= _of_backscatter(name, layer)
        smooth = found[f"{name} mean 3"]
        if scene_medians:
            found[f"{name} minus scene median"] = smooth - centre
        else:
            found |= _below_surroundings(name, smooth, found[f"{name} mean 9"])
    for side in WATER_MEAN_SIDES:
        found[f"water mean {side}"] = _mean(water, side)
    found["distance to water"] = _distance(water == 0)
    found["distance into water"] = _distance(water > 0)
    for threshold in DARK_THRESHOLDS:
        found |= _of_dark_patches(_mean(vv, 3) < threshold, water, threshold)
    return found


def _of_backscatter(name: str, layer: Float32) -> dict[str, Float32]:
    found: dict[str, Any] = {}
    for side in MEAN_SIDES:
        mean = found[f"{name} mean {side}"] = _mean(layer, side)
        if side in STD_SIDES:
            variance = _mean(layer * layer, side) - mean * mean
            found[f"{name} std {side}"] = np.sqrt(np.maximum(variance, 0))
    smooth = found[f"{name} mean 3"]
    for side in MIN_SIDES:
        found[f"{name} min {side}"] = cv2.erode(smooth, np.ones((side, side), np.uint8))
    found[f"{name} max 7"] = cv2.dilate(smooth, np.ones((7, 7), np.uint8))
    found[f"{name} median 5"] = cv2.medianBlur(layer, 5)
    return found


def _below_surroundings(name: str, smooth: Float32, mean: Float32) -> dict[str, Float32]:
    """How much darker a pixel is than the brightest ground around it: calibration does not change that."""
    height, width = smooth.shape
    coarse = cv2.resize(
        mean, None, fx=1 / BRIGHTEST_STEP, fy=1 / BRIGHTEST_STEP, interpolation=cv2.INTER_AREA
    )
    found: dict[str, Any] = {}
    for side in BRIGHTEST_SIDES:
        steps = side // BRIGHTEST_STEP | 1
        brightest = cv2.dilate(coarse, np.ones((steps, steps), np.uint8))
        brightest = cv2.resize(brightest, (width, height), interpolation=cv2.INTER_LINEAR)
        found[f"{name} minus brightest {side}"] = smooth - brightest
    return found


def _of_dark_patches(dark: Bools, water: Float32, threshold: int) -> dict[str, Float32]:
    """Area and water fraction of a pixel's dark connected component, and the dark fraction around it."""
    # patch: (height, width) number of each pixel's component; 0 is the background, that is what is not dark.
    count, patch, measures, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8), connectivity=4)
    size = measures[:, cv2.CC_STAT_AREA]
    wet = np.bincount(patch.ravel(), water.ravel(), count) / np.maximum(size, 1)
    log_size = np.log1p(size)
    log_size[0], wet[0] = 0, -1
    found: dict[str, Any] = {
        f"patch below {threshold}": log_size[patch].astype(np.float32),
        f"water of patch below {threshold}": wet[patch].astype(np.float32),
    }
    for side in DARK_MEAN_SIDES:
        found[f"below {threshold} mean {side}"] = _mean(dark.astype(np.float32), side)
    return found


def _mean(layer: Float32, side: int) -> Float32:
    mean: Any = cv2.blur(layer, (side, side))
    return np.asarray(mean, np.float32)


def _distance(inside: Bools) -> Float32:
    """Distance of the pixels `inside` to the nearest other one, clipped, pixels."""
    if inside.all():
        return np.full(inside.shape, MAX_DISTANCE, np.float32)
    distance: Any = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    return np.minimum(distance, MAX_DISTANCE, dtype=np.float32)
