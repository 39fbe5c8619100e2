"""Anchors fitted to the boxes of a data set by k-means, as in YOLOv2 (Redmon and Farhadi 2017)."""

from typing import Literal

import numpy as np
import torch

from common.learn.arrays import Float64
from common.run.experiments import Settings

ITERATIONS = 100


class AnchorOptions(Settings):
    """`detector.options` of families with anchors."""

    anchors: Literal["default", "kmeans"] = "default"
    """default: those of the literature; kmeans: fitted to the boxes of the training pictures."""


def iou_of_sides(sides: Float64, anchors: Float64) -> Float64:
    """(faces, anchors) IoU of boxes (faces, 2) with anchors (anchors, 2) of the same center."""
    both = np.minimum(sides[:, None], anchors[None]).prod(axis=-1)
    return np.asarray(both / (sides.prod(axis=-1)[:, None] + anchors.prod(axis=-1)[None] - both))


def kmeans_anchors(sides: Float64, number: int, seed: int = 0) -> Float64:
    """Widths and heights that overlap the faces of a data set most.

    k-means with 1 - IoU as the distance and the median as the centroid, from seeded initial anchors.

    Parameters
    ----------
    sides : (faces, 2) widths and heights in px, at least one.
    number : of anchors; they repeat when there are fewer distinct faces.

    Returns
    -------
    (number, 2) in px, sorted by area.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(sides.prod(axis=1), kind="stable")
    # Initial anchors are quantiles of the area; a little noise separates equal ones.
    first = order[np.linspace(0, len(order) - 1, number).round().astype(int)]
    anchors = sides[first] * generator.uniform(0.99, 1.01, size=(number, 2))
    owner = np.full(len(sides), -1)
    for _ in range(ITERATIONS):
        nearest = iou_of_sides(sides, anchors).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        for row in np.unique(owner):
            anchors[row] = np.median(sides[owner == row], axis=0)
    return np.asarray(anchors[np.argsort(anchors.prod(axis=1), kind="stable")])


def mean_best_iou(sides: Float64, anchors: Float64) -> float:
    """Mean IoU of the faces with their best anchor: how well anchors fit."""
    return float(iou_of_sides(sides, anchors).max(axis=1).mean())


def anchor_buffer(options: AnchorOptions, number: int, face_sides: Float64 | None) -> torch.Tensor:
    """Fitted anchors as a buffer of the network, so that its checkpoint holds them.

    Parameters
    ----------
    number : of anchors at all levels together.
    face_sides : (faces, 2) in px of the image; None for a network that a checkpoint will fill.

    Returns
    -------
    (number, 2) fitted widths and heights in px of the image, sorted by area; (0, 2) for default anchors.
    """
    if options.anchors == "default":
        return torch.zeros(0, 2)
    if face_sides is None or len(face_sides) == 0:
        return torch.ones(number, 2)
    return torch.from_numpy(kmeans_anchors(face_sides, number)).float()
