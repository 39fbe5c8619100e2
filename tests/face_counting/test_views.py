import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.face_counting.detection.boxes import found_in
from competitions.face_counting.detection.tta import MOST_PIXELS, STEP, batches, sight_of
from competitions.face_counting.experiment import PictureSettings, ViewSettings
from competitions.face_counting.models.base import Detections
from competitions.face_counting.predict.photos import OwnPicture, as_stored

sizes = st.integers(8, 1500)
looks = st.builds(ViewSettings, scale=st.floats(0.3, 2.0), flip=st.booleans())
sets = st.sampled_from(["stretched", "white_canvas", "white_canvas_half_copies"])


@given(sizes, sizes, looks, sets, st.booleans())
@settings(deadline=None)
def test_boxes_come_back_from_every_view(
    width: int, height: int, look: ViewSettings, picture_set: str, tight: bool
) -> None:
    pictures = PictureSettings.model_validate({"set": picture_set, "canvas": 320, "tight": tight})
    sight = sight_of(3, width, height, 1, look, pictures)
    assert (sight.row, sight.view) == (3, 1)
    assert sight.height % STEP == sight.width % STEP == 0
    box = np.array([[0.1 * width, 0.2 * height, 0.7 * width, 0.9 * height]])
    seen = sight.placement.to_canvas(box)
    if look.flip:
        seen[:, [0, 2]] = sight.width - seen[:, [2, 0]]
    assert (seen >= -1).all()
    assert (seen[:, [0, 2]] <= sight.width + 1).all()
    assert (seen[:, [1, 3]] <= sight.height + 1).all()
    np.testing.assert_allclose(sight.to_picture(seen.astype(np.float32)), box, rtol=1e-3, atol=0.05)


@given(looks, st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_mark_is_found_where_it_is(look: ViewSettings, tight: bool) -> None:
    """A black square on a white picture is seen at the box that leads back to it."""
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[30:70, 120:160] = 0
    pictures = PictureSettings(canvas=256, tight=tight, views=[look])

    def darkest(canvases: "np.ndarray") -> list[Detections]:
        found = []
        for canvas in canvases.numpy():  # type: ignore[attr-defined]
            rows, columns = np.nonzero(canvas.mean(axis=0) < 128)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(Detections(np.array([box], np.float32), np.ones(1, np.float32)))
        return found

    stored = as_stored([OwnPicture("a.jpg", pixels, 1.0)])
    (row,) = found_in(darkest, stored, pictures, "test").itertuples(index=False)  # type: ignore[arg-type]
    assert (row.Name, row.view) == ("a.jpg", 0)
    got = np.array([row.xmin, row.ymin, row.xmax, row.ymax])
    assert np.abs(got - [120, 30, 160, 70]).max() < 1.5 / look.scale + 1


def test_tight_canvases_hold_the_picture_and_no_more() -> None:
    pictures = PictureSettings(canvas=640, tight=True)
    sight = sight_of(0, 612, 408, 0, ViewSettings(), pictures)
    assert (sight.width, sight.height) == (640, 416)
    assert (sight.placement.resized_width, sight.placement.resized_height) == (612, 408)


def test_batches_are_of_one_size_and_fit_the_memory() -> None:
    pictures = PictureSettings(canvas=640, tight=True)
    sights = [
        sight_of(row, 612, 408 if row % 3 else 300, 0, ViewSettings(scale=2.0), pictures) for row in range(40)
    ]
    together = list(batches(sights))
    assert sorted(sight.row for batch in together for sight in batch) == list(range(40))
    for batch in together:
        assert len({(sight.height, sight.width) for sight in batch}) == 1
        assert sum(sight.height * sight.width for sight in batch) <= MOST_PIXELS
