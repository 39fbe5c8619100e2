"""From boxes to a count: how, and with which thresholds, is decided on out-of-fold predictions alone.

Two ways are compared. `boxes_above`: the boxes above a confidence after non-maximum suppression.
`expected_count`: each box that survives suppression is worth some faces, the more the surer it is; the worth
is a rising step function of the confidence, fitted to the squared error by non-negative least squares.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torchvision.ops import nms

from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.official_tables import BOX_COLUMNS

Way = Literal["boxes_above", "expected_count"]
WAYS: tuple[Way, ...] = ("boxes_above", "expected_count")
PARTS_OF_ONE_FOLD = 5
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CountingRule:
    """How boxes become a count."""

    way: Way
    overlap: float
    """IoU above which the surer of two boxes suppresses the other."""
    confidences: list[float]
    """Steps of the worth; a single one for boxes_above."""
    worths: list[float]
    """Faces by which the worth of a box rises at each step."""
    constant: float
    """Faces that every picture has beside those found."""

    @property
    def half_a_face(self) -> float:
        """Least confidence at which a box is worth at least half a face (above 1 when no box is)."""
        steps = np.flatnonzero(np.cumsum(self.worths) >= 0.5)
        return self.confidences[steps[0]] if len(steps) else 1.01

    def count(self, found: "FoundFaces") -> Counts:
        """(pictures,) counts."""
        above = found.suppressed(self.overlap).above(self.confidences)
        return np.asarray(self.constant + np.asarray(self.worths) @ above, dtype=np.float64)


@dataclass(frozen=True)
class FoundFaces:
    """Boxes found on some pictures."""

    picture: npt.NDArray[np.int64]
    """(n,) number of each box's picture, rising."""
    boxes: npt.NDArray[np.float32]
    """(n, 4) corners in px."""
    scores: npt.NDArray[np.float32]
    """(n,)"""
    pictures: int

    def suppressed(self, overlap: float) -> "FoundFaces":
        """What non-maximum suppression at that IoU leaves in each picture."""
        starts = np.searchsorted(self.picture, np.arange(self.pictures + 1))
        boxes, scores = torch.from_numpy(self.boxes), torch.from_numpy(self.scores)
        kept = [
            np.sort(nms(boxes[start:stop], scores[start:stop], overlap).numpy()) + start
            for start, stop in itertools.pairwise(starts)
            if stop > start
        ]
        rows = np.concatenate(kept) if kept else np.zeros(0, np.int64)
        return FoundFaces(self.picture[rows], self.boxes[rows], self.scores[rows], self.pictures)

    def above(self, confidences: list[float]) -> npt.NDArray[np.int64]:
        """(confidences, pictures) boxes that are at least that sure."""
        return np.stack(
            [
                np.bincount(self.picture[self.scores >= limit], minlength=self.pictures)
                for limit in confidences
            ]
        )


def found_faces(boxes: pd.DataFrame, names: list[str]) -> FoundFaces:
    """The boxes of `names` (no name twice) out of a table of Name, xmin, ymin, xmax, ymax, score."""
    number = pd.Series(np.arange(len(names)), index=names)
    known = boxes[boxes["Name"].isin(number.index)]
    picture = number.loc[known["Name"]].to_numpy(np.int64)
    order = np.argsort(picture, kind="stable")
    return FoundFaces(
        picture[order],
        known[BOX_COLUMNS].to_numpy(np.float32)[order],
        known["score"].to_numpy(np.float32)[order],
        len(names),
    )


def joined(parts: list[FoundFaces]) -> FoundFaces:
    """Several sets of pictures one after the other."""
    shifts = np.cumsum([0, *(part.pictures for part in parts)])
    return FoundFaces(
        np.concatenate([part.picture + shift for part, shift in zip(parts, shifts, strict=False)]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        int(shifts[-1]),
    )


def boxes_above(found: FoundFaces, counting: CountingSettings) -> npt.NDArray[np.int64]:
    """(overlaps, confidences, pictures) boxes for every pair of thresholds that is tried."""
    return np.stack([found.suppressed(overlap).above(counting.confidences) for overlap in counting.overlaps])


def rmse_map(above: npt.NDArray[np.int64], head_counts: Counts) -> Counts:
    """(overlaps, confidences) RMSE of the number of boxes."""
    return np.asarray(np.sqrt(np.mean((above - head_counts) ** 2, axis=-1)))


def fit_rule(
    way: Way, above: npt.NDArray[np.int64], head_counts: Counts, counting: CountingSettings
) -> CountingRule:
    """The rule of least squared error on pictures with known counts; `above` as made by `boxes_above`."""
    if way == "boxes_above":
        overlap, confidence = np.unravel_index(np.argmin(rmse_map(above, head_counts)), above.shape[:2])
        return CountingRule(way, counting.overlaps[overlap], [counting.confidences[confidence]], [1.0], 0.0)
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
    above: npt.NDArray[np.int64],
    head_counts: Counts,
    fold: npt.NDArray[np.int64],
    counting: CountingSettings,
) -> Counts:
    """(pictures,) counts by rules that were fitted on the other folds' pictures.

    A single fold is cut into parts instead, so that no picture is counted by a rule that saw its count.
    """
    parts = fold if len(np.unique(fold)) > 1 else np.arange(len(fold)) % PARTS_OF_ONE_FOLD
    counts = np.zeros(len(head_counts))
    for part in np.unique(parts):
        own = parts == part
        rule = fit_rule(way, above[:, :, ~own], head_counts[~own], counting)
        row = counting.overlaps.index(rule.overlap)
        columns = [counting.confidences.index(limit) for limit in rule.confidences]
        counts[own] = rule.constant + np.asarray(rule.worths) @ above[row][columns][:, own]
    return counts


def as_decision(rule: CountingRule, mean_count: float) -> dict[str, Any]:
    """The rule for a run record; `mean_count` is what a picture gets that cannot be read."""
    return {**vars(rule), "mean_count": mean_count}


def rule_of(decision: dict[str, Any]) -> CountingRule:
    """The inverse of `as_decision`."""
    return CountingRule(**{key: value for key, value in decision.items() if key != "mean_count"})
