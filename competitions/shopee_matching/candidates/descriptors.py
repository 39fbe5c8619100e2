"""Hand-crafted image descriptors: Lab colour histograms, SIFT keypoints, and VLAD over visual words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD

from common.learn.arrays import AnyArray, Float32, UInt8
from competitions.shopee_matching.data.vectors import unit_rows

MAX_KEYPOINTS = 300
SIFT_LENGTH = 128
VISUAL_WORDS = 64
MAX_UNPROJECTED, PROJECTED_LENGTH = 10_000, 512
"""With more images than that, VLAD vectors (8,192 numbers) are projected to this length for the search."""
CENTRE = 0.7
"""Side of the central crop, where the product is likely to be, as a share of the image's side."""
BANDS = 4
KMEANS_KEYPOINTS = 20_000
"""Keypoints that the visual words are learned from."""


@dataclass(frozen=True)
class Keypoints:
    """SIFT keypoints of one image."""

    xy: Float32
    """(n, 2) position in pixels."""
    descriptor: UInt8
    """(n, 128) RootSIFT (Arandjelovic and Zisserman 2012), unit rows times 255."""


def lab_histogram(image: UInt8) -> Float32:
    """(960,) unit vector of Lab histograms of an RGB image: its centre, and four bands from top to bottom.

    Square roots of the shares are stored, so the inner product is the Bhattacharyya coefficient.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    height, width = lab.shape[:2]
    top, left = round(height * (1 - CENTRE) / 2), round(width * (1 - CENTRE) / 2)
    centre = _histogram(lab[top : height - top, left : width - left], (6, 8, 8))
    strip = lab[:, width // 5 : width - width // 5]
    bands = [
        _histogram(strip[band * height // BANDS : (band + 1) * height // BANDS], (4, 6, 6))
        for band in range(BANDS)
    ]
    both = np.concatenate([centre, np.concatenate(bands) / np.sqrt(BANDS)])
    return (both / np.sqrt(2)).astype(np.float32)


def _histogram(lab: AnyArray, bins: tuple[int, int, int]) -> Float32:
    counts = cv2.calcHist([np.ascontiguousarray(lab)], [0, 1, 2], None, list(bins), [0, 256] * 3).ravel()
    return np.sqrt(counts / max(1.0, counts.sum())).astype(np.float32)


def sift_keypoints(image: UInt8) -> Keypoints:
    """The 300 strongest SIFT keypoints of an RGB image, or fewer."""
    sift: Any = cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=MAX_KEYPOINTS, contrastThreshold=0.02
    )
    found, descriptors = sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    if descriptors is None or not len(found):
        return Keypoints(np.empty((0, 2), np.float32), np.empty((0, SIFT_LENGTH), np.uint8))
    xy = np.array([point.pt for point in found[:MAX_KEYPOINTS]], dtype=np.float32)
    # RootSIFT: L1-normalise, then take square roots.
    total = np.maximum(descriptors[:MAX_KEYPOINTS].sum(axis=1, keepdims=True), 1e-9)
    root = np.sqrt(descriptors[:MAX_KEYPOINTS] / total)
    return Keypoints(xy, np.round(255 * root).astype(np.uint8))


@dataclass(frozen=True)
class VisualWords:
    """Vocabulary of the VLAD vectors; learned from images, without labels."""

    words: Float32
    """(words, 128) centres of keypoint descriptors."""
    projection: Float32
    """(words * 128, length) principal directions of the VLAD vectors; (0, 0): not projected."""

    def vlad(self, images: Sequence[Keypoints]) -> Float32:
        """(images, length) unit rows; zeros without keypoints."""
        length = self.projection.shape[1] or self.words.size
        rows = np.zeros((len(images), length), dtype=np.float32)
        for row, found in enumerate(images):
            vector = vlad(found, self.words)
            rows[row] = vector @ self.projection if len(self.projection) else vector
        return unit_rows(rows)


def vlad(found: Keypoints, words: Float32) -> Float32:
    """(words * 128,) vector of locally aggregated descriptors (Jegou et al. 2010), unit length per word."""
    sums = np.zeros_like(words)
    if len(found.xy):
        descriptors = found.descriptor.astype(np.float32) / 255
        # Nearest word: argmin |d - w|^2 = argmax d.w - |w|^2 / 2.
        word = np.argmax(descriptors @ words.T - 0.5 * (words**2).sum(axis=1), axis=1)
        np.add.at(sums, word, descriptors - words[word])
        sums = unit_rows(sums)
    return sums.ravel() / np.float32(np.sqrt(len(words)))


def learn_visual_words(images: Sequence[Keypoints], seed: int) -> VisualWords:
    """Visual words by k-means of keypoints; with many images also the projection of the VLAD vectors."""
    random = np.random.default_rng(seed)
    nothing = np.empty((0, SIFT_LENGTH), np.uint8)
    unprojected = np.empty((0, 0), dtype=np.float32)
    stacked = np.concatenate([nothing, *(found.descriptor for found in images)])
    if len(stacked) > KMEANS_KEYPOINTS:
        stacked = stacked[np.sort(random.choice(len(stacked), KMEANS_KEYPOINTS, replace=False))]
    count = min(VISUAL_WORDS, len(stacked))
    if count == 0:
        return VisualWords(np.zeros((1, SIFT_LENGTH), np.float32), unprojected)
    clusters = MiniBatchKMeans(count, random_state=seed % 2**31, n_init=1, max_iter=20)
    words = clusters.fit(stacked.astype(np.float32) / 255).cluster_centers_.astype(np.float32)
    if len(images) <= MAX_UNPROJECTED:
        return VisualWords(words, unprojected)
    drawn = random.permutation(len(images))[:4000]
    vectors = np.stack([vlad(images[place], words) for place in drawn])
    directions = TruncatedSVD(PROJECTED_LENGTH, random_state=seed % 2**31).fit(vectors).components_
    return VisualWords(words, directions.T.astype(np.float32))
