"""Cells of a table of klines as times and numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import numpy as np
import polars as pl

from common.base.errors import InputError
from common.learn.arrays import Float64, Int64

MINUTE = 60_000
"""In milliseconds."""
FIRST_PLAUSIBLE, LAST_PLAUSIBLE = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2009, 2100))
"""Seconds since 1970. The ranges of seconds, milliseconds, micro- and nanoseconds do not meet."""
UNITS = {1: "seconds", 1000: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}
EXCEL_DAYS = (39_814, 73_051)
"""The same years as days since 1900, as spreadsheets write a date without its format."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?", re.ASCII)
OTHER_DATE = re.compile(r"\d{1,2}[-/. ]([A-Za-z]{3,}|\d{1,2})[-/. ]\d{2,4}\b.*", re.ASCII)
AMBIGUOUS_DATE = re.compile(r"\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}\b", re.ASCII)
WITHOUT_ZONE = "dates without a time zone, taken as UTC"
NO_VALUE = {"", "nan", "null", "none", "na", "n/a", "-", "nat"}
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3}){2,}(\.\d*)?|[+-]?\d{1,3}(,\d{3})+\.\d*", re.ASCII)
POSSIBLE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
ISO = "expected milliseconds since 1970, or 2024-05-01 00:00:00"


@dataclass(frozen=True)
class Places:
    """Where the rows of a table come from, for messages."""

    where: str
    """The file."""
    word: str
    """line or row."""
    number: Int64
    """(m,) of each row."""

    def fault(self, row: int, text: str) -> InputError:
        """`a.csv: line 7: text`."""
        return InputError(f"{self.where}: {self.word} {self.number[row]}: {text}")


def is_number(cell: str) -> bool:
    """Whether a cell is a number or says that there is none; decimal commas count."""
    return cell.lower() in NO_VALUE or bool(NUMBER.fullmatch(cell.replace(",", ".")))


def is_time(cell: str) -> bool:
    """Whether a cell begins as a date does, of any order."""
    return bool(DATE.fullmatch(cell) or OTHER_DATE.fullmatch(cell))


def shown(cell: str) -> str:
    """A cell for a message."""
    return repr(cell[:40])


def times_of(places: Places, cells: list[str], name: str = "open_time") -> tuple[Int64, str]:
    """Cells -> (m,) milliseconds since 1970 in UTC, and how they were read.

    Each cell is a number of seconds, milli-, micro- or nanoseconds, by its size, or an ISO date. Files of
    several months can change from one unit to another.

    Raises
    ------
    InputError : names the first cell that is no time.
    """
    stripped = pl.Series("cells", cells, dtype=pl.String).str.strip_chars()
    whole = stripped.cast(pl.Int64, strict=False)
    time = whole.fill_null(0).to_numpy().copy()
    units = np.zeros(len(time), np.int64)
    for unit in UNITS:
        units[(time >= FIRST_PLAUSIBLE * unit) & (time < LAST_PLAUSIBLE * unit)] = unit
    numeric = units > 0
    time[units == 1] *= 1000
    for unit in (10**6, 10**9):
        time[units == unit] //= unit // 1000
    words = [UNITS[int(unit)] if unit else "" for unit in units]
    for row in np.flatnonzero(~numeric):
        time[row], words[row] = _time_of(places, int(row), stripped[int(row)], name)
    return time, _runs(words)


