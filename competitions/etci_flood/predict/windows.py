"""Window-by-window prediction: rasters of any size in bounded memory.

The models are trained on the official images, decibels stretched to 0..255; `backscatter_scale` makes the
same levels from the decibels of any raster.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, Protocol

import numpy as np

from common.base.console import progress
from common.base.errors import InputError
from common.learn.arrays import AnyArray, Bools, Float32, UInt8
from competitions.etci_flood.models.base import WeightedModels, max_padding, mean_probability, to_uint8
from competitions.etci_flood.predict.backscatter_scale import (
    BackscatterScale,
    BackscatterSeen,
    levels_from_db,
)

Units = Literal["auto", "db", "linear"]
KnownUnits = Literal["db", "linear"]

WINDOW_SIZE = 512
"""Side of a window, pixels; a multiple of 32, as the networks need."""
SAMPLED_WINDOWS = 64
"""Windows, evenly spread, from which the units of a raster are found."""
NO_DATA = 255
"""Of a flood mask: pixels where VV or VH is unknown."""


@dataclass(frozen=True)
class Window:
    """A part of a raster, pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Backscatter(Protocol):
    """A raster of VV and VH that is read window by window."""

    name: str
    """For messages."""
    height: int
    width: int
    spacing: float | None
    """Metres between pixels; None where it is unknown."""

    def read(self, window: Window) -> Float32:
        """VV and VH, (2, height, width) float32, decibels or linear power; NaN where there is no data."""

    def read_water(self, window: Window) -> UInt8:
        """Permanent water, (1, height, width), 0 or 1."""


class ArrayBackscatter:
    """VV and VH in memory.

    Parameters
    ----------
    layers : (2, height, width) floating point, VV and VH in decibels or linear power; NaN where there is no
        data.
    water : (height, width), not 0 where there is permanent water; none is assumed without it.
    """

    name = "the array"
    spacing: float | None = None

    def __init__(self, layers: AnyArray, water: AnyArray | None = None) -> None:
        layers = np.asarray(layers)
        if layers.ndim != 3 or len(layers) != 2 or not np.issubdtype(layers.dtype, np.floating):
            raise InputError(
                f"the array has shape {layers.shape} and type {layers.dtype}; expected floating-point "
                "VV and VH, (2, height, width), in decibels or linear power"
            )
        if water is not None and np.shape(water) != layers.shape[1:]:
            raise InputError(f"water has shape {np.shape(water)}; expected {layers.shape[1:]} as VV and VH")
        self.layers, self.water = layers, None if water is None else np.asarray(water)
        self.height, self.width = layers.shape[1:]

    def read(self, window: Window) -> Float32:
        """VV and VH of a window."""
        return self.layers[(slice(None), *window.slices)].astype(np.float32)

    def read_water(self, window: Window) -> UInt8:
        """Permanent water of a window."""
        if self.water is None:
            return np.zeros((1, window.height, window.width), np.uint8)
        return (self.water[window.slices] != 0).astype(np.uint8)[None]


@dataclass(frozen=True)
class Stretch:
    """From a raster's values to levels of the official images."""

    units: KnownUnits
    scale: BackscatterScale
    seen: BackscatterSeen = field(default_factory=BackscatterSeen)
    """Backscatter of the windows so far."""

    def apply(self, backscatter: Float32) -> tuple[UInt8, Bools]:
        """Image values (2, height, width), and which pixels are known (height, width)."""
        decibels, known = to_decibels(backscatter, self.units)
        decibels = np.where(known, decibels, np.float32(np.nan))
        levels = levels_from_db(decibels, self.scale)
        self.seen.add(decibels)
        both_known: Bools = known[0] & known[1]
        # Value 0 means no data in most scenes.
        values = np.rint(np.where(known, levels, 0)).clip(1, 255)
        return np.where(known, values, 0).astype(np.uint8), both_known


