"""load(...).predict(...): three lines that need the experiment's own folder only."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from common.base.errors import InputError
from competitions.bit_trader import load
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.models.factory import needed_fields
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


def test_overlapping_windows_share_one_account(alone: Path) -> None:
    model = load("champion", alone)
    model.strategy = type(model.strategy)(model.strategy.kind, "last", -1.0)  # buys everything
    longer = kline_table(1380 + 400).to_pandas()
    lines: list[str] = []
    table = model.predict(longer, every=60, tell=lines.append)
    # Purchases at 1420, 1480, 1540, ...: the money is there again after 119 minutes, every other one waits.
    assert table["buy_quantity"].tolist() == [1.0] * 7
    assert table["skipped"].tolist() == [False, True, False, True, False, True, False]
    opens = longer["open"].to_numpy()
    expected = [opens[first + 119] / opens[first] * 0.9995**2 for first in (1420, 1540, 1660)]
    known = table["growth"].to_numpy()[:5]  # purchases until 1660 are followed by 120 minutes
    assert table["growth"].isna().tolist() == [False] * 5 + [True] * 2
    assert known[[1, 3]].tolist() == [1, 1]
    assert known.prod() == pytest.approx(np.prod(expected), rel=1e-5)
    account = (
        f"one account over the 5 windows with a known outcome: 10,000 become {10000 * known.prod():,.2f}"
    )
    assert any(account in line for line in lines)
    assert any("3 purchases of all windows skipped" in line for line in lines)
    assert any("understood: klines: DataFrame, 1,780 rows, columns by name" in line for line in lines)


def test_a_forecaster_of_prices_alone_needs_prices_alone(alone: Path, klines: Path) -> None:
    six = pd.read_csv(klines, header=None).iloc[:, :6]
    model = load("champion", alone)
    with pytest.raises(InputError, match=r"columns are missing: trades, tb_base_av\."):
        model.predict(six)
    assert needed_fields(COMPETITION.experiment("arima", "sample")) == ("open", "open", "close")
    assert needed_fields(COMPETITION.experiment("cnn_manual", "sample")) == ("open", "open", "close")


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