def _time_of(places: Places, row: int, cell: str, name: str) -> tuple[int, str]:
    """Milliseconds of a cell that is no plausible whole number, and how it was read."""
    if cell.lower() in NO_VALUE:
        raise places.fault(row, f"{name} is empty; {ISO}")
    if NUMBER.fullmatch(cell.replace(",", ".", 1)):
        return _time_of_number(places, row, cell, name)
    text = re.sub(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", r"\1-\2-\3", cell)
    text = re.sub(r"^(\d{4})-(\d)(?!\d)", r"\1-0\2", text)
    text = re.sub(r"^(\d{4}-\d\d)-(\d)(?!\d)", r"\1-0\2", text)
    text = re.sub(r"[T ](\d):", r" 0\1:", text)
    text = re.sub(r" ?(UTC|GMT)$", "+00:00", text)
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        reason = "its order of day and month is ambiguous; " if AMBIGUOUS_DATE.match(cell) else ""
        raise places.fault(row, f"{name} is {shown(cell)}; {reason}{ISO}") from None
    zone = "dates with their time zone" if moment.tzinfo else WITHOUT_ZONE
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not FIRST_PLAUSIBLE <= seconds < LAST_PLAUSIBLE:
        raise places.fault(row, f"{name} is {shown(cell)}; expected a time from 2009 to 2099")
    return round(seconds * 100) * 10, zone  # spreadsheets are some microseconds off


def _time_of_number(places: Places, row: int, cell: str, name: str) -> tuple[int, str]:
    """Milliseconds of `1714521600000.0` or `1.714521600000e12`."""
    text = cell.replace(",", ".", 1)
    value = float(text)
    for unit, word in UNITS.items():
        if FIRST_PLAUSIBLE * unit <= value < LAST_PLAUSIBLE * unit:
            mantissa = re.sub(r"\D", "", re.split("[eE]", text)[0])
            if "e" in text.lower() and len(mantissa) < len(str(int(value))):
                raise places.fault(
                    row,
                    f"{name} is {shown(cell)}: digits were lost, as spreadsheets do; save all digits, or "
                    "dates such as 2024-05-01 00:00:00",
                )
            return round(value / unit * 1000), word
    if EXCEL_DAYS[0] <= value < EXCEL_DAYS[1]:
        raise places.fault(row, f"{name} is {shown(cell)}, a spreadsheet's day number; {ISO}")
    raise places.fault(
        row,
        f"{name} is {shown(cell)}; no seconds, milliseconds or microseconds since 1970 from 2009 to 2099; "
        f"{ISO}",
    )


def _runs(words: list[str]) -> str:
    """`milliseconds`, or `milliseconds (900 rows), then microseconds (800 rows)`."""
    runs = [(word, len(list(group))) for word, group in groupby(words)]
    if len(runs) == 1:
        return f"times in {runs[0][0]}" if runs[0][0] in UNITS.values() else f"times as {runs[0][0]}"
    shown_runs = ", then ".join(f"{word} ({count:,} rows)" for word, count in runs[:4])
    return f"times in {shown_runs}{', ...' if len(runs) > 4 else ''}"


def numbers_of(places: Places, columns: Mapping[str, list[str]]) -> tuple[Float64, str]:
    """Cells of some columns -> (m, columns) float64, and a word on decimal commas.

    Raises
    ------
    InputError : names the first cell that is no number, or can be read in two ways.
    """
    series = {
        name: pl.Series(name, cells, dtype=pl.String).str.strip_chars() for name, cells in columns.items()
    }
    comma = False
    if any(of.str.contains(",", literal=True).any() for of in series.values()):
        _check_decimal_commas(places, series)
        comma = True
        series = {name: of.str.replace(",", ".", literal=True) for name, of in series.items()}
    values = np.empty((len(places.number), len(series)))
    for column, (name, of) in enumerate(series.items()):
        numbers = of.cast(pl.Float64, strict=False)
        if numbers.null_count():
            row = int(numbers.is_null().arg_max() or 0)
            cell = columns[name][row].strip()
            what = "empty" if cell.lower() in NO_VALUE else shown(cell)
            raise places.fault(row, f"{name} is {what}; expected a number")
        values[:, column] = numbers.to_numpy()
    return values, "decimal commas" if comma else ""


def _check_decimal_commas(places: Places, series: Mapping[str, pl.Series]) -> None:
    """InputError unless the commas in the numbers can only be decimal ones."""
    proved = False
    for name, of in series.items():
        for row, cell in enumerate(of):
            if "," not in cell:
                if "." in cell:
                    raise places.fault(
                        row,
                        f"{name} is {shown(cell)}, other numbers have commas; save them without thousands",
                    )
                continue
            if THOUSANDS.fullmatch(cell):
                raise places.fault(
                    row, f"{name} is {shown(cell)}; save the numbers without commas for thousands"
                )
            proved = proved or not POSSIBLE_THOUSANDS.fullmatch(cell)
    if not proved:
        raise places.fault(
            0,
            "the commas in the numbers can be decimal ones or thousands; save the numbers with decimal "
            "points",
        )