def to_decibels(backscatter: Float32, units: KnownUnits) -> tuple[Float32, Bools]:
    """Decibels (0 where unknown), and which values are known: finite and, for linear power, above 0."""
    known = np.isfinite(backscatter) & ((backscatter > 0) | (units == "db"))
    filled = np.where(known, backscatter, 1).astype(np.float32)
    return (10 * np.log10(filled) if units == "linear" else filled * known), known


def fit_stretch(source: Backscatter, units: Units, scale: BackscatterScale) -> Stretch:
    """Find the raster's units from evenly spread windows.

    Parameters
    ----------
    units : auto takes a negative median of VV for decibels.
    scale : of the trained experiment.

    Raises
    ------
    InputError : the raster holds no data, or no linear power.
    """
    windows = list(windows_of(source))
    subset = windows[:: max(1, len(windows) // SAMPLED_WINDOWS)]
    # Every fourth pixel of both axes, (2, pixels).
    sampled = [source.read(window)[:, ::4, ::4].reshape(2, -1) for window in subset]
    backscatter = np.concatenate(sampled, axis=1)
    finite = np.isfinite(backscatter).all(axis=0) & (backscatter != 0).any(axis=0)
    if not finite.any():
        raise InputError(f"{source.name}: holds no values, only no data")
    known_units: KnownUnits = units if units != "auto" else "linear"
    if units == "auto" and np.median(backscatter[0, finite]) < 0:
        known_units = "db"
    _, known = to_decibels(backscatter[:, finite], known_units)
    if not known.all(axis=0).any():
        raise InputError(f"{source.name}: no linear power is above 0; are these decibels (units db)?")
    return Stretch(known_units, scale.at_spacing(source.spacing))


def predict_windows(
    source: Backscatter, models: WeightedModels, stretch: Stretch
) -> Iterator[tuple[Window, Float32, Bools]]:
    """Yield each window with its flood probability and which pixels are known, both (height, width)."""
    padding = max_padding(models)
    for window in progress(list(windows_of(source)), "mapping", "windows"):
        padded = _padded(window, padding, source)
        values, known = stretch.apply(padded.fill(source.read(padded.inside)))
        own = np.s_[padding : padding + window.height, padding : padding + window.width]
        probability = np.zeros((window.height, window.width), np.float32)
        if known[own].any():
            water = padded.fill(source.read_water(padded.inside))
            layers = np.concatenate([values, water])[None]  # (1, 3, side, side)
            full = mean_probability(models, layers, stretch.scale.scene[None], padding)[0]
            probability = full[: window.height, : window.width]
        yield window, probability, known[own]


def flood_mask(probability: Float32, known: Bools, threshold: int) -> UInt8:
    """1 = flood (probability x 255 is at least `threshold`), 0 = not, 255 = unknown."""
    return np.where(known, to_uint8(probability) >= threshold, NO_DATA).astype(np.uint8)


def windows_of(source: Backscatter) -> Iterator[Window]:
    """Windows of at most 512 x 512 pixels that cover a raster."""
    for top, left in product(range(0, source.height, WINDOW_SIZE), range(0, source.width, WINDOW_SIZE)):
        yield Window(top, left, min(WINDOW_SIZE, source.height - top), min(WINDOW_SIZE, source.width - left))


@dataclass(frozen=True)
class _Padded:
    """A padded window: its part inside the raster, and the number of missing pixels on each side."""

    inside: Window
    missing: tuple[tuple[int, int], tuple[int, int]]

    def fill(self, layers: AnyArray) -> AnyArray:
        """Mirror the layers of `inside` until window and padding are complete."""
        return np.pad(layers, ((0, 0), *self.missing), mode="symmetric")


def _padded(window: Window, padding: int, source: Backscatter) -> _Padded:
    spans, missing = [], []
    for start, size in ((window.top, source.height), (window.left, source.width)):
        first, last = start - padding, start + WINDOW_SIZE + padding
        spans.append((max(first, 0), min(last, size)))
        missing.append((max(-first, 0), max(last - size, 0)))
    (top, bottom), (left, right) = spans
    return _Padded(Window(top, left, bottom - top, right - left), (missing[0], missing[1]))
