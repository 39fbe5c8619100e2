"""Photos of any size: levels and tiles, every face once, whatever its size and place."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from common.learn.arrays import Bools, Float64, UInt8
from common.learn.seeding import seed_everything
from competitions.face_counting.decision import counting
from competitions.face_counting.decision.counting import CountingRule, Strategy, as_decision
from competitions.face_counting.detection.pyramid import (
    LARGE_FACE,
    OVERLAP,
    SMALL_FACE,
    TILE,
    TOLERANCE,
    has_detail,
    plan_pyramid,
)
from competitions.face_counting.detection.tiles import cut_tiles
from competitions.face_counting.experiment import (
    DetectorSettings,
    FaceCountingExperiment,
    ViewSettings,
)
from competitions.face_counting.models.base import FaceDetector
from competitions.face_counting.predict.photos import Photo, as_stored
from competitions.face_counting.predict.predictor import DEFAULT_RULE, FaceCounter, Member

SMALLEST, LARGEST = 12, 250
"""Sides in px of the image that the detector below knows."""
VIEWS = [ViewSettings(), ViewSettings(flip=True)]


class RedSquares(FaceDetector):
    """Finds red squares as a face detector finds faces: no small ones, and only parts of large ones."""

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:
        super().__init__(settings, face_sides)
        self.images = 0

    def candidates(self, images: torch.Tensor) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        self.images += len(images)
        return [self._boxes(image) for image in images.numpy()]

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def state_key(self, foreign: str) -> str:
        return foreign

    @staticmethod
    def _boxes(image: UInt8) -> tuple[torch.Tensor, torch.Tensor]:
        red = (image[0] > 180) & (image[1] < 90) & (image[2] < 90)
        _, _, found, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        boxes = []
        for left, top, width, height, _ in found[1:].tolist():
            if max(width, height) > LARGEST:
                quarter = width / 2, height / 2
                boxes += [
                    [
                        left + x * quarter[0],
                        top + y * quarter[1],
                        left + (x + 1) * quarter[0],
                        top + (y + 1) * quarter[1],
                    ]
                    for x in (0, 1)
                    for y in (0, 1)
                ]
            elif min(width, height) >= SMALLEST:
                boxes.append([left, top, left + width, top + height])
        return torch.tensor(boxes).reshape(-1, 4).float(), torch.full((len(boxes),), 0.95)


def _model(
    rule: CountingRule = DEFAULT_RULE, preprocessing: str = "letterbox", rect: bool = True
) -> tuple[FaceCounter, RedSquares]:
    settings = FaceCountingExperiment.model_validate(
        {"name": "any", "input": {"preprocessing": preprocessing, "rect": rect, "tta": VIEWS}}
    )
    network = RedSquares(settings.detector)
    return FaceCounter([[Member(network, settings)]], settings, as_decision(rule, 4.0, 2), "cpu"), network


def _photo(width: int, height: int, squares: list[tuple[int, int, int]]) -> UInt8:
    """Grey noise, sharp everywhere, with squares (left, top, side)."""
    noise = np.random.default_rng(3).integers(60, 200, size=(height, width, 1), dtype=np.uint8)
    pixels = np.repeat(noise, 3, axis=2)
    for left, top, side in squares:
        pixels[top : top + side, left : left + side] = (255, 0, 0)
    return pixels


def _count(model: FaceCounter, pixels: UInt8, tiles: bool = True) -> tuple[float, Float64]:
    ((count, boxes),) = model._count_batch([Photo("a", pixels, 1.0)], tiles, model._detect_functions(1))
    return count, boxes


def _agree(boxes: Float64, squares: list[tuple[int, int, int]], slack: float) -> None:
    """Each square has one box, and each box one square."""
    true = np.array([[x, y, x + side, y + side] for x, y, side in squares], dtype=np.float64)
    assert len(boxes) == len(true)
    distance = np.abs(boxes[:, None] - true[None]).max(axis=-1)
    assert sorted(distance.argmin(axis=1).tolist()) == list(range(len(true)))
    assert (distance.min(axis=1) <= slack).all(), distance.min(axis=1)


# ---- levels


@pytest.mark.parametrize(
    "size",
    [(640, 480), (641, 300), (1280, 960), (4000, 3000), (3000, 4000), (12000, 700), (8000, 6000), (1, 9000)],
)
def test_levels_cover_the_photo_and_all_face_sizes(size: tuple[int, int]) -> None:
    pyramid = plan_pyramid(*size)
    levels = pyramid.levels
    assert max(levels[pyramid.base].width, levels[pyramid.base].height) <= TILE
    assert levels[-1].scale == 1
    assert (levels[-1].width, levels[-1].height) == size
    for coarse, fine in itertools.pairwise(levels):
        assert coarse.scale < fine.scale <= 3.01 * coarse.scale
        # Home sizes of neighbours meet, in px of the photo.
        assert coarse.smallest / coarse.scale == pytest.approx(fine.largest / fine.scale)
    for level in levels[pyramid.base + 1 :]:
        assert level.largest * TOLERANCE <= OVERLAP
    for level in levels:
        owned = np.zeros((level.height, level.width), dtype=np.int64)
        for tile in level.tiles:
            left, top, right, lower = (round(value) for value in tile.core)
            owned[top:lower, left:right] += 1
            assert 0 <= tile.left <= left < right <= tile.left + level.tile_width <= level.width
            assert 0 <= tile.top <= top < lower <= tile.top + level.tile_height <= level.height
            inner = [left - tile.left, tile.left + level.tile_width - right]
            assert all(
                side >= OVERLAP / 2 - 1 or edge in (0, level.width)
                for side, edge in zip(inner, (left, right), strict=True)
            )
        assert (owned == 1).all()


def test_a_photo_of_the_challenge_has_no_tiles_and_a_small_one_no_coarser_level() -> None:
    assert plan_pyramid(612, 408).tiles == 0
    assert [level.scale for level in plan_pyramid(612, 408).levels] == [0.25, 0.5, 1.0]
    assert [level.scale for level in plan_pyramid(200, 150).levels] == [1.0]
    whole = plan_pyramid(4000, 3000, tiled=False)
    assert (len(whole.levels), whole.base, whole.tiles) == (1, 0, 0)
    assert plan_pyramid(1280, 960, tile=1280).tiles == 0


def test_enlarged_and_blurred_photos_have_no_detail() -> None:
    sharp = Image.fromarray(_photo(320, 240, [(40, 40, 60)]))
    assert has_detail(np.asarray(sharp))
    assert not has_detail(np.asarray(sharp.resize((960, 720), Image.Resampling.BICUBIC)))
    assert not has_detail(np.asarray(sharp.filter(ImageFilter.GaussianBlur(4))))
    assert not has_detail(np.full((640, 640, 3), 250, np.uint8))
    # A small sharp part is enough.
    partly = np.array(Image.new("RGB", (640, 640), "white"))
    partly[300:400, 300:400] = np.asarray(sharp)[:100, :100]
    assert has_detail(partly)


def test_tiles_without_detail_are_not_looked_at() -> None:
    pixels = _photo(2000, 1500, [])
    pixels[:, :1000] = 200
    photo, pictures, scales = cut_tiles(pixels, plan_pyramid(2000, 1500), padded=False)
    assert len(pictures) == len(scales) == len(photo.seen)
    fine = [each for each in photo.seen if each.level > photo.pyramid.base]
    assert 0 < len(fine) < photo.pyramid.tiles
    assert all(each.tile.core[2] > 900 * photo.pyramid.levels[each.level].scale for each in fine)


# ---- faces


def _group(width: int, height: int, seed: int) -> list[tuple[int, int, int]]:
    """Squares of 16 to 600 px, none overlaps another."""
    generator = np.random.default_rng(seed)
    squares: list[tuple[int, int, int]] = []
    free: Bools = np.ones((height, width), dtype=bool)
    for side in np.exp(generator.uniform(np.log(16), np.log(600), size=60)).astype(int).tolist()[::-1]:
        for _ in range(50):
            left, top = int(generator.integers(0, width - side)), int(generator.integers(0, height - side))
            if free[top : top + side, left : left + side].all():
                free[max(0, top - 20) : top + side + 20, max(0, left - 20) : left + side + 20] = False
                squares.append((left, top, side))
                break
    return squares


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_face_of_a_large_photo_counts_once(seed: int) -> None:
    model, _ = _model()
    squares = _group(3200, 2400, seed)
    assert len(squares) > 30
    count, boxes = _count(model, _photo(3200, 2400, squares))
    assert count == len(squares)
    _agree(boxes, squares, slack=8)


def test_faces_on_the_borders_of_tiles_count_once() -> None:
    model, _ = _model()
    level = plan_pyramid(1900, 700).levels[-1]
    edges = [round(tile.core[0]) for tile in level.tiles[1:4]] + [tile.left for tile in level.tiles[1:4]]
    for side in (18, 30, 60, 88):
        squares = [
            (edge - side // 2 + shift, 40 + 110 * row, side)
            for edge in edges
            for row, shift in enumerate((-side // 2, -9, 0, 9, side // 2))
        ]
        taken: list[tuple[int, int, int]] = []
        for square in squares:
            if all(abs(square[0] - other[0]) > side + 8 or square[1] != other[1] for other in taken):
                taken.append(square)
        count, boxes = _count(model, _photo(1900, 700, taken))
        assert count == len(taken), side
        _agree(boxes, taken, slack=4)


@pytest.mark.parametrize("size", [(640, 640), (612, 408), (1500, 1500), (4000, 3000), (3000, 4000)])
@pytest.mark.parametrize("rect", [True, False])
def test_a_face_that_fills_the_frame_counts_once(size: tuple[int, int], rect: bool) -> None:
    model, _ = _model(rect=rect)
    side = int(0.96 * min(size))
    square = ((size[0] - side) // 2, (size[1] - side) // 2, side)
    count, boxes = _count(model, _photo(*size, [square]))
    assert count == 1
    _agree(boxes, [square], slack=0.04 * side)


def test_a_detector_that_fills_its_image_sees_large_faces_too() -> None:
    model, _ = _model(preprocessing="resize")
    count, _ = _count(model, _photo(1500, 1500, [(30, 30, 1440)]))
    assert count == 1


def test_a_photo_without_faces_counts_none_whatever_the_rule_learned() -> None:
    """The challenge has no picture without a face, so that rules fitted there begin above 0."""
    rule = CountingRule(Strategy("wbf", "expected_count"), 0.45, [0.3, 0.6], [0.4, 0.5], intercept=0.8)
    model, _ = _model(rule)
    for size in ((600, 400), (3000, 2000)):
        assert _count(model, _photo(*size, []))[0] == 0
    assert _count(model, _photo(600, 400, [(200, 100, 80)]))[0] == pytest.approx(0.8 + 0.9)
    # A close-up and a crowd are not like those pictures: boxes count one by one.
    assert _count(model, _photo(600, 600, [(10, 10, 580)]))[0] == pytest.approx(0.9)
    crowd = [(60 + 90 * column, 60 + 90 * row, 20) for column in range(30) for row in range(20)]
    assert _count(model, _photo(2800, 1900, crowd))[0] == pytest.approx(0.9 * len(crowd))
    # Most faces are where the rule looks; the others are added.
    mixed = [(100, 100, 300), (700, 100, 300), (1300, 100, 300), (1500, 900, 24)]
    assert _count(model, _photo(2000, 1200, mixed))[0] == pytest.approx(0.8 + 4 * 0.9)


def test_small_photos_are_counted_as_the_stages_count_them() -> None:
    model, network = _model()
    squares = [(40, 30, 20), (140, 60, 100), (300, 200, 160)]
    pixels = _photo(600, 400, squares)
    ((count, boxes),) = model.count_pictures(as_stored([Photo("a", pixels, 1.0)]))
    own, own_boxes = _count(model, pixels)
    assert own == count == 3
    np.testing.assert_allclose(np.sort(own_boxes, axis=0), np.sort(boxes, axis=0), atol=1e-3)
    assert network.images > 0


def test_tiles_can_be_switched_off() -> None:
    model, network = _model()
    squares = [(100 + 200 * column, 300, 40) for column in range(8)] + [(2000, 900, 500)]
    pixels = _photo(3200, 2400, squares)
    assert _count(model, pixels)[0] == 9
    network.images = 0
    count, boxes = _count(model, pixels, tiles=False)
    assert (count, network.images) == (1, len(VIEWS))
    _agree(boxes, squares[-1:], slack=12)


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (9000, 2), (2, 2), (31, 33), (5000, 20)])
def test_photos_of_odd_shapes(size: tuple[int, int]) -> None:
    seed_everything(1)
    for preprocessing in ("letterbox", "resize"):
        model, _ = _model(preprocessing=preprocessing, rect=preprocessing == "letterbox")
        assert _count(model, _photo(*size, []))[0] == 0


def test_boxes_count_one_by_one_by_their_expected_count() -> None:
    rule = CountingRule(Strategy("nms", "expected_count"), 0.5, [0.1, 0.4, 0.8], [0.04, 0.3, 0.6], 0.7)
    boxes = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9]], np.float32)
    scores = np.array([0.05, 0.2, 0.5, 0.9], np.float32)
    found = counting.DetectedFaces(np.zeros(4, np.int64), boxes, scores, np.zeros(4, np.int64), 2, 1)
    # 0.04 is less than counts, no intercept, the second picture is empty.
    np.testing.assert_allclose(rule.count_boxes(found), [0.34 + 0.94, 0.0])
    assert SMALL_FACE < LARGE_FACE
