"""VV-threshold baseline: water is dark, so pixels below a threshold on VV are flood.

Value 0 is the darkest water in some scenes and no data outside the swath in others; the rule says which.
"""

from dataclasses import dataclass

import numpy as np

from common.learn.arrays import Int64, UInt8
from competitions.etci_flood.rules.metric import best_threshold, overlaps_at_or_above, pooled_iou


@dataclass(frozen=True)
class VVThreshold:
    """A threshold on VV."""

    threshold: int
    """Values below this one are flood."""
    zero_is_water: bool
    """Whether value 0 is flood or no data."""

    def __str__(self) -> str:
        return f"VV below {self.threshold}" + ("" if self.zero_is_water else ", not 0")

    def mask(self, vv: UInt8) -> UInt8:
        """Mask of (height, width) VV, 1 = flood."""
        return ((vv < self.threshold) & (self.zero_is_water | (vv > 0))).astype(np.uint8)

    def overlaps(self, counts: Int64) -> Int64:
        """Intersection and union of each tile, (n, 2), from (n, 2, 256) histograms of VV."""
        return overlaps_below(counts, self.zero_is_water)[:, self.threshold]


def overlaps_below(counts: Int64, zero_is_water: bool) -> Int64:
    """Intersection and union when every pixel of value < t is predicted as flood, for t = 0 .. 255.

    Parameters
    ----------
    counts : (n, 2, 256) of `metric.value_counts`.

    Returns
    -------
    (n, 256, 2), as in `metric.overlaps_at_or_above`.
    """
    counts = counts.copy()
    if not zero_is_water:  # no data is moved to the brightest value, which is below no threshold
        counts[..., -1] += counts[..., 0]
        counts[..., 0] = 0
    # With values reversed, below t means at or above 256 - t; nothing is below 0.
    below = overlaps_at_or_above(counts[..., ::-1])[:, :0:-1]
    nothing = np.stack([np.zeros(len(counts), np.int64), counts[:, 1].sum(-1)], axis=-1)
    return np.concatenate([nothing[:, None], below], axis=1)


def best_vv_threshold(counts: Int64) -> VVThreshold:
    """The threshold with the highest pooled IoU on tiles with (n, 2, 256) histograms of VV."""
    rules = [
        VVThreshold(best_threshold(overlaps_below(counts, zero_is_water)), zero_is_water)
        for zero_is_water in (True, False)
    ]
    return max(rules, key=lambda rule: float(pooled_iou(rule.overlaps(counts))))
