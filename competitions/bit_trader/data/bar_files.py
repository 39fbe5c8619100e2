"""The official files of minute bars, csv or parquet: streamed in bounded memory, checked row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Bools, Floats, Int64

KEYS = ("sample_id", "time", "coin_index")
FIELDS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_av",
    "trades",
    "tb_base_av",
    "tb_quote_av",
)
"""Last axis of every bar array, in the official order; all nine are divided by the open of minute 1379."""
PRICES = FIELDS[:4]
COLUMNS = (*KEYS, *FIELDS)
PAST_MINUTES = 1380
FUTURE_MINUTES = 120
SAMPLES_PER_BLOCK = 32
SCALING_TOLERANCE = 1e-5
ORDERED = (
    ("open", "high"),
    ("close", "high"),
    ("low", "open"),
    ("low", "close"),
    ("tb_base_av", "volume"),
    ("tb_quote_av", "quote_av"),
)
"""Pairs of fields of a bar, the first one never above the second."""
ORDER_TOLERANCE = 1e-6
"""Relative; sums and float32 values are rounded."""


@dataclass(frozen=True)
class BarFile:
    """The keys of a file of bars, and its repairs."""

    path: Path
    sample_id: Int64
    """(samples,) in the file's order."""
    coin_index: Int64
    """(samples,)"""
    repairs: list[str]
    """Faults that could be repaired without guessing, one line each."""


def find_bar_file(data: Path, stem: str) -> Path:
    """`<stem>.parquet` or `<stem>.csv` in `data`; the parquet, with a message, when both exist."""
    parquet, table = data / f"{stem}.parquet", data / f"{stem}.csv"
    if parquet.is_file():
        if table.is_file():
            log(f"{display_path(data)}: {stem} exists as csv and parquet; the parquet is read")
        return parquet
    if table.is_file():
        return table
    alike = sorted(path.name for path in data.glob("*") if path.name.lower().startswith(stem))
    found = f"found {', '.join(alike[:3])}, unpack or rename it, or " if alike else ""
    raise InputError(
        f"{display_path(data)}: neither {stem}.parquet nor {stem}.csv exists; "
        f"{found}put the official files into this folder, or give their folder with --data"
    )


def count_samples(path: Path, minutes: int) -> int:
    """Number of samples in a file, an incomplete last one included; columns are checked, no rows."""
    rows = _scan(path).select(pl.len()).collect().item()
    if not rows:
        raise InputError(
            f"{display_path(path)}: has no rows; expected {minutes} per sample; get the file again"
        )
    return -(-int(rows) // minutes)


def fill_bars(path: Path, bars: Floats) -> BarFile:
    """Stream a file into `bars`, checking every row.

    Columns in another order are read by name, and a row that repeats the previous row in every column is
    dropped; both are listed in `repairs`. Dropped rows can leave the end of `bars` unfilled.

    Parameters
    ----------
    bars : (samples, minutes, 9) float32 or float64, to be filled; the last axis is FIELDS.

    Raises
    ------
    InputError : names the first missing, duplicate or misplaced minute, empty or infinite value, price that
        is not positive, bar whose cells contradict each other, change of coin within a sample or duplicate
        sample, or says that the file is truncated.
    """
    samples, minutes, _ = bars.shape
    ids, coins = np.zeros(samples, np.int64), np.zeros(samples, np.int64)
    first, repairs = 0, _column_repairs(path)
    for block in _blocks(path, minutes, repairs):
        sample_id, coin = _checked_keys(path, block, minutes)
        last = first + len(sample_id)
        values = block.select(pl.col(FIELDS).cast(pl.Float64)).to_numpy()
        _check_values(path, values, bars.dtype, sample_id, minutes)
        bars[first:last] = values.reshape(-1, minutes, len(FIELDS))  # (rows, 9) -> (samples, minutes, 9)
        ids[first:last], coins[first:last] = sample_id, coin
        first = last
    ids, coins = ids[:first], coins[:first]
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{display_path(path)}: sample {unique[counts > 1][0]} occurs {counts.max()} times; expected once"
        )
    return BarFile(path, ids, coins, repairs)


def check_scaling(path: Path, bars: Floats, sample_id: Int64) -> None:
    """InputError unless the last open of every sample is 1: all prices are relative to it."""
    last = bars[:, -1, FIELDS.index("open")]
    odd = np.flatnonzero(np.abs(last - 1) > SCALING_TOLERANCE)
    if len(odd):
        raise InputError(
            f"{display_path(path)}: sample {sample_id[odd[0]]}, minute {bars.shape[1] - 1}: "
            f"open is {number(last[odd[0]])}; expected 1, because all bars of a sample are divided by it"
        )


