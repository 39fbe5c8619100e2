"""From boxes to a count: how, and with which thresholds, is decided on out-of-fold predictions alone.

A way of counting is a fusion of the looks at a picture, and a rule for the boxes that it leaves.

Fusions: `first_look` takes the first view alone, `suppression` the surest of overlapping boxes of all views,
`weighted_fusion` their mean.

Rules: `boxes_above` counts the boxes above a confidence. `expected_count` gives each box a worth in faces
that rises with its confidence: a step function fitted to the squared error by non-negative least squares, so
that scores are calibrated to counts. `box_statistics` is a regression on figures of a picture's boxes.
`calibrated_boxes` is that with the expected number of boxes that the labels count, see `box_calibration`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from competitions.face_counting.decision.box_calibration import (
    Calibration,
    Labels,
    are_labelled,
    candidates_of,
    fit_calibration,
    sums,
    without_own_part,
)
from competitions.face_counting.decision.count_regression import (
    Regression,
    fit_regression,
    picture_statistics,
)
from competitions.face_counting.detection.wbf import FoundFaces, fused_folds
from competitions.face_counting.experiment import CountingSettings

Fusion = Literal["first_look", "suppression", "weighted_fusion"]
Rule = Literal["boxes_above", "expected_count", "box_statistics", "calibrated_boxes"]
PARTS_OF_ONE_FOLD = 5
Counts = npt.NDArray[np.float64]
Above = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """One way of counting."""

    fusion: Fusion
    rule: Rule

    @property
    def name(self) -> str:
        """For metrics."""
        return f"{self.fusion}_{self.rule}"


def ways(looks: int, labelled: bool = False) -> list[Way]:
    """All ways of counting what so many looks at a picture found; one needs the labelled boxes."""
    fusions: tuple[Fusion, ...] = ("first_look", "suppression", "weighted_fusion")
    rules: tuple[Rule, ...] = ("boxes_above", "expected_count")
    thresholds = [Way(fusion, rule) for fusion in fusions[: 3 if looks > 1 else 1] for rule in rules]
    regressions: tuple[Rule, ...] = (
        ("box_statistics", "calibrated_boxes") if labelled else ("box_statistics",)
    )
    return [*thresholds, *(Way(fusions[2 if looks > 1 else 0], rule) for rule in regressions)]


@dataclass(frozen=True)
class CountingRule:
    """How boxes become a count."""

    way: Way
    overlap: float
    """IoU from which two boxes are of one face."""
    confidences: list[float]
    """Steps of the worth; a single one for boxes_above."""
    worths: list[float]
    """Faces by which the worth of a box rises at each step."""
    constant: float
    """Faces that every picture has beside those found."""
    regression: Regression | None = None
    """What box_statistics and calibrated_boxes count by; boxes are shown by their worth."""
    calibration: Calibration | None = None
    """What calibrated_boxes knows of single boxes."""

    @property
    def half_a_face(self) -> float:
        """Least confidence at which a box is worth at least half a face (above 1 when no box is)."""
        steps = np.flatnonzero(np.cumsum(self.worths) >= 0.5)
        return self.confidences[steps[0]] if len(steps) else 1.01

    def count(self, found: FoundFaces) -> Counts:
        """(pictures,) counts."""
        put_together = fuse(found, self.way.fusion, self.overlap)
        counts = self.by_worth(put_together)
        if self.regression is not None:
            statistics = picture_statistics(found, put_together, counts)
            if self.calibration is not None:
                candidates = candidates_of(found)
                expected = sums(candidates, self.calibration.probabilities(candidates))
                statistics = np.column_stack([statistics, expected[:, ::-1]])
            counts = self.regression.count(statistics)
        return np.maximum(counts, 0.0)

    def by_worth(self, put_together: FoundFaces) -> Counts:
        """(pictures,) sums of the worths of boxes, one a face."""
        above = put_together.above(self.confidences)
        return np.asarray(self.constant + np.asarray(self.worths) @ above, dtype=np.float64)

    def faces(self, found: FoundFaces) -> FoundFaces:
        """The boxes that are worth at least half a face."""
        return fuse(found, self.way.fusion, self.overlap).at_least(self.half_a_face)


def fuse(found: FoundFaces, fusion: Fusion, overlap: float) -> FoundFaces:
    """One set of boxes a picture out of all looks at it."""
    if fusion == "first_look":
        return found.only(0).suppressed(overlap)
    return found.suppressed(overlap) if fusion == "suppression" else found.fused(overlap)


def boxes_above(found: FoundFaces, fusion: Fusion, counting: CountingSettings) -> Above:
    """(overlaps, confidences, pictures) boxes for every pair of thresholds that is tried."""
    return np.stack(
        [fuse(found, fusion, overlap).above(counting.confidences) for overlap in counting.overlaps]
    )


def rmse_map(above: Above, head_counts: Counts) -> Counts:
    """(overlaps, confidences) RMSE of the number of boxes."""
    return np.asarray(np.sqrt(np.mean((above - head_counts) ** 2, axis=-1)))


def fit_rule(
    way: Way,
    found: FoundFaces,
    above: Above,
    head_counts: Counts,
    counting: CountingSettings,
    labels: Labels | None = None,
) -> CountingRule:
    """The rule of least squared error on pictures with known counts.

    Parameters
    ----------
    above : of `boxes_above` for the same pictures and the way's fusion.
    labels : labelled boxes of each picture, for calibrated_boxes.
    """
    if way.rule == "boxes_above":
        overlap, confidence = np.unravel_index(np.argmin(rmse_map(above, head_counts)), above.shape[:2])
        return CountingRule(way, counting.overlaps[overlap], [counting.confidences[confidence]], [1.0], 0.0)
    rule = _fit_worths(way, above, head_counts, counting)
    if way.rule == "expected_count":
        return rule
    put_together = fuse(found, way.fusion, rule.overlap)
    statistics = picture_statistics(found, put_together, rule.by_worth(put_together))
    calibration = None
    if way.rule == "calibrated_boxes" and labels is not None:
        candidates = candidates_of(found)
        labelled = are_labelled(candidates.boxes, labels)
        # The expected number of boxes stands last: what it misses is left to the trees.
        expected = sums(candidates, without_own_part(candidates, labelled))
        statistics = np.column_stack([statistics, expected[:, ::-1]])
        calibration = fit_calibration(candidates, labelled)
    regression = fit_regression(statistics, head_counts)
    return CountingRule(
        way, rule.overlap, rule.confidences, rule.worths, rule.constant, regression, calibration
    )


def _fit_worths(way: Way, above: Above, head_counts: Counts, counting: CountingSettings) -> CountingRule:
    from scipy.optimize import nnls

    fits = []
    for boxes in above:
        worths, residual = nnls(np.column_stack([np.ones(len(head_counts)), boxes.T]), head_counts)
        fits.append((float(residual), worths))
    best = min(range(len(fits)), key=lambda row: fits[row][0])
    worths = fits[best][1]
    steps = np.flatnonzero(worths[1:])
    return CountingRule(
        way,
        counting.overlaps[best],
        [counting.confidences[step] for step in steps] or [1.0],
        worths[1:][steps].tolist() or [0.0],
        float(worths[0]),
    )


def counts_without_own_fold(
    way: Way,
    found: FoundFaces,
    above: Above,
    head_counts: Counts,
    fold: npt.NDArray[np.int64],
    counting: CountingSettings,
    labels: Labels | None = None,
) -> Counts:
    """(pictures,) counts by rules that were fitted on the other folds' pictures.

    A single fold is cut into parts instead, so that no picture is counted by a rule that saw its count.
    """
    parts = fold if len(np.unique(fold)) > 1 else np.arange(len(fold)) % PARTS_OF_ONE_FOLD
    counts = np.zeros(len(head_counts))
    for part in np.unique(parts):
        own = parts == part
        others = None if labels is None else [labels[row] for row in np.flatnonzero(~own)]
        rule = fit_rule(way, found.of_pictures(~own), above[:, :, ~own], head_counts[~own], counting, others)
        counts[own] = rule.count(found.of_pictures(own))
    return counts


def count_by_folds(rule: CountingRule, folds: list[FoundFaces], counting: CountingSettings) -> Counts:
    """(pictures,) counts of pictures that the networks of all folds have looked at."""
    if counting.folds == "fused_boxes":
        return rule.count(fused_folds(folds, counting.fold_overlap))
    return np.asarray(np.mean([rule.count(found) for found in folds], axis=0))


def as_decision(rule: CountingRule, mean_count: float, looks: int) -> dict[str, Any]:
    """The rule for a run record; `mean_count` is what a picture gets that cannot be read."""
    return {**asdict(rule), "mean_count": mean_count, "looks": looks}


def rule_of(decision: dict[str, Any]) -> CountingRule:
    """The inverse of `as_decision`."""
    rule = {key: value for key, value in decision.items() if key not in ("mean_count", "looks")}
    rule["way"] = Way(**rule["way"])
    if rule["regression"] is not None:
        rule["regression"] = Regression(**rule["regression"])
    if rule.get("calibration") is not None:
        rule["calibration"] = Calibration(**rule["calibration"])
    return CountingRule(**rule)
