"""bbox_train.csv written in other ways: refused with what it looks like; the official way passes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from competitions.face_counting.data.box_conventions import check_convention
from competitions.face_counting.data.official_tables import training_boxes

CORNERS = ["xmin", "ymin", "xmax", "ymax"]
Change = Callable[[pd.DataFrame], object]


@pytest.fixture
def pictures() -> pd.DataFrame:
    """Sizes as in the challenge."""
    generator = np.random.default_rng(0)
    names = [f"{10000 + row}.jpg" for row in range(40)]
    return pd.DataFrame(
        {"Name": names, "width": 612, "height": generator.integers(344, 460, size=40), "head_count": 4}
    )


@pytest.fixture
def boxes(pictures: pd.DataFrame) -> pd.DataFrame:
    """Four faces a picture, anywhere in it."""
    generator = np.random.default_rng(1)
    rows = pictures.loc[np.repeat(np.arange(len(pictures)), 4)].reset_index(drop=True)
    side = generator.uniform(30, 120, size=len(rows))
    x, y = (generator.uniform(0, 1, size=len(rows)) * (rows[key] - side) for key in ("width", "height"))
    return pd.DataFrame(
        {
            "Name": rows["Name"],
            "xmin": x,
            "ymin": y,
            "xmax": x + side * 0.8,
            "ymax": y + side,
            "stated_width": rows["width"].astype(float),
            "stated_height": rows["height"].astype(float),
        }
    )


def _set(boxes: pd.DataFrame, *columns: "pd.Series[float]") -> None:
    values = [np.asarray(column, dtype=float) for column in columns]
    for name, value in zip(CORNERS, values, strict=True):
        boxes[name] = value


def _sides_in_place_of_corners(b: pd.DataFrame) -> None:
    _set(b, b.xmin, b.ymin, b.xmax - b.xmin, b.ymax - b.ymin)


def _centers(b: pd.DataFrame) -> None:
    _set(b, (b.xmin + b.xmax) / 2, (b.ymin + b.ymax) / 2, b.xmax - b.xmin, b.ymax - b.ymin)


def _shares(factor: float) -> Change:
    def change(b: pd.DataFrame) -> None:
        for name in CORNERS:
            b[name] = b[name] / (b.stated_width if name[0] == "x" else b.stated_height) * factor

    return change


def _yolo(b: pd.DataFrame) -> None:
    _centers(b)
    _shares(1.0)(b)


def _scaled(factor: float) -> Change:
    def change(b: pd.DataFrame) -> None:
        b[CORNERS] *= factor
        b[["stated_width", "stated_height"]] = np.nan

    return change


def _names(rename: Callable[[str], str]) -> Change:
    return lambda b: b.__setitem__("Name", b["Name"].map(rename))


def _stated(width: float, height: float) -> Change:
    def change(b: pd.DataFrame) -> None:
        b["stated_width"] *= width
        b["stated_height"] *= height

    return change


WAYS: dict[str, tuple[Change, str]] = {
    "corner and sides": (
        _sides_in_place_of_corners,
        "look like x, y of the corner, then width, height in px",
    ),
    "center and sides": (_centers, "look like x, y of the center, then width, height in px"),
    "YOLO's shares": (_yolo, "x, y of the center, then width, height as shares of the picture's sides"),
    "shares": (_shares(1.0), "xmin, ymin, xmax, ymax as shares of the picture's sides"),
    "percent": (_shares(100.0), "looks like percent of the pictures' sides"),
    "thousandths": (_shares(1000.0), "xmin, ymin, xmax, ymax in thousandths"),
    "y before x": (lambda b: _set(b, b.ymin, b.xmin, b.ymax, b.xmax), "x and y are swapped"),
    "lower right first": (lambda b: _set(b, b.xmax, b.ymax, b.xmin, b.ymin), "the lower right corner first"),
    "x before y": (lambda b: _set(b, b.xmin, b.xmax, b.ymin, b.ymax), "xmin, xmax, ymin, ymax"),
    "dlib's order": (lambda b: _set(b, b.ymin, b.xmax, b.ymax, b.xmin), "top, right, bottom, left"),
    "labelled at half size": (_scaled(0.5), "a table of pictures 0.5 times as large"),
    "labelled at a third": (_scaled(1 / 3), "a table of pictures 0.33 times as large"),
    "labelled at double size": (_scaled(2.0), "px of pictures 1.99 times as large"),
    "pictures enlarged": (_stated(0.5, 0.5), "the pictures are 2 times as large as the table says"),
    "names without endings": (
        _names(lambda name: name[:-4]),
        "the names without their endings, or with others ('10000'",
    ),
    "upper case": (_names(str.upper), "the names in upper or lower case ('10000.JPG'"),
    "with folders": (_names(lambda name: f"image_data/{name}"), "with folders before them"),
    "other endings": (
        _names(lambda name: name.replace(".jpg", ".png")),
        "the names without their endings, or with others",
    ),
    "spaces": (_names(lambda name: f" {name}"), "spaces around"),
    "other pictures": (_names(lambda name: f"9{name}"), "40 of 40 training pictures with faces have no box"),
}


@pytest.mark.parametrize("way", WAYS)
def test_another_way_to_write_boxes_is_named(way: str, boxes: pd.DataFrame, pictures: pd.DataFrame) -> None:
    change, words = WAYS[way]
    change(boxes)
    with pytest.raises(InputError) as fault:
        check_convention(boxes, pictures)
    assert str(fault.value).startswith("bbox_train.csv: ")
    assert words in str(fault.value), str(fault.value)


def test_turned_pictures_are_named(boxes: pd.DataFrame, pictures: pd.DataFrame) -> None:
    boxes[["stated_width", "stated_height"]] = boxes[["stated_height", "stated_width"]].to_numpy()
    with pytest.raises(InputError, match="width and height are swapped, or the pictures were turned"):
        check_convention(boxes, pictures)


def test_a_single_resized_picture_is_named(boxes: pd.DataFrame, pictures: pd.DataFrame) -> None:
    pictures.loc[7, ["width", "height"]] *= 3
    with pytest.raises(InputError, match=r"width and height of 1 of 40 pictures .*10007\.jpg: 612 x"):
        check_convention(boxes, pictures)


def test_the_official_way_passes(boxes: pd.DataFrame, pictures: pd.DataFrame, drawn: Path) -> None:
    check_convention(boxes, pictures)
    without_sizes = boxes.assign(stated_width=np.nan, stated_height=np.nan)
    check_convention(without_sizes, pictures)
    # Loose labels: a few boxes reach out of their pictures, a few pictures have none.
    boxes.loc[:5, "xmax"] += 200
    check_convention(boxes[boxes["Name"] > pictures["Name"][5]], pictures)
    # A few small pictures say nothing of the scale.
    few = boxes[boxes["Name"] == "10009.jpg"]
    check_convention(few.assign(**{name: few[name] / 2 for name in CORNERS}), pictures[9:10])
    stated = training_boxes(drawn)[["stated_width", "stated_height"]]
    assert (stated > 300).all().all()
