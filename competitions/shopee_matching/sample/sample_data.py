"""A small synthetic product catalogue in the official layout.

    python -m competitions.shopee_matching.sample.sample_data --out DIR [--seed N] [--scale X]

Products are synthetic bottles, boxes, pouches, shirts and phones, each with its colours and pattern. A seller
takes a new photo (crop, light, background, logo), copies an earlier photo, or copies it with small changes.
Titles mix English and Indonesian, with typos, units, emoji as literal escapes and a few `b"..."` wrappers;
some leave out the brand. Traps: one product in two sizes under different labels, brands with many products, a
picture under two labels, products with up to 30 listings, test products that the training split does not
contain.

Writes train.csv, test.csv, sample_submission.csv, train_images/, test_images/, and truth/test.csv.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from common.run.sample_data import sample_data_command
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.sample.listing_titles import write_title
from competitions.shopee_matching.sample.synthetic_products import (
    Product,
    draw_photo,
    draw_product,
    reuse_photo,
)

TRAIN_ROWS, TEST_ROWS = 400, 200
LARGEST_GROUP = 30
TAIL = 1.5
"""Exponent of the group sizes' power law: the median is 2, the mean about 3."""
SAME_PHOTO, PHOTO_REUSED = 0.14, 0.26
UNIT_TWINS = 0.12
"""Share of products that come in a second size, which is another product."""
MISLABELLED = 0.01


@dataclass(frozen=True)
class Row:
    """One listing of a split."""

    posting_id: str
    image: str
    image_phash: str
    title: str
    label_group: int


def write_sample_data(folder: Path, seed: int, scale: float) -> None:
    """Write both splits and the test truth; `scale` multiplies the number of listings."""
    splits = {}
    for number, (split, rows) in enumerate((("train", TRAIN_ROWS), ("test", TEST_ROWS))):
        random = np.random.default_rng([seed, number])
        listings = draw_split(split, max(12, round(rows * scale)), random, folder / f"{split}_images")
        splits[split] = sorted(listings, key=lambda row: (row.image, row.posting_id))
    columns = ("posting_id", "image", "image_phash", "title")
    _write_table(folder / "train.csv", splits["train"], (*columns, "label_group"))
    _write_table(folder / "test.csv", splits["test"], columns)
    (folder / "truth").mkdir()
    _write_table(folder / "truth" / "test.csv", splits["test"], ("posting_id", "label_group"))
    with (folder / "sample_submission.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("posting_id", "matches"))
        table.writerows((row.posting_id, row.posting_id) for row in splits["test"])


def draw_split(split: str, rows: int, random: np.random.Generator, folder: Path) -> list[Row]:
    """Draw the products of one split, their photos into `folder`, and their listings."""
    folder.mkdir()
    ids = random.choice(9_000_000, size=rows, replace=False) + 1_000_000
    listings: list[Row] = []
    groups: set[int] = set()
    twin: Product | None = None
    while len(listings) < rows:
        product = draw_product(random) if twin is None else replace(twin, amount=twin.other_amount)
        twin = product if twin is None and random.random() < UNIT_TWINS else None
        group = int(random.integers(200_000, 4_294_000_000))
        groups.add(group)
        left = rows - len(listings)
        size = min(left, LARGEST_GROUP, int(1 + np.floor(random.pareto(TAIL) + 1)))
        # No product is left with one listing: official ones have two or more.
        size = left if left - size < 2 else max(2, size)
        photos: list[bytes] = []
        for _ in range(size):
            photos.append(_photo(product, photos, random))
            name = f"{split}_{ids[len(listings)]}"
            listings.append(_row(name, photos[-1], write_title(product, random), group, folder))
    for place in random.choice(rows, size=round(MISLABELLED * rows), replace=False):
        other = listings[int(random.integers(rows))]
        listings[place] = replace(listings[place], image=other.image, image_phash=other.image_phash)
    return listings


def _photo(product: Product, earlier: Sequence[bytes], random: np.random.Generator) -> bytes:
    """JPEG of a listing: an earlier photo of the product as it is, one with small changes, or a new one."""
    draw = random.random()
    if earlier and draw < SAME_PHOTO:
        return earlier[int(random.integers(len(earlier)))]
    if earlier and draw < SAME_PHOTO + PHOTO_REUSED:
        with Image.open(io.BytesIO(earlier[int(random.integers(len(earlier)))])) as picture:
            photo = reuse_photo(picture.convert("RGB"), random)
    else:
        photo = draw_photo(product, random)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=int(random.integers(70, 93)))
    return file.getvalue()


def _row(posting_id: str, photo: bytes, title: str, group: int, folder: Path) -> Row:
    image = hashlib.md5(photo, usedforsecurity=False).hexdigest() + ".jpg"
    (folder / image).write_bytes(photo)
    with Image.open(io.BytesIO(photo)) as picture:
        return Row(posting_id, image, str(imagehash.phash(picture)), title, group)


def _write_table(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([getattr(row, column) for column in columns] for row in rows)


if __name__ == "__main__":
    sample_data_command(COMPETITION, __doc__)
