"""From boxes to a count; method and thresholds are selected on out-of-fold (OOF) predictions.

A counting strategy merges the views of a picture and applies a rule to the merged boxes.

Merging: `first_view` takes the boxes of the first view only, `nms` the best of overlapping boxes of all
views, `wbf` their weighted mean.

Rules: `threshold` counts the boxes above a score. `expected_count` gives each box an expected count that
rises with its score: a step function fitted by non-negative least squares to the squared error of the count.
`count_regression` is a regression on features of a picture's boxes. `calibrated_regression` adds the expected
number of labelled boxes to its features (see `box_calibration`).
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.optimize import nnls

from common.learn.arrays import Float64, Int64
from competitions.face_counting.decision.box_calibration import (
    Calibration,
    Labels,
    candidates_from,
    cross_fitted_probabilities,
    expected_counts,
    fit_calibration,
    match_labels,
)
from competitions.face_counting.decision.count_regression import (
    CountRegression,
    fit_regression,
    picture_features,
)
from competitions.face_counting.detection.wbf import DetectedFaces, fuse_folds
from competitions.face_counting.experiment import CountingSettings

Merging = Literal["first_view", "nms", "wbf"]
Rule = Literal["threshold", "expected_count", "count_regression", "calibrated_regression"]
N_SPLITS_OF_ONE_FOLD = 5
MIN_EXPECTED_COUNT = 0.1
"""Boxes that are worth less count nothing where boxes count one by one: large photos have thousands."""


@dataclass(frozen=True)
class Strategy:
    """One way to count."""

    merging: Merging
    rule: Rule

    @property
    def name(self) -> str:
        """For metrics."""
        return f"{self.merging}_{self.rule}"


def strategies(views: int, labelled: bool = False) -> list[Strategy]:
    """All strategies for that number of views; `labelled`: labelled boxes are known, as calibration needs."""
    mergings: tuple[Merging, ...] = ("first_view", "nms", "wbf")
    rules: tuple[Rule, ...] = ("threshold", "expected_count")
    simple = [Strategy(merging, rule) for merging in mergings[: 3 if views > 1 else 1] for rule in rules]
    regressions: tuple[Rule, ...] = (
        ("count_regression", "calibrated_regression") if labelled else ("count_regression",)
    )
    return [*simple, *(Strategy(mergings[2 if views > 1 else 0], rule) for rule in regressions)]


@dataclass(frozen=True)
class CountingRule:
    """A fitted strategy."""

    strategy: Strategy
    iou: float
    """IoU from which two boxes are of one face."""
    thresholds: list[float]
    """Scores at which the expected count of a box rises; a single one for `threshold`."""
    increments: list[float]
    """Faces by which the expected count of a box rises at each threshold."""
    intercept: float
    """Faces of every picture in addition to those found."""
    regression: CountRegression | None = None
    """Of count_regression and calibrated_regression; boxes are still drawn by their expected count."""
    calibration: Calibration | None = None
    """Of calibrated_regression."""

    @property
    def count_threshold(self) -> float:
        """Lowest score at which a box's expected count reaches 0.5; above 1 when none does."""
        steps = np.flatnonzero(np.cumsum(self.increments) >= 0.5)
        return self.thresholds[steps[0]] if len(steps) else 1.01

    def count(self, found: DetectedFaces) -> Float64:
        """(pictures,) counts."""
        merged = merge(found, self.strategy.merging, self.iou)
        counts = self.expected_count(merged)
        if self.regression is not None:
            features = picture_features(found, merged, counts)
            if self.calibration is not None:
                candidates = candidates_from(found)
                expected = expected_counts(candidates, self.calibration.probabilities(candidates))
                features = np.column_stack([features, expected[:, ::-1]])
            counts = self.regression.count(features)
        return np.maximum(counts, 0.0)

    def expected_count(self, merged: DetectedFaces) -> Float64:
        """(pictures,) sums of the expected counts of merged boxes."""
        above = merged.counts_above(self.thresholds)
        return np.asarray(self.intercept + np.asarray(self.increments) @ above, dtype=np.float64)

    def count_boxes(self, found: DetectedFaces) -> Float64:
        """(pictures,) sums over single boxes: no intercept, and nothing learned of whole pictures.

        A box counts by its probability of being labelled where the rule has a calibration, else by its
        expected count. This holds for parts of a photo that are not like the pictures of the challenge.
        """
        if self.calibration is not None:
            candidates = candidates_from(found)
            picture, worth = candidates.boxes.picture, self.calibration.probabilities(candidates)
        else:
            merged = merge(found, self.strategy.merging, self.iou)
            steps = np.concatenate([[0.0], np.cumsum(self.increments)])
            worth = steps[np.searchsorted(self.thresholds, merged.scores.astype(np.float64), side="right")]
            picture = merged.picture
        worth = np.where(worth >= MIN_EXPECTED_COUNT, worth, 0.0)
        return np.asarray(np.bincount(picture, worth, found.pictures), dtype=np.float64)

    def faces(self, found: DetectedFaces) -> DetectedFaces:
        """The merged boxes above the count threshold."""
        return merge(found, self.strategy.merging, self.iou).above(self.count_threshold)


