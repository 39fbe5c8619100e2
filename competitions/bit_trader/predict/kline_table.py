"""One table of klines, of an exchange, a library or a spreadsheet: its bars, each checked by itself."""

from dataclasses import dataclass

import numpy as np

from common.base.errors import InputError
from common.files.own_table import OwnTable
from common.learn.arrays import Float64, Int64
from competitions.bit_trader.data.bar_files import FIELDS, PRICES, first_contradiction, first_wrong_value
from competitions.bit_trader.predict.kline_cells import MINUTE, NO_VALUE, Places, numbers_of, times_of
from competitions.bit_trader.predict.kline_columns import (
    columns_by_name,
    columns_by_place,
    columns_sentence,
    is_numbered,
    without_index,
)

SAME_UNIT = 0.02
"""Spread of quote volume over (volume times price), below which both volumes belong to these prices."""
OTHER_UNIT = 0.2
"""Spread that no rounding explains."""
FEWEST_BARS = 60
"""Bars with trades from which on a column that never changes is one that was never filled."""
OPEN_BAR = {"0", "false", "0.0"}
DAY = 24 * 60 * MINUTE


@dataclass(frozen=True)
class KlineTable:
    """The bars of one table, in its order."""

    places: Places
    open_time: Int64
    """(m,) milliseconds since 1970, UTC; not sorted, may repeat."""
    bars: Float64
    """(m, 9) in FIELDS; NaN in the columns that the table does not have."""
    layout: str
    """How it was read."""
    symbols: frozenset[str]
    """Trading pairs, where a column names them."""
    repairs: list[str]
    names: list[str]
    """Of its columns; empty where nothing names them."""


def kline_table(table: OwnTable, word: str) -> KlineTable:
    """Find columns, times and numbers of a table; check each bar by itself.

    Parameters
    ----------
    word : what `table.lines` counts: line or row.

    Raises
    ------
    InputError : names the column, or the first line that is wrong or contradicts itself.
    """
    where, repairs = table.where, []
    names, rows = without_index(table.columns, table.rows)
    lines = np.array(table.lines, np.int64)
    named = bool(names) and not is_numbered(names)
    columns = columns_by_name(where, names) if named else columns_by_place(where, rows[0])
    again = np.array([named and [cell.strip() for cell in row] == names for row in rows])
    if again.any():
        repairs.append(f"{where}: the column names are there again ({again.sum()} times); skipped")
    empty = ~again & np.array([_is_empty(row, columns) for row in rows])
    if empty.any():
        repairs.append(f"{where}: {empty.sum()} minutes without values; taken as missing")
    kept = np.flatnonzero(~again & ~empty)
    if not len(kept):
        raise InputError(f"{where}: holds no bars; expected 1-minute klines")
    places = Places(where, word, lines[kept])
    cells = {field: [rows[row][column] for row in kept] for field, column in columns.items()}
    time, unit = times_of(places, _with_clock(cells))
    numbers = {field: cells[field] for field in FIELDS if field in cells}
    values, comma = numbers_of(places, numbers)
    bars = np.full((len(kept), len(FIELDS)), np.nan)
    bars[:, [FIELDS.index(field) for field in numbers]] = values
    _check_bars(places, bars, list(numbers))
    if "close_time" in cells:
        _check_close_times(places, time, cells["close_time"], named)
    repairs += [f"{where}: {line}" for line in _doubts(bars, named, where)]
    finished = np.array(
        [cell.strip().lower() not in OPEN_BAR for cell in cells.get("finished", ["1"] * len(kept))]
    )
    if not finished.any():
        raise InputError(f"{where}: all its bars were still open; expected bars that are over")
    if not finished.all():
        repairs.append(f"{where}: {(~finished).sum()} bars that were still open; left out")
    parts = (table.understood, columns_sentence(names if named else [], columns), unit, comma)
    return KlineTable(
        Places(where, word, places.number[finished]),
        time[finished],
        bars[finished],
        ", ".join(part for part in parts if part),
        frozenset(cell.strip().upper() for cell in cells.get("symbol", []) if cell.strip()),
        repairs,
        names if named else [],
    )


def _is_empty(row: list[str], columns: dict[str, int]) -> bool:
    """Whether a row has no prices and no volume, as some tables have it for minutes without a trade."""
    for field, column in columns.items():
        cell = row[column].strip().lower()
        if field in FIELDS and cell not in NO_VALUE and (field in PRICES or cell.strip("0.")):
            return False
    return True


