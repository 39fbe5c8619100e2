"""Descriptors of a split's distinct images on disk, and the visual words that they are made with."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from common.base.atomic import atomic_array, atomic_write
from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, Int32, UInt8
from competitions.shopee_matching.candidates.descriptors import (
    MAX_KEYPOINTS,
    SIFT_LENGTH,
    Keypoints,
    VisualWords,
    lab_histogram,
    learn_visual_words,
    sift_keypoints,
)
from competitions.shopee_matching.candidates.pairs import no_pairs, write_pairs
from competitions.shopee_matching.candidates.sift_matching import (
    DETAILS,
    LAB_SIDE,
    ImageDescriptors,
    lab_thumbnail,
    verified_pairs,
)
from competitions.shopee_matching.data.vectors import unit_rows
from competitions.shopee_matching.experiment import DescriptorSettings

WORDS_FILE = "visual_words.npz"
VERIFIED = "sift_ransac"
"""Name of the scores of geometrically verified pairs, and of their file."""
ARRAYS = ("lab_histogram", "sift_vlad", "keypoint_xy", "keypoint_descriptors", "lab_thumbnail")
"""Arrays with one entry per stored image."""


def describe_split(
    images: UInt8, image_row: Int32, folder: Path, split: str, settings: DescriptorSettings, seed: int
) -> list[Path]:
    """Write the descriptors of a split's stored images, and verify near ones geometrically.

    Visual words are learned from the training images; without any, from those of the test split.

    Parameters
    ----------
    images : (stored, side, side, 3) RGB.
    image_row : (n,) stored image of each listing; -1 without one.

    Returns
    -------
    The files written.
    """
    words_file, out = folder / WORDS_FILE, folder / f"{split}_{VERIFIED}.parquet"
    learned = read_words(words_file) if split == "test" and (folder / "train.parquet").is_file() else None
    words, files = describe_images(images, learned, folder, split, seed)
    if learned is None:
        write_words(words_file, words)
        files.append(words_file)
    pairs = no_pairs(VERIFIED, DETAILS)
    if len(images) > settings.max_images:
        log(f"  sift_ransac is left out: {len(images)} images, max_images = {settings.max_images}")
    else:
        descriptors = load_descriptors(folder, split, settings.size)
        pairs = verified_pairs(descriptors, image_row, settings.top_k, VERIFIED)
    write_pairs(out, pairs)
    return [*files, out]


def describe_images(
    images: UInt8, words: VisualWords | None, folder: Path, split: str, seed: int
) -> tuple[VisualWords, list[Path]]:
    """Write all `ARRAYS` of (n, side, side, 3) images; learn visual words if none are given.

    Returns
    -------
    The visual words, and the files written.
    """
    files = {name: folder / f"{split}_{name}.npy" for name in ARRAYS}
    cv2.setNumThreads(1)
    count = len(images)
    found: list[Keypoints] = []
    histograms = np.zeros((count, len(lab_histogram(np.zeros((8, 8, 3), np.uint8)))), dtype=np.float32)
    with ThreadPoolExecutor() as workers:
        described = workers.map(
            lambda row: (lab_histogram(images[row]), sift_keypoints(images[row])), range(count)
        )
        for row, (vector, points) in enumerate(progress(described, "describing images", "images", count)):
            histograms[row] = vector
            found.append(points)
    if words is None:
        words = learn_visual_words(found, seed)
    vectors = words.vlad(found)
    with atomic_array(files["lab_histogram"], histograms.shape, np.float16) as stored:
        stored[:] = histograms
    with atomic_array(files["sift_vlad"], vectors.shape, np.float16) as stored:
        stored[:] = vectors
    # Images have different numbers of keypoints: rows are padded, x = -1 marks an empty place.
    with atomic_array(files["keypoint_xy"], (count, MAX_KEYPOINTS, 2), np.float16) as stored:
        stored[:] = -1
        for row, points in enumerate(found):
            stored[row, : len(points.xy)] = points.xy
    shape: tuple[int, ...] = (count, MAX_KEYPOINTS, SIFT_LENGTH)
    with atomic_array(files["keypoint_descriptors"], shape, np.uint8) as stored:
        for row, points in enumerate(found):
            stored[row, : len(points.xy)] = points.descriptor
    with atomic_array(files["lab_thumbnail"], (count, LAB_SIDE, LAB_SIDE, 3), np.uint8) as stored:
        for row in range(count):
            stored[row] = lab_thumbnail(images[row])
    return words, list(files.values())


def append_descriptors(older: Path | None, fresh: Path, folder: Path, split: str) -> int:
    """Join the arrays of an older index and of new images in `folder`; the number of older images."""
    known = 0
    for name in ARRAYS:
        parts = [np.load(each / f"{split}_{name}.npy", mmap_mode="r") for each in (older, fresh) if each]
        known = len(parts[0]) if older else 0
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
        with atomic_array(folder / f"{split}_{name}.npy", shape, parts[0].dtype) as together:
            start = 0
            for part in parts:
                together[start : start + len(part)] = part
                start += len(part)
    return known


def load_descriptors(folder: Path, split: str, side: int) -> ImageDescriptors:
    """All descriptors of a split's images, which are `side` pixels wide."""
    parts = [np.load(folder / f"{split}_{name}.npy").astype(np.float32) for name in ARRAYS[:2]]
    global_rows: Float32 = unit_rows(np.concatenate([unit_rows(part) for part in parts], axis=1))
    lab = np.load(folder / f"{split}_lab_thumbnail.npy", mmap_mode="r")
    return ImageDescriptors(global_rows, stored_keypoints(folder, split), lab, side)


def stored_keypoints(folder: Path, split: str) -> list[Keypoints]:
    """Keypoints of each stored image, as `describe_images` wrote them."""

    def read() -> Iterator[Keypoints]:
        positions = np.load(folder / f"{split}_keypoint_xy.npy", mmap_mode="r")
        descriptors = np.load(folder / f"{split}_keypoint_descriptors.npy", mmap_mode="r")
        for xy, descriptor in zip(positions, descriptors, strict=True):
            used = xy[:, 0] >= 0
            yield Keypoints(xy[used].astype(np.float32), np.asarray(descriptor[used]))

    return list(read())


def write_words(path: Path, words: VisualWords) -> None:
    """Write the visual words, whole or not at all."""
    with atomic_write(path) as partial:
        np.savez(partial, words=words.words, projection=words.projection)


def read_words(path: Path) -> VisualWords:
    """Read visual words; InputError when they are missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return VisualWords(arrays["words"], arrays["projection"])
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"{display_path(path)}: missing or damaged; run the stage that writes it again"
        ) from None
