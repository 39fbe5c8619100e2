"""A small regression from figures of a picture's boxes to its head count.

Labels have habits that no single box shows: far faces behind near ones are often not counted, half of a crowd
is missing. How many sure, unsure, small and relatively small boxes a picture has tells of them.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from competitions.face_counting.decision.small_trees import grown_trees
from competitions.face_counting.detection.wbf import FoundFaces

CONFIDENCES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SIDES = (0.0, 16.0, 24.0, 36.0, 56.0, 90.0, np.inf)
"""Classes of a box's side in px."""
SHARES = (0.0, 0.3, 0.5, 0.7, np.inf)
"""Classes of a box's side in shares of the large faces of its picture."""
SURE = 0.4
LOOK_OVERLAP = 0.4
TREES, LEAVES, RATE, FEWEST = 100, 6, 0.03, 20
PENALTIES = tuple(10.0**power for power in np.linspace(0, 4, 15))
"""Of the linear half; one is chosen by leaving pictures out one by one."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """The mean of a ridge regression and of gradient-boosted trees (LightGBM), which err in other places."""

    means: list[float]
    spreads: list[float]
    """Standard deviations of the figures."""
    weights: list[float]
    """Faces for one standard deviation."""
    constant: float
    trees: str
    """LightGBM's own text: what the count by worths misses."""

    def count(self, statistics: Numbers) -> Numbers:
        """(pictures,) counts from (pictures, figures), whose last figure is the count by worths."""
        import lightgbm

        standard = (statistics - np.asarray(self.means)) / np.asarray(self.spreads)
        linear = standard @ np.asarray(self.weights) + self.constant
        missed = lightgbm.Booster(model_str=self.trees).predict(statistics, num_threads=1)
        return np.asarray((linear + statistics[:, -1] + missed) / 2, dtype=np.float64)


def fit_regression(statistics: Numbers, head_counts: Numbers) -> Regression:
    """Fit both halves to pictures with known counts."""
    from sklearn.linear_model import RidgeCV

    means, spreads = statistics.mean(axis=0), statistics.std(axis=0)
    spreads = np.where(spreads > 0, spreads, 1.0)
    ridge = RidgeCV(PENALTIES).fit((statistics - means) / spreads, head_counts)
    missed = head_counts - statistics[:, -1]
    trees = grown_trees(
        statistics, missed, "regression", trees=TREES, leaves=LEAVES, rate=RATE, fewest=FEWEST
    )
    return Regression(means.tolist(), spreads.tolist(), ridge.coef_.tolist(), float(ridge.intercept_), trees)


def picture_statistics(found: FoundFaces, put_together: FoundFaces, counts: Numbers) -> Numbers:
    """Figures of each picture's boxes.

    Parameters
    ----------
    found : boxes of all looks.
    put_together : the same after fusion, one box a face.
    counts : (pictures,) count by the worths of the fused boxes.

    Returns
    -------
    (pictures, figures) float64; the last figure is `counts`.
    """
    boxes, scores, picture = put_together.boxes, put_together.scores, put_together.picture
    pictures = put_together.pictures

    def summed(mask: npt.NDArray[np.bool_]) -> Numbers:
        return np.asarray(np.bincount(picture[mask], scores[mask], pictures), np.float64)

    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    large, middle, small = _sides_of_sure_faces(picture, sides, scores, pictures)
    shares = sides / np.maximum(large[picture], 1.0)
    figures = [
        np.bincount(picture, scores, pictures),
        np.bincount(picture, scores**2, pictures),
        large,
        middle,
        small,
        *put_together.above(list(CONFIDENCES)).astype(np.float64),
    ]
    figures += [summed((sides >= low) & (sides < high)) for low, high in itertools.pairwise(SIDES)]
    figures += [summed((shares >= low) & (shares < high)) for low, high in itertools.pairwise(SHARES)]
    for look in range(found.looks):
        own = found.only(look).suppressed(LOOK_OVERLAP)
        figures += [np.bincount(own.picture, own.scores, pictures), own.above([0.5])[0].astype(np.float64)]
    return np.column_stack([*figures, counts])


def _sides_of_sure_faces(
    picture: npt.NDArray[np.int64], sides: Numbers, scores: npt.NDArray[np.float32], pictures: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Large (90 %), median and smallest side in px of each picture's sure boxes; 0 where there are none."""
    result = np.zeros((3, pictures))
    sure = scores >= SURE
    for row in np.unique(picture[sure]):
        own = sides[sure & (picture == row)]
        result[:, row] = np.quantile(own, 0.9), np.median(own), own.min()
    return result[0], result[1], result[2]
