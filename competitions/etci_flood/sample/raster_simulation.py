"""Synthetic Sentinel-1 rasters in decibels as users have them: any share of water, 10 to 30 m, GRD speckle.

They differ from the official tiles in what a model must not rest on. Calibration and incidence angle shift
the decibels. Ground range products of 10 m have about four looks and correlated speckle. Any share may be
water. Dry smooth soil is nearly as dark as water in VV, and wind roughens open water.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from common.learn.arrays import Bools, Float32, Floats
from competitions.etci_flood.sample.scene_simulation import smooth_field

LOOKS = 5
"""Independent looks of a ground range product (equivalent number 4.4)."""
POINT_SPREAD = 0.85
"""Standard deviation of the point spread function, pixels of 10 m; adjacent pixels correlate by about 0.5."""
GRD_SPACING = 10


@dataclass(frozen=True)
class RasterLook:
    """How a raster was taken."""

    spacing: int = GRD_SPACING
    """Metres; a multiple of 10. Power of 10 m pixels is averaged to it."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Calibration of VV and VH, dB: sigma or gamma nought, incidence angle, wet or dry soil."""
    gradient: float = 0.0
    """Change from the left to the right edge, dB: near to far range."""
    wind: float = 0.5
    """0: calm. 1: some of the water is up to 6 dB brighter in VV."""
    dark_soil: float = 0.08
    """Fraction of the land that is smooth and dry, as dark as -16 dB in VV."""


@dataclass(frozen=True)
class SimulatedRaster:
    """A raster and its truth."""

    decibels: Float32
    """(2, rows, columns), VV and VH."""
    water: Bools
    """(rows, columns), open water."""


def simulate_raster(
    shape: tuple[int, int], water: float, rng: np.random.Generator, look: RasterLook | None = None
) -> SimulatedRaster:
    """Simulate a raster of `shape` pixels whose given fraction is water: a river and low ground around it."""
    look = look or RasterLook()
    factor = look.spacing // GRD_SPACING
    fine = (shape[0] * factor, shape[1] * factor)
    zoom = 30 / GRD_SPACING  # structures are drawn in pixels of 30 m
    across = np.arange(fine[1])[None, :] / zoom
    along = np.arange(fine[0])[:, None] / zoom
    middle = fine[1] / zoom * rng.uniform(0.3, 0.7) + np.zeros_like(along)
    for waves, swing in ((0.35, 50.0), (0.9, 25.0), (2.3, 10.0)):
        middle = middle + swing * np.sin(2 * np.pi * (waves * along / 256 + rng.random()))
    depth = np.abs(across - middle) / 60 + smooth_field(fine, 30 * zoom, rng)
    depth += 0.3 * smooth_field(fine, 8 * zoom, rng)
    wet: Bools = depth <= np.quantile(depth, water) if water > 0 else np.zeros(fine, bool)
    vv, vh = _land(fine, look, zoom, rng)
    rough = look.wind * np.clip(smooth_field(fine, 40 * zoom, rng) - 0.2, 0, 1.5)
    vv, vh = np.where(wet, -20.0 + 4 * rough, vv), np.where(wet, -26.5 + 2 * rough, vh)
    slope = look.gradient * (np.arange(fine[1]) / fine[1] - 0.5)
    power = [
        10 ** ((band + offset + slope) / 10) * speckle(fine, rng)
        for band, offset in zip((vv, vh), look.offset, strict=True)
    ]
    averaged = np.stack([_averaged(band, factor) for band in power])
    decibels = 10 * np.log10(np.maximum(averaged, 1e-5))
    return SimulatedRaster(decibels.astype(np.float32), _averaged(wet.astype(float), factor) > 0.5)


def speckle(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Correlated multi-look speckle of mean 1: the mean power of blurred complex Gaussian noise."""
    power = np.zeros(shape)
    for _ in range(2 * LOOKS):  # real and imaginary part of each look
        power += ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), POINT_SPREAD) ** 2
    speckled: Floats = power / power.mean()
    return speckled


def _land(
    shape: tuple[int, int], look: RasterLook, zoom: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    vv = -9.8 + 1.0 * smooth_field(shape, 20 * zoom, rng)
    vh = -16.8 + 1.1 * smooth_field(shape, 20 * zoom, rng)
    forest = smooth_field(shape, 25 * zoom, rng) > 0.8
    vv[forest], vh[forest] = vv[forest] + 1.5, vh[forest] + 2.5
    side = int(16 * zoom)
    blocks = (shape[0] // side + 1, shape[1] // side + 1)
    change = rng.normal(0, 1.2, blocks)
    bare = rng.random(blocks) < look.dark_soil
    for number, height in enumerate((0.0, 0.7)):  # fields: VH of bare soil falls further
        block = np.where(bare, 0, change + height * rng.normal(0, 0.5, blocks))
        band = vh if number else vv
        band += np.kron(block, np.ones((side, side)))[: shape[0], : shape[1]]
    soil = np.kron(bare, np.ones((side, side), bool))[: shape[0], : shape[1]].astype(bool)
    darkness = rng.uniform(-16.5, -14.5)
    vv[soil], vh[soil] = darkness + 0.3 * vv[soil] + 2.9, darkness - 7.0
    towns = (smooth_field(shape, 10 * zoom, rng) > 2.3) & (rng.random(shape) < 0.5)
    vv[towns], vh[towns] = vv[towns] + 8, vh[towns] + 7
    return vv, vh


def _averaged(layer: Floats, factor: int) -> Floats:
    rows, columns = (side // factor for side in layer.shape)
    averaged: Floats = layer.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    return averaged
