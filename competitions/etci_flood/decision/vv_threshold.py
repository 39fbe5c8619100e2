"""The naive rule of radar flood mapping: water is dark, so what is darker than a threshold is flood.

Level 0 is the darkest water in some scenes, no data beyond the swath's edge in others; the rule says which.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from competitions.etci_flood.rules.metric import Counts, best_threshold, overlaps_at_or_above, pooled_iou

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DarkRule:
    """What of VV is called flood."""

    threshold: int
    """Levels below this one are."""
    zero_is_water: bool
    """Whether level 0 is, too."""

    def __str__(self) -> str:
        return f"VV below {self.threshold}" + ("" if self.zero_is_water else ", not 0")

    def mask(self, vv: Bytes) -> Bytes:
        """1 where `vv` is called flood."""
        return ((vv < self.threshold) & (self.zero_is_water | (vv > 0))).astype(np.uint8)

    def overlaps(self, counts: Counts) -> Counts:
        """Intersection and union of each tile, (n, 2), from (n, 2, 256) level counts of VV."""
        return overlaps_below(counts, self.zero_is_water)[:, self.threshold]


def overlaps_below(counts: Counts, zero_is_water: bool) -> Counts:
    """Intersection and union when every pixel of level < t is called flood, for t = 0 .. 255.

    Parameters
    ----------
    counts : (n, 2, 256) of `flood_iou.level_counts`.

    Returns
    -------
    (n, 256, 2), as `flood_iou.overlaps_at_or_above`.
    """
    counts = counts.copy()
    if not zero_is_water:  # no data is taken for the brightest level, which no threshold calls flood
        counts[..., -1] += counts[..., 0]
        counts[..., 0] = 0
    # Turned around, below t is at or above 256 - t; below 0 there is nothing.
    turned = overlaps_at_or_above(counts[..., ::-1])[:, :0:-1]
    nothing = np.stack([np.zeros(len(counts), np.int64), counts[:, 1].sum(-1)], axis=-1)
    return np.concatenate([nothing[:, None], turned], axis=1)


def best_dark_rule(counts: Counts) -> DarkRule:
    """The rule of highest pooled IoU on tiles with (n, 2, 256) level counts of VV."""
    rules = [
        DarkRule(best_threshold(overlaps_below(counts, zero_is_water)), zero_is_water)
        for zero_is_water in (True, False)
    ]
    return max(rules, key=lambda rule: float(pooled_iou(rule.overlaps(counts))))