def merge(found: DetectedFaces, merging: Merging, iou: float) -> DetectedFaces:
    """One set of boxes per picture from the boxes of all views."""
    if merging == "first_view":
        return found.of_view(0).nms(iou)
    return found.nms(iou) if merging == "nms" else found.wbf(iou)


def count_grid(found: DetectedFaces, merging: Merging, counting: CountingSettings) -> Int64:
    """(IoUs, scores, pictures) number of boxes for every pair of thresholds in the grids."""
    return np.stack(
        [merge(found, merging, iou).counts_above(counting.score_grid) for iou in counting.iou_grid]
    )


def rmse_grid(grid: Int64, head_counts: Float64) -> Float64:
    """(IoUs, scores) RMSE of the number of boxes."""
    return np.asarray(np.sqrt(np.mean((grid - head_counts) ** 2, axis=-1)))


def fit_rule(
    strategy: Strategy,
    found: DetectedFaces,
    grid: Int64,
    head_counts: Float64,
    counting: CountingSettings,
    labels: Labels | None = None,
) -> CountingRule:
    """The rule of least squared error on pictures with known counts.

    Parameters
    ----------
    grid : `count_grid` of the same pictures and the strategy's merging.
    labels : labelled boxes of each picture, for calibrated_regression.
    """
    if strategy.rule == "threshold":
        iou, score = np.unravel_index(np.argmin(rmse_grid(grid, head_counts)), grid.shape[:2])
        return CountingRule(strategy, counting.iou_grid[iou], [counting.score_grid[score]], [1.0], 0.0)
    rule = _fit_expected_count(strategy, grid, head_counts, counting)
    if strategy.rule == "expected_count":
        return rule
    merged = merge(found, strategy.merging, rule.iou)
    features = picture_features(found, merged, rule.expected_count(merged))
    calibration = None
    if strategy.rule == "calibrated_regression" and labels is not None:
        candidates = candidates_from(found)
        labelled = match_labels(candidates.boxes, labels)
        # The expected number of labelled boxes is the last feature: the booster learns its residual.
        expected = expected_counts(candidates, cross_fitted_probabilities(candidates, labelled))
        features = np.column_stack([features, expected[:, ::-1]])
        calibration = fit_calibration(candidates, labelled)
    regression = fit_regression(features, head_counts)
    return CountingRule(
        strategy, rule.iou, rule.thresholds, rule.increments, rule.intercept, regression, calibration
    )


def _fit_expected_count(
    strategy: Strategy, grid: Int64, head_counts: Float64, counting: CountingSettings
) -> CountingRule:
    """Non-negative least squares of the counts on the numbers of boxes above each score, at the best IoU."""
    fits = []
    for boxes in grid:
        # (pictures, 1 + scores): an intercept, then the number of boxes above each score of the grid.
        increments, residual = nnls(np.column_stack([np.ones(len(head_counts)), boxes.T]), head_counts)
        fits.append((float(residual), increments))
    best = min(range(len(fits)), key=lambda row: fits[row][0])
    increments = fits[best][1]
    steps = np.flatnonzero(increments[1:])
    return CountingRule(
        strategy,
        counting.iou_grid[best],
        [counting.score_grid[step] for step in steps] or [1.0],
        increments[1:][steps].tolist() or [0.0],
        float(increments[0]),
    )


def cross_fitted_counts(
    strategy: Strategy,
    found: DetectedFaces,
    grid: Int64,
    head_counts: Float64,
    fold: Int64,
    counting: CountingSettings,
    labels: Labels | None = None,
) -> Float64:
    """(pictures,) counts by rules that were fitted on the other folds' pictures.

    A single fold is split further, so that no picture is counted by a rule that was fitted on it.
    """
    splits = fold if len(np.unique(fold)) > 1 else np.arange(len(fold)) % N_SPLITS_OF_ONE_FOLD
    counts = np.zeros(len(head_counts))
    for split in np.unique(splits):
        own = splits == split
        others = None if labels is None else [labels[row] for row in np.flatnonzero(~own)]
        rule = fit_rule(
            strategy, found.of_pictures(~own), grid[:, :, ~own], head_counts[~own], counting, others
        )
        counts[own] = rule.count(found.of_pictures(own))
    return counts


def count_by_folds(rule: CountingRule, folds: list[DetectedFaces], counting: CountingSettings) -> Float64:
    """(pictures,) counts of pictures that the models of all folds have predicted."""
    if counting.fold_ensemble == "wbf":
        return rule.count(fuse_folds(folds, counting.wbf_iou))
    return np.asarray(np.mean([rule.count(found) for found in folds], axis=0))


def as_decision(rule: CountingRule, mean_count: float, views: int) -> dict[str, Any]:
    """The rule for a run record; `mean_count` is the count of an unreadable picture."""
    return {**asdict(rule), "mean_count": mean_count, "views": views}


def rule_from_decision(decision: dict[str, Any]) -> CountingRule:
    """The inverse of `as_decision`."""
    rule = {key: value for key, value in decision.items() if key not in ("mean_count", "views")}
    rule["strategy"] = Strategy(**rule["strategy"])
    if rule["regression"] is not None:
        rule["regression"] = CountRegression(**rule["regression"])
    if rule["calibration"] is not None:
        rule["calibration"] = Calibration(**rule["calibration"])
    return CountingRule(**rule)