def _columns(path: Path) -> dict[str, str]:
    """Names of the official columns -> as the file writes them, in its order.

    InputError when the file is unreadable, or a column is missing, there twice or not numeric.
    """
    try:
        schema = (
            pl.read_parquet_schema(path)
            if path.suffix == ".parquet"
            else pl.scan_csv(path, separator=_separator(path)).collect_schema()
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as fault:
        raise _unreadable(path, fault) from None
    found = [(plain, name) for name in schema if (plain := name.strip().lower()) in COLUMNS]
    columns = dict(found)
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise InputError(
            f"{display_path(path)}: column {missing[0]!r} is missing; expected {','.join(COLUMNS)}; "
            f"found {','.join(schema)[:120]}"
        )
    if len(found) > len(columns):
        raise InputError(f"{display_path(path)}: a column is there twice: {','.join(schema)[:120]}")
    if path.suffix == ".parquet":
        odd = [name for name in COLUMNS if not schema[columns[name]].is_numeric()]
        if odd:
            raise InputError(
                f"{display_path(path)}: column {odd[0]!r} holds {schema[columns[odd[0]]]}; expected numbers"
            )
    return columns


def _column_repairs(path: Path) -> list[str]:
    repairs, columns = [], _columns(path)
    if list(columns) != list(COLUMNS):
        repairs.append("columns in another order; read by name")
    if any(plain != name for plain, name in columns.items()):
        repairs.append("names of columns read without regard to case and spaces")
    if path.suffix != ".parquet" and _separator(path) == ";":
        repairs.append("columns separated by semicolons")
    return [f"{display_path(path)}: {repair}" for repair in repairs]


def _scan(path: Path) -> pl.LazyFrame:
    columns = _columns(path)
    wanted = [pl.col(columns[name]).alias(name) for name in COLUMNS]
    if path.suffix == ".parquet":
        return pl.scan_parquet(path).select(wanted)
    types = {columns[name]: pl.Float64 for name in COLUMNS}
    return pl.scan_csv(path, schema_overrides=types, separator=_separator(path)).select(wanted)


def _separator(path: Path) -> str:
    """Of a CSV file, by its header; InputError for UTF-16."""
    with path.open("rb") as file:
        header = file.readline(10_000)
    if header.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{display_path(path)}: is UTF-16 text; save it as UTF-8, or get the file again")
    return ";" if header.count(b";") > header.count(b",") else ","


def _unreadable(path: Path, fault: Exception) -> InputError:
    first = str(fault).strip().splitlines()
    return InputError(
        f"{display_path(path)}: not readable as {path.suffix[1:]}, or truncated "
        f"({(first or ['empty'])[0][:120]}); "
        "get the file again"
    )


def _blocks(path: Path, minutes: int, repairs: list[str]) -> Iterator[pl.DataFrame]:
    """Whole samples, a few at a time, duplicate rows dropped; only the last block may end within a sample."""
    rows = SAMPLES_PER_BLOCK * minutes
    rest, before, dropped = pl.DataFrame(), pl.DataFrame(), 0
    try:
        for batch in _scan(path).collect_batches(chunk_size=rows, maintain_order=True):
            filled = batch
            if batch["sample_id"].null_count():  # empty lines, the last one mostly
                filled = batch.filter(~pl.all_horizontal(pl.all().is_null()))
            kept = _without_duplicate_rows(filled, before)
            dropped, before = dropped + len(filled) - len(kept), filled[-1:] if len(filled) else before
            joined = pl.concat([rest, kept]) if len(rest) else kept
            whole = len(joined) // minutes * minutes
            if whole:
                yield joined[:whole]
            rest = joined[whole:]
    except pl.exceptions.PolarsError as fault:
        raise _unreadable(path, fault) from None
    if dropped:
        repairs.append(f"{display_path(path)}: {dropped} rows repeat the previous row; dropped")
    if len(rest):
        yield rest


def _without_duplicate_rows(batch: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """`batch` without the rows that equal their previous row; `before` is the row before the batch."""
    table = pl.concat([before, batch]) if len(before) else batch
    time = table["time"].to_numpy()
    if not (time[1:] == time[:-1]).any():
        return batch
    duplicate = table.select(pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))).to_series()
    return table.filter(~duplicate)[len(before) :]


def _checked_keys(path: Path, block: pl.DataFrame, minutes: int) -> tuple[Int64, Int64]:
    """Sample and coin of each sample in a block of rows; InputError at the first row out of place."""
    empty = [name for name in COLUMNS if block[name].null_count()]
    if empty:
        row = min(int(block[name].is_null().arg_max() or 0) for name in empty)
        name = next(name for name in COLUMNS if block[name][row] is None)
        raise InputError(
            f"{display_path(path)}: {_place(block, row)}: {name} is empty; expected a number; "
            "the file may be truncated; get it again"
        )
    keys = _whole_keys(path, block)
    sample_id, time, coin = keys.T
    first_row = np.arange(len(keys)) // minutes * minutes
    expected = np.arange(len(keys)) - first_row
    misplaced = np.flatnonzero((time != expected) | (sample_id != sample_id[first_row]))
    if len(misplaced):
        row = int(misplaced[0])
        raise InputError(f"{display_path(path)}: {_misplacement(sample_id, time, row, minutes)}")
    if len(keys) % minutes:
        raise InputError(
            f"{display_path(path)}: sample {sample_id[-1]} ends at minute {time[-1]}; "
            f"expected minute {minutes - 1}; the file is truncated; get it again"
        )
    changed = np.flatnonzero(coin != coin[first_row])
    if len(changed):
        raise InputError(
            f"{display_path(path)}: {_place(block, int(changed[0]))}: "
            f"coin_index changes from {coin[first_row][changed[0]]} to {coin[changed[0]]}; "
            "expected one coin per sample"
        )
    return sample_id[::minutes], coin[::minutes]


