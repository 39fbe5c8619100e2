"""The synthetic competition: official layout, consistent bars, deterministic."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from common.run.sample_data import make_sample_data
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.bar_files import COLUMNS, FIELDS
from competitions.bit_trader.sample.market_simulation import PRESSURE_DRIFT, draw_coins, simulate_market

FILES = ("train_x_df.csv", "train_y_df.csv", "test_x_df.csv", "truth/test_y_df.csv")


@pytest.fixture(scope="module")
def tables(sample: Path) -> dict[str, pl.DataFrame]:
    return {name: pl.read_csv(sample / name) for name in FILES}


def test_official_columns_ids_and_minutes(tables: dict[str, pl.DataFrame], sample: Path) -> None:
    for name, minutes in zip(FILES, (1380, 120, 1380, 120), strict=True):
        table = tables[name]
        assert tuple(table.columns) == COLUMNS
        assert [str(table[column].dtype) for column in COLUMNS] == ["Int64"] * 3 + ["Float64"] * 9
        assert table["time"].to_numpy().reshape(-1, minutes).tolist() == [
            list(range(minutes)) for _ in range(len(table) // minutes)
        ]
    train = tables["train_x_df.csv"]["sample_id"].unique().sort().to_list()
    test = tables["test_x_df.csv"]["sample_id"].unique().sort().to_list()
    assert train == list(range(len(train)))
    assert test == list(range(len(train), len(train) + len(test)))
    assert tables["train_y_df.csv"]["sample_id"].unique().sort().to_list() == train
    assert tables["truth/test_y_df.csv"]["sample_id"].unique().sort().to_list() == test
    submission = pl.read_csv(sample / "sample_submission.csv")
    assert submission.columns == ["sample_id", "buy_quantity", "sell_time"]
    assert submission["sample_id"].to_list() == test


def test_everything_is_float32_and_divided_by_the_last_open(tables: dict[str, pl.DataFrame]) -> None:
    for name, table in tables.items():
        values = table.select(FIELDS).to_numpy()
        assert np.array_equal(values, values.astype(np.float32).astype(np.float64))
        if "_x_" in name:
            assert (table.filter(pl.col("time") == 1379)["open"] == 1).all()
    first = tables["train_y_df.csv"].filter(pl.col("time") == 0)["open"].to_numpy()
    assert (first != 1).mean() > 0.5


def test_bars_are_consistent(tables: dict[str, pl.DataFrame]) -> None:
    table = pl.concat(tables.values())
    bars = {name: table[name].to_numpy() for name in FIELDS}
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["low"] > 0).all()
    assert (bars["tb_base_av"] <= bars["volume"]).all()
    assert (bars["tb_quote_av"] <= bars["quote_av"] * (1 + 1e-6)).all()
    idle = bars["volume"] == 0
    assert 0 < idle.mean() < 0.3
    assert (bars["trades"][idle] == 0).all()
    assert (bars["trades"][~idle] > 0).all()
    assert (bars["high"][idle] == bars["low"][idle]).all()


def test_coins_differ_by_orders_of_magnitude_and_volatility_clusters(tables: dict[str, pl.DataFrame]) -> None:
    table = tables["train_x_df.csv"]
    usual = table.filter(pl.col("volume") > 0).group_by("coin_index").agg(pl.col("volume").median())
    assert len(usual) >= 5
    volumes = usual["volume"].to_numpy()
    assert volumes.max() / volumes.min() > 1e4
    returns = np.abs(np.diff(np.log(table["close"].to_numpy().reshape(-1, 1380)), axis=1))
    hours = (
        np.minimum(returns, np.quantile(returns, 0.99))[:, :1320].reshape(len(returns), 22, 60).mean(axis=2)
    )
    next_hour = np.corrcoef(
        (hours[:, :-1] / hours.mean(axis=1, keepdims=True)).ravel(),
        (hours[:, 1:] / hours.mean(axis=1, keepdims=True)).ravel(),
    )
    assert next_hour[0, 1] > 0.2


def test_the_planted_signal_is_what_theory_asked_for() -> None:
    """Bought where the known imbalance alone promises more than the fees: about four standard errors."""
    generator = np.random.default_rng(41)
    usual = draw_coins(generator).volatility[np.arange(1200) % 10]
    market = simulate_market(usual, generator)
    state = market.imbalance[:, 1381]
    expected = PRESSURE_DRIFT * usual * sum(pressure_ahead(state, minutes) for minutes in range(119))
    gain = np.where(expected > 0.001, market.log_return[:, 1381:1500].sum(axis=1) - 0.001, 0)
    errors = np.sqrt(300) * gain.mean() / gain.std()
    assert 3.0 < errors < 5.0


def pressure_ahead(state: np.ndarray, minutes: int) -> np.ndarray:
    """Expected imbalance beyond one standard deviation, so many minutes ahead."""
    mean = 0.994**minutes * state
    spread = np.sqrt(max(1 - 0.994 ** (2 * minutes), 1e-12))

    def beyond(level: np.ndarray) -> np.ndarray:
        return (level - 1) * norm.cdf((level - 1) / spread) + spread * norm.pdf((level - 1) / spread)

    return beyond(mean) - beyond(-mean)


def test_same_seed_same_files(sample: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    make_sample_data(COMPETITION, again, seed=3, scale=0.1)
    make_sample_data(COMPETITION, other, seed=4, scale=0.1)
    for name in (*FILES, "sample_submission.csv"):
        assert (again / name).read_bytes() == (sample / name).read_bytes()
    assert (other / FILES[0]).read_bytes() != (sample / FILES[0]).read_bytes()
