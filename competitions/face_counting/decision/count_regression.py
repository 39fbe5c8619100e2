"""A small regression from features of a picture's boxes to its head count.

Labels have habits that no single box shows: far faces behind near ones are often not counted, and half of a
crowd is missing. The numbers of high-score, low-score, small and relatively small boxes in a picture indicate
them.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from common.learn.arrays import Bools, Float32, Float64, Int64
from common.learn.boosting import booster_of, train_lightgbm
from competitions.face_counting.detection.wbf import DetectedFaces

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SIDES = (0.0, 16.0, 24.0, 36.0, 56.0, 90.0, np.inf)
"""Bins of a box's side in px."""
RELATIVE_SIDES = (0.0, 0.3, 0.5, 0.7, np.inf)
"""Bins of a box's side relative to the large faces of its picture."""
CONFIDENT = 0.4
VIEW_IOU = 0.4
BOOSTER: dict[str, Any] = {
    "num_boost_round": 100,
    "num_leaves": 6,
    "learning_rate": 0.03,
    "min_data_in_leaf": 20,
}
SUBSAMPLING: dict[str, Any] = {
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "num_threads": 1,
    "seed": 2021,
}
"""For a thousand pictures: small, randomised trees."""
RIDGE_ALPHAS = tuple(10.0**power for power in np.linspace(0, 4, 15))
"""Candidates; one is selected by leave-one-out."""


@dataclass(frozen=True)
class CountRegression:
    """The mean of a ridge regression and of a LightGBM model, whose errors differ."""

    means: list[float]
    stds: list[float]
    """Standard deviations of the features."""
    coefficients: list[float]
    """Faces per standard deviation."""
    intercept: float
    booster: str
    """LightGBM's text: the residual of the last feature."""

    def count(self, features: Float64) -> Float64:
        """(pictures,) counts from (pictures, features); the last feature is itself a count."""
        standard = (features - np.asarray(self.means)) / np.asarray(self.stds)
        linear = standard @ np.asarray(self.coefficients) + self.intercept
        residual = booster_of(self.booster).predict(features, num_threads=1)
        return np.asarray((linear + features[:, -1] + residual) / 2, dtype=np.float64)


def fit_regression(features: Float64, head_counts: Float64) -> CountRegression:
    """Fit both models to pictures with known counts."""
    means, stds = features.mean(axis=0), features.std(axis=0)
    stds = np.where(stds > 0, stds, 1.0)
    ridge = RidgeCV(RIDGE_ALPHAS).fit((features - means) / stds, head_counts)
    residual = head_counts - features[:, -1]
    booster = train_lightgbm(features, residual, objective="regression", **BOOSTER, **SUBSAMPLING)
    return CountRegression(
        means.tolist(),
        stds.tolist(),
        ridge.coef_.tolist(),
        float(ridge.intercept_),
        booster.model_to_string(),
    )


def picture_features(found: DetectedFaces, merged: DetectedFaces, counts: Float64) -> Float64:
    """Features of each picture's boxes.

    Parameters
    ----------
    found : boxes of all views.
    merged : the same after NMS or WBF, one box per face.
    counts : (pictures,) expected count of the merged boxes.

    Returns
    -------
    (pictures, features) float64; the last feature is `counts`.
    """
    boxes, scores, picture = merged.boxes, merged.scores, merged.picture
    pictures = merged.pictures

    def score_sum(mask: Bools) -> Float64:
        return np.asarray(np.bincount(picture[mask], scores[mask], pictures), np.float64)

    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    large, median, small = _sides_of_confident_faces(picture, sides, scores, pictures)
    relative = sides / np.maximum(large[picture], 1.0)
    features = [
        np.bincount(picture, scores, pictures),
        np.bincount(picture, scores**2, pictures),
        large,
        median,
        small,
        *merged.counts_above(list(THRESHOLDS)).astype(np.float64),
    ]
    features += [score_sum((sides >= low) & (sides < high)) for low, high in itertools.pairwise(SIDES)]
    features += [
        score_sum((relative >= low) & (relative < high)) for low, high in itertools.pairwise(RELATIVE_SIDES)
    ]
    for view in range(found.views):
        own = found.of_view(view).nms(VIEW_IOU)
        features += [
            np.bincount(own.picture, own.scores, pictures),
            own.counts_above([0.5])[0].astype(np.float64),
        ]
    return np.column_stack([*features, counts])


def _sides_of_confident_faces(
    picture: Int64, sides: Float64, scores: Float32, pictures: int
) -> tuple[Float64, Float64, Float64]:
    """90 % quantile, median and minimum side in px of each picture's confident boxes; 0 without any."""
    result = np.zeros((3, pictures))
    confident = scores >= CONFIDENT
    for row in np.unique(picture[confident]):
        own = sides[confident & (picture == row)]
        result[:, row] = np.quantile(own, 0.9), np.median(own), own.min()
    return result[0], result[1], result[2]
