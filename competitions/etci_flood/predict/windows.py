"""Window-by-window prediction: rasters of any size in bounded memory.

The models are trained on the official images, decibels stretched to 0..255; `backscatter_scale` makes the
same levels from the decibels of any raster.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from common.base.console import log, progress
from common.base.errors import InputError
from common.learn.arrays import AnyArray, Bools, Float32, UInt8
from competitions.etci_flood.models.base import WeightedModels, max_padding, mean_probability, to_uint8
from competitions.etci_flood.predict.backscatter_scale import (
    BackscatterScale,
    BackscatterSeen,
    levels_from_db,
)
from competitions.etci_flood.predict.values import KnownUnits, RawBackscatter, Units, Values, look_over
from competitions.etci_flood.predict.water_mask import array_water
from competitions.etci_flood.predict.window_grid import NO_DATA, OVERLAP, WINDOW_SIZE, Span, Window, spread


class Backscatter(RawBackscatter, Protocol):
    """A raster of VV and VH that is read window by window."""

    spacing: float | None
    """Metres between pixels; None where it is unknown."""

    def understood(self) -> list[str]:
        """How the files were read, one or two lines."""


class ArrayBackscatter:
    """VV and VH in memory.

    Parameters
    ----------
    layers : (2, height, width) floating point, VV and VH in decibels, linear power or amplitude, or complex;
        NaN, and masked in a masked array, is no data.
    water : (height, width), 1 or 255 where there is permanent water; none is assumed without it.
    water_values : values of `water` that are water.
    """

    name = "the array"
    spacing: float | None = None
    bands_asked = True
    """The order of the two layers is documented."""

    def __init__(
        self, layers: AnyArray, water: AnyArray | None = None, water_values: Sequence[float] | None = None
    ) -> None:
        given = np.ma.asarray(layers) if np.ma.isMaskedArray(layers) else np.asarray(layers)
        is_complex = np.issubdtype(given.dtype, np.complexfloating)
        if given.ndim != 3 or len(given) != 2 or not (is_complex or np.issubdtype(given.dtype, np.floating)):
            raise InputError(
                f"the array has shape {given.shape} and type {given.dtype}; expected floating-point "
                "VV and VH, (2, height, width), in decibels or linear power"
            )
        self.unit_hint: KnownUnits | None = "amplitude" if is_complex else None
        self.layers = given
        self.height, self.width = given.shape[1:]
        self.water_asked = water is None or water_values is not None
        self.water: UInt8 | None = None
        if water is not None:
            self.water = array_water(water, given.shape[1:], water_values)

    def read(self, window: Window) -> Float32:
        """VV and VH of a window."""
        part = self.layers[(slice(None), *window.slices)]
        values = np.abs(np.ma.getdata(part)) if self.unit_hint else np.ma.getdata(part)
        found: Float32 = np.where(np.ma.getmaskarray(part), np.nan, values).astype(np.float32)
        return found

    def read_water(self, window: Window) -> UInt8:
        """Permanent water of a window."""
        if self.water is None:
            return np.zeros((1, window.height, window.width), np.uint8)
        return self.water[window.slices][None]

    def understood(self) -> list[str]:
        """How the array was read."""
        lines = [f"{self.name}: VV, VH; {self.height} x {self.width} pixels, spacing unknown, taken as 10 m"]
        if self.water is not None:
            lines.append(f"permanent water: {self.water.mean():.1%} of the raster")
        return lines


@dataclass(frozen=True)
class Stretch:
    """From a raster's values to levels of the official images."""

    values: Values
    scale: BackscatterScale
    seen: BackscatterSeen = field(default_factory=BackscatterSeen)
    """Backscatter of the windows so far."""

    def apply(self, stored: Float32) -> tuple[UInt8, Bools]:
        """Image values (2, height, width), and which pixels are known (height, width)."""
        decibels = self.values.decibels(stored)
        known: Bools = np.isfinite(decibels[0])
        if not known.any():
            return np.zeros(decibels.shape, np.uint8), known
        levels = levels_from_db(decibels, self.scale)
        self.seen.add(decibels)
        # Value 0 means no data in most scenes.
        values = np.rint(np.where(known, levels, 0)).clip(1, 255)
        return np.where(known, values, 0).astype(np.uint8), known


