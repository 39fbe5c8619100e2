"""Hand-made descriptors of pictures: where which colours are, and SIFT keypoints, alone and summed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD

from competitions.shopee_matching.candidates.knn import unit_rows

Picture = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
MOST_KEYPOINTS = 300
SIFT_LENGTH = 128
WORDS = 64
"""Visual words that keypoints are counted by."""
MOST_WHOLE, KEYPOINT_LENGTH = 10_000, 512
"""With more pictures than that, sums are projected to this length: neighbours of 8,192 numbers take long."""
MIDDLE = 0.7
"""Side of a picture's middle, in which its product is likely to be."""
BANDS = 4
LEARNED_FROM = 20_000
"""Keypoints that the visual words are learned from."""


@dataclass(frozen=True)
class Keypoints:
    """SIFT keypoints of one picture."""

    place: Float32
    """(n, 2) x and y, in pixels."""
    descriptor: npt.NDArray[np.uint8]
    """(n, 128) RootSIFT (Arandjelovic and Zisserman 2012), unit rows times 255."""


def colours(picture: Picture) -> Float32:
    """Unit vector of Lab histograms: of the middle, and of four bands from top to bottom (square roots)."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    height, width = lab.shape[:2]
    top, left = round(height * (1 - MIDDLE) / 2), round(width * (1 - MIDDLE) / 2)
    whole = _histogram(lab[top : height - top, left : width - left], (6, 8, 8))
    strip = lab[:, width // 5 : width - width // 5]
    bands = [
        _histogram(strip[band * height // BANDS : (band + 1) * height // BANDS], (4, 6, 6))
        for band in range(BANDS)
    ]
    both = np.concatenate([whole, np.concatenate(bands) / np.sqrt(BANDS)])
    return (both / np.sqrt(2)).astype(np.float32)


def _histogram(lab: npt.NDArray[Any], bins: tuple[int, int, int]) -> Float32:
    counts = cv2.calcHist([np.ascontiguousarray(lab)], [0, 1, 2], None, list(bins), [0, 256] * 3).ravel()
    return np.sqrt(counts / max(1.0, counts.sum())).astype(np.float32)


def keypoints(picture: Picture) -> Keypoints:
    """The at most 300 strongest SIFT keypoints of a picture."""
    sift: Any = cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=MOST_KEYPOINTS, contrastThreshold=0.02
    )
    found, descriptors = sift.detectAndCompute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None)
    if descriptors is None or not len(found):
        return Keypoints(np.empty((0, 2), np.float32), np.empty((0, SIFT_LENGTH), np.uint8))
    place = np.array([point.pt for point in found[:MOST_KEYPOINTS]], dtype=np.float32)
    summed = np.maximum(descriptors[:MOST_KEYPOINTS].sum(axis=1, keepdims=True), 1e-9)
    root = np.sqrt(descriptors[:MOST_KEYPOINTS] / summed)
    return Keypoints(place, np.round(255 * root).astype(np.uint8))


@dataclass(frozen=True)
class VisualWords:
    """What keypoints are summed up by; learned from pictures, without labels."""

    words: Float32
    """(words, 128) centres of keypoint descriptors."""
    projection: Float32
    """(words * 128, length) directions in which the sums differ most; (0, 0) where they stay as they are."""

    def summed(self, pictures: Sequence[Keypoints]) -> Float32:
        """(pictures, length) unit rows; zeros without keypoints."""
        length = self.projection.shape[1] or self.words.size
        rows = np.zeros((len(pictures), length), dtype=np.float32)
        for row, each in enumerate(pictures):
            sums = aggregated(each, self.words)
            rows[row] = sums @ self.projection if len(self.projection) else sums
        return unit_rows(rows)


def aggregated(found: Keypoints, words: Float32) -> Float32:
    """Vector of locally aggregated descriptors (VLAD; Jegou et al. 2010), each word's part of unit length."""
    sums = np.zeros_like(words)
    if len(found.place):
        descriptors = found.descriptor.astype(np.float32) / 255
        word = np.argmax(descriptors @ words.T - 0.5 * (words**2).sum(axis=1), axis=1)
        np.add.at(sums, word, descriptors - words[word])
        sums = unit_rows(sums)
    return sums.ravel() / np.float32(np.sqrt(len(words)))


def learn_words(pictures: Sequence[Keypoints], seed: int) -> VisualWords:
    """Visual words, and the directions of their sums, by the keypoints of some pictures."""
    random = np.random.default_rng(seed)
    nothing = np.empty((0, SIFT_LENGTH), np.uint8)
    whole = np.empty((0, 0), dtype=np.float32)
    stacked = np.concatenate([nothing, *(each.descriptor for each in pictures)])
    if len(stacked) > LEARNED_FROM:
        stacked = stacked[np.sort(random.choice(len(stacked), LEARNED_FROM, replace=False))]
    count = min(WORDS, len(stacked))
    if count == 0:
        return VisualWords(np.zeros((1, SIFT_LENGTH), np.float32), whole)
    clusters = MiniBatchKMeans(count, random_state=seed % 2**31, n_init=1, max_iter=20)
    words = clusters.fit(stacked.astype(np.float32) / 255).cluster_centers_.astype(np.float32)
    if len(pictures) <= MOST_WHOLE:
        return VisualWords(words, whole)
    drawn = random.permutation(len(pictures))[:4000]
    sums = np.stack([aggregated(pictures[place], words) for place in drawn])
    directions = TruncatedSVD(KEYPOINT_LENGTH, random_state=seed % 2**31).fit(sums).components_
    return VisualWords(words, directions.T.astype(np.float32))
