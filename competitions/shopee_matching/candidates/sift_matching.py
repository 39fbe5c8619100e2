"""Geometric verification: SIFT matches of two images, a RANSAC similarity transform, colours inside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.base.console import progress
from common.files.tables import write_table
from common.learn.arrays import AnyArray, Float32, Int32, Int64, Integers, UInt8
from competitions.shopee_matching.candidates.descriptors import Keypoints
from competitions.shopee_matching.candidates.knn import nearest
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs

DETAILS = ("matches", "inliers", "log_scale", "angle", "chroma", "lightness", "area")
"""Of a pair of images: keypoint matches; RANSAC inliers; |log scale| and |angle| of the transform; inside the
inliers' bounding box the mean distance of a and b (Lab), the correlation of L, and its share of the image."""


@dataclass(frozen=True)
class ImageDescriptors:
    """Descriptors of stored images, one entry each."""

    global_rows: Float32
    """(stored, d) unit rows by which the images to verify are found."""
    points: Sequence[Keypoints]
    lab: UInt8
    """(stored, 128, 128, 3), as `lab_thumbnail` makes them."""
    side: int
    """Of the images in which the keypoints lie, in pixels."""


RATIO = 0.8
"""Ratio test: the nearest keypoint must be this much nearer than the second nearest (Lowe 2004)."""
MIN_MATCHES = 4
LAB_SIDE = 128
HALF_INLIERS, CHROMA_SCALE = 10.0, 20.0
"""The score is inliers / (inliers + 10) * exp(-chroma / 20)."""


def verify(one: Keypoints, other: Keypoints, labs: tuple[UInt8, UInt8], side: int) -> list[float]:
    """`DETAILS` of two images; NaN where a value is undefined.

    Parameters
    ----------
    labs : both images in Lab, (128, 128, 3).
    side : of the images in which the keypoints lie, in pixels.
    """
    unknown = float("nan")
    if min(len(one.xy), len(other.xy)) < 2:
        return [0.0, 0.0, *[unknown] * 5]
    here, there = _matches(one, other)
    if len(here) < MIN_MATCHES:
        return [float(len(here)), 0.0, *[unknown] * 5]
    source, target = one.xy[here], other.xy[there]
    transform, inlier_mask = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=side / 32, maxIters=200
    )
    if transform is None:
        return [float(len(here)), 0.0, *[unknown] * 5]
    inliers = inlier_mask.ravel() > 0
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    found = [
        float(len(here)),
        float(inliers.sum()),
        abs(float(np.log(max(scale, 1e-3)))),
        abs(float(np.arctan2(transform[1, 0], transform[0, 0]))),
    ]
    if inliers.sum() < MIN_MATCHES:
        return [*found, unknown, unknown, unknown]
    return [*found, *_colour_agreement(transform, target[inliers], labs, side)]


def _matches(one: Keypoints, other: Keypoints) -> tuple[Int64, Int64]:
    """Rows of mutual nearest keypoints that pass the ratio test."""
    similarity = (one.descriptor.astype(np.float32) / 255) @ (other.descriptor.astype(np.float32) / 255).T
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    top = similarity[rows, best]
    mutual = similarity.argmax(axis=0)[best] == rows
    similarity[rows, best] = -1
    distinct = 1 - top < RATIO * (1 - similarity.max(axis=1))
    here = np.flatnonzero(mutual & distinct)
    return here, best[here]


def _colour_agreement(
    transform: AnyArray, target: Float32, labs: tuple[UInt8, UInt8], side: int
) -> list[float]:
    """Chroma distance, lightness correlation and area inside the bounding box of the inliers."""
    # The transform maps pixels of the keypoints' image; here it warps the 128-pixel thumbnail.
    shrink = LAB_SIDE / side
    small = transform.copy()
    small[:, 2] *= shrink
    warped = cv2.warpAffine(labs[0].astype(np.float32), small, (LAB_SIDE, LAB_SIDE), borderValue=(-1, -1, -1))
    left, top = np.maximum((target.min(axis=0) * shrink).astype(int), 0)
    right, bottom = (target.max(axis=0) * shrink).astype(int) + 1
    over, under = warped[top:bottom, left:right], labs[1][top:bottom, left:right].astype(np.float32)
    covered = over[..., 0] >= 0
    if covered.sum() < 20:
        return [float("nan")] * 3
    over, under = over[covered], under[covered]
    l_over, l_under = over[:, 0] - over[:, 0].mean(), under[:, 0] - under[:, 0].mean()
    correlation = float((l_over * l_under).sum() / np.sqrt((l_over**2).sum() * (l_under**2).sum() + 1e-6))
    chroma = float(np.abs(over[:, 1:] - under[:, 1:]).mean())
    return [chroma, correlation, float(covered.sum()) / LAB_SIDE**2]