def fit_stretch(
    source: Backscatter,
    units: Units,
    scale: BackscatterScale,
    nodata: Sequence[float] | None = None,
    tell: Callable[[str], None] = log,
) -> Stretch:
    """Find fill and units of a raster; parameters and errors as in `look_over`.

    Parameters
    ----------
    scale : of the trained experiment.
    """
    return Stretch(look_over(source, units, nodata, tell), scale.at_spacing(source.spacing))


def predict_windows(
    source: Backscatter, models: WeightedModels, stretch: Stretch
) -> Iterator[tuple[Window, Float32, Bools]]:
    """Yield parts that cover a raster, with their flood probability and which pixels are known.

    Windows overlap. Predictions near their borders are left out, and those of neighbouring windows are
    blended linearly over 64 pixels, so that the map has no seams. Only these pixels are kept in memory.

    Returns
    -------
    Each part, and float32 and bool (height, width).
    """
    down, across = spread(source.height), spread(source.width)
    above = np.zeros((OVERLAP, source.width), np.float32)
    before = np.zeros((0, OVERLAP), np.float32)
    spans = [(rows, columns) for rows in down for columns in across]
    for rows, columns in progress(spans, "mapping", "windows"):
        window = Window(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        probability, known = _map_window(window, source, models, stretch)
        used = tuple(slice(span.first - span.start, span.last - span.start) for span in (rows, columns))
        probability, known = probability[used], known[used]
        is_last_row, is_last_column = rows is down[-1], columns is across[-1]
        probability *= _ramp(rows, not is_last_row)[:, None] * _ramp(columns, not is_last_column)
        if columns.first:
            probability[:, :OVERLAP] += before
        before = probability[:, -OVERLAP:].copy()
        height = len(probability) - (0 if is_last_row else OVERLAP)
        width = probability.shape[1] - (0 if is_last_column else OVERLAP)
        part = Window(rows.first, columns.first, height, width)
        shared = above[:, columns.first : columns.first + width]
        if rows.first:
            probability[:OVERLAP, :width] += shared
        if not is_last_row:
            shared[:] = probability[height:, :width]
        yield part, probability[:height, :width], known[:height, :width]


def flood_mask(probability: Float32, known: Bools, threshold: int) -> UInt8:
    """1 = flood (probability x 255 is at least `threshold`), 0 = not, 255 = unknown."""
    return np.where(known, to_uint8(probability) >= threshold, NO_DATA).astype(np.uint8)


def _map_window(
    window: Window, source: Backscatter, models: WeightedModels, stretch: Stretch
) -> tuple[Float32, Bools]:
    """Probability of flood and known pixels of one window, (height, width)."""
    padding = max_padding(models)
    padded = _padded(window, padding, source)
    values, known = stretch.apply(padded.fill(source.read(padded.inside)))
    known = known[padding : padding + window.height, padding : padding + window.width]
    if not known.any():
        return np.zeros((window.height, window.width), np.float32), known
    water = padded.fill(source.read_water(padded.inside))
    layers = np.concatenate([values, water])[None]  # (1, 3, side, side)
    full = mean_probability(models, layers, stretch.scale.scene[None], padding)[0]
    return full[: window.height, : window.width].copy(), known


def _ramp(span: Span, is_followed: bool) -> Float32:
    """Weights along one axis of a window; those of neighbouring windows sum to 1 where they are blended."""
    weights = np.ones(span.last - span.first, np.float32)
    rising = (np.arange(OVERLAP, dtype=np.float32) + 0.5) / OVERLAP
    if span.first:
        weights[:OVERLAP] = rising
    if is_followed:
        weights[-OVERLAP:] = rising[::-1]
    return weights


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
