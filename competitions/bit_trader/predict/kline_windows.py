"""Windows of klines with the official scaling, made when they are looked at: a month has 43,200 of them."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from common.base.console import counted
from common.base.errors import InputError
from common.learn.arrays import Bools, Float32, Float64, Int64
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, PAST_MINUTES
from competitions.bit_trader.data.features import Bars
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.predict.kline_cells import MINUTE
from competitions.bit_trader.predict.kline_table import duration
from competitions.bit_trader.predict.klines import Klines, clock, gap_sentence


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
    understood: str = ""
    """How many, and until when."""


class SlidingBars:
    """(n, 1380, 9) float32 as an array is indexed, but each window is cut and scaled when it is asked for.

    All at once, the windows of a month would take 2 GB, for every minute of it.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, bars: Float64, last: Int64, price: Float64) -> None:
        self.bars, self.last, self.price = bars, last, price
        self.shape = (len(last), PAST_MINUTES, len(FIELDS))

    def __len__(self) -> int:
        return len(self.last)

    def __getitem__(self, key: Any) -> Any:
        """`[rows]`, `[rows, minutes]`, `[rows, minutes, field]`: the same values as of the array."""
        rows, *others = key if isinstance(key, tuple) else (key,)
        last, price = self.last[rows], self.price[rows]
        single = np.ndim(last) == 0
        minutes = np.arange(1 - PAST_MINUTES, 1)
        if others and isinstance(others[0], slice):
            minutes, others[0] = minutes[others[0]], slice(None)
        elif others and np.ndim(others[0]) == 0:
            minutes, others[0] = minutes[[others[0]]], 0
        # (k, 1) + (minutes,) row numbers -> (k, minutes, 9) bars
        past = self.bars[np.atleast_1d(last)[:, None] + minutes] / np.atleast_1d(price)[:, None, None]
        scaled = past.astype(np.float32)
        return scaled[(0, *others)] if single else scaled[(slice(None), *others)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self[:], dtype)


def cut_windows(klines: Klines, every: int, now: int | None = None) -> KlineWindows:
    """Cut windows of 1,380 minutes without a gap.

    In each stretch without a missing minute that is long enough, one window ends with the stretch, and others
    every `every` minutes before it.

    Parameters
    ----------
    now : milliseconds since 1970, to say how old the last window is.

    Raises
    ------
    InputError : no stretch is long enough.
    """
    minute = klines.open_time // MINUTE
    ends = np.append(np.flatnonzero(np.diff(minute) > 1), len(minute) - 1)
    starts = np.append(0, ends[:-1] + 1)
    cuts = [
        np.arange(end, start + PAST_MINUTES - 2, -every)[::-1]
        for start, end in zip(starts, ends, strict=True)
    ]
    last = np.concatenate(cuts).astype(np.int64)
    if not len(last):
        longest = int((ends - starts).max()) + 1
        raise InputError(
            f"{klines.source}: no {PAST_MINUTES} minutes in a row among {len(minute)} bars "
            f"({gap_sentence(klines.open_time)}; the longest stretch has {longest}); expected at least 23 "
            "hours without a missing minute"
        )
    opened = klines.bars[:, FIELDS.index("open")]
    price = opened[last]
    ahead = np.minimum(last + FUTURE_MINUTES, len(minute) - 1)
    known = minute[ahead] - minute[last] == FUTURE_MINUTES
    future = np.full((len(last), FUTURE_MINUTES), np.nan, np.float32)
    rows = last[known, None] + np.arange(1, FUTURE_MINUTES + 1)
    future[known] = opened[rows] / price[known, None]
    number = np.arange(len(last))
    past = cast(Bars, SlidingBars(klines.bars, last, price))
    windows = Windows(number, np.zeros_like(number), number[:, None], past, None)
    purchase = (minute[last] + 1) * MINUTE
    lengths = [len(cut) for cut in cuts if len(cut)]
    return KlineWindows(
        windows, purchase, price, known, future, _sentence(lengths, every, purchase, now, cuts)
    )


def _sentence(lengths: list[int], every: int, purchase: Int64, now: int | None, cuts: list[Int64]) -> str:
    """`26 windows, one every 60 minutes; the last one ends at 2024-05-03T00:00Z, 573 days ago`."""
    count = len(purchase)
    step = "minute" if every == 1 else f"{every} minutes"
    text = "1 window" if count == 1 else f"{count:,} windows, one every {step}"
    if len(lengths) > 1:
        text += f" in each of {len(lengths)} stretches"
    short = len(cuts) - len(lengths)
    if short:
        text += f"; {counted(short, 'stretch', 'stretches')} of under {PAST_MINUTES:,} minutes without any"
    text += f"; the last one ends at {clock(purchase[-1])}"
    if now is None:
        return text
    return f"{text}, {duration(max(0, (now - int(purchase[-1])) // MINUTE * MINUTE))} before this run"
