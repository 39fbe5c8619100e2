"""Your own exchange data: a standard 1-minute kline CSV, cut into windows in the official scaling.

Twelve columns without a header, as exchanges publish them: open time, open, high, low, close, volume, close
time, quote volume, trades, taker buy base volume, taker buy quote volume, and one to ignore.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, PAST_MINUTES, PRICES, IntArray
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.decision.strategies import expected_growth
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import growth
from competitions.bit_trader.rules.submission import Orders

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

    open_time: IntArray
    """(m,) milliseconds since 1970, UTC, ascending."""
    bars: npt.NDArray[np.float64]
    """(m, 9) in FIELDS, as the exchange gives them."""
    repairs: list[str]
    """What was put right, one line each."""


@dataclass(frozen=True)
class KlineWindows:
    """Windows cut from klines, oldest first."""

    windows: Windows
    purchase_time: IntArray
    """(n,) milliseconds: the minute after the last bar of each window."""
    price: npt.NDArray[np.float64]
    """(n,) open of the last bar, which the window is divided by."""
    known: npt.NDArray[np.bool_]
    """(n,) whether the klines go on for the 120 minutes after the window."""
    future_open: npt.NDArray[np.float32]
    """(n, 120) scaled open prices of these; NaN where unknown."""


def read_klines(path: Path) -> Klines:
    """Read and check a kline CSV; InputError in one line when it is none.

    A header is skipped, rows are put in order of time, and doubled rows are dropped: told in `repairs`.
    """
    table, repairs = _table(path)
    ordered = table.sort("open_time", maintain_order=True)
    if not ordered["open_time"].equals(table["open_time"]):
        repairs.append(f"{display_path(path)}: rows were not in order of time; sorted")
    single = ordered.unique(maintain_order=True)
    if len(single) < len(ordered):
        repairs.append(f"{display_path(path)}: {len(ordered) - len(single)} doubled rows; dropped")
    time = _milliseconds(path, single["open_time"].to_numpy())
    twice = np.flatnonzero(np.diff(time) == 0)
    if len(twice):
        raise InputError(
            f"{display_path(path)}: minute {clock(time[twice[0]])} occurs twice with different bars; expected once"
        )
    bars = single.select(FIELDS).to_numpy()
    wrong = ~np.isfinite(bars)
    wrong[:, : len(PRICES)] |= bars[:, : len(PRICES)] <= 0
    wrong[:, len(PRICES) :] |= bars[:, len(PRICES) :] < 0
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise InputError(
            f"{display_path(path)}: minute {clock(time[row])}: {FIELDS[column]} is {bars[row, column]:g}; "
            "expected a finite number, prices above 0 and volumes not below 0"
        )
    return Klines(time, bars, repairs)


def _table(path: Path) -> tuple[pl.DataFrame, list[str]]:
    if not path.is_file():
        raise InputError(f"{display_path(path)}: no such file; expected a 1-minute kline CSV of an exchange")
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
            f"{display_path(path)}: not readable as CSV, or cut short ({reason[:120]}); expected klines"
        ) from None
    if table.width != len(KLINE_COLUMNS):
        raise InputError(
            f"{display_path(path)}: has {table.width} columns; expected the {len(KLINE_COLUMNS)} of an exchange's "
            f"klines: {','.join(KLINE_COLUMNS)}"
        )
    table.columns = list(KLINE_COLUMNS)
    types = {"open_time": pl.Int64} | dict.fromkeys(FIELDS, pl.Float64)
    numbers = table.select(
        pl.col(name).str.strip_chars().cast(kind, strict=False) for name, kind in types.items()
    )
    for name in numbers.columns:
        if numbers[name].null_count():
            row = int(numbers[name].is_null().arg_max() or 0)
            raise InputError(
                f"{display_path(path)}: line {row + 1 + header}: {name} is {str(table[name][row])[:40]!r}; "
                "expected a number"
            )
    return numbers, [f"{display_path(path)}: the first line is a header; skipped"] if header else []


def _milliseconds(path: Path, time: IntArray) -> IntArray:
    """Times in milliseconds, whole minutes; exchanges have changed to microseconds here and there."""
    for unit in UNITS:
        scaled = time // unit
        if len(time) and scaled[0] >= FIRST_PLAUSIBLE and scaled[-1] < LAST_PLAUSIBLE:
            odd = np.flatnonzero(scaled % MINUTE)
            if len(odd):
                raise InputError(
                    f"{display_path(path)}: a bar begins within minute {clock(scaled[odd[0]])}; "
                    "expected 1-minute klines"
                )
            return scaled
    raise InputError(
        f"{display_path(path)}: open times from {time[0] if len(time) else 'nowhere'} are no milliseconds or "
        "microseconds since 1970; expected klines of an exchange"
    )


def cut_windows(klines: Klines, every: int, path: Path) -> KlineWindows:
    """Cut windows of 1,380 minutes without a gap, the last one at the end, others `every` minutes before it.

    InputError when no stretch is long enough.
    """
    minute = klines.open_time // MINUTE
    # Where 1,379 rows on are 1,379 minutes on, nothing is missing between.
    last = np.arange(len(minute) - 1, PAST_MINUTES - 2, -every)[::-1]
    last = last[minute[last] - minute[last - PAST_MINUTES + 1] == PAST_MINUTES - 1]
    if not len(last):
        gaps = int((np.diff(minute) > 1).sum())
        raise InputError(
            f"{display_path(path)}: no {PAST_MINUTES} minutes in a row among {len(minute)} bars with {gaps} gaps; "
            "expected at least 23 hours without a missing minute"
        )
    price = klines.bars[last, FIELDS.index("open")]
    past = klines.bars[last[:, None] + np.arange(1 - PAST_MINUTES, 1)] / price[:, None, None]
    ahead = np.minimum(last + FUTURE_MINUTES, len(minute) - 1)
    known = minute[ahead] - minute[last] == FUTURE_MINUTES
    future = np.full((len(last), FUTURE_MINUTES), np.nan, np.float32)
    rows = last[known, None] + np.arange(1, FUTURE_MINUTES + 1)
    future[known] = klines.bars[rows, FIELDS.index("open")] / price[known, None]
    number = np.arange(len(last))
    windows = Windows(number, np.zeros_like(number), number[:, None], past.astype(np.float32), None)
    return KlineWindows(windows, (minute[last] + 1) * MINUTE, price, known, future)


def write_decisions(path: Path, cut: KlineWindows, forecasts: Forecasts, orders: Orders) -> None:
    """Write one row a window: when to buy, how much, when to sell, what is expected, what came if known."""
    rows = np.arange(len(cut.price))
    bought = orders.buy_quantity > 0
    expected = expected_growth(forecasts.paths)
    best = np.where(bought, orders.sell_time, expected.argmax(axis=1))
    grown = np.full(len(rows), np.nan)
    kept = Orders(orders.buy_quantity[cut.known], orders.sell_time[cut.known])
    grown[cut.known] = growth(cut.future_open[cut.known], kept)
    sale = cut.purchase_time + orders.sell_time * MINUTE
    table = pl.DataFrame(
        {
            "purchase_time": [clock(time) for time in cut.purchase_time],
            "last_open": cut.price,
            "buy_quantity": orders.buy_quantity,
            "sell_time": orders.sell_time,
            "sale_time": [clock(time) if buys else None for time, buys in zip(sale, bought, strict=True)],
            "best_expected_minute": best,
            "expected_net_gain": np.expm1(expected[rows, best]),
            "growth": pl.Series(grown).fill_nan(None),
        }
    )
    with atomic_write(path) as partial:
        table.write_csv(partial)


def clock(milliseconds: int) -> str:
    """`2024-05-01T12:30Z`."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
