"""Synthetic SAR scenes: terrain, rivers, lakes and a flood, as backscatter images.

The scenes contain structures that defeat thresholds on VV and VH but not texture and context: dry bare fields
as dark as water, flood water roughened by wind, speckle, lakes that are not flood.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from common.learn.arrays import Bools, Float32, Floats, UInt8

LOOKS = 4
"""Number of looks (multilooking): speckle is gamma distributed with this shape and mean 1."""
COARSE = 8
"""Smooth fields are sampled at an eighth of the resolution."""
DECIBELS = {"vv": (-25.0, 0.0), "vh": (-32.0, -7.0)}
"""Backscatter (dB) that becomes 0 and 255."""


@dataclass(frozen=True)
class SimulatedScene:
    """One scene, all layers (rows, columns)."""

    vv: UInt8
    vh: UInt8
    water: Bools
    """Permanent water: the river and the lakes."""
    flood: Bools
    """Flood water including the river; separate lakes are not flood."""


def simulate_scene(shape: tuple[int, int], rng: np.random.Generator) -> SimulatedScene:
    """Simulate one scene of `shape` pixels; sides are multiples of 8."""
    river_distance = _distance_to_river(shape, rng)
    river = river_distance < 5 + 4 * rng.random() + 3 * smooth_field(shape, 40, rng)
    elevation = (
        river_distance / 110 + 0.75 * smooth_field(shape, 48, rng) + 0.25 * smooth_field(shape, 12, rng)
    )
    flooded = _reachable(elevation < 0.35 + 0.5 * rng.random(), river)
    lakes = (smooth_field(shape, 24, rng) > 2.1) & ~ndimage.binary_dilation(flooded, iterations=6)
    vv, vh = _land(shape, rng)
    water = river | lakes
    vv, vh = _with_water(vv, vh, flooded | water, rng)
    return SimulatedScene(vv=_image(vv, "vv", rng), vh=_image(vh, "vh", rng), water=water, flood=flooded)


def decibels_of(scene: SimulatedScene) -> Float32:
    """VV and VH in decibels, (2, rows, columns): a raster as a user has it."""
    layers = zip((scene.vv, scene.vh), DECIBELS.values(), strict=True)
    return np.stack([layer / 255 * (high - low) + low for layer, (low, high) in layers]).astype(np.float32)


def cut_swath(scene: SimulatedScene, inside: Bools, white: bool) -> SimulatedScene:
    """Fill everything outside the swath: black without labels, or white with its labels kept."""
    fill = np.uint8(255 if white else 0)
    return SimulatedScene(
        vv=np.where(inside, scene.vv, fill),
        vh=np.where(inside, scene.vh, fill),
        water=scene.water,
        flood=scene.flood if white else scene.flood & inside,
    )


def smooth_field(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Floats:
    """A smooth random field of mean 0 and standard deviation 1; `scale` is its grain in pixels."""
    coarse = tuple(side // COARSE + 2 for side in shape)
    field = ndimage.gaussian_filter(rng.standard_normal(coarse), scale / COARSE, mode="reflect")
    fine = ndimage.zoom(field / field.std(), COARSE, order=1)
    cut: Floats = fine[: shape[0], : shape[1]]
    return cut


def _distance_to_river(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Horizontal distance to the middle of a river that meanders from top to bottom, pixels."""
    rows, columns = shape
    along = np.arange(rows) / 256
    middle = columns * rng.uniform(0.35, 0.65) + np.zeros(rows)
    for waves, swing in ((0.35, 70.0), (0.9, 35.0), (2.3, 12.0)):
        middle += swing * np.sin(2 * np.pi * (waves * along + rng.random()))
    distance: Floats = np.abs(np.arange(columns)[None, :] - middle[:, None])
    return distance


def _reachable(low: Bools, river: Bools) -> Bools:
    """The river, and the low ground that is connected to it."""
    labels, _ = ndimage.label(low | river)
    reached: Bools = np.isin(labels, np.unique(labels[river]))
    return reached & (low | river)


def _land(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Mean backscatter of dry land in VV and VH, dB: vegetation, forest, and fields with straight borders."""
    vv = -9.5 + 1.2 * smooth_field(shape, 20, rng)
    vh = -15.5 + 1.2 * smooth_field(shape, 20, rng)
    forest = smooth_field(shape, 30, rng) > 1.0
    vv[forest], vh[forest] = vv[forest] + 2.0, vh[forest] + 2.5
    for _ in range(round(shape[0] * shape[1] / 256**2 * 9)):
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        field = np.s_[top : top + rng.integers(24, 80), left : left + rng.integers(24, 80)]
        if rng.random() < 0.4:  # dry and smooth: as dark as water in VV, and nearly as dark in VH
            vv[field], vh[field] = rng.uniform(-19.0, -16.0), rng.uniform(-25.0, -20.0)
        else:
            change = rng.uniform(-3.0, 2.0)
            vv[field] += change
            vh[field] += change
    return vv, vh


def _with_water(vv: Floats, vh: Floats, water: Bools, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Replace land by water: specular and dark, brighter where wind roughens it."""
    wind = np.clip(smooth_field(water.shape, 36, rng) - 0.4, 0, 1.5)
    return np.where(water, -19.5 + 4.0 * wind, vv), np.where(water, -25.5 + 1.5 * wind, vh)


def _image(decibels: Floats, polarisation: str, rng: np.random.Generator) -> UInt8:
    """Add speckle and a blur of half a pixel, and stretch decibels to one byte."""
    power = 10 ** (decibels / 10) * rng.gamma(LOOKS, 1 / LOOKS, decibels.shape)
    blurred = ndimage.gaussian_filter(power.astype(np.float32), 0.5)
    low, high = DECIBELS[polarisation]
    stretched = (10 * np.log10(np.maximum(blurred, 1e-6)) - low) / (high - low) * 255
    return np.clip(np.rint(stretched), 1, 254).astype(np.uint8)