def lab_thumbnail(image: UInt8) -> UInt8:
    """(128, 128, 3) Lab of an RGB image, slightly blurred."""
    small = cv2.resize(image, (LAB_SIDE, LAB_SIDE), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (5, 5), 0)
    return blurred.astype(np.uint8)


def verified_pairs(
    descriptors: ImageDescriptors,
    image_row: Int32,
    top_k: int,
    experiment: str,
    known_file: Path | None = None,
) -> CandidatePairs:
    """Pairs of listings whose images were verified, both directions, with all `DETAILS`.

    Parameters
    ----------
    image_row : (n,) stored image of each listing; -1 without one.
    top_k : nearest images, by the global descriptors, that each image is compared with.
    known_file : table of image pairs that were verified before; they are not compared again, and new ones
        are added to it.
    """
    stored = np.unique(image_row[image_row >= 0])
    if len(stored) < 2:
        return no_pairs(experiment, DETAILS)
    rows = np.arange(len(stored))
    near, _ = nearest(descriptors.global_rows[stored], rows, top_k)
    both = np.sort(np.stack([np.repeat(rows, near.shape[1]), near.ravel()], axis=1), axis=1)
    compared = stored[np.unique(both, axis=0)]
    keys = compared[:, 0].astype(np.int64) << 32 | compared[:, 1]
    known_keys, known_details = _known_details(known_file)
    place = np.searchsorted(known_keys, keys)
    verified = np.isin(keys, known_keys)
    details = np.empty((len(compared), len(DETAILS)), dtype=np.float32)
    details[verified] = known_details[place[verified]]
    points, lab = descriptors.points, descriptors.lab
    # The verification of a and b is not quite that of b and a. A catalogue's images are compared in an order
    # that depends on the images alone, whenever they came into the index.
    turned = np.zeros(len(compared), dtype=bool)
    if known_file is not None:
        rank = np.empty(len(descriptors.global_rows), dtype=np.int64)
        order = sorted(range(len(rank)), key=lambda row: descriptors.global_rows[row].tobytes())
        rank[order] = np.arange(len(rank))
        turned = rank[compared[:, 0]] > rank[compared[:, 1]]
    for row in progress(np.flatnonzero(~verified), "verifying images geometrically", "pairs"):
        a, b = compared[row, ::-1] if turned[row] else compared[row]
        details[row] = verify(points[a], points[b], (lab[a], lab[b]), descriptors.side)
    if known_file is not None:
        _write_details(
            known_file,
            np.concatenate([known_keys, keys[~verified]]),
            np.concatenate([known_details, details[~verified]]),
        )
    return _of_listings(compared, details, image_row, experiment)


def _known_details(file: Path | None) -> tuple[Int64, Float32]:
    """Ascending keys of image pairs (lower row above, higher row below), and their (pairs, details)."""
    if file is None or not file.is_file():
        return np.empty(0, dtype=np.int64), np.empty((0, len(DETAILS)), dtype=np.float32)
    table = pq.read_table(file)
    return table["pair"].to_numpy(), np.stack([table[name].to_numpy() for name in DETAILS], axis=1)


def _write_details(file: Path, keys: Int64, details: Float32) -> None:
    order = np.argsort(keys)
    columns = {name: details[order, place] for place, name in enumerate(DETAILS)}
    write_table(file, pa.table({"pair": keys[order], **columns}))


def _of_listings(compared: Integers, details: Float32, image_row: Int32, experiment: str) -> CandidatePairs:
    """Directed pairs of listings from undirected pairs of images, (compared, 2) stored rows."""
    # Listings of image i are order[starts[i] : starts[i + 1]].
    order = np.argsort(image_row, kind="stable")
    starts = np.searchsorted(image_row[order], np.arange(image_row.max() + 2))
    query: list[Int64] = []
    match: list[Int64] = []
    place: list[Int64] = []
    for row, (a, b) in enumerate(compared.tolist()):
        ours, theirs = order[starts[a] : starts[a + 1]], order[starts[b] : starts[b + 1]]
        one, other = np.repeat(ours, len(theirs)), np.tile(theirs, len(ours))
        query += [one, other]
        match += [other, one]
        place.append(np.full(2 * len(one), row))
    queries, matches, rows = np.concatenate(query), np.concatenate(match), np.concatenate(place)
    order = np.lexsort((matches, queries))
    chosen = details[rows[order]]
    inliers, chroma = chosen[:, DETAILS.index("inliers")], chosen[:, DETAILS.index("chroma")]
    score = inliers / (inliers + HALF_INLIERS) * np.exp(-np.nan_to_num(chroma, nan=99.0) / CHROMA_SCALE)
    scores = {experiment: score.astype(np.float32)}
    scores |= {f"{experiment}/{name}": chosen[:, place] for place, name in enumerate(DETAILS)}
    return CandidatePairs(queries[order].astype(np.int32), matches[order].astype(np.int32), scores)
