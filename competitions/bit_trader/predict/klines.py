"""Exchange data of your own: standard 1-minute klines, cut into windows with the official scaling.

A CSV has twelve columns without a header, as exchanges publish them: open time, open, high, low, close,
volume, close time, quote volume, trades, taker buy base volume, taker buy quote volume, and one to ignore. A
DataFrame has the columns open_time (milliseconds since 1970, or timestamps) and FIELDS.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Bools, Float32, Float64, Int64
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, PAST_MINUTES, PRICES
from competitions.bit_trader.data.windows import Windows

KLINE_COLUMNS = ("open_time", *FIELDS[:5], "close_time", *FIELDS[5:], "ignore")
MINUTE = 60_000
"""In milliseconds."""
FIRST_PLAUSIBLE, LAST_PLAUSIBLE = (
    int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (2009, 2100)
)
UNITS = {1: "milliseconds", 1000: "microseconds", 1_000_000: "nanoseconds"}


@dataclass(frozen=True)
class Klines:
    """Minute bars in order of time; minutes may be missing."""

    source: str
    """Name for messages: the file's path."""
    open_time: Int64
    """(m,) milliseconds since 1970, UTC, ascending."""
    bars: Float64
    """(m, 9) in FIELDS, as the exchange publishes them."""
    repairs: list[str]
    """Faults that were repaired, one line each."""


@dataclass(frozen=True)
class KlineWindows:
    """Windows cut from klines, oldest first."""

    windows: Windows
    purchase_time: Int64
    """(n,) milliseconds: the minute after the last bar of each window."""
    price: Float64
    """(n,) open of the last bar, which the window is divided by."""
    known: Bools
    """(n,) whether the klines cover the 120 minutes after the window."""
    future_open: Float32
    """(n, 120) scaled open prices of these; NaN where unknown."""


def read_klines(source: Path | str | pd.DataFrame) -> Klines:
    """Read and check a kline CSV or DataFrame.

    A header is skipped, rows are sorted by time and duplicate rows dropped; all of this is listed in
    `repairs`.

    Raises
    ------
    InputError : names the file and the first line, minute or column that is wrong.
    """
    repairs: list[str] = []
    if isinstance(source, pd.DataFrame):
        name = "klines"
        table = _table_of_frame(source, name)
    else:
        name = display_path(Path(source).expanduser())
        table, repairs = _table_of_csv(Path(source).expanduser(), name)
    ordered = table.sort("open_time", maintain_order=True)
    if not ordered["open_time"].equals(table["open_time"]):
        repairs.append(f"{name}: rows were not in order of time; sorted")
    unique = ordered.unique(maintain_order=True)
    if len(unique) < len(ordered):
        repairs.append(f"{name}: {len(ordered) - len(unique)} duplicate rows; dropped")
    time = _milliseconds(name, unique["open_time"].to_numpy())
    twice = np.flatnonzero(np.diff(time) == 0)
    if len(twice):
        raise InputError(
            f"{name}: minute {clock(time[twice[0]])} occurs twice with different bars; expected once"
        )
    bars = unique.select(FIELDS).to_numpy()
    wrong = ~np.isfinite(bars)
    wrong[:, : len(PRICES)] |= bars[:, : len(PRICES)] <= 0
    wrong[:, len(PRICES) :] |= bars[:, len(PRICES) :] < 0
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise InputError(
            f"{name}: minute {clock(time[row])}: {FIELDS[column]} is {bars[row, column]:g}; "
            "expected a finite number, prices above 0 and volumes not below 0"
        )
    return Klines(name, time, bars, repairs)


def _table_of_frame(frame: pd.DataFrame, name: str) -> pl.DataFrame:
    """open_time (Int64) and FIELDS (Float64) of a DataFrame."""
    missing = [column for column in ("open_time", *FIELDS) if column not in frame.columns]
    if missing:
        raise InputError(
            f"{name}: column {missing[0]!r} is missing; expected open_time,{','.join(FIELDS)}; "
            f"found {','.join(map(str, frame.columns))[:120]}"
        )
    columns = {}
    for column in ("open_time", *FIELDS):
        values = frame[column]
        if pd.api.types.is_datetime64_any_dtype(values):
            values = (pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("1ms")
        numbers = pd.to_numeric(values, errors="coerce")
        wrong = numbers.isna() & (values.notna() | (column == "open_time"))
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{name}: row {row}: {column} is {str(values.iloc[row])[:40]!r}; expected a number"
            )
        columns[column] = numbers.to_numpy(np.int64 if column == "open_time" else np.float64)
    return pl.DataFrame(columns)


