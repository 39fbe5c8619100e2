"""Exchange data of your own: 1-minute klines of one coin, from files, folders of months, or DataFrames."""

import json
import re
import time as clock_of_the_machine
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.own_table import OwnTable, own_table_of, read_own_table
from common.learn.arrays import Bools, Float64, Int64
from competitions.bit_trader.data.bar_files import FIELDS, PRICES, number
from competitions.bit_trader.predict.kline_cells import MINUTE, WITHOUT_ZONE
from competitions.bit_trader.predict.kline_columns import has_names
from competitions.bit_trader.predict.kline_files import kline_files
from competitions.bit_trader.predict.kline_table import (
    FEWEST_BARS,
    KlineTable,
    duration,
    interval,
    kline_table,
)

Source = Path | str | pd.DataFrame | pl.DataFrame
PRICE_RANGE, VOLUME_RANGE = 1e9, 1e28
"""Windows are divided by a price and kept as float32: factors on the usual price that leave room for it."""
JUMP = 2.0
"""Factor of a price within a minute that is more likely a fault than a move."""
OTHER_COIN = 3.0
"""Factor of the price from one file to the next, within an hour, that means another coin."""
MAX_GAPS_LISTED = 3
LOCAL_TIMES = "; local times have an hour twice in autumn, save them as UTC"
PAIR = re.compile(
    r"(?!(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[A-Z]*[-_])"
    r"(?:([A-Z0-9]{2,10}?)[-_]?(USDT|USDC|FDUSD|BUSD|TUSD)|([A-Z0-9]{2,5})(USD|EUR|KRW|BTC|ETH|BNB))(?![A-Z0-9])"
)
"""A trading pair at the start of a file's name, `BTCUSDT-1m-2024-05`; no month."""


def now_milliseconds() -> int:
    """Milliseconds since 1970 by the clock of this machine."""
    return clock_of_the_machine.time_ns() // 1_000_000


@dataclass(frozen=True)
class Klines:
    """Minute bars in order of time; minutes may be missing."""

    source: str
    """Name for messages: the file's path."""
    open_time: Int64
    """(m,) milliseconds since 1970, UTC, ascending."""
    bars: Float64
    """(m, 9) in FIELDS, as the exchange publishes them; NaN in columns that the source lacks."""
    repairs: list[str]
    """Faults that were repaired, one line each."""
    understood: list[str] = field(default_factory=list)
    """How the klines were read."""


def read_klines(
    source: Source | Sequence[Path | str],
    needed: Sequence[str] = FIELDS,
    now: Callable[[], int] = now_milliseconds,
) -> Klines:
    """Read and check klines: a file, a folder, several of them, or a DataFrame.

    Rows are sorted by time, rows that are there twice dropped, and a last bar that is still open or lies in
    the future is left out; all of this is listed in `repairs`.

    Parameters
    ----------
    needed : FIELDS without which nothing can be forecast; others are NaN where the source lacks them.
    now : milliseconds since 1970.

    Raises
    ------
    InputError : names the file and the first line, minute or column that is wrong.
    """
    tables, files, left_out = _tables(source)
    _check_one_coin(tables)
    name = (
        tables[0].places.where if len(tables) == 1 else f"{tables[0].places.where} and {len(tables) - 1} more"
    )
    repairs = [repair for table in tables for repair in table.repairs]
    for table in tables:
        _check_interval(table)
        _check_needed(table, needed)
        if (np.diff(table.open_time) < 0).any():
            repairs.append(f"{table.places.where}: rows were not in order of time; sorted")
    time, bars, notes = _joined(tables)
    kept = _complete(time, files, now(), notes)
    repairs += [f"{name}: {note}" for note in notes]
    if not kept.any():
        raise InputError(f"{name}: all bars lie in the future of this machine's clock ({clock(now())})")
    time, bars = time[kept], bars[kept]
    _check_open_and_close(name, time, bars)
    _check_range(name, time, bars)
    repairs += _jumps(name, time, bars)
    return Klines(name, time, bars, repairs, _understood(tables, time, left_out))


