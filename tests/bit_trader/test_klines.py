"""Own klines: read, checked, cut into windows, forecast and decided by the real command line."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from common.run.run_record import read_record
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.predict.klines import MINUTE, Klines, cut_windows, read_klines
from tests.bit_trader.conftest import call_stage
from tests.bit_trader.small_market import START, kline_table


def write(path: Path, table: pl.DataFrame, header: bool = False) -> Path:
    table.write_csv(path, include_header=header)
    return path


def test_windows_are_scaled_as_the_official_ones_and_end_with_the_klines(tmp_path: Path) -> None:
    table = kline_table(1380 + 250)
    path = write(tmp_path / "a.csv", table)
    klines = read_klines(path)
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


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3500), max_size=3), st.integers(30, 400))
def test_no_window_spans_a_gap(missing: list[int], every: int) -> None:
    minutes = np.setdiff1d(np.arange(3500), missing)
    klines = Klines(
        "a.csv", START + minutes * MINUTE, np.ones((len(minutes), 9)) * (1 + minutes[:, None]), []
    )
    try:
        cut = cut_windows(klines, every)
    except InputError:
        return
    for row in range(len(cut.windows)):
        covered = np.round(cut.windows.past[row, :, 0].astype(np.float64) * cut.price[row]) - 1
        assert np.array_equal(covered, covered[0] + np.arange(1380))
        if cut.known[row]:
            after = np.round(cut.future_open[row].astype(np.float64) * cut.price[row]) - 1
            assert np.array_equal(after, covered[-1] + 1 + np.arange(120))


def test_what_can_be_repaired_is_repaired_and_reported(tmp_path: Path) -> None:
    table = kline_table(1400)
    sound = read_klines(write(tmp_path / "sound.csv", table))
    duplicated = pl.concat([table[700:], table[:701]])
    repaired = read_klines(write(tmp_path / "duplicated.csv", duplicated, header=True))
    assert np.array_equal(repaired.bars, sound.bars)
    assert np.array_equal(repaired.open_time, sound.open_time)
    assert [line.split(": ", 1)[1] for line in repaired.repairs] == [
        "the first line is a header; skipped",
        "rows were not in order of time; sorted",
        "1 duplicate rows; dropped",
    ]
    micro = table.with_columns(pl.col("open_time") * 1000)
    assert np.array_equal(read_klines(write(tmp_path / "micro.csv", micro)).open_time, sound.open_time)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop("ignore"), "has 11 columns"),
        (lambda t: t.with_columns(open=pl.lit(0.0)), "open is 0"),
        (lambda t: t.with_columns(volume=pl.lit(float("inf"))), "volume is inf"),
        (lambda t: t.with_columns(close=pl.lit("dear")), "line 1: close is 'dear'"),
        (lambda t: t.with_columns(pl.col("open_time") // 1_000_000), "no milliseconds"),
        (lambda t: t.with_columns(pl.col("open_time") + 1000), "within minute"),
        (lambda t: pl.concat([t, t[5:6].with_columns(open=pl.lit(7.0))]), "occurs twice with different bars"),
        (lambda t: t[:1379], "no 1380 minutes in a row"),
        (lambda t: pl.concat([t[:700], t[701:]]), "with 1 gaps"),
        (lambda t: t[:0], "not readable"),
    ],
)
def test_each_fault_of_a_kline_file_is_one_line(tmp_path: Path, change: Any, words: str) -> None:
    path = write(tmp_path / "a.csv", change(kline_table(1400)))
    with pytest.raises(InputError) as fault:
        cut_windows(read_klines(path), 120)
    assert words in str(fault.value)
    assert "a.csv" in str(fault.value)


def test_the_command_line_needs_no_raw_or_processed_data(finished: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(finished / "champion", work / "champion")
    before = (work / "champion" / "test.run.json").read_bytes()
    path = write(tmp_path / "coin.csv", kline_table(1380 + 130))
    argv = ("3_infer.py", "--work", str(work), "--klines", str(path), "--every", "65")
    code, text = call_stage(*argv)
    assert code == 0, text
    assert "3 windows" in text
    table = pl.read_csv(work / "champion" / "klines_coin.csv")
    assert table["purchase_time"].to_list() == ["2024-05-01T23:00Z", "2024-05-02T00:05Z", "2024-05-02T01:10Z"]
    assert table["growth"].null_count() == 2
    assert table["sell_time"].is_between(0, 119).all()
    assert read_record(work / "champion" / "klines_coin.run.json").metrics["windows"] == 3
    assert (work / "champion" / "test.run.json").read_bytes() == before
    assert "done already" in call_stage(*argv)[1]
    code, text = call_stage("3_infer.py", "--work", str(work), "--klines", str(path), "--every", "0")
    assert code == 2
    assert "--every 0: expected" in text
    code, text = call_stage("3_infer.py", "--work", str(work), "--klines", str(tmp_path / "none.csv"))
    assert code == 2
    (error,) = (line for line in text.splitlines() if line.startswith("error: "))
    assert "none.csv: no such file" in error
    assert "Traceback" not in text
