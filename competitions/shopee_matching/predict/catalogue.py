"""A product table with any columns, read as listings."""

import argparse
import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.base.console import counted
from common.base.errors import InputError
from common.base.paths import readable_folder
from common.files.own_table import OwnTable, own_table_of, read_own_table
from common.learn.arrays import UInt64
from competitions.shopee_matching.data.listings import Listings, decode_title
from competitions.shopee_matching.predict.image_cells import ImageCells, find_pictures

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("id", "title", "image", "phash")
DEFAULT_COLUMNS = {"id": "posting_id", "title": "title", "image": "image"}
NULL_TEXT = """
    nan null none nil undefined n/a na n.a. n.a #n/a #n/d #na #null! #value! #ref! #name? <na> <null> (null)
    [null] (none) (blank) (empty) blank empty missing unknown untitled tbd tba no_title no_name not_available
    not_applicable tidak_ada tdk_ada tidak_tersedia tidak_diketahui kosong (kosong) belum_ada tanpa_judul
    tanpa_nama tiada
"""
NULL_WORDS = frozenset(NULL_TEXT.split())
"""What is written for a missing cell in exports, in lower case and with `_` for a space."""
ENTITY = re.compile("&(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
NO_WIDTH = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
HASH = re.compile("[0-9a-fA-F]{16}")
MIN_HASH_BITS = 8
"""A perceptual hash has about 32 of 64 bits set; one of a blank picture has nearly none or all of them."""


@dataclass(frozen=True)
class Catalogue:
    """A user's table, and how it was read."""

    listings: Listings
    """Empty titles and images are missing; a hash of 0 is missing."""
    pictures: ImageCells
    understood: list[str]
    """Lines that say how the table was read."""
    faults: list[str]
    """Lines on cells that could not be used; their listings are matched by what is left."""


def parse_columns(text: str) -> dict[str, str]:
    """`id=sku,title=name,image=photo` -> role -> column; `"title=name, long"` in quotes holds a comma.

    Raises
    ------
    InputError : an unknown role, one twice, no id, neither title nor image.
    """
    columns: dict[str, str] = {}
    try:
        parts = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        parts = [text]
    for part in parts:
        role, sign, column = part.partition("=")
        role, column = role.strip().lower(), column.strip()
        if not sign or not column or role in columns:
            raise InputError(
                f"--columns {text[:80]!r}: {part[:40]!r} is not understood; expected id=COLUMN,title=COLUMN,"
                f'image=COLUMN (and phash=COLUMN), each once; a column with a comma in quotes: "title=A, B"'
            )
        columns[role] = column
    return checked_columns(columns, f"--columns {text[:80]!r}")


def checked_columns(columns: Mapping[str, str], where: str) -> dict[str, str]:
    """The columns by role; InputError for an unknown role, no id, neither title nor image."""
    unknown = [role for role in columns if role not in ROLES]
    if unknown or "id" not in columns or not {"title", "image"} & columns.keys():
        raise InputError(
            f"{where}: expected columns for id and for title or image (and phash), found {dict(columns)}"
        )
    return dict(columns)


def read_catalogue(
    source: "Path | pd.DataFrame",
    columns: Mapping[str, str] | None = None,
    pictures: Path | str | None = None,
    encoding: str | None = None,
) -> Catalogue:
    """Listings of a table: CSV of any separator, .gz, .zip, .xlsx, .parquet, or a DataFrame.

    Parameters
    ----------
    columns : role (id, title, image, phash) -> column; None: posting_id, title and image, as far as they are
        there.
    pictures : folder of the pictures; None: the table's folder, for a DataFrame none.
    encoding : of a text file that is not UTF-8.

    Raises
    ------
    InputError : the file is missing, no table or cut short; a column is missing; an id is empty or occurs
        twice; the folder of the pictures does not exist.
    """
    is_file = isinstance(source, Path)
    table = read_own_table(source, encoding=encoding) if isinstance(source, Path) else own_table_of(source)
    remedy = (
        "--columns id=COLUMN,title=COLUMN,image=COLUMN" if is_file else 'columns={"id": ..., "title": ...}'
    )
    chosen = dict(columns) if columns is not None else _default_columns(table, remedy)
    places = {role: table.index(column) for role, column in chosen.items()}
    named = {role: table.columns[place] for role, place in places.items()}
    cells = {role: [row[place] for row in table.rows] for role, place in places.items()}
    count, row = len(table.rows), "line" if is_file else "row"
    ids = _ids(table, cells["id"], named["id"], row, remedy)
    titles, null_words = _titles(cells.get("title", [""] * count))
    faults: list[str] = []
    phash = np.zeros(count, dtype=np.uint64)
    if "phash" in cells:
        phash, fault = _hashes(table, cells["phash"], named["phash"], row)
        faults += fault
    if pictures is not None and "image" not in cells:
        faults.append(f"the pictures in {Path(pictures).name}/ are not used: no image=COLUMN names them")
    names = [cell.strip() for cell in cells.get("image", [""] * count)]
    names = ["" if is_null(name) else name for name in names]
    folder = None
    if any(names):
        if pictures is None and not isinstance(source, Path):
            raise InputError("images: the folder of the pictures is needed (or columns without image)")
        folder = Path(pictures) if pictures is not None else Path(source).absolute().parent  # type: ignore[arg-type]
        folder = readable_folder(folder, "the folder of the pictures")
    found = find_pictures(names, folder, [f"{row} {line}" for line in table.lines])
    understood = [
        f"{table.where}: {table.understood}; "
        + ", ".join(f"{role} = {name!r}" for role, name in named.items())
    ]
    if "title" in named:
        without = sum(not title for title in titles)
        words = f" ({', '.join(f'{word!r} {times}' for word, times in null_words)})" if null_words else ""
        understood.append(f"titles: {count - without:,} of {count:,} rows{_missing(without, words)}")
    if "image" in named:
        there = sum(name in found.files for name in names)
        place = f", looked up in {folder.name}/" if folder is not None else ""
        understood.append(f"pictures: {there:,} of {count:,} rows name a file that is there{place}")
    return Catalogue(
        Listings(
            posting_id=ids,
            image=[name if name in found.files else "" for name in names],
            title=titles,
            phash=phash,
            label_group=np.full(count, -1, dtype=np.int64),
            fold=np.full(count, -1, dtype=np.int16),
            image_row=np.full(count, -1, dtype=np.int32),
        ),
        found,
        understood,
        faults + found.faults,
    )


def catalogue_of(flags: argparse.Namespace, table: Path) -> Catalogue:
    """The table of --catalogue, read as the other flags say."""
    columns = parse_columns(flags.columns) if flags.columns is not None else None
    try:
        return read_catalogue(table, columns, flags.pictures, flags.encoding)
    except InputError as fault:
        if str(fault).endswith("name its encoding"):
            raise InputError(f"{fault} with --encoding, cp1252 or gb18030 say") from None
        raise


def plain_text(title: str) -> str:
    """A title without HTML entities, characters of no width, and line breaks."""
    return " ".join(
        ENTITY.sub(lambda found: unescape(found[0]), _encodable(title)).translate(NO_WIDTH).split()
    )


def _encodable(text: str) -> str:
    """`text` with a question mark for what is no Unicode character (surrogates of undecoded bytes)."""
    return text.encode("utf-8", "replace").decode()


def is_null(text: str) -> bool:
    """Whether a cell is as good as empty: a null word, or no letter, digit or symbol in it."""
    plain = "_".join(unicodedata.normalize("NFKC", text).casefold().split())
    if plain in NULL_WORDS or plain.strip("_-.'\"()[]<>") in ("nan", "null", "none", "n/a"):
        return True
    return not any(unicodedata.category(char)[0] in "LNS" for char in plain)


def _default_columns(table: OwnTable, remedy: str) -> dict[str, str]:
    there = {" ".join(column.casefold().split()) for column in table.columns}
    columns = {role: column for role, column in DEFAULT_COLUMNS.items() if column in there}
    if "id" not in columns or not {"title", "image"} & columns.keys():
        raise InputError(
            f"{table.where}: it is not said which columns hold the id and the title or image; give {remedy}; "
            f"the columns are: {', '.join(table.columns[:20])}"
        )
    return columns


def _ids(table: OwnTable, cells: Sequence[str], column: str, row: str, remedy: str) -> list[str]:
    """Ids without outer spaces; InputError when one is empty or occurs twice."""
    ids = [_encodable(cell.strip()) for cell in cells]
    empty = [line for line, name in zip(table.lines, ids, strict=True) if not name]
    if empty:
        raise InputError(
            f"{table.where}: {row} {empty[0]} has no id (column {column!r}, empty in "
            f"{counted(len(empty), 'row')}); give each row an id or leave it out"
        )
    counts = Counter(ids)
    twice = [name for name, times in counts.items() if times > 1]
    if twice:
        lines = [line for line, name in zip(table.lines, ids, strict=True) if name == twice[0]]
        raise InputError(
            f"{table.where}: {counted(len(twice), 'id')} of column {column!r} more than once, "
            f"{twice[0][:60]!r} in {row}s {' and '.join(map(str, lines[:2]))}; each row needs its "
            f"own: leave repeated rows out, or name another column by {remedy}"
        )
    return ids


def _titles(cells: Sequence[str]) -> tuple[list[str], list[tuple[str, int]]]:
    """Decoded titles, empty where a null word is in the cell; and the most frequent null words."""
    titles, words = [], Counter[str]()
    for cell in cells:
        title = plain_text(decode_title(cell))
        if title and is_null(title):
            words[title] += 1
            title = ""
        titles.append(title)
    return titles, words.most_common(4)


def _missing(without: int, words: str) -> str:
    return f"; {without:,} are empty or a null word{words}" if without else ""


def _hashes(table: OwnTable, cells: Sequence[str], column: str, row: str) -> tuple[UInt64, list[str]]:
    """Perceptual hashes of a column, 0 where none can be used; and a line on cells that are no hash."""
    hashes, odd = np.zeros(len(cells), dtype=np.uint64), []
    for place, cell in enumerate(cells):
        text = cell.strip()
        if HASH.fullmatch(text):
            value = int(text, 16)
            hashes[place] = value if MIN_HASH_BITS <= value.bit_count() <= 64 - MIN_HASH_BITS else 0
        elif text and not is_null(text):
            odd.append(place)
    if not odd:
        return hashes, []
    example = f"{cells[odd[0]].strip()[:40]!r} in {row} {table.lines[odd[0]]}"
    if not hashes.any():
        raise InputError(
            f"{table.where}: column {column!r} holds no perceptual hash ({example}); "
            f"expected 16 hexadecimal digits, or leave phash= out"
        )
    return hashes, [
        f"{counted(len(odd), 'cell')} of column {column!r} without a hash of 16 hexadecimal "
        f"digits ({example}): matched without it"
    ]


def no_common_ids(new: Sequence[str], old: Sequence[str]) -> None:
    """InputError when a new listing has the id of one in the index."""
    known = set(old)
    twice = [name for name in new if name in known]
    if twice:
        raise InputError(
            f"{len(twice)} ids are in the index already ({twice[0][:60]!r}, ...); leave these rows out, or "
            f"match without --index to start again"
        )
