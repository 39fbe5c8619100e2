"""The official metric, flood IoU, and the histograms from which it is computed at all thresholds.

Flood IoU = TP / (TP + FP + FN) of the flood class, pixels pooled over all tiles. Two histograms of a uint8
map, on flood and on other pixels, give the IoU at all 256 thresholds without reading the pixels again.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from common.learn.arrays import AnyArray, Float64, Int64, UInt8

N_VALUES = 256
"""Of a uint8 map."""


def value_counts(maps: Iterable[UInt8], flood: Iterable[UInt8]) -> Int64:
    """Histograms of maps on flood and on other pixels, tile by tile.

    Parameters
    ----------
    maps : n times (height, width) uint8; probabilities or backscatter.
    flood : n masks of the same shape, 1 = flood.

    Returns
    -------
    (n, 2, 256): [:, 1] on flood pixels, [:, 0] on the others.
    """
    # One bincount over 512 bins: values of other pixels are counted at 0..255, those of flood at 256..511.
    joint = [
        np.bincount(
            (np.asarray(truth).ravel() > 0) * N_VALUES + np.asarray(values).ravel(), minlength=2 * N_VALUES
        )
        for values, truth in zip(maps, flood, strict=True)
    ]
    return np.array(joint, dtype=np.int64).reshape(-1, 2, N_VALUES)


def overlaps_at_or_above(counts: Int64) -> Int64:
    """Intersection and union when every pixel of value >= t is predicted as flood, for all t.

    Parameters
    ----------
    counts : (..., 2, 256) of `value_counts`.

    Returns
    -------
    (..., 256, 2): TP and TP + FP + FN at thresholds t = 0 .. 255.
    """
    predicted = counts[..., ::-1].cumsum(-1)[..., ::-1]  # pixels of value >= t
    intersection = predicted[..., 1, :]
    union = counts[..., 1, :].sum(-1, keepdims=True) + predicted[..., 0, :]
    return np.stack([intersection, union], axis=-1)


def overlaps(predicted: Iterable[UInt8], truth: Iterable[UInt8]) -> Int64:
    """Intersection and union of each tile, (n, 2); masks are 0 or 1."""
    return np.array(list(_overlaps(predicted, truth)), dtype=np.int64).reshape(-1, 2)


def _overlaps(predicted: Iterable[UInt8], truth: Iterable[UInt8]) -> Iterator[tuple[int, int]]:
    for ours, theirs in zip(predicted, truth, strict=True):
        a, b = np.asarray(ours) > 0, np.asarray(theirs) > 0
        yield int((a & b).sum()), int((a | b).sum())


def pooled_iou(tiles: AnyArray) -> Float64:
    """IoU over pooled pixels of (..., n, 2) intersections and unions; 1 where neither mask has flood."""
    intersection, union = np.moveaxis(tiles.sum(axis=-2), -1, 0)
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def mean_tile_iou(tiles: Int64) -> float:
    """Mean of the tiles' own IoU; a tile with no flood in either mask counts as 1."""
    return float(pooled_iou(tiles[:, None, :]).mean())


def best_threshold(tiles: Int64) -> int:
    """The threshold with the highest pooled IoU, of (n, 256, 2) overlaps; the middle one of ties."""
    scores = pooled_iou(tiles.swapaxes(0, 1))
    best = np.flatnonzero(scores == scores.max())
    return int(best[len(best) // 2])
