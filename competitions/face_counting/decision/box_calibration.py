"""How likely each box is one that the labels count: boosted trees on what all looks say of it.

A score says how sure one network is of a face. Whether the labels count it depends on more: what other looks
say, how large it is beside the large faces of its picture, whether a surer box covers it, how many there are.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import box_iou

from competitions.face_counting.decision.small_trees import grown_trees
from competitions.face_counting.detection.wbf import FoundFaces

OVERLAP = 0.45
"""IoU from which boxes of several looks are one."""
LEAST_SCORE = 0.03
"""Mean score over the looks below which a box is none."""
LABEL_OVERLAP = 0.3
"""IoU from which a box is a labelled one; labels are loose."""
SURE = 0.5
TREES, LEAVES, RATE, FEWEST = 120, 15, 0.05, 30
PARTS = 4

Numbers = npt.NDArray[np.float64]
Labels = list[npt.NDArray[np.float64]]
"""For each picture its labelled boxes (faces, 4)."""


@dataclass(frozen=True)
class Candidates:
    """Boxes of all looks, one a face, with what is known of each."""

    boxes: FoundFaces
    figures: Numbers
    """(boxes, figures)"""


@dataclass(frozen=True)
class Calibration:
    """LightGBM's trees for the probability that a box is labelled."""

    trees: str
    """LightGBM's own text; empty where there was nothing to tell apart."""
    constant: float = 0.0
    """The probability without trees."""

    def probabilities(self, candidates: Candidates) -> Numbers:
        """(boxes,) from 0 to 1."""
        import lightgbm

        if len(candidates.figures) == 0 or not self.trees:
            return np.full(len(candidates.figures), self.constant)
        model = lightgbm.Booster(model_str=self.trees)
        return np.asarray(model.predict(candidates.figures, num_threads=1), dtype=np.float64)


def candidates_of(found: FoundFaces) -> Candidates:
    """Fuse the boxes of all looks and describe each."""
    fused, evidence = found.gathered(OVERLAP)
    rows = np.flatnonzero(fused.scores >= LEAST_SCORE)
    fused, evidence = fused.at(rows), evidence[rows]
    sides = np.sqrt(np.maximum((fused.boxes[:, 2:] - fused.boxes[:, :2]).prod(axis=1), 1.0))
    shapes = (fused.boxes[:, 2] - fused.boxes[:, 0]) / np.maximum(fused.boxes[:, 3] - fused.boxes[:, 1], 1.0)
    middles = (fused.boxes[:, :2] + fused.boxes[:, 2:]) / 2
    context = np.zeros((len(rows), 8))
    for picture in np.unique(fused.picture):
        own = np.flatnonzero(fused.picture == picture)
        context[own] = _context(fused.boxes[own], fused.scores[own], evidence[own, 0], sides[own])
    figures = np.column_stack([context, sides, shapes, middles, evidence, fused.scores])
    return Candidates(fused, figures.astype(np.float64))


def _context(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    first_look: npt.NDArray[np.float32],
    sides: Numbers,
) -> Numbers:
    """(boxes, 8) how each box of one picture stands to the others."""
    corners = torch.from_numpy(boxes)
    overlaps = box_iou(corners, corners).numpy()
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    covered = np.clip(high - low, 0, None).prod(axis=-1) / (sides**2)[:, None]
    surer = scores[None] > scores[:, None]
    sure = first_look > SURE
    large = np.quantile(sides[sure], 0.9) if sure.any() else 0.0
    middle = np.median(sides[sure]) if sure.any() else 0.0
    every = np.ones(len(boxes))
    return np.column_stack(
        [
            (overlaps * surer).max(axis=1),
            (covered * surer).max(axis=1),
            sides / max(large, 1.0),
            sides / max(middle, 1.0),
            every * sure.sum(),
            every * scores.sum(),
            surer.sum(axis=1),
            every * large,
        ]
    )


def are_labelled(boxes: FoundFaces, labels: Labels) -> npt.NDArray[np.bool_]:
    """(boxes,) whether a box is a labelled one: the surest boxes choose first, each label once."""
    result = np.zeros(len(boxes.picture), dtype=bool)
    for picture in np.unique(boxes.picture):
        free = labels[picture].copy()
        own = np.flatnonzero(boxes.picture == picture)
        for row in own[np.argsort(-boxes.scores[own], kind="stable")]:
            if len(free) == 0:
                break
            overlaps = box_iou(torch.from_numpy(boxes.boxes[row : row + 1]).double(), torch.from_numpy(free))
            best = int(overlaps.argmax())
            if overlaps[0, best] >= LABEL_OVERLAP:
                result[row] = True
                free = np.delete(free, best, axis=0)
    return result


def fit_calibration(candidates: Candidates, labelled: npt.NDArray[np.bool_]) -> Calibration:
    """Fit the trees."""
    if labelled.all() or not labelled.any():
        return Calibration("", float(labelled.mean()) if len(labelled) else 0.0)

    wanted = labelled.astype(np.float64)
    grown = grown_trees(
        candidates.figures, wanted, "binary", trees=TREES, leaves=LEAVES, rate=RATE, fewest=FEWEST
    )
    return Calibration(grown)


def without_own_part(candidates: Candidates, labelled: npt.NDArray[np.bool_]) -> Numbers:
    """(boxes,) probabilities by trees fitted on other pictures: what a regression may learn from."""
    parts = candidates.boxes.picture % PARTS
    result = np.zeros(len(parts))
    for part in range(PARTS):
        own = parts == part
        if own.any() and labelled[~own].any():
            fitted = fit_calibration(_rows(candidates, ~own), labelled[~own])
            result[own] = fitted.probabilities(_rows(candidates, own))
    return result


def sums(candidates: Candidates, probabilities: Numbers) -> Numbers:
    """(pictures, 3) expected number of labelled boxes, its variance, and the boxes more likely than not."""
    picture, pictures = candidates.boxes.picture, candidates.boxes.pictures
    parts = (probabilities, probabilities * (1 - probabilities), (probabilities > 0.5).astype(np.float64))
    return np.column_stack([np.bincount(picture, part, pictures) for part in parts])


def _rows(candidates: Candidates, mask: npt.NDArray[np.bool_]) -> Candidates:
    return Candidates(candidates.boxes.at(np.flatnonzero(mask)), candidates.figures[mask])
