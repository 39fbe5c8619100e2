"""Linear-rule baseline: pixels whose weighted mean of VV and VH is below a threshold are flood."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from common.learn.arrays import Int64, Integers, UInt8
from competitions.etci_flood.rules.metric import N_VALUES, overlaps_at_or_above

WEIGHTS = tuple(round(0.1 * tenth, 1) for tenth in range(-5, 16))
"""Weights of VV; VH has 1 - weight. Below 0 and above 1 the rule is a difference of the two."""


@dataclass(frozen=True)
class LinearRule:
    """A threshold on a weighted mean of VV and VH."""

    weight: float
    """Of VV; VH has 1 - weight."""
    threshold: int
    """Weighted means below this one are flood."""
    zero_is_water: bool = True
    """Whether pixels with VV = 0 are flood (the darkest water in some scenes) or no data (in others)."""

    def __str__(self) -> str:
        text = f"{self.weight:g} VV + {1 - self.weight:g} VH below {self.threshold}"
        return text + ("" if self.zero_is_water else ", VV not 0")

    def mask(self, vv: UInt8, vh: UInt8) -> UInt8:
        """Mask of (height, width) VV and VH, 1 = flood."""
        dark = _weighted_mean(vv, vh, self.weight) < self.threshold
        return (dark & (self.zero_is_water | (vv > 0))).astype(np.uint8)

    def overlap(self, counts: Int64) -> Int64:
        """Intersection and union, (2,), from (2, 256, 256) of `joint_counts`."""
        overlaps: Int64 = _overlaps_below(counts, self.weight, self.zero_is_water)[self.threshold]
        return overlaps


def joint_counts(vv: Iterable[UInt8], vh: Iterable[UInt8], flood: Iterable[UInt8]) -> Iterator[Int64]:
    """Joint histograms of VV and VH, tile by tile: (2, 256, 256), [1] on flood pixels, [0] on the others."""
    # The three-dimensional bin of a pixel (flood, VV, VH) is flattened into one number for bincount.
    for first, second, truth in zip(vv, vh, flood, strict=True):
        pair = (np.asarray(truth).ravel() > 0) * N_VALUES**2 + np.asarray(first).ravel() * np.int64(N_VALUES)
        counts = np.bincount(pair + np.asarray(second).ravel(), minlength=2 * N_VALUES**2)
        yield counts.reshape(2, N_VALUES, N_VALUES)


def best_linear_rule(counts: Int64) -> LinearRule:
    """The rule of highest IoU on pooled (2, 256, 256) counts."""
    best, best_iou = LinearRule(1.0, 0), -1.0
    for weight, zero_is_water in product(WEIGHTS, (True, False)):
        intersection, union = _overlaps_below(counts, weight, zero_is_water).T
        iou = intersection / np.maximum(union, 1)
        if iou.max() > best_iou:
            best, best_iou = LinearRule(weight, int(iou.argmax()), zero_is_water), float(iou.max())
    return best


def _overlaps_below(counts: Int64, weight: float, zero_is_water: bool) -> Int64:
    """(256, 2) overlaps when every pixel with a weighted mean < t is predicted as flood, t = 0 .. 255."""
    vv, vh = np.indices((N_VALUES, N_VALUES))
    mean = _weighted_mean(vv, vh, weight)
    if not zero_is_water:
        mean[0] = N_VALUES - 1  # VV = 0 is moved to the brightest value, which is below no threshold
    mean = mean.ravel()
    projected = np.stack([np.bincount(mean, counts[k].ravel(), N_VALUES) for k in (0, 1)]).astype(np.int64)
    # With values reversed, below t means at or above 256 - t; nothing is below 0.
    below = overlaps_at_or_above(projected[..., ::-1])[:0:-1]
    nothing = np.array([[0, projected[1].sum()]])
    return np.concatenate([nothing, below])


def _weighted_mean(vv: Integers, vh: Integers, weight: float) -> Int64:
    mean = weight * vv.astype(np.float64) + (1 - weight) * vh
    return np.rint(mean).clip(0, N_VALUES - 1).astype(np.int64)
