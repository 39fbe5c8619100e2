"""The naive rule on both polarisations: a weighted mean of VV and VH below a threshold is flood."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from competitions.etci_flood.rules.metric import LEVELS, Counts, overlaps_at_or_above

Bytes = npt.NDArray[np.uint8]

WEIGHTS = tuple(round(0.1 * tenth, 1) for tenth in range(-5, 16))
"""Of VV; VH has the rest to 1. Below 0 and above 1 it is a difference of the two."""


@dataclass(frozen=True)
class LinearRule:
    """What of VV and VH is called flood."""

    weight: float
    """Of VV; VH has 1 - weight."""
    threshold: int
    """Levels of the weighted mean below this one are."""
    zero_is_water: bool = True
    """Whether pixels whose VV is 0 are, too: the darkest water in some scenes, no data in others."""

    def __str__(self) -> str:
        text = f"{self.weight:g} VV + {1 - self.weight:g} VH below {self.threshold}"
        return text + ("" if self.zero_is_water else ", VV not 0")

    def mask(self, vv: Bytes, vh: Bytes) -> Bytes:
        """1 where a pixel is called flood."""
        dark = _mean_levels(vv, vh, self.weight) < self.threshold
        return (dark & (self.zero_is_water | (vv > 0))).astype(np.uint8)

    def overlap(self, counts: Counts) -> Counts:
        """Intersection and union, (2,), from (2, 256, 256) of `joint_counts`."""
        overlaps: Counts = _overlaps_below(counts, self.weight, self.zero_is_water)[self.threshold]
        return overlaps


def joint_counts(vv: Iterable[Bytes], vh: Iterable[Bytes], flood: Iterable[Bytes]) -> Iterator[Counts]:
    """Count pairs of levels, tile by tile: (2, 256, 256), [1] on flood pixels, [0] on the others."""
    for first, second, truth in zip(vv, vh, flood, strict=True):
        pair = (np.asarray(truth).ravel() > 0) * LEVELS**2 + np.asarray(first).ravel() * np.int64(LEVELS)
        counts = np.bincount(pair + np.asarray(second).ravel(), minlength=2 * LEVELS**2)
        yield counts.reshape(2, LEVELS, LEVELS)


def best_linear_rule(counts: Counts) -> LinearRule:
    """The rule of highest IoU on pooled (2, 256, 256) counts."""
    best, best_iou = LinearRule(1.0, 0), -1.0
    for weight, zero_is_water in product(WEIGHTS, (True, False)):
        intersection, union = _overlaps_below(counts, weight, zero_is_water).T
        iou = intersection / np.maximum(union, 1)
        if iou.max() > best_iou:
            best, best_iou = LinearRule(weight, int(iou.argmax()), zero_is_water), float(iou.max())
    return best


def _overlaps_below(counts: Counts, weight: float, zero_is_water: bool) -> Counts:
    """(256, 2) overlaps when every pixel of a weighted mean < t is called flood, t = 0 .. 255."""
    vv, vh = np.indices((LEVELS, LEVELS))
    level = _mean_levels(vv, vh, weight)
    if not zero_is_water:
        level[0] = LEVELS - 1  # no threshold calls it flood
    level = level.ravel()
    projected = np.stack([np.bincount(level, counts[k].ravel(), LEVELS) for k in (0, 1)]).astype(np.int64)
    # Turned around, below t is at or above 256 - t; below 0 there is nothing.
    turned = overlaps_at_or_above(projected[..., ::-1])[:0:-1]
    nothing = np.array([[0, projected[1].sum()]])
    return np.concatenate([nothing, turned])


def _mean_levels(
    vv: npt.NDArray[np.integer], vh: npt.NDArray[np.integer], weight: float
) -> npt.NDArray[np.int64]:
    mean = weight * vv.astype(np.float64) + (1 - weight) * vh
    return np.rint(mean).clip(0, LEVELS - 1).astype(np.int64)
