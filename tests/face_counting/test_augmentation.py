import numpy as np
import pandas as pd
import pytest

from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.experiment import AugmentationSettings, InputSettings
from competitions.face_counting.models.augmentation import TrainingImages, collate

GREEN = (0, 200, 0)


def _green_rectangles(pictures: int, faces: int) -> StoredPictures:
    """Black pictures, each with bright rectangles as its faces."""
    generator = np.random.default_rng(0)
    height, width = 240, 320
    pixels = np.zeros((pictures, height, width, 3), np.uint8)
    boxes = {}
    for row in range(pictures):
        own = []
        for face in range(faces):
            x, y = 10 + 60 * face, int(generator.integers(0, 180))
            pixels[row, y : y + 50, x : x + 40] = GREEN
            own.append([x, y, x + 40, y + 50])
        boxes[f"{row}.jpg"] = np.array(own, dtype=np.float64)
    table = pd.DataFrame(
        {
            "Name": list(boxes),
            "width": width,
            "height": height,
            "offset": np.arange(pictures) * height * width * 3,
            "head_count": faces,
        }
    )
    return StoredPictures(table, pixels.reshape(-1), boxes)


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_stay_on_their_faces(mosaic: float) -> None:
    changes = AugmentationSettings(mosaic=mosaic, scale=0.4, flip=0.5, color_jitter=0, grayscale=0, blur=0)
    images = TrainingImages(_green_rectangles(6, 4), InputSettings(image_size=256), changes, seed=1)
    faces = 0
    for item in range(24):
        image = images[item % 6]
        green = (image.pixels[..., 1] > 100) & (image.pixels[..., 0] < 100)
        for x0, y0, x1, y1 in image.boxes:
            inside = green[int(np.ceil(y0)) : int(y1), int(np.ceil(x0)) : int(x1)]
            assert inside.mean() > 0.9
            faces += 1
        covered = np.zeros_like(green)
        for x0, y0, x1, y1 in image.boxes:
            covered[int(y0) : int(y1) + 2, int(x0) : int(x1) + 2] = True
        # What is green and in no box are faces of which too little is left.
        assert (green & ~covered).sum() < 0.35 * 40 * 50 * 1.4**2 * 4
    assert faces > 24


def test_same_seed_same_canvases() -> None:
    stored, settings = _green_rectangles(4, 3), AugmentationSettings(mosaic=0.5)
    images = TrainingImages(stored, InputSettings(image_size=128), settings, seed=1)
    first = [images[item] for item in range(4)]
    images.set_random_seed(1)
    for item in range(4):
        again = images[item]
        np.testing.assert_array_equal(first[item].pixels, again.pixels)
        np.testing.assert_array_equal(first[item].boxes, again.boxes)
    assert any((images[item].pixels != first[item].pixels).any() for item in range(4))


def test_half_scale_copies_come_on_top() -> None:
    pictures = InputSettings(preprocessing="letterbox_half_scale", image_size=320)
    few = TrainingImages(_green_rectangles(4, 5), pictures, AugmentationSettings(scale=0, flip=0), seed=0)
    assert len(few) == 8
    whole, half = few[0].boxes, few[4].boxes
    np.testing.assert_allclose((half[:, 2:] - half[:, :2]) * 2, whole[:, 2:] - whole[:, :2], atol=1e-3)


def test_a_batch_gives_each_face_its_canvas() -> None:
    stored = _green_rectangles(3, 2)
    stored.boxes["1.jpg"] = np.zeros((0, 4))
    plain = AugmentationSettings(scale=0, flip=0, color_jitter=0, grayscale=0, blur=0)
    images = TrainingImages(stored, InputSettings(image_size=320), plain, seed=0)
    pixels, boxes = collate([images[item] for item in range(3)])
    assert pixels.shape == (3, 3, 320, 320)
    assert [len(own) for own in boxes] == [2, 0, 2]
    x0, y0, x1, y1 = boxes[0][0].tolist()
    assert (x1 - x0, y1 - y0) == pytest.approx((40, 50), abs=0.1)
    assert pixels[0, :, round(y0 + y1) // 2, round(x0 + x1) // 2].tolist() == list(GREEN)
    np.testing.assert_allclose(images.face_sides(), [[40, 50]] * 4, atol=0.1)


def test_windows_of_the_canvas_show_faces_in_their_own_size() -> None:
    changes = AugmentationSettings(crop=160, scale=0, flip=0, color_jitter=0, grayscale=0, blur=0)
    images = TrainingImages(_green_rectangles(4, 4), InputSettings(image_size=320), changes, seed=2)
    faces = 0
    for item in range(12):
        image = images[item % 4]
        assert image.pixels.shape == (160, 160, 3)
        # Windows lie inside the picture (320 x 240 px): no white.
        assert not (image.pixels == 255).all(axis=-1).any()
        sides = image.boxes[:, 2:] - image.boxes[:, :2]
        assert (sides <= [40.1, 50.1]).all()
        faces += int((np.abs(sides - [40, 50]) < 0.1).all(axis=1).sum())
    assert faces > 6
