"""Own klines in every form that they come in: read, checked, cut, forecast and decided by the command."""

import gzip
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from common.base.errors import InputError
from common.run.run_record import RunRecord, read_record
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.predict.kline_cells import MINUTE
from competitions.bit_trader.predict.kline_windows import cut_windows
from competitions.bit_trader.predict.klines import Klines, read_klines
from tests.bit_trader.conftest import call_stage
from tests.bit_trader.small_market import START, kline_table

MINUTES = 1400
SOUND = kline_table(MINUTES)
LATER = START + 10 * 24 * 60 * MINUTE
read = partial(read_klines, now=lambda: LATER)


def write(path: Path, table: pl.DataFrame, header: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_csv(path, include_header=header)
    return path


def text_of(table: pl.DataFrame, header: bool = False) -> str:
    return table.write_csv(include_header=header)


def assert_sound(found: Klines, fields: tuple[str, ...] = FIELDS) -> None:
    """The klines are those of SOUND, in `fields`; nothing else is there."""
    assert np.array_equal(found.open_time, SOUND["open_time"].to_numpy())
    expected = SOUND.select(FIELDS).to_numpy().astype(np.float64)
    for column, field in enumerate(FIELDS):
        if field in fields:
            assert found.bars[:, column] == pytest.approx(expected[:, column], rel=1e-12), field
        else:
            assert np.isnan(found.bars[:, column]).all()


def dates(table: pl.DataFrame, form: str) -> pl.DataFrame:
    moments = pl.from_epoch("open_time", time_unit="ms").dt.strftime(form)
    return table.with_columns(open_time=moments)


# ---- forms of the same klines


def excel(path: Path) -> None:
    frame = SOUND.drop("ignore", "close_time").to_pandas()
    frame["open_time"] = pd.to_datetime(frame["open_time"], unit="ms")
    frame.to_excel(path, index=False)


def write_text(text: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text.encode(encoding))


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1m-2024-05.csv", text_of(SOUND))


BINANCE_NAMES = {
    "open_time": "Open time",
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "volume": "Volume",
    "close_time": "Close time",
    "quote_av": "Quote asset volume",
    "trades": "Number of trades",
    "tb_base_av": "Taker buy base asset volume",
    "tb_quote_av": "Taker buy quote asset volume",
    "ignore": "Ignore",
}
STREAM = dict(zip(SOUND.columns, [*"tohlcvTqnVQ", "B"], strict=True))
FORMS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no names": ("a.csv", write_text(text_of(SOUND)), "by place"),
    "eleven without names": ("a.csv", write_text(text_of(SOUND.drop("ignore"))), "by place"),
    "names": ("a.csv", write_text(text_of(SOUND, True)), "columns by name"),
    "shuffled": ("a.csv", write_text(text_of(SOUND.select(sorted(SOUND.columns)), True)), "columns by name"),
    "ten names": ("a.csv", write_text(text_of(SOUND.drop("ignore", "close_time"), True)), "columns by name"),
    "an exchange's names": (
        "a.csv",
        write_text(text_of(SOUND.rename(BINANCE_NAMES), True)),
        "'Number of trades'",
    ),
    "letters of a stream": ("a.csv", write_text(text_of(SOUND.rename(STREAM), True)), "tb_base_av from 'V'"),
    "byte order mark": ("a.csv", write_text(text_of(SOUND), "utf-8-sig"), "UTF-8 with BOM"),
    "UTF-16": ("a.csv", write_text(text_of(SOUND, True), "utf-16"), "UTF-16"),
    "Windows line ends": ("a.csv", write_text(text_of(SOUND).replace("\n", "\r\n")), "1,400 rows"),
    "empty last lines": ("a.csv", write_text(text_of(SOUND) + "\n\n"), "1,400 rows"),
    "semicolons": ("a.csv", write_text(text_of(SOUND).replace(",", ";")), "semicolons"),
    "tabs": ("a.tsv", write_text(text_of(SOUND).replace(",", "\t")), "tabs"),
    "decimal commas": (
        "a.csv",
        write_text(text_of(SOUND, True).replace(",", ";").replace(".", ",")),
        "decimal commas",
    ),
    "quoted, with spaces": (
        "a.csv",
        write_text(
            "\n".join(",".join(f'" {cell} "' for cell in line.split(",")) for line in text_of(SOUND).split())
        ),
        "by place",
    ),
    "pandas index": ("a.csv", lambda path: SOUND.to_pandas().to_csv(path), "columns by name"),
    "pandas without names": (
        "a.csv",
        lambda path: pd.DataFrame(SOUND.to_numpy().astype(object)).to_csv(path),
        "by place",
    ),
    "pandas time index": (
        "a.csv",
        lambda path: (
            SOUND.to_pandas()
            .set_index(pd.to_datetime(SOUND["open_time"].to_numpy(), unit="ms"))
            .drop(columns=["open_time", "close_time"])
            .to_csv(path)
        ),
        "open_time from 'index'",
    ),
    "names again in the middle": (
        "a.csv",
        write_text(text_of(SOUND[:700], True) + text_of(SOUND[700:], True)),
        "1,401 rows",
    ),
    "seconds": (
        "a.csv",
        write_text(text_of(SOUND.with_columns(pl.col("open_time") // 1000), True)),
        "seconds",
    ),
    "microseconds": (
        "a.csv",
        write_text(text_of(SOUND.with_columns(pl.col("open_time", "close_time") * 1000))),
        "microseconds",
    ),
    "nanoseconds": (
        "a.csv",
        write_text(text_of(SOUND.with_columns(pl.col("open_time") * 10**6), True)),
        "nanoseconds",
    ),
    "milliseconds, then microseconds": (
        "a.csv",
        write_text(
            text_of(SOUND[:900]) + text_of(SOUND[900:].with_columns(pl.col("open_time", "close_time") * 1000))
        ),
        "milliseconds (900 rows), then microseconds (500 rows)",
    ),
    "floating times": (
        "a.csv",
        write_text(text_of(SOUND.with_columns(pl.col("open_time").cast(pl.Float64).cast(pl.String)), True)),
        "milliseconds",
    ),
    "scientific notation": (
        "a.csv",
        lambda path: np.savetxt(path, SOUND.to_numpy().astype(np.float64), delimiter=","),
        "milliseconds",
    ),
    "ISO dates": (
        "a.csv",
        write_text(text_of(dates(SOUND, "%Y-%m-%dT%H:%M:%SZ"), True)),
        "with their time zone",
    ),
    "dates": ("a.csv", write_text(text_of(dates(SOUND, "%Y-%m-%d %H:%M"))), "taken as UTC"),
    "dates with slashes": (
        "a.csv",
        write_text(text_of(dates(SOUND, "%Y/%m/%d %H:%M:%S"), True)),
        "taken as UTC",
    ),
    "dates and names of UTC": (
        "a.csv",
        write_text(text_of(dates(SOUND, "%Y-%m-%d %H:%M:%S UTC"), True)),
        "zone",
    ),
    "date and time of a trading terminal": (
        "a.csv",
        write_text(
            text_of(
                dates(SOUND, "%Y.%m.%d")
                .rename({"open_time": "<DATE>"})
                .with_columns(
                    pl.from_epoch(SOUND["open_time"], time_unit="ms").dt.strftime("%H:%M:%S").alias("<TIME>")
                ),
                True,
            )
        ),
        "taken as UTC",
    ),
    "an answer of an exchange": (
        "a.json",
        write_text(json.dumps([[str(cell) for cell in row] for row in SOUND.rows()])),
        "JSON, 1,400 rows",
    ),
    "an answer with names": ("a.json", write_text(json.dumps(SOUND.to_dicts())), "columns by name"),
    "zip": ("BTCUSDT-1m-2024-05.zip", write_zip, "zip"),
    "gzip": ("a.csv.gz", lambda path: path.write_bytes(gzip.compress(text_of(SOUND).encode())), "gzip"),
    "Excel": ("a.xlsx", excel, "Excel"),
    "parquet": ("a.parquet", lambda path: SOUND.write_parquet(path), "parquet"),
    "parquet with a time index": (
        "a.parquet",
        lambda path: (
            SOUND.to_pandas()
            .drop(columns=["open_time", "close_time"])
            .set_index(pd.to_datetime(SOUND["open_time"].to_numpy(), unit="ms", utc=True))
            .to_parquet(path)
        ),
        "parquet",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bars_and_says_how_it_was_read(tmp_path: Path, form: str) -> None:
    name, make, words = FORMS[form]
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    make(tmp_path / name)
    found = read(tmp_path / name)
    assert_sound(found)
    assert words in found.understood[0]
    assert found.understood[-1] == (
        "1,400 bars of 1 minute from 2024-05-01T00:00Z to 2024-05-01T23:19Z; no minute missing"
    )


def test_frames_of_pandas_and_polars() -> None:
    frame = SOUND.to_pandas()
    stamped = frame.assign(open_time=pd.to_datetime(frame["open_time"], unit="ms", utc=True))
    for source in (
        frame,
        SOUND,
        stamped,
        stamped.set_index("open_time"),
        stamped.set_index(stamped["open_time"].rename(None)).drop(columns="open_time"),
        pd.DataFrame(frame.to_numpy().astype(object)),
        frame.astype(str),
        frame.sample(frac=1, random_state=0),
        frame[::-1],
    ):
        assert_sound(read(source))


# ---- what is missing


def test_six_columns_are_enough_where_only_prices_are_forecast(tmp_path: Path) -> None:
    path = write(tmp_path / "ccxt.csv", SOUND[:, :6])
    found = read(path, ("open", "close"))
    assert_sound(found, FIELDS[:5])
    assert "as ccxt gives them" in found.understood[0]
    with pytest.raises(
        InputError, match=r"columns are missing: trades, tb_base_av\. An exchange.*fetch_ohlcv gives six"
    ):
        read(path, ("volume", "trades", "tb_base_av"))
    named = write(tmp_path / "named.csv", SOUND[:, :6].rename({"open_time": "timestamp"}), header=True)
    assert_sound(read(named, ("open", "close")), FIELDS[:5])


def test_columns_that_were_never_filled_are_missing(tmp_path: Path) -> None:
    zeros = SOUND.with_columns(trades=pl.lit(0), tb_base_av=pl.lit(0.0), tb_quote_av=pl.lit(0.0))
    with pytest.raises(
        InputError, match=r"trades, .*tb_base_av.*; trades is 0 in every bar; taken as missing"
    ):
        read(write(tmp_path / "zeros.csv", zeros))
    no_volume = SOUND.with_columns(pl.lit(0.0).alias(name) for name in FIELDS[4:])
    with pytest.raises(InputError, match=r"volume is 0 in every bar although the price moves"):
        read(write(tmp_path / "no_volume.csv", no_volume))
    found = read(write(tmp_path / "copies.csv", SOUND.with_columns(tb_base_av="volume")), ("open", "close"))
    assert np.isnan(found.bars[:, FIELDS.index("tb_base_av")]).all()
    assert any("tb_base_av" in repair for repair in found.repairs)
    quiet = no_volume.with_columns(pl.lit(7.5).alias(name) for name in FIELDS[:4])  # nobody traded
    assert read(write(tmp_path / "quiet.csv", quiet)).repairs == []


# ---- what is wrong


def swap(one: str, other: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda t: t.with_columns(pl.col(other).alias(one), pl.col(one).alias(other))


def put(column: str, row: int, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        cells = [str(cell) for cell in table[column]]
        cells[row] = str(value)
        return table.with_columns(pl.Series(column, cells))

    return change


def bars_of(length: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """As many bars of another length, in milliseconds."""
    start = START - START % (24 * 60 * MINUTE)
    return lambda t: t.with_columns(
        open_time=(pl.col("open_time") - START) // MINUTE * length + start,
        close_time=(pl.col("open_time") - START) // MINUTE * length + start + length - 1,
    )


def every_fifth(table: pl.DataFrame) -> pl.DataFrame:
    return table[::5].drop("close_time")


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap("high", "low"), "line {1}: open 100 is above high"),
        (swap("open", "close"), "would with open and close exchanged"),
        (swap("volume", "tb_base_av"), "is above volume"),
        (swap("quote_av", "tb_quote_av"), "is above quote_av"),
        (put("high", 700, 1), "line {701}: open"),
        (put("low", 700, 1e6), "line {701}: low 1e+06 is above open"),
        (put("open", 3, 0), "line {4}: open is 0"),
        (put("volume", 3, "inf"), "line {4}: volume is inf"),
        (put("trades", 3, -1), "line {4}: trades is -1"),
        (put("close", 3, "dear"), "line {4}: close is 'dear'; expected a number"),
        (put("close", 3, "1_00"), "line {4}: close is '1_00'"),
        (put("close", 3, ""), "line {4}: close is empty"),
        (put("volume", 3, "NaN"), "line {4}: volume is nan"),
        (put("open_time", 3, ""), "line {4}: open_time is empty"),
        (put("open_time", 3, "yesterday"), "line {4}: open_time is 'yesterday'"),
        (put("open_time", 3, "1.71452E+12"), "digits were lost"),
        (put("open_time", 3, 45413.25), "a spreadsheet's day number"),
        (put("open_time", 3, 20240501), "no seconds, milliseconds"),
        (put("open_time", 3, START + 3 * MINUTE + 1000), "within minute 2024-05-01T00:03Z, at second 1"),
        (lambda t: t.with_columns(pl.col("open_time") // 1_000_000), "no seconds, milliseconds"),
        (lambda t: t.with_columns(pl.col("open_time", "close_time") + 7000), "within minute"),
        (lambda t: dates(t, "%d/%m/%Y %H:%M"), "order of day and month is ambiguous"),
        (bars_of(5 * MINUTE), "holds 5-minute bars"),
        (bars_of(60 * MINUTE), "holds 1-hour bars"),
        (bars_of(24 * 60 * MINUTE), "holds 1-day bars"),
        (bars_of(1000), "holds 1-second bars"),
        (
            lambda t: pl.concat([t, t[5:6].with_columns(open=pl.col("low"))]),
            "occurs twice with different bars",
        ),
        (lambda t: t[:1379], "no 1380 minutes in a row"),
        (lambda t: pl.concat([t[:700], t[701:]]), "1 gap: 1 minute from 2024-05-01T11:40Z"),
    ],
)
def test_each_fault_of_a_kline_file_is_one_line(
    tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], words: str, header: bool
) -> None:
    path = write(tmp_path / "a.csv", change(SOUND), header)
    with pytest.raises(InputError) as fault:
        cut_windows(read(path), 120)
    before, brace, rest = words.partition("{")
    line, _, after = rest.partition("}")
    expected = f"{before}{int(line) + header}{after}" if brace else words
    assert expected in str(fault.value)
    assert "a.csv" in str(fault.value)
    assert "\n" not in str(fault.value)


NAMED = "open_time;open;high;low;close;volume\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (text_of(SOUND.drop("ignore", "close_time")), "has 10 columns and no names"),
        (text_of(SOUND.select(*SOUND.columns[:6], "quote_av")), "has 7 columns and no names"),
        (text_of(SOUND.select(SOUND.columns[:6] + SOUND.columns[7:] + ["close_time"])), "check which column"),
        (text_of(SOUND.drop("open_time"), True), "column 'open_time' is missing"),
        (text_of(SOUND.rename({"open": "price"}), True), "column 'open' is missing; expected open_time,open"),
        (text_of(SOUND.with_columns(Volume=pl.lit(1.0)), True), "2 columns can be volume: volume, Volume"),
        (text_of(SOUND.rename({"volume": "amount", "quote_av": "vol"}), True), "amount and vol"),
        (
            text_of(SOUND.with_columns(sample_id=pl.lit(1), coin_index=pl.lit(0)), True),
            "competition's own files",
        ),
        (text_of(SOUND, True).split("\n")[0] + "\n", "no row"),
        ("", "empty"),
        ('{"code": -1121, "msg": "Invalid symbol."}', "is JSON, but no list of bars"),
        ("[[1714521600000,1,2,3,4,5],[1714521660000,1,2]]", "row 1 is no bar like the first one"),
        ("[[1714521600000,1,2,3,4,", "begins as JSON and is none"),
        (text_of(SOUND)[:-60], "cells"),
        (
            NAMED + '1714521600000;"60,123";"60,200";"60,100";"60,150";"5,123"\n' * 3,
            "decimal ones or thousands",
        ),
        (
            NAMED + '1714521600000;"60,123.5";"60,200.5";"60,100.0";"60,150.0";"5"\n' * 3,
            "commas for thousands",
        ),
    ],
)
def test_tables_that_can_be_read_in_two_ways_or_in_none(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read(path, ("open", "close"))


def test_longer_bars_are_named_without_close_times_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 5-minute bars; expected 1-minute klines"):
        read(write(tmp_path / "a.csv", every_fifth(SOUND), header=True))
    with pytest.raises(InputError, match="holds 15-minute bars"):
        read(write(tmp_path / "b.csv", SOUND[::15, :6]), ("open", "close"))
    days = SOUND.with_columns(open_time=(pl.col("open_time") - START) // MINUTE * 24 * 60 * MINUTE + START)
    with pytest.raises(InputError, match="holds 1-day bars"):
        read(write(tmp_path / "c.csv", dates(days, "%Y-%m-%d").drop("close_time")[:400], header=True))


def test_volumes_that_do_not_go_with_the_prices(tmp_path: Path) -> None:
    order = [
        *SOUND.columns[:5],
        "trades",
        "close_time",
        "quote_av",
        "volume",
        "tb_base_av",
        "tb_quote_av",
        "ignore",
    ]
    moved = SOUND.with_columns(trades=pl.col("trades") + 10).select(order)  # takers stay below the trades
    with pytest.raises(InputError, match=r"quote_av over volume does not go with the price"):
        read(write(tmp_path / "moved.csv", moved))
    odd = SOUND.with_columns(quote_av=pl.col("quote_av") * (5 + pl.col("trades")))
    with pytest.raises(InputError, match=r"quote_av over volume .*, or leave the volumes in money out"):
        read(write(tmp_path / "odd.csv", odd, header=True))
    rounded = SOUND.with_columns(pl.col("volume", "tb_base_av").round(0), pl.col("tb_quote_av") * 0.8)
    (repair,) = read(write(tmp_path / "rounded.csv", rounded, header=True)).repairs[:1]
    assert "over volume does not go with the price" in repair
    contracts = SOUND.with_columns(quote_av=100 * pl.col("volume") / pl.col("close")).with_columns(
        tb_quote_av=pl.col("quote_av") / 2
    )
    assert read(write(tmp_path / "contracts.csv", contracts)).repairs == []


@pytest.mark.parametrize("header", [False, True])
def test_no_two_columns_can_be_exchanged_without_a_word(tmp_path: Path, header: bool) -> None:
    generator = np.random.default_rng(4)
    share, busy = generator.uniform(0.2, 0.8, MINUTES), generator.lognormal(0, 0.7, MINUTES)
    table = SOUND.with_columns(
        volume=busy,
        quote_av=busy * SOUND["close"],
        trades=generator.integers(20, 900, MINUTES),
        tb_base_av=busy * share,
        tb_quote_av=busy * share * SOUND["close"],
    )
    assert read(write(tmp_path / "sound.csv", table, header)).repairs == []
    silent = []
    for one, other in combinations(table.columns, 2):
        path = write(tmp_path / "swapped.csv", swap(one, other)(table), header)
        try:
            found = read(path)
        except InputError:
            continue
        if not found.repairs and {one, other} != {"close_time", "ignore"}:
            silent.append((one, other))
    assert silent == []


def test_values_that_float32_cannot_hold_are_named(tmp_path: Path) -> None:
    tiny = SOUND.with_columns(
        pl.when(pl.col("trades") < 3).then(pl.col(FIELDS[:4]) * 1e-42).otherwise(pl.col(FIELDS[:4]))
    )
    with pytest.raises(InputError, match=r"minute 2024-05-01T..:..Z: open is .*e-4.*float32"):
        read(write(tmp_path / "tiny.csv", tiny))
    with pytest.raises(InputError, match=r"minute 2024-05-01T00:05Z: volume is 1e\+35.*float32"):
        read(write(tmp_path / "large.csv", put("volume", 5, 1e35)(SOUND)))
    # A coin whose price is tiny in all bars is nothing odd.
    read(write(tmp_path / "cheap.csv", SOUND.with_columns(pl.col(FIELDS[:4]) * 1e-12)))


# ---- what is repaired, left out, and said


def test_what_can_be_repaired_is_repaired_and_reported(tmp_path: Path) -> None:
    duplicated = pl.concat([SOUND[700:], SOUND[:701]])
    found = read(write(tmp_path / "duplicated.csv", duplicated))
    assert_sound(found)
    assert [line.split(": ", 1)[1] for line in found.repairs] == [
        "rows were not in order of time; sorted",
        "1 duplicate rows; dropped",
    ]
    jump = SOUND.with_columns(
        high=pl.when(pl.col("open_time") == START).then(900.0).otherwise(pl.col("high"))
    )
    (line,) = read(write(tmp_path / "jump.csv", jump)).repairs
    assert "1 minutes in which the price changes more than twofold, the first at 2024-05-01T00:00Z" in line


def test_minutes_without_values_are_gaps(tmp_path: Path) -> None:
    text = text_of(SOUND).split("\n")
    for row in (100, 101, 102, 900):
        text[row] = f"{text[row].split(',')[0]},,,,,,,,,,,"
    (tmp_path / "a.csv").write_text("\n".join(text))
    found = read(tmp_path / "a.csv")
    assert len(found.open_time) == MINUTES - 4
    assert any("4 minutes without values; taken as missing" in line for line in found.repairs)
    assert (
        "2 gaps of 4 minutes in all; 3 minutes from 2024-05-01T01:40Z, 1 minute from" in found.understood[-1]
    )


def test_bars_that_are_not_over_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", SOUND)
    end = START + MINUTES * MINUTE
    assert read_klines(path, now=lambda: end).repairs == []
    open_bar = read_klines(path, now=lambda: end - 1)
    assert len(open_bar.open_time) == MINUTES - 1
    assert open_bar.repairs == [f"{path}: the last bar, of 2024-05-01T23:19Z, is still open; left out"]
    ahead = read_klines(path, now=lambda: end - 10 * MINUTE - 1)
    assert len(ahead.open_time) == MINUTES - 11
    assert "10 bars lie in the future of this machine's clock (2024-05-01T23:09Z)" in ahead.repairs[0]
    with pytest.raises(InputError, match="all bars lie in the future"):
        read_klines(path, now=lambda: START - MINUTE)
    frame = SOUND.to_pandas()
    assert len(read_klines(frame, now=lambda: end - 1).open_time) == MINUTES - 1


def test_a_file_written_within_its_last_minute_ends_with_an_open_bar(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", SOUND)
    last = (START + (MINUTES - 1) * MINUTE) / 1000
    os.utime(path, (last + 25, last + 25))
    found = read(path)
    assert len(found.open_time) == MINUTES - 1
    assert "the last bar, of 2024-05-01T23:19Z, was still open when the file was written" in found.repairs[0]
    os.utime(path, (last + 61, last + 61))
    assert_sound(read(path))


def test_bars_that_the_exchange_says_are_open(tmp_path: Path) -> None:
    marked = SOUND.with_columns(
        confirm=pl.when(pl.col("open_time") < START + 1399 * MINUTE).then(1).otherwise(0)
    )
    found = read(write(tmp_path / "a.csv", marked, header=True))
    assert len(found.open_time) == MINUTES - 1
    assert any("1 bars that were still open; left out" in line for line in found.repairs)
    with pytest.raises(InputError, match="all its bars were still open"):
        read(write(tmp_path / "b.csv", SOUND.with_columns(confirm=pl.lit(0)), header=True))


# ---- several files


def test_months_are_joined_from_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    write(folder / "BTCUSDT-1m-2024-06.csv", SOUND[800:])
    write(folder / "BTCUSDT-1m-2024-05.csv", SOUND[:820], header=True)
    (folder / "BTCUSDT-1m-2024-06.zip.CHECKSUM").write_text("0  x")
    (folder / ".hidden.csv").write_text("x")
    found = read(folder)
    assert_sound(found)
    (line,) = found.repairs
    assert "20 minutes are in more than one file, with the same bars; used once" in line
    text = " ".join(found.understood)
    assert "left out: 1 file of other kinds (.checksum 1), 1 hidden" in text
    assert "columns by name" in text
    assert "by place" in text
    files: list[Path | str] = [folder / "BTCUSDT-1m-2024-06.csv", str(folder / "BTCUSDT-1m-2024-05.csv")]
    assert_sound(read(files))
    assert_sound(read([*files, *files]))
    apart = [write(tmp_path / "a.csv", SOUND[:500]), write(tmp_path / "b.csv", SOUND[510:])]
    assert "1 gap: 10 minutes from 2024-05-01T08:20Z" in read(apart).understood[-1]


def test_a_file_that_ends_with_an_open_bar_yields_to_the_next(tmp_path: Path) -> None:
    unfinished = SOUND[:700].with_columns(
        close=pl.when(pl.col("open_time") == START + 699 * MINUTE)
        .then(pl.col("open"))
        .otherwise(pl.col("close"))
    )
    first, second = write(tmp_path / "1.csv", unfinished), write(tmp_path / "2.csv", SOUND[690:])
    for order in ([first, second], [second, first]):
        found = read(order)
        assert_sound(found)
        assert any("1 files end with a bar that was still open" in line for line in found.repairs)


def test_files_of_two_coins_are_refused(tmp_path: Path) -> None:
    other = kline_table(MINUTES, seed=1)
    first = write(tmp_path / "coin1.csv", SOUND)
    with pytest.raises(
        InputError, match=r"occurs twice with different bars \(line 1 and line 1 of .*coin2\.csv"
    ):
        read([first, write(tmp_path / "coin2.csv", other)])
    later = other.with_columns(pl.col("open_time", "close_time") + MINUTES * MINUTE, pl.col(FIELDS[:4]) / 20)
    with pytest.raises(InputError, match="expected files of one coin"):
        read(
            [first, write(tmp_path / "coin3.csv", later.with_columns(pl.col("quote_av", "tb_quote_av") / 20))]
        )
    much_later = later.with_columns(pl.col("open_time", "close_time") + 600 * MINUTE, pl.col(FIELDS[:4]) * 20)
    names = [
        write(tmp_path / "ETHUSDT-1m-2024-06.csv", much_later),
        write(tmp_path / "BTC-USDT_1m.csv", SOUND),
    ]
    with pytest.raises(InputError, match=r"ETHUSDT.*BTCUSDT.*one coin"):
        read(names)
    renamed = [
        write(tmp_path / "june_usd.csv", much_later),
        write(tmp_path / "may_usdt.csv", SOUND),
        write(tmp_path / "JUL-USDT.csv", SOUND),
    ]
    assert len(read(renamed).open_time) == 2 * MINUTES
    marked = pl.concat([SOUND.with_columns(symbol=pl.lit("A")), much_later.with_columns(symbol=pl.lit("B"))])
    with pytest.raises(InputError, match="one coin"):
        read(write(tmp_path / "both.csv", marked, header=True))


def test_local_times_that_repeat_an_hour(tmp_path: Path) -> None:
    again = SOUND.with_columns(
        open_time=pl.when(pl.col("open_time") < START + 700 * MINUTE)
        .then(pl.col("open_time"))
        .otherwise(pl.col("open_time") - 60 * MINUTE)
    )
    path = write(tmp_path / "a.csv", dates(again, "%Y-%m-%d %H:%M").drop("close_time"), header=True)
    with pytest.raises(InputError, match=r"2024-05-01T10:40Z occurs twice .* local times have an hour twice"):
        read(path)


def test_folders_without_klines(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(InputError, match=r"holds no kline files .*1 file of other kinds \(\.md 1\)"):
        read(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read([tmp_path / "none.csv"])


# ---- windows, and the command line


def test_windows_are_scaled_as_the_official_ones_and_end_with_the_klines(tmp_path: Path) -> None:
    table = kline_table(1380 + 250)
    klines = read(write(tmp_path / "a.csv", table))
    assert klines.repairs == []
    cut = cut_windows(klines, 100)
    assert len(cut.windows) == 3
    assert (cut.windows.past[:, -1, 0] == 1).all()
    last_open = table["open"].to_numpy()[[1379 + 50, 1379 + 150, 1379 + 250]]
    assert cut.price == pytest.approx(last_open)
    for field in FIELDS:
        expected = table[field].to_numpy()[250:1630].astype(np.float64) / last_open[2]
        assert cut.windows.past[2, :, FIELDS.index(field)] == pytest.approx(expected, rel=1e-6)
    assert cut.purchase_time[2] == START + 1630 * MINUTE
    assert cut.known.tolist() == [True, False, False]  # 200, 100 and 0 minutes follow
    assert cut.future_open[0] == pytest.approx(table["open"].to_numpy()[1430:1550] / last_open[0], rel=1e-6)
    assert np.isnan(cut.future_open[1:]).all()


@pytest.fixture(scope="module")
def trained(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with the champion's folder and nothing else."""
    work = tmp_path_factory.mktemp("trained") / "work"
    shutil.copytree(finished / "champion", work / "champion")
    return work


def records(work: Path) -> list[tuple[Path, RunRecord]]:
    return [(path, read_record(path)) for path in sorted((work / "champion" / "klines").glob("*.run.json"))]


def test_the_command_line_needs_no_raw_or_processed_data(trained: Path, tmp_path: Path) -> None:
    before = (trained / "champion" / "test.run.json").read_bytes()
    path = write(tmp_path / "coin.csv", kline_table(1380 + 130))
    argv = ("3_infer.py", "--work", str(trained), "--klines", str(path), "--every", "65")
    code, text = call_stage(*argv)
    assert code == 0, text
    assert "3 windows" in text
    assert "understood: " in text
    assert "by place, as an exchange's kline file has them" in text
    assert "1,510 bars of 1 minute from 2024-05-01T00:00Z to 2024-05-02T01:09Z; no minute missing" in text
    ((record_path, record),) = records(trained)
    assert record_path.name.startswith("coin-")
    table = pl.read_csv(record_path.with_name(record_path.name.replace(".run.json", ".csv")))
    assert table["purchase_time"].to_list() == ["2024-05-01T23:00Z", "2024-05-02T00:05Z", "2024-05-02T01:10Z"]
    assert table["growth"].null_count() == 2
    assert table["sell_time"].is_between(0, 119).all()
    assert record.metrics["windows"] == 3
    assert len(record.understood) == 4
    age = (datetime.now(UTC) - datetime(2024, 5, 2, 1, 10, tzinfo=UTC)).days
    assert f"the last one ends at 2024-05-02T01:10Z, {age} days before this run" in record.understood[2]
    assert (trained / "champion" / "test.run.json").read_bytes() == before
    assert "done already" in call_stage(*argv)[1]


def test_results_are_kept_by_file_and_settings(trained: Path, tmp_path: Path) -> None:
    one = write(tmp_path / "one" / "same.csv", kline_table(1500))
    two = write(tmp_path / "two" / "same.csv", kline_table(1500, seed=9))
    earlier = len(records(trained))
    for argv in ((one,), (two,), (one, "--every", "60"), (tmp_path / "one",)):
        code, text = call_stage("3_infer.py", "--work", str(trained), "--klines", *map(str, argv))
        assert code == 0, text
    assert len(records(trained)) == earlier + 4
    assert "done already" in call_stage("3_infer.py", "--work", str(trained), "--klines", str(one))[1]
    both = ("3_infer.py", "--work", str(trained), "--klines", str(one), str(two))
    code, text = call_stage(*both)
    assert code == 2
    assert "occurs twice with different bars" in text
    write(one, kline_table(1600))
    code, text = call_stage("3_infer.py", "--work", str(trained), "--klines", str(one))
    assert code == 0
    assert "1,600 bars" in text
    assert len(records(trained)) == earlier + 4


def test_flags_that_say_nothing_or_too_much_are_refused(trained: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "coin.csv", kline_table(1400))
    for argv, words in (
        (("--klines", str(path), "--every", "0"), "--every 0: expected"),
        (("--klines", str(tmp_path / "none.csv")), "none.csv: no such file"),
        (("--every", "60"), "--every is for klines of your own"),
    ):
        code, text = call_stage("3_infer.py", "--work", str(trained), *argv)
        assert code == 2
        (error,) = (line for line in text.splitlines() if line.startswith("error: "))
        assert words in error
        assert "Traceback" not in text