def _tables(source: Source | Sequence[Path | str]) -> tuple[list[KlineTable], list[Path], str]:
    """The tables, the files that they are from, and a sentence on what was left out of folders."""
    if isinstance(source, pd.DataFrame | pl.DataFrame):
        frame = source if isinstance(source, pd.DataFrame) else source.to_pandas()
        if isinstance(frame.index, pd.DatetimeIndex):
            frame = frame.rename_axis(index=str(frame.index.name or "index")).reset_index()
        table = replace(own_table_of(frame, "klines"), understood=f"DataFrame, {len(frame):,} rows")
        return [kline_table(table, "row")], [], ""
    files, left_out = kline_files([source] if isinstance(source, str | Path) else source)
    tables = []
    for file in files:
        table = _json_table(file) or read_own_table(file, header=has_names)
        tables.append(
            kline_table(table, "row" if table.understood.startswith(("parquet", "JSON")) else "line")
        )
    return tables, files, left_out


def _json_table(path: Path) -> OwnTable | None:
    """An exchange's answer that was saved as it is: a JSON list of bars; None for other files."""
    with path.open("rb") as file:
        if file.read(64).lstrip()[:1] not in (b"[", b"{"):
            return None
    where = display_path(path)
    try:
        bars = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{where}: begins as JSON and is none ({str(fault)[:80]}); get it again") from None
    if not isinstance(bars, list) or not bars:
        raise InputError(f"{where}: is JSON, but no list of bars; save the list alone, or a table of klines")
    if all(isinstance(bar, dict) for bar in bars):
        names = [str(name) for name in bars[0]]
        bars = [list(bar.values()) if list(bar) == list(bars[0]) else None for bar in bars]
    else:
        names = []
    for row, bar in enumerate(bars):
        if not isinstance(bar, list) or len(bar) != len(bars[0]):
            raise InputError(f"{where}: row {row} is no bar like the first one; expected a list of bars")
    rows = [["" if cell is None else str(cell) for cell in bar] for bar in bars]
    return OwnTable(where, names, rows, list(range(len(rows))), f"JSON, {len(rows):,} rows")


def _check_one_coin(tables: list[KlineTable]) -> None:
    """InputError where a column or the names of the files say that there is more than one coin."""
    symbols = {symbol: table.places.where for table in tables for symbol in table.symbols}
    if len(symbols) < 2:
        names = [(PAIR.match(Path(table.places.where).name.upper()), table.places.where) for table in tables]
        symbols = {"".join(filter(None, match.groups())): where for match, where in names if match}
    if len(symbols) > 1:
        (first, where), (second, other) = list(symbols.items())[:2]
        raise InputError(
            f"{where}: klines of {first}, and in {other} of {second}; expected those of one coin; give one "
            "of them"
        )


def _check_interval(table: KlineTable) -> None:
    """InputError for bars of another length than a minute, or that begin within one."""
    time = np.unique(table.open_time)
    steps, counts = np.unique(np.diff(time), return_counts=True)
    where = table.places.where
    if len(steps) and counts.max() * 2 > counts.sum():
        usual = int(steps[counts.argmax()])
        if usual != MINUTE:
            raise InputError(f"{where}: holds {interval(usual)} bars; expected 1-minute klines")
    odd = np.flatnonzero(table.open_time % MINUTE)
    if len(odd):
        within = table.open_time[odd[0]] / 1000 % 60
        ends = " (the time of its end?)" if within > 59 else ""
        raise table.places.fault(
            int(odd[0]),
            f"a bar begins within minute {clock(table.open_time[odd[0]])}, at second {within:g}{ends}; "
            "expected 1-minute klines",
        )


def _check_needed(table: KlineTable, needed: Sequence[str]) -> None:
    missing = [name for name in dict.fromkeys(needed) if np.isnan(table.bars[:, FIELDS.index(name)]).all()]
    if not missing:
        return
    notes = [repair.removeprefix(f"{table.places.where}: ") for repair in table.repairs]
    notes = [note for note in notes if note.startswith((*missing, "volume is 0"))]
    if table.names and not notes:
        notes = [f"found {','.join(table.names)[:120]}"]
    column = "column is" if len(missing) == 1 else "columns are"
    raise InputError(
        f"{table.places.where}: {column} missing: {'; '.join([', '.join(missing), *notes])}. An exchange's "
        "own kline files have all columns (12, as at data.binance.vision; ccxt's fetch_ohlcv gives six); "
        "--experiment cnn_manual and arima need open and close alone"
    )


