"""Listings as the official CSV files hold them, and as the stages use them."""

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table
from common.learn.arrays import Int16, Int32, Int64, UInt64

TEST_COLUMNS = ("posting_id", "image", "image_phash", "title")
TRAIN_COLUMNS = (*TEST_COLUMNS, "label_group")
ESCAPED_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
ESCAPED_CHARACTER = re.compile(r"\\([\\'\"ntr])")
HEXADECIMAL, DIGITS = re.compile("[0-9a-fA-F]{1,16}"), re.compile("[0-9]{1,19}")
UNESCAPED = {"n": " ", "t": " ", "r": " "}


@dataclass(frozen=True)
class Listings:
    """One split; all arrays have one entry per listing, in the file's order."""

    posting_id: list[str]
    image: list[str]
    """File name."""
    title: list[str]
    """Decoded."""
    phash: UInt64
    """Perceptual hash (pHash) of the image, 64 bits."""
    label_group: Int64
    """Product; -1 where it is unknown (the test split)."""
    fold: Int16
    """-1 in the test split."""
    image_row: Int32
    """Row in the split's array of images; -1 without a readable image."""

    def __len__(self) -> int:
        return len(self.posting_id)


def decode_title(raw: str) -> str:
    r"""The text of a title that is the body of a Python byte string: `\xNN` is UTF-8, `b"..."` a wrapper.

    Escapes that are no UTF-8 stay as they are.
    """
    text = raw
    if len(text) >= 3 and text[0] == "b" and text[1] in "'\"" and text[-1] == text[1]:
        text = text[2:-1]
    if "\\" not in text:
        return text
    text = ESCAPED_BYTES.sub(_decoded_bytes, text)
    return ESCAPED_CHARACTER.sub(lambda found: UNESCAPED.get(found[1], found[1]), text)


def _decoded_bytes(found: re.Match[str]) -> str:
    try:
        return bytes.fromhex(found[0].replace("\\x", "")).decode()
    except UnicodeDecodeError:
        return found[0]


def read_listings(path: Path, labelled: bool) -> Listings:
    """Read train.csv (`labelled`) or test.csv; folds and image rows are left at -1.

    Raises
    ------
    InputError : the file is missing or cut short, a column is missing, an id occurs twice, a hash or label is
        no number.
    """
    columns = TRAIN_COLUMNS if labelled else TEST_COLUMNS
    rows, where = read_rows(path, columns), display_path(path)
    ids = checked_ids(where, [row["posting_id"] for row in rows])
    phash = [hash_number(where, line, "image_phash", row["image_phash"]) for line, row in enumerate(rows, 2)]
    groups = [-1] * len(rows)
    if labelled:
        groups = [
            _number(where, line, "label_group", row["label_group"], 10) for line, row in enumerate(rows, 2)
        ]
    return Listings(
        posting_id=ids,
        image=[row["image"] for row in rows],
        title=[decode_title(row["title"]) for row in rows],
        phash=np.array(phash, dtype=np.uint64),
        label_group=np.array(groups, dtype=np.int64),
        fold=np.full(len(rows), -1, dtype=np.int16),
        image_row=np.full(len(rows), -1, dtype=np.int32),
    )


def checked_ids(where: str, ids: list[str]) -> list[str]:
    """The ids of the table `where`; InputError when one is empty, has spaces or occurs twice."""
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(
            f"{where}: {len(twice)} posting_ids occur more than once ({twice[0]}, ...); "
            f"each listing has one row"
        )
    unusable = [name for name in ids if not name or name.split() != [name]]
    if unusable:
        raise InputError(
            f"{where}: posting_id {unusable[0]!r} is empty or has spaces; "
            f"the submission separates ids by spaces"
        )
    return ids


def hash_number(where: str, line: int, column: str, text: str) -> int:
    """A perceptual hash as a number; InputError when it is not 16 hexadecimal digits."""
    return _number(where, line, column, text, 16)