def _table_of_csv(path: Path, name: str) -> tuple[pl.DataFrame, list[str]]:
    """open_time (Int64) and FIELDS (Float64) of a CSV, and the repairs."""
    if not path.is_file():
        raise InputError(f"{name}: no such file; expected a 1-minute kline CSV of an exchange")
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline().split(",")
        header = not first[0].strip().lstrip("-").isdecimal()
        table = pl.read_csv(
            path,
            has_header=False,
            skip_rows=int(header),
            infer_schema=False,
            ignore_errors=False,
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as fault:
        reason = (str(fault).splitlines() or ["empty"])[0]
        raise InputError(
            f"{name}: not readable as CSV, or truncated ({reason[:120]}); expected klines"
        ) from None
    if table.width != len(KLINE_COLUMNS):
        raise InputError(
            f"{name}: has {table.width} columns; expected the {len(KLINE_COLUMNS)} of an exchange's klines: "
            f"{','.join(KLINE_COLUMNS)}"
        )
    table.columns = list(KLINE_COLUMNS)
    types = {"open_time": pl.Int64} | dict.fromkeys(FIELDS, pl.Float64)
    numbers = table.select(
        pl.col(column).str.strip_chars().cast(kind, strict=False) for column, kind in types.items()
    )
    for column in numbers.columns:
        if numbers[column].null_count():
            row = int(numbers[column].is_null().arg_max() or 0)
            raise InputError(
                f"{name}: line {row + 1 + header}: {column} is {str(table[column][row])[:40]!r}; "
                "expected a number"
            )
    return numbers, [f"{name}: the first line is a header; skipped"] if header else []


def _milliseconds(name: str, time: Int64) -> Int64:
    """Times in milliseconds, whole minutes; some exchanges publish microseconds."""
    for unit in UNITS:
        scaled = time // unit
        if len(time) and scaled[0] >= FIRST_PLAUSIBLE and scaled[-1] < LAST_PLAUSIBLE:
            odd = np.flatnonzero(scaled % MINUTE)
            if len(odd):
                raise InputError(
                    f"{name}: a bar begins within minute {clock(scaled[odd[0]])}; expected 1-minute klines"
                )
            return scaled
    raise InputError(
        f"{name}: open times from {time[0] if len(time) else 'nowhere'} are no milliseconds or microseconds "
        "since 1970; expected klines of an exchange"
    )


def cut_windows(klines: Klines, every: int) -> KlineWindows:
    """Cut gapless windows of 1,380 minutes: one at the end, and one every `every` minutes before it.

    InputError if no stretch is long enough.
    """
    minute = klines.open_time // MINUTE
    # No minute is missing where 1,379 rows span 1,379 minutes.
    last = np.arange(len(minute) - 1, PAST_MINUTES - 2, -every)[::-1]
    last = last[minute[last] - minute[last - PAST_MINUTES + 1] == PAST_MINUTES - 1]
    if not len(last):
        gaps = int((np.diff(minute) > 1).sum())
        raise InputError(
            f"{klines.source}: no {PAST_MINUTES} minutes in a row among {len(minute)} bars with {gaps} gaps; "
            "expected at least 23 hours without a missing minute"
        )
    price = klines.bars[last, FIELDS.index("open")]
    # (n, 1) + (1380,) row numbers -> (n, 1380, 9) bars
    past = klines.bars[last[:, None] + np.arange(1 - PAST_MINUTES, 1)] / price[:, None, None]
    ahead = np.minimum(last + FUTURE_MINUTES, len(minute) - 1)
    known = minute[ahead] - minute[last] == FUTURE_MINUTES
    future = np.full((len(last), FUTURE_MINUTES), np.nan, np.float32)
    rows = last[known, None] + np.arange(1, FUTURE_MINUTES + 1)
    future[known] = klines.bars[rows, FIELDS.index("open")] / price[known, None]
    number = np.arange(len(last))
    windows = Windows(number, np.zeros_like(number), number[:, None], past.astype(np.float32), None)
    return KlineWindows(windows, (minute[last] + 1) * MINUTE, price, known, future)


def clock(milliseconds: int) -> str:
    """`2024-05-01T12:30Z`."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
