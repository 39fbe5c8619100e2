"""load(...).predict(...): three lines that need the experiment's own folder only."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from common.base.errors import InputError
from competitions.bit_trader import load
from competitions.bit_trader.predict.kline_columns import KLINE_COLUMNS
from tests.bit_trader.small_market import kline_table

COLUMNS = [
    "purchase_time",
    "last_open",
    "buy_quantity",
    "sell_time",
    "sale_time",
    "best_expected_minute",
    "expected_net_gain",
    "skipped",
    "growth",
]


@pytest.fixture(scope="module")
def klines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("klines") / "coin.csv"
    kline_table(1380 + 130).write_csv(path, include_header=False)
    return path


@pytest.fixture(scope="module")
def alone(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with the champion's folder and nothing else."""
    work = tmp_path_factory.mktemp("alone") / "work"
    shutil.copytree(finished / "champion", work / "champion")
    return work


def test_three_lines_need_neither_raw_nor_processed_data(finished: Path, alone: Path, klines: Path) -> None:
    expected = load("champion", work=finished).predict(klines, every=65)
    model = load("champion", work=alone)
    table = model.predict(str(klines), every=65)
    pd.testing.assert_frame_equal(table, expected)
    assert list(table.columns) == COLUMNS
    assert [str(time) for time in table["purchase_time"]] == [
        "2024-05-01 23:00:00+00:00",
        "2024-05-02 00:05:00+00:00",
        "2024-05-02 01:10:00+00:00",
    ]
    assert table["growth"].isna().tolist() == [False, True, True]
    assert table["sell_time"].between(0, 119).all()
    assert (table["sale_time"].isna() == (table["buy_quantity"] == 0)).all()
    assert model.settings.forecaster == "gbdt"
    assert set(model.decision) == {"rule", "sell", "threshold"}


def test_a_frame_gives_the_same_as_a_file(alone: Path, klines: Path) -> None:
    model = load("champion", alone)
    expected = model.predict(klines)
    numbers = pd.read_csv(klines, header=None, names=list(KLINE_COLUMNS))
    pd.testing.assert_frame_equal(model.predict(numbers), expected)
    for timezone in (None, "UTC"):
        times = pd.to_datetime(numbers["open_time"], unit="ms").dt.tz_localize(timezone)
        stamped = numbers.drop(columns=["close_time", "ignore"]).assign(open_time=times)
        pd.testing.assert_frame_equal(model.predict(stamped[::-1]), expected)


def test_bought_windows_are_sold_at_the_minute_given(alone: Path, klines: Path) -> None:
    model = load("champion", alone)
    model.decision.update(threshold=-1.0)
    model.strategy = type(model.strategy)(model.strategy.kind, "last", -1.0)  # buys everything
    table = model.predict(klines, every=65)
    assert (table["buy_quantity"] == 1).all()
    assert (table["sale_time"] - table["purchase_time"] == pd.Timedelta(minutes=119)).all()
    opens = pl.read_csv(klines, has_header=False)["column_2"].to_numpy()
    realised = opens[1380 + 119] / opens[1380] * 0.9995**2
    assert table["growth"][0] == pytest.approx(realised, rel=1e-6)


def test_faults_are_one_clear_line(alone: Path, klines: Path, tmp_path: Path) -> None:
    model = load("champion", alone)
    frame = pd.read_csv(klines, header=None, names=list(KLINE_COLUMNS))
    for broken, words in (
        (frame.drop(columns="volume"), "column is missing: volume"),
        (frame.drop(columns="close"), "column 'close' is missing"),
        (frame.astype({"close": object}).assign(close="dear"), "row 0: close is 'dear'"),
        (frame.assign(open_time=np.nan), "row 0: open_time is empty"),
        (frame.assign(open=np.nan), "row 0: open is empty"),
        (frame.rename(columns={"high": "low", "low": "high"}), "row 0: open 100 is above high"),
        (frame[:1000], "no 1380 minutes in a row"),
        (frame[:0], "holds no row"),
    ):
        with pytest.raises(InputError, match=words):
            model.predict(broken)
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        model.predict(tmp_path / "none.csv")
    with pytest.raises(InputError, match="every = 0"):
        model.predict(klines, every=0)
    with pytest.raises(InputError, match="arima"):
        load("arima", alone)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.unlink(), "is missing: run 2_train_folds"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "cut short or changed"),
        (lambda file: file.write_text('{"30": "tree"}'), "cut short or changed"),
        (lambda file: shutil.rmtree(file.parent), "fold1 is missing: run 2_train_folds"),
    ],
)
def test_a_damaged_folder_is_one_clear_line(
    damage: object, words: str, alone: Path, klines: Path, tmp_path: Path
) -> None:
    shutil.copytree(alone, tmp_path / "work")
    damage(tmp_path / "work" / "champion" / "fold1" / "boosters.json")  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        load("champion", tmp_path / "work").predict(klines)
