"""Picture files -> the distinct images of a split, small and square, in one memory-mapped array."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from common.base.atomic import atomic_array
from common.base.console import progress
from common.files.pictures import UnreadablePictureError, open_rgb
from common.learn.arrays import Int32, UInt8
from competitions.shopee_matching.data.listings import picture_path

SHARPNESS = 1.2
"""A much larger JPEG is decoded at a smaller scale, but not below this many times the size."""


@dataclass(frozen=True)
class StoredPictures:
    """Rows of the stored images, and which pictures could not be read."""

    image_row: Int32
    """(listings,) row of each listing's image; -1 without a readable one."""
    missing: list[str]
    """Names of pictures that are not there."""
    corrupt: list[str]
    """One line per picture that could not be read."""


def picture_paths(names: Sequence[str], folder: Path, where: str) -> dict[str, Path]:
    """Path of each distinct picture, whether it is there or not.

    Raises
    ------
    InputError : a name leads out of `folder`; `where` is the table that holds the names, for the message.
    """
    return {name: picture_path(folder, name, where) for name in dict.fromkeys(names)}


def store_pictures(paths: dict[str, Path], names: Sequence[str], size: int, out: Path) -> StoredPictures:
    """Read each distinct picture, shrink it to (size, size), and write all to `out`.

    `out` is a uint8 array (distinct pictures that exist, size, size, 3); the row of a corrupt one is black.

    Parameters
    ----------
    paths : name -> path of each distinct picture, as `picture_paths` gives them.
    names : picture of each listing.
    """
    there = [name for name, path in paths.items() if path.is_file()]
    rows = {name: row for row, name in enumerate(there)}
    corrupt: dict[str, str] = {}
    with (
        atomic_array(out, (len(there), size, size, 3), np.uint8) as pictures,
        ThreadPoolExecutor(os.cpu_count()) as readers,
    ):
        read = readers.map(lambda name: _small(paths[name], size), there)
        for name, picture in progress(
            zip(there, read, strict=True), "reading pictures", "pictures", len(there)
        ):
            if isinstance(picture, str):
                corrupt[name] = picture
            else:
                pictures[rows[name]] = picture
    usable = {name: row for name, row in rows.items() if name not in corrupt}
    return StoredPictures(
        image_row=np.array([usable.get(name, -1) for name in names], dtype=np.int32),
        missing=[name for name in paths if name not in rows],
        corrupt=list(corrupt.values()),
    )


def _small(path: Path, size: int) -> UInt8 | str:
    try:
        picture = open_rgb(path, at_least=round(SHARPNESS * size))
    except UnreadablePictureError as fault:
        return str(fault)
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0))
