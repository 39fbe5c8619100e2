"""Fill that a raster does not mark as no data, found by what backscatter never looks like."""

from collections.abc import Sequence

import numpy as np

from common.learn.arrays import Float32, Int64

IMPOSSIBLE_BELOW, IMPOSSIBLE_ABOVE = -100.0, 1000.0
"""No value of calibrated backscatter in any unit lies outside."""
MIN_REPEATS = 16
"""Pixels of one value below which it is no fill."""
SPIKE = 20
"""A value that fills areas is fill when it is so many times as frequent as the values next to it."""
SPIKE_SHARE = 0.002
MANY_AREAS = 32
"""Values of constant areas above which the raster was enlarged, so that all its values fill areas."""
COUNTED_VALUES = 8
"""Values of constant areas that are counted in a window."""

Areas = dict[float, list[int]]
"""Value of constant areas -> its pixels in such areas, and all of its pixels in the same windows."""


def count_areas(band: Float32, areas: Areas) -> None:
    """Add the values that fill squares of 2 x 2 pixels."""
    across = band[:, 1:] == band[:, :-1]
    down = band[1:] == band[:-1]
    square = across[1:] & across[:-1] & down[:, :-1]
    if not square.any():
        return
    inside = np.zeros(band.shape, bool)
    for rows in (np.s_[1:], np.s_[:-1]):
        for columns in (np.s_[1:], np.s_[:-1]):
            inside[rows, columns] |= square
    values, counts = np.unique(band[inside & np.isfinite(band)], return_counts=True)
    for place in np.argsort(counts, kind="stable")[::-1][:COUNTED_VALUES]:
        value = float(values[place])
        if value == 0:
            continue
        seen = areas.setdefault(value, [0, 0])
        seen[0] += int(counts[place])
        seen[1] += int((band == values[place]).sum())


def fill_values(sample: Float32, areas: Areas) -> list[float]:
    """Values that are fill, of a sample of one band and its constant areas.

    Backscatter hardly ever repeats a value exactly, and rounded backscatter repeats all values alike. Fill is
    a value that covers areas and is far more frequent than the values next to it, or lies far from all
    others, or is impossible.
    """
    values, repeats = np.unique(sample, return_counts=True)
    counts = repeats.astype(np.int64)
    impossible = (values < IMPOSSIBLE_BELOW) | (values > IMPOSSIBLE_ABOVE)
    often = counts >= max(MIN_REPEATS, 0.01 * len(sample))
    found = [float(value) for value in values[impossible & often]]
    usual_area = np.median([total for _, total in areas.values()]) if len(areas) > MANY_AREAS else 0
    for value, (inside, total) in areas.items():
        if 2 * inside < total or total < max(MIN_REPEATS, SPIKE * usual_area):
            continue
        if not _is_possible(value) or _stands_out(np.float32(value), sample, values, counts):
            found.append(value)
    return found


def _stands_out(value: np.float32, sample: Float32, values: Float32, counts: Int64) -> bool:
    """Whether a value of areas is far from all others, or far more frequent than those next to it."""
    place = int(np.searchsorted(values, value))
    here = place < len(values) and values[place] == value
    count = int(counts[place]) if here else 0
    others = np.r_[max(0, place - 4) : place, place + here : min(len(values), place + here + 4)].astype(int)
    if not len(others):
        return True
    usual = float(np.median(counts[others]))
    low, high = np.percentile(sample[sample != value], [25, 75])
    apart = np.abs(values[others] - value).min() > 3 * (high - low)
    # Values next to it that were seen once are those of backscatter that was not rounded.
    spike = usual <= 1 or (count >= SPIKE * usual and count >= SPIKE_SHARE * len(sample))
    return bool(apart or spike)


def fill_words(fill: Sequence[Sequence[float]]) -> list[str]:
    """`fill -9999`, `fill 0 in VH`."""
    both = [value for value in fill[0] if value in fill[1]]
    words = [f"fill {value:.7g}" for value in both]
    for name, values in zip(("VV", "VH"), fill, strict=True):
        words += [f"fill {value:.7g} in {name}" for value in values if value not in both]
    possible = [value for values in fill for value in values if value and _is_possible(value)]
    if possible:
        words.append(f"areas of {possible[0]:.7g} may be clipped values, --nodata none maps them")
    return words


def _is_possible(value: float) -> bool:
    return IMPOSSIBLE_BELOW <= value <= IMPOSSIBLE_ABOVE