def read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Cells of the wanted columns, row by row; InputError when the table is cut short or lacks one."""
    if not path.is_file():
        raise InputError(
            f"{display_path(path)}: no such file; expected a CSV file with columns {','.join(columns)}"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = [cells for cells in csv.reader(file, strict=True) if cells]
    except UnicodeDecodeError:
        raise InputError(f"{display_path(path)}: not UTF-8 text; expected a CSV file") from None
    except csv.Error as fault:
        raise InputError(
            f"{display_path(path)}: not valid CSV ({fault}), perhaps cut short; get the file again"
        ) from None
    if not table:
        raise InputError(f"{display_path(path)}: the file is empty; expected columns {','.join(columns)}")
    header = table[0]
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(
            f"{display_path(path)}: column {missing[0]!r} is missing; expected {','.join(columns)}, "
            f"found {','.join(header)[:80]}"
        )
    twice = [name for name in columns if header.count(name) > 1]
    if twice:
        raise InputError(
            f"{display_path(path)}: {header.count(twice[0])} columns are named {twice[0]!r}; expected one"
        )
    for row, cells in enumerate(table[1:], start=1):
        if len(cells) != len(header):
            raise InputError(
                f"{display_path(path)}: row {row} has {len(cells)} cells, the header has {len(header)}; "
                f"perhaps cut short, get the file again"
            )
    if len(table) == 1:
        raise InputError(f"{display_path(path)}: holds no listing, only the header")
    places = {name: header.index(name) for name in columns}
    return [{name: cells[place] for name, place in places.items()} for cells in table[1:]]


def _number(where: str, line: int, column: str, text: str, base: int) -> int:
    # Python's own `int` reads more: `1_0`, digits of other scripts, `0x1`.
    if (HEXADECIMAL if base == 16 else DIGITS).fullmatch(text.strip()):
        number = int(text, base)
        if number < 2**63 or base == 16:
            return number
    kind = "16 hexadecimal digits" if base == 16 else "a whole number"
    raise InputError(f"{where}: row {line - 1}, {column} is {text[:40]!r}; expected {kind}")


def picture_path(folder: Path, name: str, where: str) -> Path:
    """Path of a picture named by the table `where`, which is not trusted: the picture must lie in `folder`.

    Raises
    ------
    InputError : an absolute name, `..`, or a link that leads out of `folder`; it is not opened.
    """
    parts = PurePosixPath(name).parts
    odd = not parts or ".." in parts or "\\" in name or "\0" in name
    if odd or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
        raise InputError(
            f"{where}: image {name[:80]!r} is refused; expected the plain name of a file in {folder.name}/"
        )
    path = folder / name
    root = os.path.realpath(folder)
    if os.path.commonpath([root, os.path.realpath(path)]) != root:
        raise InputError(
            f"{where}: image {name[:80]!r} is refused; it is a link that leads out of {folder.name}/"
        )
    return path


def write_listings(path: Path, listings: Listings) -> None:
    """Write a split as parquet, whole or not at all."""
    write_table(path, pa.table(vars(listings)))


def load_listings(path: Path) -> Listings:
    """Read what `write_listings` wrote; InputError when it is missing, damaged or of another version."""
    if not path.is_file():
        raise InputError(f"{display_path(path)} is missing: run 1_preprocess.py first")
    try:
        table = pq.read_table(path, columns=[field.name for field in fields(Listings)])
    except (pa.ArrowInvalid, OSError):
        raise InputError(
            f"{display_path(path)}: damaged or written by another version; make it again"
        ) from None
    return Listings(
        posting_id=table["posting_id"].to_pylist(),
        image=table["image"].to_pylist(),
        title=table["title"].to_pylist(),
        phash=table["phash"].to_numpy(),
        label_group=table["label_group"].to_numpy(),
        fold=table["fold"].to_numpy(),
        image_row=table["image_row"].to_numpy(),
    )
