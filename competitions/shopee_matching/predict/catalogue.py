"""Anybody's product table, read as listings."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from common.base.errors import InputError
from common.base.paths import display_path
from competitions.shopee_matching.data.listings import (
    Listings,
    checked_ids,
    decode_title,
    hash_number,
    read_rows,
)

MEANINGS = ("id", "title", "image", "phash")


def parse_columns(text: str) -> dict[str, str]:
    """`id=sku,title=name,image=photo` -> meaning -> column.

    Raises
    ------
    InputError : an unknown meaning, one twice, no id, neither title nor image.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        meaning, sign, column = part.partition("=")
        meaning, column = meaning.strip(), column.strip()
        if meaning not in MEANINGS or not sign or not column or meaning in columns:
            raise InputError(
                f"--columns {text[:80]!r}: {part[:40]!r} is not understood; expected id=COLUMN,title=COLUMN,"
                f"image=COLUMN (and phash=COLUMN), each once"
            )
        columns[meaning] = column
    if "id" not in columns or not {"title", "image"} & columns.keys():
        raise InputError(f"--columns {text[:80]!r}: expected id=COLUMN and title=COLUMN or image=COLUMN")
    return columns


def read_catalogue(path: Path, columns: dict[str, str]) -> Listings:
    """Read a CSV file with any columns; titles and pictures may be empty, hashes are left to `with_hashes`.

    Raises
    ------
    InputError : the file is missing or cut short, a column is missing, an id is empty or occurs twice.
    """
    rows = read_rows(path, tuple(columns.values()))
    count = len(rows)
    cells = {meaning: [row[column] for row in rows] for meaning, column in columns.items()}
    hashes = [
        hash_number(path, line, columns["phash"], text) for line, text in enumerate(cells.get("phash", []), 2)
    ]
    return Listings(
        posting_id=checked_ids(path, cells["id"]),
        image=[name.strip() for name in cells.get("image", [""] * count)],
        title=[decode_title(title) for title in cells.get("title", [""] * count)],
        phash=np.array(hashes or [0] * count, dtype=np.uint64),
        label_group=np.full(count, -1, dtype=np.int64),
        fold=np.full(count, -1, dtype=np.int16),
        picture=np.full(count, -1, dtype=np.int32),
    )


def with_hashes(listings: Listings, pictures: np.ndarray) -> np.ndarray:
    """(n,) perceptual hashes of the listings' pictures, as the official files hold them.

    A listing without a picture gets a hash of its id: as far from all others as chance will have it.

    Parameters
    ----------
    pictures : (stored, side, side, 3) uint8.
    """
    rows = np.unique(listings.picture[listings.picture >= 0])
    of_picture = {row: int(str(imagehash.phash(Image.fromarray(pictures[row]))), 16) for row in rows.tolist()}
    hashes = [
        of_picture[picture] if picture >= 0 else _chance_hash(name)
        for picture, name in zip(listings.picture.tolist(), listings.posting_id, strict=True)
    ]
    return np.array(hashes, dtype=np.uint64)


def _chance_hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def named_paths(names: Sequence[str]) -> list[str]:
    """The distinct pictures that are named at all."""
    return [name for name in dict.fromkeys(names) if name]


def no_common_ids(path: Path, new: Sequence[str], old: Sequence[str]) -> None:
    """InputError when a new listing bears the id of one in the index."""
    known = set(old)
    twice = [name for name in new if name in known]
    if twice:
        raise InputError(
            f"{display_path(path)}: {len(twice)} ids are in the index already ({twice[0]}, ...); leave them out"
        )