def _with_clock(cells: dict[str, list[str]]) -> list[str]:
    """The cells of `open_time`, with the time of the day where that is a column of its own."""
    dates, clock = cells["open_time"], cells.get("clock")
    if clock is None or ":" not in clock[0]:
        return dates
    return [f"{date.strip()} {time.strip()}" for date, time in zip(dates, clock, strict=True)]


def _check_bars(places: Places, bars: Float64, fields: list[str]) -> None:
    """InputError at the first value that no exchange gives, or the first bar that contradicts itself."""
    there = np.where(np.isin(FIELDS, fields), bars, 1.0)  # columns that are not there are not wrong
    fault = first_wrong_value(there) or first_contradiction(bars)
    if fault:
        raise places.fault(*fault)


def _check_close_times(places: Places, time: Int64, cells: list[str], named: bool) -> None:
    """InputError where the close times are those of longer bars, or no times; named ones may be empty."""
    if named and all(cell.strip().lower() in NO_VALUE | {"0"} for cell in cells):
        return
    closed, _ = times_of(places, cells, "close_time")
    length = np.round((closed - time) / 1000).astype(np.int64)  # a minute, or some milliseconds less
    wrong = np.flatnonzero((length < 59) | (length > 60))
    if not len(wrong):
        return
    usual = int(np.median(length)) * 1000
    if usual > MINUTE or 0 < usual < MINUTE - 1000:
        raise InputError(
            f"{places.where}: holds {interval(usual)} bars, by open_time and close_time; expected 1-minute "
            "klines"
        )
    if not named or len(wrong) * 2 > len(time):
        row = int(wrong[0])
        raise places.fault(
            row,
            f"close_time is not within the minute of open_time ({cells[row].strip()[:30]}); check which "
            "column is which",
        )


def _doubts(bars: Float64, named: bool, where: str) -> list[str]:
    """Columns that say nothing become NaN; volumes that fit the prices badly are reported.

    InputError where they do not fit at all, or badly and only their place says which column is which.
    """
    found = []
    volume, quote, trades, base_taken, quote_taken = (bars[:, FIELDS.index(field)] for field in FIELDS[4:])
    moved = bars[:, FIELDS.index("high")] > bars[:, FIELDS.index("low")]
    if moved.sum() >= FEWEST_BARS and (volume == 0).all():
        bars[:, len(PRICES) :] = np.nan
        return ["volume is 0 in every bar although the price moves; all volumes are taken as missing"]
    traded = volume > 0
    if traded.sum() < FEWEST_BARS:
        return []
    for field, values, whole in (
        ("trades", trades, None),
        ("tb_base_av", base_taken, volume),
        ("tb_quote_av", quote_taken, quote),
    ):
        if (values[traded] == 0).all():
            values[:] = np.nan
            found.append(f"{field} is 0 in every bar; taken as missing")
        elif whole is not None and (values[traded] == whole[traded]).all():
            values[:] = np.nan
            found.append(f"{field} is all of the volume in every bar; taken as missing")
    for money, coins, names in (
        (quote, volume, "quote_av over volume"),
        (quote_taken, base_taken, "tb_quote_av over tb_base_av"),
    ):
        paid = (coins > 0) & (money > 0)
        if paid.sum() < FEWEST_BARS:
            continue
        value, price = np.log(money[paid] / coins[paid]), np.log(bars[paid, FIELDS.index("close")])
        # Futures settled in coins count contracts: there, it is one over the price.
        spread = min(_spread(value - price), _spread(value + price))
        line = f"{names} does not go with the price; check which column is which"
        if spread > OTHER_UNIT or (spread > SAME_UNIT and not named):
            raise InputError(f"{where}: {line}{', or leave the volumes in money out' if named else ''}")
        if spread > SAME_UNIT:
            found.append(line)
    return found


def _spread(values: Float64) -> float:
    """Median absolute deviation."""
    return float(np.median(np.abs(values - np.median(values))))


UNITS = ((DAY, "day"), (60 * MINUTE, "hour"), (MINUTE, "minute"), (1000, "second"))


def interval(milliseconds: int) -> str:
    """`5-minute`, `1-day`."""
    for unit, name in UNITS:
        if milliseconds % unit == 0:
            return f"{milliseconds // unit}-{name}"
    return f"{milliseconds / 1000:g}-second"


def duration(milliseconds: int) -> str:
    """`20 minutes`, `36 hours`, `573 days`."""
    for unit, name in UNITS:
        if milliseconds >= 2 * unit or milliseconds == unit:
            count = milliseconds / unit
            text = f"{count:.1f}".removesuffix(".0") if count < 10 else f"{int(count):,}"
            return f"{text} {name}{'' if text == '1' else 's'}"
    return f"{milliseconds / 1000:.3g} seconds"
