"""What turns probabilities into labels: ensemble weights and a threshold, tuned on OOF predictions alone.

Replace: the decision (a threshold, a rounding, a calibration, a list length). Keep both halves: `tune` on all
OOF rows for the test split, `cross_fitted` for the score that is reported.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from common.learn.arrays import Float64, Int64, Integers
from competitions.my_competition.experiment import DecisionSettings
from competitions.my_competition.rules.metric import f1_score


@dataclass(frozen=True)
class Decision:
    """Tuned weights and threshold."""

    weights: list[float]
    """One per member, their sum is 1."""
    threshold: float

    @classmethod
    def from_record(cls, decision: Mapping[str, Any]) -> "Decision":
        """From the run record of the pooled folds."""
        return cls(list(decision["weights"]), float(decision["threshold"]))

    def as_record(self) -> dict[str, Any]:
        """For the run record."""
        return asdict(self)

    def probability(self, members: Float64) -> Float64:
        """(rows, members) -> (rows,) weighted mean."""
        return np.asarray(members @ np.asarray(self.weights), np.float64)

    def predicted(self, probability: Float64) -> Int64:
        """(rows,) probabilities -> (rows,) labels 0 and 1."""
        return (probability >= self.threshold).astype(np.int64)


def tune(members: Float64, labels: Int64, settings: DecisionSettings) -> Decision:
    """The weights and the threshold of highest F1; the first of equal ones.

    Parameters
    ----------
    members : (rows, members) OOF probabilities.
    labels : (rows,) 0 and 1.
    """
    thresholds = np.linspace(0, 1, settings.thresholds + 2)[1:-1]
    best, decision = -1.0, Decision([1.0] * members.shape[1], 0.5)
    for weights in weight_grid(members.shape[1], settings.weight_step):
        probability = members @ np.asarray(weights)
        predicted = probability[None, :] >= thresholds[:, None]  # (thresholds, rows)
        scores = f1_score(predicted, labels)
        if scores.max() > best:
            best = float(scores.max())
            decision = Decision(list(weights), float(thresholds[scores.argmax()]))
    return decision


def weight_grid(members: int, step: float) -> list[tuple[float, ...]]:
    """All weights on a grid whose sum is 1; just (1,) for one member."""
    steps = max(1, round(1 / step))
    counts = product(range(steps + 1), repeat=members - 1)
    return [
        tuple(count / steps for count in (*head, steps - sum(head))) for head in counts if sum(head) <= steps
    ]


def cross_fitted(members: Float64, labels: Int64, folds: Integers, settings: DecisionSettings) -> Int64:
    """(rows,) labels of each fold, by a decision that is tuned on the other folds."""
    predicted = np.zeros(len(labels), np.int64)
    for fold in np.unique(folds):
        own = folds == fold
        decision = tune(members[~own], labels[~own], settings)
        predicted[own] = decision.predicted(decision.probability(members[own]))
    return predicted
