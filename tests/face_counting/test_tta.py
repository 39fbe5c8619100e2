import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.face_counting.detection.boxes import boxes_table
from competitions.face_counting.detection.tta import MAX_BATCH_PIXELS, STRIDE, batch_by_size, picture_view
from competitions.face_counting.experiment import InputSettings, ViewSettings
from competitions.face_counting.models.base import Detections
from competitions.face_counting.predict.photos import Photo, as_stored

sizes = st.integers(8, 1500)
views = st.builds(ViewSettings, scale=st.floats(0.3, 2.0), flip=st.booleans())
modes = st.sampled_from(["resize", "letterbox", "letterbox_half_scale"])


@given(sizes, sizes, views, modes, st.booleans())
@settings(deadline=None)
def test_boxes_come_back_from_every_view(
    width: int, height: int, tta: ViewSettings, preprocessing: str, rect: bool
) -> None:
    inputs = InputSettings.model_validate({"preprocessing": preprocessing, "image_size": 320, "rect": rect})
    view = picture_view(3, width, height, 1, tta, inputs)
    assert (view.row, view.view) == (3, 1)
    assert view.height % STRIDE == view.width % STRIDE == 0
    box = np.array([[0.1 * width, 0.2 * height, 0.7 * width, 0.9 * height]])
    seen = view.placement.to_image(box)
    if tta.flip:
        seen[:, [0, 2]] = view.width - seen[:, [2, 0]]
    assert (seen >= -1).all()
    assert (seen[:, [0, 2]] <= view.width + 1).all()
    assert (seen[:, [1, 3]] <= view.height + 1).all()
    np.testing.assert_allclose(view.to_picture(seen.astype(np.float32)), box, rtol=1e-3, atol=0.05)


@given(views, st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_mark_is_found_where_it_is(tta: ViewSettings, rect: bool) -> None:
    """A black square on a white picture is found where it is."""
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[30:70, 120:160] = 0
    inputs = InputSettings(image_size=256, rect=rect, tta=[tta])

    def darkest(images: "np.ndarray") -> list[Detections]:
        found = []
        for image in images.numpy():  # type: ignore[attr-defined]
            rows, columns = np.nonzero(image.mean(axis=0) < 128)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(Detections(np.array([box], np.float32), np.ones(1, np.float32)))
        return found

    stored = as_stored([Photo("a.jpg", pixels, 1.0)])
    (row,) = boxes_table(darkest, stored, inputs, "test").itertuples(index=False)  # type: ignore[arg-type]
    assert (row.Name, row.view) == ("a.jpg", 0)
    got = np.array([row.xmin, row.ymin, row.xmax, row.ymax])
    assert np.abs(got - [120, 30, 160, 70]).max() < 1.5 / tta.scale + 1


def test_rectangular_images_have_no_more_padding_than_the_stride_needs() -> None:
    inputs = InputSettings(image_size=640, rect=True)
    view = picture_view(0, 612, 408, 0, ViewSettings(), inputs)
    assert (view.width, view.height) == (640, 416)
    assert (view.placement.resized_width, view.placement.resized_height) == (612, 408)


def test_batches_are_of_one_size_and_fit_the_memory() -> None:
    inputs = InputSettings(image_size=640, rect=True)
    many = [
        picture_view(row, 612, 408 if row % 3 else 300, 0, ViewSettings(scale=2.0), inputs)
        for row in range(40)
    ]
    together = list(batch_by_size(many))
    assert sorted(view.row for batch in together for view in batch) == list(range(40))
    for batch in together:
        assert len({(view.height, view.width) for view in batch}) == 1
        assert sum(view.height * view.width for view in batch) <= MAX_BATCH_PIXELS
