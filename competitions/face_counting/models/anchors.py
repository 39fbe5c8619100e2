"""Anchors fitted to the boxes of a data set, as YOLOv2 did first (Redmon and Farhadi 2017)."""

import numpy as np
import numpy.typing as npt
import torch

from competitions.face_counting.experiment import DetectorSettings

Sides = npt.NDArray[np.float64]
ROUNDS = 100


def overlap_of_sides(sides: Sides, anchors: Sides) -> Sides:
    """(faces, anchors) IoU of boxes (faces, 2) with anchors (anchors, 2) when they share their middle."""
    both = np.minimum(sides[:, None], anchors[None]).prod(axis=-1)
    return np.asarray(both / (sides.prod(axis=-1)[:, None] + anchors.prod(axis=-1)[None] - both))


def fit_anchors(sides: Sides, number: int, seed: int = 0) -> Sides:
    """Widths and heights that overlap the faces of a data set most.

    k-means with 1 - IoU as the distance and the median as the middle, from seeded first anchors.

    Parameters
    ----------
    sides : (faces, 2) widths and heights in px, at least one.
    number : anchors that are wanted; fewer than that many different faces are repeated.

    Returns
    -------
    (number, 2) in px, from the smallest area to the largest.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(sides.prod(axis=1), kind="stable")
    # Spread over the sizes; a little noise parts equal ones.
    first = order[np.linspace(0, len(order) - 1, number).round().astype(int)]
    anchors = sides[first] * generator.uniform(0.99, 1.01, size=(number, 2))
    owner = np.full(len(sides), -1)
    for _ in range(ROUNDS):
        nearest = overlap_of_sides(sides, anchors).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        for row in np.unique(owner):
            anchors[row] = np.median(sides[owner == row], axis=0)
    return np.asarray(anchors[np.argsort(anchors.prod(axis=1), kind="stable")])


def mean_overlap(sides: Sides, anchors: Sides) -> float:
    """Mean IoU of the faces with their best anchor: how well anchors fit."""
    return float(overlap_of_sides(sides, anchors).max(axis=1).mean())


def anchor_buffer(settings: DetectorSettings, number: int, face_sides: Sides | None) -> torch.Tensor:
    """What a network keeps of its anchors, so that its checkpoint brings them.

    Parameters
    ----------
    number : anchors at all levels together.
    face_sides : (faces, 2) in px of the canvas; None for a network that a checkpoint will fill.

    Returns
    -------
    (number, 2) fitted widths and heights in px of the canvas, smallest first; (0, 2) for the usual anchors.
    """
    if settings.anchors == "usual":
        return torch.zeros(0, 2)
    if face_sides is None or len(face_sides) == 0:
        return torch.ones(number, 2)
    return torch.from_numpy(fit_anchors(face_sides, number)).float()
