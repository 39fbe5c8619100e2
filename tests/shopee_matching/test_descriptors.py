"""Descriptors and geometric verification on images whose answer is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pyarrow.parquet import read_table

from competitions.shopee_matching.candidates.descriptor_store import (
    describe_images,
    load_descriptors,
    read_words,
    stored_keypoints,
    write_words,
)
from competitions.shopee_matching.candidates.descriptors import (
    lab_histogram,
    learn_visual_words,
    sift_keypoints,
    vlad,
)
from competitions.shopee_matching.candidates.sift_matching import (
    DETAILS,
    lab_thumbnail,
    verified_pairs,
    verify,
)

SIDE = 96


def patterned(seed: int, colour: tuple[int, int, int] = (200, 60, 40)) -> np.ndarray:
    """Random rectangles in shades of a colour, on white."""
    random = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), 250, dtype=np.uint8)
    for _ in range(30):
        x, y = (int(value) for value in random.integers(10, SIDE - 30, 2))
        width, height = (int(value) for value in random.integers(5, 22, 2))
        shade = tuple(int(value * random.uniform(0.2, 1)) for value in colour)
        cv2.rectangle(picture, (x, y), (x + width, y + height), shade, -1)
    return picture


def moved(picture: np.ndarray, turn: float, zoom: float) -> np.ndarray:
    transform = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn, zoom)
    return cv2.warpAffine(picture, transform, (SIDE, SIDE), borderValue=(250, 250, 250))


def details_of(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    found = verify(
        sift_keypoints(one), sift_keypoints(other), (lab_thumbnail(one), lab_thumbnail(other)), SIDE
    )
    return dict(zip(DETAILS, found, strict=True))


def test_a_rotated_image_is_registered_with_its_original() -> None:
    picture = patterned(1)
    found = details_of(picture, moved(picture, 20, 0.9))
    assert found["inliers"] > 10
    assert found["angle"] == pytest.approx(np.radians(20), abs=0.05)
    assert found["log_scale"] == pytest.approx(-np.log(0.9), abs=0.05)
    assert found["lightness"] > 0.7
    stranger = details_of(picture, patterned(2))
    assert stranger["inliers"] < found["inliers"] / 2


def test_the_same_print_in_another_colour_differs_in_chroma() -> None:
    red, blue = patterned(1), patterned(1, (40, 60, 200))
    same, other = details_of(red, moved(red, 3, 1)), details_of(red, moved(blue, 3, 1))
    assert other["inliers"] >= 4
    assert other["chroma"] > 2 * same["chroma"]


def test_a_plain_image_has_no_keypoints_and_no_details() -> None:
    plain = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
    found = details_of(plain, patterned(1))
    assert found["matches"] == found["inliers"] == 0
    assert np.isnan(found["chroma"])
    assert not vlad(sift_keypoints(plain), np.eye(128, dtype=np.float32)).any()


def test_histograms_are_unit_vectors_that_separate_red_from_blue() -> None:
    red, again, blue = patterned(1), patterned(2), patterned(1, (40, 60, 200))
    assert np.linalg.norm(lab_histogram(red)) == pytest.approx(1, abs=1e-5)
    assert lab_histogram(red) @ lab_histogram(again) > lab_histogram(red) @ lab_histogram(blue)


def test_descriptors_are_read_as_written_and_find_the_moved_image(tmp_path: Path) -> None:
    originals = [patterned(seed) for seed in range(4)]
    pictures = np.stack([*originals, *(moved(picture, 10, 0.95) for picture in originals)])
    words, files = describe_images(pictures, None, tmp_path, "train", 1)
    assert all(file.is_file() for file in files)
    write_words(tmp_path / "words.npz", words)
    np.testing.assert_array_equal(read_words(tmp_path / "words.npz").projection, words.projection)
    points = stored_keypoints(tmp_path, "train")
    np.testing.assert_array_equal(points[2].descriptor, sift_keypoints(pictures[2]).descriptor)
    listing_pictures = np.array([0, 1, 2, 3, 4, 5, 6, 7, -1, 0], dtype=np.int32)
    described = load_descriptors(tmp_path, "train", SIDE)
    pairs = verified_pairs(described, listing_pictures, 7, "verified")
    key = list(zip(pairs.query.tolist(), pairs.match.tolist(), strict=True))
    assert key == sorted(set(key))
    assert 8 not in pairs.query
    score = dict(zip(key, pairs.scores["verified"].tolist(), strict=True))
    for row in range(4):
        others = [
            value for (query, match), value in score.items() if query == row and match not in (row + 4, 9, 0)
        ]
        assert score[row, row + 4] > max(others)
        assert score[row, row + 4] == score[row + 4, row]
    kept = tmp_path / "verified.parquet"
    verified_pairs(described, listing_pictures[:5], 7, "verified", kept)
    first = len(read_table(kept))
    later = verified_pairs(described, listing_pictures, 7, "verified", kept)
    np.testing.assert_array_equal(later.match, pairs.match)
    for name, values in pairs.scores.items():
        np.testing.assert_array_equal(later.scores[name], values, name)
    assert 0 < first < len(read_table(kept)) == 8 * 7 / 2
    assert len(learn_visual_words([sift_keypoints(np.zeros((SIDE, SIDE, 3), np.uint8))], 1).words) == 1
