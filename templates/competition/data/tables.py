"""The official tables, read and checked: bad input ends in one line that names file, column and row.

Replace: the columns, and what your files can get wrong.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.own_table import read_own_table
from common.files.submission_table import examples

ID, GROUP, LABEL = "id", "machine", "fails"
READINGS = ("load", "temperature", "vibration", "oil_age")
"""Share of the maximum; degrees Celsius; mm/s; days."""


def read_train(data: Path) -> pd.DataFrame:
    """Labelled rows: id, machine, the readings (float, NaN where missing), fails (0 or 1)."""
    return read_table(data / "train.csv", (ID, GROUP, *READINGS, LABEL))


def read_test(data: Path) -> pd.DataFrame:
    """Rows of the test split: id, machine, the readings."""
    return read_table(data / "test.csv", (ID, GROUP, *READINGS))


def read_truth(file: Path) -> pd.DataFrame:
    """Labels of the test split: id, fails."""
    return read_table(file, (ID, LABEL))


def submission_ids(data: Path) -> list[str]:
    """Ids in the order of the official sample submission."""
    return read_table(data / "sample_submission.csv", (ID,))[ID].tolist()


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read `columns` of a CSV file; InputError when it is missing, malformed or wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except FileNotFoundError:
        raise InputError(f"{display_path(path)} is missing") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError) as fault:
        raise InputError(f"{display_path(path)}: not a CSV file: {fault}") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{display_path(path)}: the file is empty") from None
    return checked_table(table, columns, display_path(path))


def read_own_readings(path: Path) -> tuple[pd.DataFrame, str]:
    """A table of the user's own (CSV, packed, Excel, parquet) with id and readings, and how it was read.

    Columns are found without regard to case and spaces; others are left out.
    """
    own = read_own_table(path)
    columns = (ID, *READINGS)
    table = pd.DataFrame({name: own.column(name) for name in columns})
    others = len(own.columns) - len(columns)
    understood = f"{own.understood}" + (f", {others} other columns not used" if others else "")
    return checked_table(table, columns, own.where), understood


def checked_table(table: pd.DataFrame, columns: Sequence[str], source: str) -> pd.DataFrame:
    """`columns` of a table in their types; InputError names what is wrong in `source`."""
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise InputError(f"{source}: column {absent[0]!r} is missing; expected {', '.join(columns)}")
    if table.empty:
        raise InputError(f"{source}: has no rows")
    checked = table[list(columns)].reset_index(drop=True)
    for name in (ID, GROUP):
        if name in columns:
            checked[name] = checked[name].astype(str)
    twice = checked[ID][checked[ID].duplicated()]
    if len(twice):
        raise InputError(f"{source}: {len(twice)} ids occur more than once: {examples(twice)}")
    for name in (*READINGS, LABEL):
        if name in columns:
            checked[name] = _numbers(checked, name, source)
    if LABEL in columns:
        wrong = checked.loc[~checked[LABEL].isin((0, 1)), ID]
        if len(wrong):
            raise InputError(f"{source}: {LABEL!r} must be 0 or 1; wrong for {examples(wrong)}")
        checked[LABEL] = checked[LABEL].astype(np.int64)
    return checked


def missing_readings(table: pd.DataFrame) -> list[str]:
    """One line per reading that is missing somewhere."""
    counts = table[list(READINGS)].isna().sum()
    return [
        f"{count} rows have no {name}; the models treat it as unknown"
        for name, count in counts.items()
        if count
    ]


def _numbers(table: pd.DataFrame, name: str, source: str) -> pd.Series:
    """A column as numbers; an empty cell is NaN, any other text and infinity are an InputError."""
    values = pd.to_numeric(table[name], errors="coerce").astype(np.float64)
    empty = table[name].isna() | (table[name] == "")
    wrong = table.loc[(values.isna() & ~empty) | np.isinf(values), [ID, name]]
    if len(wrong):
        cells = (f"{row} {text!r}" for row, text in wrong.itertuples(index=False))
        raise InputError(f"{source}: {len(wrong)} cells of {name!r} are not numbers: {examples(cells)}")
    return values
