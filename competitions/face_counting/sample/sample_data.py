"""Draw a small face counting challenge in the official layout.

    python -m competitions.face_counting.sample.sample_data --out DIR

Drawn faces of varied size, tone and pose on cluttered backgrounds; train and test pictures lie interleaved in
one folder, a tenth is greyscale, some pictures occur twice in slightly different versions. The counts of the
test split are in truth/test.csv, which no stage reads.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from common.learn.seeding import derived_seed
from common.run.sample_data import sample_data_command
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.sample.face_drawing import add_grain, background, draw_face

TRAIN_PICTURES, TEST_PICTURES = 160, 60
FEWEST = 8
FIRST_NUMBER = 10001
MOST_FACES = 20
CROWDED_SHARE, GREY_SHARE, DUPLICATE_SHARE = 0.08, 0.10, 0.05
SAMPLE_COUNT = 5
"""HeadCount everywhere in the official sample submission."""

Boxes = list[tuple[int, int, int, int]]


def write_sample_data(folder: Path, seed: int, scale: float = 1.0) -> None:
    """Fill an empty folder; `scale` multiplies the numbers of pictures."""
    train, test = (max(FEWEST, round(number * scale)) for number in (TRAIN_PICTURES, TEST_PICTURES))
    generator = np.random.default_rng(derived_seed(seed, "split"))
    # Some numbers are missing, as in the official files.
    numbers = FIRST_NUMBER + np.cumsum(generator.integers(1, 3, size=train + test))
    in_test = np.zeros(train + test, dtype=bool)
    in_test[generator.permutation(train + test)[:test]] = True
    (folder / "image_data").mkdir()
    (folder / "truth").mkdir()
    counts: list[tuple[str, int, bool]] = []
    boxes: list[tuple[object, ...]] = []
    shown: tuple[Image.Image, Boxes] | None = None
    for number, is_test in zip(numbers, in_test, strict=True):
        name = f"{number}.jpg"
        own = np.random.default_rng(derived_seed(seed, "picture", name))
        again = shown is not None and own.random() < DUPLICATE_SHARE
        shown = _near_duplicate(shown, own) if again and shown else _draw_picture(own)
        picture, found = shown
        if own.random() < GREY_SHARE:
            picture = picture.convert("L")
        picture.save(folder / "image_data" / name, quality=int(own.integers(70, 92)))
        counts.append((name, len(found), is_test))
        if not is_test:
            boxes += [(name, *picture.size, *box) for box in found]
    _write_tables(folder, counts, boxes)


def _write_tables(folder: Path, counts: list[tuple[str, int, bool]], boxes: list[tuple[object, ...]]) -> None:
    """The official CSV files, and the test split's truth."""
    table = pd.DataFrame(counts, columns=["Name", "HeadCount", "is_test"])
    train, test = table[~table.is_test], table[table.is_test]
    columns = ["Name", "HeadCount"]
    train[columns].to_csv(folder / "train.csv", index=False, lineterminator="\n")
    test[["Name"]].to_csv(folder / "test.csv", index=False, lineterminator="\n")
    guess = test[["Name"]].assign(HeadCount=SAMPLE_COUNT)
    guess.to_csv(folder / "sample_submission.csv", index=False, lineterminator="\n")
    test[columns].to_csv(folder / "truth" / "test.csv", index=False, lineterminator="\n")
    header = ["Name", "width", "height", "xmin", "ymin", "xmax", "ymax"]
    # Only the official box file has Windows line ends; its rows are in no order.
    pd.DataFrame(boxes, columns=header).sample(frac=1, random_state=len(boxes)).to_csv(
        folder / "bbox_train.csv", index=False, lineterminator="\r\n"
    )


def _draw_picture(generator: np.random.Generator) -> tuple[Image.Image, Boxes]:
    """One picture and the boxes of its faces."""
    width, height = 612, int(generator.integers(344, 460))
    if generator.random() < 0.15:
        width, height = int(generator.integers(345, 500)), 612
    picture = background(generator, width, height)
    crowded = generator.random() < CROWDED_SHARE
    wanted = int(generator.integers(9, MOST_FACES + 1)) if crowded else _usual_count(generator)
    typical = float(np.exp(generator.normal(np.log(56 if crowded else 90), 0.25)))
    sides = np.clip(typical * np.exp(generator.normal(0, 0.22, size=wanted)), 20, 160)
    boxes: list[tuple[float, float, float, float]] = []
    for side in sorted(sides.tolist()):  # small ones first, because near faces occlude far ones
        place = _free_place(generator, boxes, width, height, side)
        if place is not None:
            boxes.append(draw_face(picture, generator, *place, side))
    return add_grain(picture, generator), [_loose_box(generator, box, width, height) for box in boxes]


def _usual_count(generator: np.random.Generator) -> int:
    """Faces in a picture that is no crowd: 1 to 8, most often 2 to 4."""
    return int(min(8, 1 + generator.poisson(generator.gamma(6.0, 0.4))))


def _free_place(
    generator: np.random.Generator,
    boxes: list[tuple[float, float, float, float]],
    width: int,
    height: int,
    side: float,
) -> tuple[float, float] | None:
    """A place where a head occludes little of the others; None when the picture is full."""
    for _ in range(40):
        x = float(generator.uniform(0.45 * side, width - 0.45 * side))
        y = float(generator.uniform(0.55 * side, height - 0.55 * side))
        far = [
            abs(x - (box[0] + box[2]) / 2) > 0.42 * (side + box[2] - box[0])
            or abs(y - (box[1] + box[3]) / 2) > 0.5 * (side + box[3] - box[1])
            for box in boxes
        ]
        if all(far):
            return x, y
    return None


def _loose_box(
    generator: np.random.Generator, box: tuple[float, float, float, float], width: int, height: int
) -> tuple[int, int, int, int]:
    """Integer corners inside the picture, slightly off, as people label."""
    slack = 0.04 * (box[3] - box[1])
    moved = np.round(np.asarray(box) + generator.normal(0, slack, size=4)).astype(int)
    left, right = (int(value) for value in moved[[0, 2]].clip(0, width))
    upper, lower = (int(value) for value in moved[[1, 3]].clip(0, height))
    return left, upper, right, lower


def _near_duplicate(
    shown: tuple[Image.Image, Boxes], generator: np.random.Generator
) -> tuple[Image.Image, Boxes]:
    """The previous picture with another brightness: same people, same boxes."""
    picture, boxes = shown
    return ImageEnhance.Brightness(picture).enhance(float(generator.uniform(0.9, 1.1))), boxes


if __name__ == "__main__":
    sample_data_command(COMPETITION, __doc__)