def _joined(tables: list[KlineTable]) -> tuple[Int64, Float64, list[str]]:
    """All bars in order of time, each minute once, and what was dropped; InputError where bars differ."""
    time = np.concatenate([table.open_time for table in tables])
    bars = np.concatenate([table.bars for table in tables])
    of = np.repeat(np.arange(len(tables)), [len(table.open_time) for table in tables])
    row = np.concatenate([np.arange(len(table.open_time)) for table in tables])
    order = np.argsort(time, kind="stable")
    time, bars, of, row = time[order], bars[order], of[order], row[order]
    last = [int(table.open_time.max()) for table in tables]
    dropped: Bools = np.zeros(len(time), bool)
    count: Counter[str] = Counter()
    place = 0  # the row that the next ones are compared with
    for after in range(1, len(time)) if (np.diff(time) == 0).any() else ():
        if time[after] != time[place]:
            place = after
            continue
        one, other = of[place], of[after]
        if np.array_equal(bars[place], bars[after], equal_nan=True):
            dropped[after] = True
            count["again" if one == other else "shared"] += 1
        elif one != other and time[place] == min(last[one], last[other]) < max(last[one], last[other]):
            # The file that ends here was written before the minute was over.
            count["unfinished"] += 1
            stale = place if last[one] < last[other] else after
            dropped[stale] = True
            place = after if stale == place else place
        else:
            places = [tables[number].places for number in (one, other)]
            where = f"{places[0].word} {places[0].number[row[place]]}"
            where += f" and {places[1].word} {places[1].number[row[after]]}"
            where += f" of {places[1].where}" if one != other else ""
            raise InputError(
                f"{places[0].where}: minute {clock(time[after])} occurs twice with different bars ({where}); "
                f"expected one bar, of one coin{LOCAL_TIMES * (WITHOUT_ZONE in tables[one].layout)}"
            )
    words = {
        "again": "duplicate rows; dropped",
        "shared": "minutes are in more than one file, with the same bars; used once",
        "unfinished": "files end with a bar that was still open; the later file's bar is used",
    }
    notes = [f"{count[key]} {text}" for key, text in words.items() if count[key]]
    time, bars, of = time[~dropped], bars[~dropped], of[~dropped]
    _check_seams(tables, time, bars, of)
    return time, bars, notes


def _check_seams(tables: list[KlineTable], time: Int64, bars: Float64, of: Int64) -> None:
    """InputError where the price jumps from one file to the next."""
    close, opened = bars[:, FIELDS.index("close")], bars[:, FIELDS.index("open")]
    seams = np.flatnonzero((np.diff(of) != 0) & (np.diff(time) <= 60 * MINUTE))
    far = seams[np.abs(np.log(opened[seams + 1] / close[seams])) > np.log(OTHER_COIN)]
    if len(far):
        row = far[0]
        raise InputError(
            f"{tables[of[row + 1]].places.where}: its price is {number(opened[row + 1])} at "
            f"{clock(time[row + 1])}, and {number(close[row])} at the end of "
            f"{tables[of[row]].places.where}; expected files of one coin"
        )


