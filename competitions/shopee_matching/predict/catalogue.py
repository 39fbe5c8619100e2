"""A product table with any columns, read as listings."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import UInt8, UInt64
from competitions.shopee_matching.data.listings import (
    Listings,
    checked_ids,
    decode_title,
    hash_number,
    read_rows,
)

ROLES = ("id", "title", "image", "phash")


def parse_columns(text: str) -> dict[str, str]:
    """`id=sku,title=name,image=photo` -> role -> column.

    Raises
    ------
    InputError : an unknown role, one twice, no id, neither title nor image.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        role, sign, column = part.partition("=")
        role, column = role.strip(), column.strip()
        if not sign or not column or role in columns:
            raise InputError(
                f"--columns {text[:80]!r}: {part[:40]!r} is not understood; expected id=COLUMN,title=COLUMN,"
                f"image=COLUMN (and phash=COLUMN), each once"
            )
        columns[role] = column
    return checked_columns(columns, f"--columns {text[:80]!r}")


def checked_columns(columns: Mapping[str, str], where: str) -> dict[str, str]:
    """The columns by role; InputError for an unknown role, no id, neither title nor image."""
    unknown = [role for role in columns if role not in ROLES]
    if unknown or "id" not in columns or not {"title", "image"} & columns.keys():
        raise InputError(
            f"{where}: expected columns for id and for title or image (and phash), found {columns}"
        )
    return dict(columns)


def read_catalogue(table: Path | pd.DataFrame, columns: Mapping[str, str]) -> Listings:
    """Listings of a CSV file or a DataFrame; titles and images may be empty, missing hashes are 0.

    Parameters
    ----------
    columns : role (id, title, image, phash) -> column.

    Raises
    ------
    InputError : the file is missing or cut short, a column is missing, an id is empty or occurs twice.
    """
    wanted = tuple(columns.values())
    if isinstance(table, pd.DataFrame):
        where = "the DataFrame"
        missing = [column for column in wanted if column not in table.columns]
        if missing or table.empty:
            raise InputError(
                f"{where}: {f'column {missing[0]!r} is missing' if missing else 'holds no listing'}"
            )
        cells = {column: ["" if pd.isna(cell) else str(cell) for cell in table[column]] for column in wanted}
    else:
        where, rows = display_path(table), read_rows(table, wanted)
        cells = {column: [row[column] for row in rows] for column in wanted}
    by_role = {role: cells[column] for role, column in columns.items()}
    count = len(by_role["id"])
    hashes = [
        hash_number(where, line, columns["phash"], text)
        for line, text in enumerate(by_role.get("phash", []), 2)
    ]
    return Listings(
        posting_id=checked_ids(where, by_role["id"]),
        image=[name.strip() for name in by_role.get("image", [""] * count)],
        title=[decode_title(title) for title in by_role.get("title", [""] * count)],
        phash=np.array(hashes or [0] * count, dtype=np.uint64),
        label_group=np.full(count, -1, dtype=np.int64),
        fold=np.full(count, -1, dtype=np.int16),
        image_row=np.full(count, -1, dtype=np.int32),
    )


def image_hashes(listings: Listings, images: UInt8) -> UInt64:
    """(n,) perceptual hashes of the listings' images, as in the official files.

    A listing without an image gets a hash of its id, which is as far from all others as random hashes are.

    Parameters
    ----------
    images : (stored, side, side, 3) RGB.
    """
    rows = np.unique(listings.image_row[listings.image_row >= 0])
    of_image = {row: int(str(imagehash.phash(Image.fromarray(images[row]))), 16) for row in rows.tolist()}
    hashes = [
        of_image[row] if row >= 0 else _random_hash(name)
        for row, name in zip(listings.image_row.tolist(), listings.posting_id, strict=True)
    ]
    return np.array(hashes, dtype=np.uint64)


def _random_hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def no_common_ids(new: Sequence[str], old: Sequence[str]) -> None:
    """InputError when a new listing has the id of one in the index."""
    known = set(old)
    twice = [name for name in new if name in known]
    if twice:
        raise InputError(f"{len(twice)} ids are in the index already ({twice[0]}, ...); leave them out")
