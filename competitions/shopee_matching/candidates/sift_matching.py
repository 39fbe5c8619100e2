"""Two pictures laid over each other by their keypoints: how many agree, and how the colours compare then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from common.base.console import progress
from competitions.shopee_matching.candidates.descriptors import Keypoints
from competitions.shopee_matching.candidates.knn import nearest
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs

Float32 = npt.NDArray[np.float32]
Lab = npt.NDArray[np.uint8]
DETAILS = ("matches", "agreeing", "zoom", "turn", "chroma", "lightness", "area")
"""Keypoints that match; those of them that one similarity transform explains, its |log scale| and |angle|;
inside the box around them the mean distance of a and b (Lab), the correlation of L, and the box's share."""
ALIGNED = "aligned"
"""What 1_preprocess calls the scores of aligned pictures."""


@dataclass(frozen=True)
class DescribedPictures:
    """What is known of stored pictures, one entry each."""

    near: Float32
    """(stored, d) unit rows by which pictures to be compared are found."""
    points: Sequence[Keypoints]
    lab: npt.NDArray[np.uint8]
    """(stored, 128, 128, 3), as `lab_small` makes them."""
    side: int
    """Of the pictures that the keypoints are places in, in pixels."""


RATIO = 0.8
"""A match must be so much nearer than the second nearest (Lowe 2004)."""
LEAST_MATCHES = 4
COLOUR_SIDE = 128
HALF_AGREEING, CHROMA_SCALE = 10.0, 20.0


def aligned_details(one: Keypoints, other: Keypoints, labs: tuple[Lab, Lab], side: int) -> list[float]:
    """`DETAILS` of two pictures; NaN what cannot be told.

    Parameters
    ----------
    labs : both pictures in Lab, (128, 128, 3).
    side : of the pictures that the keypoints are places in, in pixels.
    """
    unknown = float("nan")
    if min(len(one.place), len(other.place)) < 2:
        return [0.0, 0.0, *[unknown] * 5]
    here, there = _matches(one, other)
    if len(here) < LEAST_MATCHES:
        return [float(len(here)), 0.0, *[unknown] * 5]
    source, target = one.place[here], other.place[there]
    transform, inside = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=side / 32, maxIters=200
    )
    if transform is None:
        return [float(len(here)), 0.0, *[unknown] * 5]
    agreeing = inside.ravel() > 0
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    found = [
        float(len(here)),
        float(agreeing.sum()),
        abs(float(np.log(max(scale, 1e-3)))),
        abs(float(np.arctan2(transform[1, 0], transform[0, 0]))),
    ]
    if agreeing.sum() < LEAST_MATCHES:
        return [*found, unknown, unknown, unknown]
    return [*found, *_colours_inside(transform, target[agreeing], labs, side)]


def _matches(one: Keypoints, other: Keypoints) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Keypoints that are each other's nearest, and clearly nearer than the second nearest."""
    similarity = (one.descriptor.astype(np.float32) / 255) @ (other.descriptor.astype(np.float32) / 255).T
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    top = similarity[rows, best]
    mutual = similarity.argmax(axis=0)[best] == rows
    similarity[rows, best] = -1
    clear = 1 - top < RATIO * (1 - similarity.max(axis=1))
    here = np.flatnonzero(mutual & clear)
    return here, best[here]


def _colours_inside(
    transform: npt.NDArray[Any], target: Float32, labs: tuple[Lab, Lab], side: int
) -> list[float]:
    shrink = COLOUR_SIDE / side
    small = transform.copy()
    small[:, 2] *= shrink
    laid = cv2.warpAffine(
        labs[0].astype(np.float32), small, (COLOUR_SIDE, COLOUR_SIDE), borderValue=(-1, -1, -1)
    )
    left, top = np.maximum((target.min(axis=0) * shrink).astype(int), 0)
    right, bottom = (target.max(axis=0) * shrink).astype(int) + 1
    over, under = laid[top:bottom, left:right], labs[1][top:bottom, left:right].astype(np.float32)
    covered = over[..., 0] >= 0
    if covered.sum() < 20:
        return [float("nan")] * 3
    over, under = over[covered], under[covered]
    light, dark = over[:, 0] - over[:, 0].mean(), under[:, 0] - under[:, 0].mean()
    correlation = float((light * dark).sum() / np.sqrt((light**2).sum() * (dark**2).sum() + 1e-6))
    chroma = float(np.abs(over[:, 1:] - under[:, 1:]).mean())
    return [chroma, correlation, float(covered.sum()) / COLOUR_SIDE**2]


def lab_small(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(128, 128, 3) Lab of a picture, slightly blurred."""
    small = cv2.resize(picture, (COLOUR_SIDE, COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (5, 5), 0)
    return blurred.astype(np.uint8)


def aligned_pairs(
    described: DescribedPictures,
    picture: npt.NDArray[np.int32],
    checked: int,
    experiment: str,
    new: int = 0,
) -> CandidatePairs:
    """Pairs of listings whose pictures can be laid over each other, both directions, with all `DETAILS`.

    Parameters
    ----------
    picture : (n,) stored picture of each listing; -1 without one.
    checked : nearest pictures that each one is compared with.
    new : only stored pictures from this row on look for others.
    """
    stored = np.unique(picture[picture >= 0])
    asking = np.flatnonzero(stored >= new)
    if len(stored) < 2 or not len(asking):
        return no_pairs(experiment, DETAILS)
    near, _ = nearest(described.near[stored], asking, checked)
    both = np.sort(np.stack([np.repeat(asking, near.shape[1]), near.ravel()], axis=1), axis=1)
    compared = np.unique(both, axis=0)
    details = np.array(
        [
            aligned_details(
                described.points[a], described.points[b], (described.lab[a], described.lab[b]), described.side
            )
            for a, b in progress(stored[compared].tolist(), "laying pictures over each other", "pairs")
        ],
        dtype=np.float32,
    )
    return _of_listings(stored[compared], details, picture, experiment)


def _of_listings(
    compared: npt.NDArray[np.integer], details: Float32, picture: npt.NDArray[np.int32], experiment: str
) -> CandidatePairs:
    """Directed pairs of listings from undirected pairs of pictures."""
    order = np.argsort(picture, kind="stable")
    starts = np.searchsorted(picture[order], np.arange(picture.max() + 2))
    query: list[npt.NDArray[np.int64]] = []
    match: list[npt.NDArray[np.int64]] = []
    place: list[npt.NDArray[np.int64]] = []
    for row, (a, b) in enumerate(compared.tolist()):
        ours, theirs = order[starts[a] : starts[a + 1]], order[starts[b] : starts[b + 1]]
        one, other = np.repeat(ours, len(theirs)), np.tile(theirs, len(ours))
        query += [one, other]
        match += [other, one]
        place.append(np.full(2 * len(one), row))
    queries, matches, rows = np.concatenate(query), np.concatenate(match), np.concatenate(place)
    order = np.lexsort((matches, queries))
    chosen = details[rows[order]]
    agreeing, chroma = chosen[:, DETAILS.index("agreeing")], chosen[:, DETAILS.index("chroma")]
    score = agreeing / (agreeing + HALF_AGREEING) * np.exp(-np.nan_to_num(chroma, nan=99.0) / CHROMA_SCALE)
    scores = {experiment: score.astype(np.float32)}
    scores |= {f"{experiment}/{name}": chosen[:, place] for place, name in enumerate(DETAILS)}
    return CandidatePairs(queries[order].astype(np.int32), matches[order].astype(np.int32), scores)
