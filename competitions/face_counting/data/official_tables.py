"""The official files of the Face Counting Challenge, read and checked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples

COUNT_COLUMNS = ["Name", "HeadCount"]
BOX_COLUMNS = ["xmin", "ymin", "xmax", "ymax"]
STATED_COLUMNS = ["stated_width", "stated_height"]
PICTURE_FOLDERS = ("image_data", "dataset", "images")


def training_counts(data: Path) -> pd.DataFrame:
    """train.csv: Name, HeadCount (int64); InputError when a column, a name or a count is wrong."""
    return head_counts(data / "train.csv")


def head_counts(file: Path) -> pd.DataFrame:
    """A table of Name, HeadCount; InputError when a column, a name or a count is wrong."""
    table = _read(file, COUNT_COLUMNS)
    _check_names(file, table)
    table["HeadCount"] = _numbers(file, table["HeadCount"])
    if (table["HeadCount"] < 0).any() or (table["HeadCount"] % 1 != 0).any():
        raise InputError(f"{display_path(file)}: HeadCount must be whole numbers from 0; correct the file")
    return table.astype({"HeadCount": np.int64})


def training_boxes(data: Path) -> pd.DataFrame:
    """bbox_train.csv: Name, corners in px of the picture as float64, and the sizes that it states.

    Returns
    -------
    Name, xmin, ymin, xmax, ymax, stated_width, stated_height; NaN without columns width and height.

    Raises
    ------
    InputError : a column is missing, or a cell is no number.
    """
    file = data / "bbox_train.csv"
    table = _read(file, ["Name", *BOX_COLUMNS], optional=["width", "height"])
    for column in table.columns[1:]:
        table[column] = _numbers(file, table[column])
    for stated, column in zip(STATED_COLUMNS, ("width", "height"), strict=True):
        table[stated] = table.pop(column) if column in table else np.nan
    return table


def test_names(data: Path) -> list[str]:
    """The names of test.csv (official: test_Rj9YEaI.csv) in its order; InputError when it is wrong."""
    found = sorted(data.glob("test.csv")) or sorted(data.glob("test_*.csv"))
    if len(found) != 1:
        raise InputError(
            f"{display_path(data)}: {len(found)} files test.csv or test_*.csv; expected one with column Name"
        )
    table = _read(found[0], ["Name"])
    _check_names(found[0], table)
    return table["Name"].tolist()


def picture_folder(data: Path) -> Path:
    """The folder with the pictures of both splits; InputError when there is none."""
    for name in PICTURE_FOLDERS:
        if (data / name).is_dir():
            return data / name
    raise InputError(
        f"{display_path(data)}: no folder {' or '.join(PICTURE_FOLDERS)} with the pictures; "
        f"give the folder of the official files with --data"
    )


def _read(file: Path, columns: list[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            f"{display_path(file)} is missing; expected the official file with {', '.join(columns)}"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as fault:
        raise InputError(
            f"{display_path(file)}: not a readable CSV file ({fault}); download it again"
        ) from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{display_path(file)}: no column {missing[0]}; expected {','.join(columns)}, "
            f"found {','.join(map(str, table.columns))[:80]}"
        )
    if table.empty:
        raise InputError(f"{display_path(file)}: holds no rows; download it again")
    return table[[*columns, *(column for column in optional if column in table)]].copy()


def _check_names(file: Path, table: pd.DataFrame) -> None:
    names = table["Name"]
    # A name with a folder in it could lead out of the picture folder.
    odd = [name for name in names if not name.strip() or Path(name).name != name or name == ".."]
    if odd:
        raise InputError(
            f"{display_path(file)}: {len(odd)} names are no file names: {examples(map(repr, odd))}"
        )
    twice = names[names.duplicated()]
    if len(twice):
        raise InputError(
            f"{display_path(file)}: {len(twice)} names occur twice: {examples(twice)}; each may occur once"
        )


def _numbers(file: Path, column: "pd.Series[str]") -> "pd.Series[float]":
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{display_path(file)}, line {row + 2}: {column.name} is {column.iloc[row]!r}, not a number; "
            f"{int(bad.sum())} such cells (was the file cut short?)"
        )
    return numbers