def _whole_keys(path: Path, block: pl.DataFrame) -> Int64:
    """(rows, 3) sample, minute and coin; InputError at a key with a fraction."""
    keys = block.select(pl.col(KEYS).cast(pl.Int64, strict=False)).to_numpy()
    for column, name in enumerate(KEYS):
        if not block[name].dtype.is_integer():
            odd = np.flatnonzero(block[name].to_numpy() != keys[:, column])
            if len(odd):
                raise InputError(
                    f"{display_path(path)}: {_place(block, int(odd[0]))}: {name} is "
                    f"{block[name][int(odd[0])]}; expected a whole number"
                )
    return keys


def _place(block: pl.DataFrame, row: int) -> str:
    sample, minute = (f"{block[name][row]:.15g}" for name in ("sample_id", "time"))
    return f"sample {sample}, minute {minute}"


def _misplacement(sample_id: Int64, time: Int64, row: int, minutes: int) -> str:
    """Describes the first row that is not where it should be."""
    expected, sample, minute = row % minutes, sample_id[row], time[row]
    rule = f"expected minutes 0 to {minutes - 1}, each once and in order"
    if expected == 0:
        return f"sample {sample} begins at minute {minute}; {rule}"
    if sample != sample_id[row - 1]:
        return f"sample {sample_id[row - 1]} ends at minute {time[row - 1]}; {rule}"
    if minute < expected:
        return f"sample {sample}, minute {minute} occurs twice or out of order; {rule}"
    return f"sample {sample}, minute {expected} is missing; {rule}"


def _check_values(
    path: Path, values: Floats, stored_as: np.dtype[np.floating], sample_id: Int64, minutes: int
) -> None:
    """InputError at the first of `values` (rows, 9) that is wrong, or that `stored_as` cannot hold."""
    fault = first_wrong_value(values) or first_beyond(values, stored_as) or first_contradiction(values)
    if fault:
        row, text = fault
        raise InputError(
            f"{display_path(path)}: sample {sample_id[row // minutes]}, minute {row % minutes}: {text}"
        )


Fault = tuple[int, str]
"""A row, and what is wrong with it."""


def first_wrong_value(bars: Floats) -> Fault | None:
    """The first value of (rows, 9) bars that no exchange gives: empty, infinite, or a price of 0."""
    wrong: Bools = ~np.isfinite(bars)
    wrong[:, : len(PRICES)] |= bars[:, : len(PRICES)] <= 0
    wrong[:, len(PRICES) :] |= bars[:, len(PRICES) :] < 0
    if not wrong.any():
        return None
    row, column = (int(place) for place in np.argwhere(wrong)[0])
    return row, (
        f"{FIELDS[column]} is {number(bars[row, column])}; expected a finite number, prices above 0 and "
        "volumes not below 0"
    )


def first_beyond(bars: Floats, stored_as: np.dtype[np.floating]) -> Fault | None:
    """The first value of (rows, 9) bars that becomes infinite, or a price that becomes 0, in `stored_as`."""
    limits = np.finfo(stored_as)
    beyond: Bools = bars > limits.max
    beyond[:, : len(PRICES)] |= bars[:, : len(PRICES)] < limits.tiny
    if not beyond.any():
        return None
    row, column = (int(place) for place in np.argwhere(beyond)[0])
    return row, (
        f"{FIELDS[column]} is {number(bars[row, column])}, which {stored_as} cannot hold; "
        f"expected {limits.tiny:.0e} to {limits.max:.0e}"
    )


def first_contradiction(bars: Floats) -> Fault | None:
    """The first row of (rows, 9) bars whose cells contradict each other; missing ones (NaN) never do.

    High is the highest and low the lowest price of the minute, and what takers bought is part of the volume.
    """
    found = []
    columns = np.ascontiguousarray(bars.T)
    for smaller, larger in ORDERED:
        low, high = columns[FIELDS.index(smaller)], columns[FIELDS.index(larger)]
        above = low > high * (1 + ORDER_TOLERANCE)
        if above.any():
            row = int(above.argmax())
            found.append((row, f"{smaller} {number(low[row])} is above {larger} {number(high[row])}"))
    if not found:
        return None
    row, text = min(found, key=lambda fault: fault[0])
    return row, (
        f"{text}; expected high and low to enclose open and close, and taker volumes within the volumes; "
        "check which column is which"
    )


def number(value: np.floating) -> str:
    """`value`, short where that is the same number: 1.0000001 is not 1."""
    text = f"{value:g}"
    return text if float(text) == value else str(value)
