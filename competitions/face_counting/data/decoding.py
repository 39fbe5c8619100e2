"""All pictures of the challenge decoded into one file; unreadable ones are listed."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from common.base import atomic
from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.pictures import UnreadablePictureError, read_rgb
from competitions.face_counting.data.near_duplicates import difference_hash, near_duplicate_groups

MAX_UNREADABLE = 0.05
"""Share of a split's pictures that may be missing or corrupt."""


def decode_pictures(folder: Path, pictures: pd.DataFrame, pixels: Path) -> tuple[pd.DataFrame, list[str]]:
    """Decode the pictures named in a table into `pixels`.

    Parameters
    ----------
    pictures : Name, split.
    pixels : .npy file to write: uint8 RGB values, one picture after the other.

    Returns
    -------
    pictures : with width, height (0 where unreadable), offset, and near_duplicates (-1 outside `train`).
    unreadable : one line for each unreadable picture.

    Raises
    ------
    InputError : more than 5 % of a split cannot be read.
    """
    table = pictures.assign(width=0, height=0, offset=np.int64(0), near_duplicates=-1)
    sizes = [_header_size(folder / name) for name in table["Name"]]
    unreadable: dict[str, list[str]] = {"train": [], "test": []}
    hashes, hashed, places, start = [], [], [], 0
    with atomic.atomic_array(pixels, (sum(sizes),), np.uint8) as store:
        names = list(zip(table["Name"], table["split"], strict=True))
        for row, (name, split) in enumerate(progress(names, "decoding pictures", "picture")):
            try:
                picture = read_rgb(folder / name)
            except UnreadablePictureError as fault:
                unreadable[split].append(str(fault))
                _check_share(unreadable[split], int((table["split"] == split).sum()), folder)
                places.append((0, 0, 0))
                continue
            store[start : start + picture.size] = picture.reshape(-1)
            places.append((picture.shape[1], picture.shape[0], start))
            start += picture.size
            if split == "train":
                hashes.append(difference_hash(picture))
                hashed.append(row)
    table[["width", "height", "offset"]] = np.asarray(places, dtype=np.int64)
    table.loc[hashed, "near_duplicates"] = near_duplicate_groups(np.stack(hashes))
    return table, unreadable["train"] + unreadable["test"]


def _header_size(path: Path) -> int:
    """Number of values of a picture by its header; 0 when that cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.width * picture.height * 3
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0


def _check_share(unreadable: list[str], pictures: int, folder: Path) -> None:
    limit = max(1, int(MAX_UNREADABLE * pictures))
    if len(unreadable) > limit:
        raise InputError(
            f"{display_path(folder)}: more than {limit} of {pictures} pictures of a split are missing or "
            f"unreadable ({unreadable[0]}); are these the official pictures, and complete?"
        )
