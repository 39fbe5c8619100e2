"""Descriptors of a split's distinct pictures on disk, and what was learned to make them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_array, atomic_write
from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from competitions.shopee_matching.candidates.descriptors import (
    MOST_KEYPOINTS,
    SIFT_LENGTH,
    Keypoints,
    VisualWords,
    colours,
    keypoints,
    learn_words,
)
from competitions.shopee_matching.candidates.knn import unit_rows
from competitions.shopee_matching.candidates.pairs import no_pairs, write_pairs
from competitions.shopee_matching.candidates.sift_matching import (
    ALIGNED,
    COLOUR_SIDE,
    DETAILS,
    DescribedPictures,
    aligned_pairs,
    lab_small,
)
from competitions.shopee_matching.experiment import Descriptors

WORDS_FILE = "visual_words.npz"
STORED = ("colours", "keypoints", "places", "point_descriptors", "lab")
"""Arrays with one entry per stored picture."""


def describe_split(
    pictures: npt.NDArray[np.uint8],
    picture: npt.NDArray[np.int32],
    folder: Path,
    split: str,
    settings: Descriptors,
    seed: int,
) -> list[Path]:
    """Write the descriptors of a split's stored pictures, and lay near ones over each other.

    Visual words are learned from the training pictures; without any, from those of the test split.

    Parameters
    ----------
    picture : (n,) stored picture of each listing; -1 without one.

    Returns
    -------
    The files written.
    """
    words_file, out = folder / WORDS_FILE, folder / f"{split}_aligned.parquet"
    learned = read_words(words_file) if split == "test" and (folder / "train.parquet").is_file() else None
    words, files = describe_pictures(pictures, learned, folder, split, seed)
    if learned is None:
        write_words(words_file, words)
        files.append(words_file)
    pairs = no_pairs(ALIGNED, DETAILS)
    if len(pictures) > settings.most_pictures:
        log(f"  {len(pictures)} pictures are too many to lay over each other; that branch proposes nothing")
    else:
        described = described_pictures(folder, split, settings.size)
        pairs = aligned_pairs(described, picture, settings.checked, ALIGNED)
    write_pairs(out, pairs)
    return [*files, out]


def describe_pictures(
    pictures: npt.NDArray[np.uint8], words: VisualWords | None, folder: Path, split: str, seed: int
) -> tuple[VisualWords, list[Path]]:
    """Write colours, keypoints and their sums of (n, side, side, 3) pictures; learn words if not given.

    Returns
    -------
    The visual words, and the files written.
    """
    files = {name: folder / f"{split}_{name}.npy" for name in STORED}
    cv2.setNumThreads(1)
    count = len(pictures)
    found: list[Keypoints] = []
    palette = np.zeros((count, len(colours(np.zeros((8, 8, 3), np.uint8)))), dtype=np.float32)
    with ThreadPoolExecutor() as workers:
        described = workers.map(lambda row: (colours(pictures[row]), keypoints(pictures[row])), range(count))
        for row, (vector, points) in enumerate(progress(described, "describing pictures", "pictures", count)):
            palette[row] = vector
            found.append(points)
    if words is None:
        words = learn_words(found, seed)
    sums = words.summed(found)
    with atomic_array(files["colours"], palette.shape, np.float16) as stored:
        stored[:] = palette
    with atomic_array(files["keypoints"], sums.shape, np.float16) as stored:
        stored[:] = sums
    with atomic_array(files["places"], (count, MOST_KEYPOINTS, 2), np.float16) as stored:
        stored[:] = -1
        for row, points in enumerate(found):
            stored[row, : len(points.place)] = points.place
    with atomic_array(files["point_descriptors"], (count, MOST_KEYPOINTS, SIFT_LENGTH), np.uint8) as stored:
        for row, points in enumerate(found):
            stored[row, : len(points.place)] = points.descriptor
    with atomic_array(files["lab"], (count, COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8) as stored:
        for row in range(count):
            stored[row] = lab_small(pictures[row])
    return words, list(files.values())


def described_pictures(folder: Path, split: str, side: int) -> DescribedPictures:
    """Everything that was written of a split's pictures, `side` pixels wide."""
    lab = np.load(folder / f"{split}_lab.npy", mmap_mode="r")
    return DescribedPictures(joined_descriptors(folder, split), stored_keypoints(folder, split), lab, side)


def stored_keypoints(folder: Path, split: str) -> list[Keypoints]:
    """Keypoints of each stored picture, as `describe_pictures` wrote them."""

    def read() -> Iterator[Keypoints]:
        places = np.load(folder / f"{split}_places.npy", mmap_mode="r")
        descriptors = np.load(folder / f"{split}_point_descriptors.npy", mmap_mode="r")
        for place, descriptor in zip(places, descriptors, strict=True):
            there = place[:, 0] >= 0
            yield Keypoints(place[there].astype(np.float32), np.asarray(descriptor[there]))

    return list(read())


def joined_descriptors(folder: Path, split: str) -> npt.NDArray[np.float32]:
    """(n, d) unit rows of colours and summed keypoints side by side."""
    parts = [np.load(folder / f"{split}_{kind}.npy").astype(np.float32) for kind in ("colours", "keypoints")]
    return unit_rows(np.concatenate([unit_rows(part) for part in parts], axis=1))


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
        raise InputError(f"{display_path(path)}: missing or damaged; run 1_preprocess.py again") from None