def _complete(time: Int64, files: list[Path], now: int, notes: list[str]) -> Bools:
    """Mask of the bars that are over, and notes on the others.

    A last bar is also open when its file was written within its minute.
    """
    kept: Bools = time + MINUTE <= now
    future = int((time > now).sum())
    if future:
        notes.append(
            f"{future} bars lie in the future of this machine's clock ({clock(now)}); left out; check both"
        )
    if (~kept).sum() > future:
        notes.append(f"the last bar, of {clock(time[~kept][0])}, is still open; left out")
    elif kept.any():
        last = int(np.flatnonzero(kept)[-1])
        if any(time[last] <= file.stat().st_mtime_ns // 1_000_000 < time[last] + MINUTE for file in files):
            kept[last] = False
            notes.append(
                f"the last bar, of {clock(time[last])}, was still open when the file was written; left out"
            )
    return kept


def _check_open_and_close(name: str, time: Int64, bars: Float64) -> None:
    """InputError where minutes follow each other better with open and close exchanged."""
    opened, closed = (np.log(bars[:, FIELDS.index(price)]) for price in ("open", "close"))
    follows = np.diff(time) == MINUTE
    as_read, exchanged = (
        float(np.median(np.abs((later[1:] - earlier[:-1])[follows]))) if follows.sum() >= FEWEST_BARS else 0.0
        for later, earlier in ((opened, closed), (closed, opened))
    )
    if as_read > 2 * exchanged:
        raise InputError(
            f"{name}: minutes do not open where the one before closed, and would with open and close "
            "exchanged; check which column is which"
        )


def _check_range(name: str, time: Int64, bars: Float64) -> None:
    """InputError for values that are lost once a window is divided by its last price, as float32."""
    usual = float(np.median(bars[:, FIELDS.index("open")]))
    ratio = bars / usual
    wrong = np.zeros(ratio.shape, bool)
    prices = ratio[:, : len(PRICES)]
    wrong[:, : len(PRICES)] = (prices > PRICE_RANGE) | (prices < 1 / PRICE_RANGE)
    wrong[:, len(PRICES) :] = ratio[:, len(PRICES) :] > VOLUME_RANGE
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise InputError(
            f"{name}: minute {clock(time[row])}: {FIELDS[column]} is {number(bars[row, column])} where the "
            f"price is usually {usual:g}; float32 cannot hold both in one window; expected the bars of one "
            "coin"
        )


def _jumps(name: str, time: Int64, bars: Float64) -> list[str]:
    """A line on minutes whose price changes by a factor that is more likely a fault."""
    opened, high, low, close = (bars[:, FIELDS.index(price)] for price in PRICES)
    factor = np.where(np.isnan(high), np.maximum(opened, close) / np.minimum(opened, close), high / low)
    after = np.diff(time) == MINUTE
    step = np.exp(np.abs(np.log(opened[1:] / close[:-1])))
    factor[1:][after] = np.maximum(factor[1:][after], step[after])
    odd = np.flatnonzero(factor > JUMP)
    if not len(odd):
        return []
    if len(odd) * 10 > len(time):
        raise InputError(
            f"{name}: the price changes more than twofold in {len(odd):,} of {len(time):,} minutes; check "
            "which column is which"
        )
    return [
        f"{name}: {len(odd)} minutes in which the price changes more than twofold, the first at "
        f"{clock(time[odd[0]])}; check them"
    ]


def _understood(tables: list[KlineTable], time: Int64, left_out: str) -> list[str]:
    """How the files were read, and what they cover."""
    alike: dict[str, list[KlineTable]] = {}
    for table in tables:
        alike.setdefault(re.sub(r"[\d,]+ rows", "rows", table.layout), []).append(table)
    lines = []
    for layout, found in alike.items():
        name = found[0].places.where
        lines.append(
            f"{name}: {found[0].layout}" if len(found) == 1 else f"{name} and {len(found) - 1} more: {layout}"
        )
    if left_out:
        lines.append(left_out)
    covered = f"{len(time):,} bars of 1 minute from {clock(time[0])} to {clock(time[-1])}"
    return [*lines, f"{covered}; {gap_sentence(time)}"]


def gap_sentence(time: Int64) -> str:
    """`no minute missing`, or the number, the length and the start of the gaps."""
    missing = np.diff(time) // MINUTE - 1
    gaps = np.flatnonzero(missing)
    if not len(gaps):
        return "no minute missing"
    longest = gaps[np.argsort(-missing[gaps], kind="stable")[:MAX_GAPS_LISTED]]
    listed = ", ".join(
        f"{duration(int(missing[gap]) * MINUTE)} from {clock(time[gap] + MINUTE)}" for gap in sorted(longest)
    )
    if len(gaps) == 1:
        return f"1 gap: {listed}"
    longest_of = "the longest ones: " if len(gaps) > MAX_GAPS_LISTED else ""
    return f"{len(gaps):,} gaps of {missing.sum():,} minutes in all; {longest_of}{listed}"


def clock(milliseconds: int) -> str:
    """`2024-05-01T12:30Z`."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
