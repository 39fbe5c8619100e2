"""The official metric, and everything that is counted for it.

Flood IoU = TP / (TP + FP + FN) of the flood class, pixels pooled over all tiles. A map of 256 levels of
probability is summed up by two histograms, its levels on flood and on other pixels: from them the IoU at all
thresholds follows at once, without a second look at the pixels.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
LEVELS = 256


def level_counts(levels: Iterable[Bytes], flood: Iterable[Bytes]) -> Counts:
    """Count levels on flood and on other pixels, tile by tile.

    Parameters
    ----------
    levels : n times (height, width) uint8; probabilities or backscatter.
    flood : n masks of the same shape, 1 = flood.

    Returns
    -------
    (n, 2, 256): [:, 1] on flood pixels, [:, 0] on the others.
    """
    joint = [
        np.bincount(
            (np.asarray(truth).ravel() > 0) * LEVELS + np.asarray(values).ravel(), minlength=2 * LEVELS
        )
        for values, truth in zip(levels, flood, strict=True)
    ]
    return np.array(joint, dtype=np.int64).reshape(-1, 2, LEVELS)


def overlaps_at_or_above(counts: Counts) -> Counts:
    """Intersection and union when every pixel of level >= t is called flood, for all t.

    Parameters
    ----------
    counts : (..., 2, 256) of `level_counts`.

    Returns
    -------
    (..., 256, 2): TP and TP + FP + FN at thresholds t = 0 .. 255.
    """
    called = counts[..., ::-1].cumsum(-1)[..., ::-1]
    intersection = called[..., 1, :]
    union = counts[..., 1, :].sum(-1, keepdims=True) + called[..., 0, :]
    return np.stack([intersection, union], axis=-1)


def overlaps(predicted: Iterable[Bytes], truth: Iterable[Bytes]) -> Counts:
    """Intersection and union of each tile, (n, 2); masks are 0 or 1."""
    return np.array(list(_overlaps(predicted, truth)), dtype=np.int64).reshape(-1, 2)


def _overlaps(predicted: Iterable[Bytes], truth: Iterable[Bytes]) -> Iterator[tuple[int, int]]:
    for ours, theirs in zip(predicted, truth, strict=True):
        a, b = np.asarray(ours) > 0, np.asarray(theirs) > 0
        yield int((a & b).sum()), int((a | b).sum())


def pooled_iou(tiles: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """IoU over pooled pixels of (..., n, 2) intersections and unions; 1 where neither mask has flood."""
    intersection, union = np.moveaxis(tiles.sum(axis=-2), -1, 0)
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def mean_tile_iou(tiles: Counts) -> float:
    """Mean of the tiles' own IoU; a tile with no flood in either mask counts as 1."""
    return float(pooled_iou(tiles[:, None, :]).mean())


def best_threshold(tiles: Counts) -> int:
    """The threshold with the highest pooled IoU, of (n, 256, 2) overlaps; the middle one of equals."""
    scores = pooled_iou(tiles.swapaxes(0, 1))
    best = np.flatnonzero(scores == scores.max())
    return int(best[len(best) // 2])
