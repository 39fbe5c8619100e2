"""The probability that the labels count a box: LightGBM on features from all views.

A score is one network's confidence in a face. Whether the labels count it depends on more: the scores of
other views, its size relative to the large faces of its picture, overlap with boxes of higher score, and the
number of boxes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchvision.ops import box_iou

from common.learn.arrays import Bools, Float32, Float64
from common.learn.boosting import booster_of, train_lightgbm
from competitions.face_counting.decision.count_regression import SUBSAMPLING
from competitions.face_counting.detection.wbf import DetectedFaces

WBF_IOU = 0.45
"""IoU from which boxes of several views are fused."""
MIN_SCORE = 0.03
"""Mean score over the views below which a fused box is dropped."""
LABEL_IOU = 0.3
"""IoU from which a box matches a labelled one; labels are loose."""
CONFIDENT = 0.5
BOOSTER: dict[str, Any] = {
    "num_boost_round": 120,
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 30,
}
N_SPLITS = 4

Labels = list[Float64]
"""For each picture its labelled boxes (faces, 4)."""


@dataclass(frozen=True)
class Candidates:
    """Boxes of all views fused, one per face, with features."""

    boxes: DetectedFaces
    features: Float64
    """(boxes, features)"""


@dataclass(frozen=True)
class Calibration:
    """A model of the probability that a box is labelled."""

    booster: str
    """LightGBM's text; empty where all boxes were labelled, or none."""
    prior: float = 0.0
    """The probability without a booster."""

    def probabilities(self, candidates: Candidates) -> Float64:
        """(boxes,) from 0 to 1."""
        if len(candidates.features) == 0 or not self.booster:
            return np.full(len(candidates.features), self.prior)
        predicted = booster_of(self.booster).predict(candidates.features, num_threads=1)
        return np.asarray(predicted, dtype=np.float64)


def candidates_from(found: DetectedFaces) -> Candidates:
    """Fuse the boxes of all views and compute the features of each."""
    fused, view_scores = found.wbf_with_view_scores(WBF_IOU)
    rows = np.flatnonzero(fused.scores >= MIN_SCORE)
    fused, view_scores = fused.at(rows), view_scores[rows]
    sides = np.sqrt(np.maximum((fused.boxes[:, 2:] - fused.boxes[:, :2]).prod(axis=1), 1.0))
    aspects = (fused.boxes[:, 2] - fused.boxes[:, 0]) / np.maximum(fused.boxes[:, 3] - fused.boxes[:, 1], 1.0)
    centers = (fused.boxes[:, :2] + fused.boxes[:, 2:]) / 2
    context = np.zeros((len(rows), 8))
    for picture in np.unique(fused.picture):
        own = np.flatnonzero(fused.picture == picture)
        context[own] = _context(fused.boxes[own], fused.scores[own], view_scores[own, 0], sides[own])
    features = np.column_stack([context, sides, aspects, centers, view_scores, fused.scores])
    return Candidates(fused, features.astype(np.float64))


def _context(boxes: Float32, scores: Float32, first_view: Float32, sides: Float64) -> Float64:
    """(boxes, 8) features of each box of one picture relative to the others.

    In order: largest IoU with, and largest share covered by, a box of higher score; side relative to the
    large and to the median confident face; number of confident boxes; sum of scores; number of boxes of
    higher score; side of the large confident faces in px.
    """
    corners = torch.from_numpy(boxes)
    iou = box_iou(corners, corners).numpy()  # (boxes, boxes), as all pairwise arrays here
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    covered = np.clip(high - low, 0, None).prod(axis=-1) / (sides**2)[:, None]
    higher = scores[None] > scores[:, None]
    confident = first_view > CONFIDENT
    large = np.quantile(sides[confident], 0.9) if confident.any() else 0.0
    median = np.median(sides[confident]) if confident.any() else 0.0
    every = np.ones(len(boxes))
    return np.column_stack(
        [
            (iou * higher).max(axis=1),
            (covered * higher).max(axis=1),
            sides / max(large, 1.0),
            sides / max(median, 1.0),
            every * confident.sum(),
            every * scores.sum(),
            higher.sum(axis=1),
            every * large,
        ]
    )


def match_labels(boxes: DetectedFaces, labels: Labels) -> Bools:
    """(boxes,) whether a box is labelled: greedy matching by descending score, each label once."""
    result = np.zeros(len(boxes.picture), dtype=bool)
    for picture in np.unique(boxes.picture):
        free = labels[picture].copy()
        own = np.flatnonzero(boxes.picture == picture)
        for row in own[np.argsort(-boxes.scores[own], kind="stable")]:
            if len(free) == 0:
                break
            iou = box_iou(torch.from_numpy(boxes.boxes[row : row + 1]).double(), torch.from_numpy(free))
            best = int(iou.argmax())
            if iou[0, best] >= LABEL_IOU:
                result[row] = True
                free = np.delete(free, best, axis=0)
    return result


def fit_calibration(candidates: Candidates, labelled: Bools) -> Calibration:
    """Fit the model to boxes (boxes,) that are labelled or not."""
    if labelled.all() or not labelled.any():
        return Calibration("", float(labelled.mean()) if len(labelled) else 0.0)
    target = labelled.astype(np.float64)
    booster = train_lightgbm(candidates.features, target, objective="binary", **BOOSTER, **SUBSAMPLING)
    return Calibration(booster.model_to_string())


def cross_fitted_probabilities(candidates: Candidates, labelled: Bools) -> Float64:
    """(boxes,) probabilities by models fitted on other pictures, as features for a regression."""
    splits = candidates.boxes.picture % N_SPLITS
    result = np.zeros(len(splits))
    for split in range(N_SPLITS):
        own = splits == split
        if own.any() and labelled[~own].any():
            fitted = fit_calibration(_select(candidates, ~own), labelled[~own])
            result[own] = fitted.probabilities(_select(candidates, own))
    return result


def expected_counts(candidates: Candidates, probabilities: Float64) -> Float64:
    """(pictures, 3) expected number of labelled boxes, its variance, and the number of likely boxes."""
    picture, pictures = candidates.boxes.picture, candidates.boxes.pictures
    parts = (probabilities, probabilities * (1 - probabilities), (probabilities > 0.5).astype(np.float64))
    return np.column_stack([np.bincount(picture, part, pictures) for part in parts])


def _select(candidates: Candidates, mask: Bools) -> Candidates:
    return Candidates(candidates.boxes.at(np.flatnonzero(mask)), candidates.features[mask])
