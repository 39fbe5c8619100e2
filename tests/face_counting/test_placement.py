import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competitions.face_counting.data.placement import (
    Placement,
    half_scale,
    has_half_scale_copy,
    letterbox,
    place,
    render,
    resize,
)
from competitions.face_counting.experiment import Preprocessing

MODES: list[Preprocessing] = ["resize", "letterbox", "letterbox_half_scale"]
sides = st.integers(1, 3000)
image_sizes = st.sampled_from([64, 256, 640])


@st.composite
def boxes_in_pictures(draw: st.DrawFn) -> tuple[int, int, npt.NDArray[np.float64]]:
    width, height = draw(sides), draw(sides)
    share = st.floats(0, 1)
    corners = [sorted((draw(share), draw(share))) + sorted((draw(share), draw(share))) for _ in range(3)]
    boxes = np.array([[x0 * width, y0 * height, x1 * width, y1 * height] for x0, x1, y0, y1 in corners])
    return width, height, boxes


def _check_placement(placement: Placement, boxes: npt.NDArray[np.float64], image_size: int) -> None:
    in_image = placement.to_image(boxes)
    np.testing.assert_allclose(placement.to_picture(in_image), boxes, atol=1e-6)
    assert (in_image >= -1e-9).all()
    assert (in_image <= image_size + 1e-9).all()
    whole = placement.to_image(np.array([[0, 0, placement.width, placement.height]], dtype=np.float64))[0]
    corner = [placement.left, placement.top]
    far = [placement.left + placement.resized_width, placement.top + placement.resized_height]
    np.testing.assert_allclose(whole, corner + far)


@given(boxes_in_pictures(), image_sizes, st.sampled_from(MODES))
def test_boxes_go_to_the_image_and_back(
    case: tuple[int, int, npt.NDArray[np.float64]], image_size: int, preprocessing: Preprocessing
) -> None:
    width, height, boxes = case
    placement = place(preprocessing, width, height, image_size)
    _check_placement(placement, boxes, image_size)
    _check_placement(half_scale(placement, image_size), boxes, image_size)


@given(st.integers(1, 640), st.integers(1, 640))
def test_what_fits_the_image_is_not_scaled(width: int, height: int) -> None:
    placement = letterbox(width, height, 640)
    assert (placement.resized_width, placement.resized_height) == (width, height)


def test_a_letterbox_is_white_around_the_picture() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    image = render(picture, letterbox(200, 100, 320), 320)
    assert image.shape == (320, 320, 3)
    assert (image[110:210, 60:260] == 0).all()
    assert image.sum() == (320 * 320 - 200 * 100) * 3 * 255


def test_a_large_picture_keeps_its_shape() -> None:
    placement = letterbox(1200, 600, 300)
    assert (placement.resized_width, placement.resized_height) == (300, 150)
    assert (placement.left, placement.top) == (0, 75)


def test_stretching_fills_the_canvas() -> None:
    picture = np.full((50, 100, 3), 9, np.uint8)
    assert (render(picture, resize(100, 50, 128), 128) == 9).all()
    box = resize(100, 50, 128).to_image(np.array([[25.0, 25.0, 50.0, 50.0]]))
    np.testing.assert_allclose(box, [[32, 64, 64, 128]])


def test_a_half_scale_copy_halves_every_face() -> None:
    whole = letterbox(400, 300, 640)
    box = np.array([[10.0, 20.0, 110.0, 80.0]])
    before, after = whole.to_image(box)[0], half_scale(whole, 640).to_image(box)[0]
    np.testing.assert_allclose((after[2:] - after[:2]) * 2, before[2:] - before[:2])
    np.testing.assert_allclose(after - 320, (before - 320) / 2)


@pytest.mark.parametrize(("faces", "expected"), [(1, True), (5, True), (6, False)])
def test_half_scale_copies_are_of_pictures_with_at_most_five_faces(faces: int, expected: bool) -> None:
    assert has_half_scale_copy("letterbox_half_scale", faces) is expected
    assert not has_half_scale_copy("letterbox", faces)
