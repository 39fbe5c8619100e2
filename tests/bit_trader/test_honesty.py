"""No look into the future, no step from sample to sample, no price level."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import InputError
from competitions.bit_trader.bar_features import bar_features, window_volatility
from competitions.bit_trader.bar_files import FIELDS
from competitions.bit_trader.boosting_forecaster import BoostingForecaster
from competitions.bit_trader.experiment import Boosting
from competitions.bit_trader.forecasts import pooled_forecasts, write_forecasts
from competitions.bit_trader.market_simulation import bars_of, draw_coins, simulate_market
from competitions.bit_trader.market_windows import Windows, lay_folds

SAMPLES = 12


def windows(seed: int = 0) -> Windows:
    generator = np.random.default_rng(seed)
    coins, coin_index = draw_coins(generator), np.arange(SAMPLES) % 10
    bars = bars_of(
        simulate_market(coins.volatility[coin_index], generator), coins.pick(coin_index), generator
    )
    fold, coin_fold = lay_folds(np.arange(SAMPLES), coin_index, 3, seed=0)
    return Windows(np.arange(SAMPLES), coin_index, fold, coin_fold, bars[:, :1380], bars[:, 1380:])


@pytest.fixture(scope="module")
def market() -> Windows:
    return windows()


@pytest.fixture(scope="module")
def trained(market: Windows, tmp_path_factory: pytest.TempPathFactory) -> BoostingForecaster:
    settings = Boosting(horizons=[30, 119], cut_every=120, rounds=10, windows_in_leaf=5)
    forecaster = BoostingForecaster(settings, 480)
    forecaster.fit(market, np.arange(6), tmp_path_factory.mktemp("scratch"), seed=1)
    return forecaster


def test_folds_hold_whole_samples_and_whole_coins(market: Windows) -> None:
    ids = np.arange(60)
    coin_index = ids % 7
    fold, coin_fold = lay_folds(ids, coin_index, 3, seed=5)
    assert sorted(np.unique(fold)) == [0, 1, 2]
    assert np.ptp(np.bincount(fold)) <= 1
    for coin in range(7):
        assert len(np.unique(coin_fold[coin_index == coin])) == 1
    assert np.array_equal(lay_folds(ids, coin_index, 3, seed=5)[0], fold)
    assert not np.array_equal(lay_folds(ids, coin_index, 3, seed=6)[0], fold)


def test_too_few_coins_are_refused_only_where_coins_are_held_out() -> None:
    fold, coin_fold = lay_folds(np.arange(9), np.zeros(9, np.int64), 3, seed=0)
    few = Windows(np.arange(9), np.zeros(9, np.int64), fold, coin_fold, np.empty((9, 0, 9), np.float32), None)
    assert np.array_equal(few.folds_by("sample"), fold)
    with pytest.raises(InputError, match="1 coins"):
        few.folds_by("coin")


def test_a_forecast_sees_its_own_past_alone(
    market: Windows, trained: BoostingForecaster, tmp_path: Path
) -> None:
    rows = np.arange(6, SAMPLES)
    expected = trained.forecast(market, rows, tmp_path).paths
    assert market.future is not None
    past = market.past.copy()
    past[:8] = market.past[:8, ::-1]  # other bars for samples 0 to 7, another future and coin for all
    ids = (market.sample_id[::-1], market.coin_index[::-1], market.fold, market.coin_fold)
    changed = Windows(*ids, past, market.future[:, ::-1])
    again = trained.forecast(changed, rows, tmp_path).paths
    assert np.array_equal(again[2:], expected[2:])
    assert not np.array_equal(again[:2], expected[:2])
    alone = trained.forecast(market, rows[3:4], tmp_path).paths
    assert np.array_equal(alone, expected[3:4])


def test_features_know_neither_price_level_nor_divisor(market: Windows) -> None:
    bars: Any = market.past[:, -480:].astype(np.float64)
    expected = bar_features(bars)
    rescaled = bars.copy()
    rescaled[:, :, :4] *= 3.7  # another divisor of the prices
    rescaled[:, :, [FIELDS.index("volume"), FIELDS.index("tb_base_av")]] *= 1e5  # another coin's volumes
    rescaled[:, :, [FIELDS.index("quote_av"), FIELDS.index("tb_quote_av")]] *= 1e9  # another price level
    again = bar_features(rescaled)
    assert list(again) == list(expected)
    for name, values in expected.items():
        assert np.isfinite(values).all(), name
        assert again[name] == pytest.approx(values, rel=1e-6, abs=1e-9), name


def test_features_survive_a_coin_that_never_trades() -> None:
    bars = np.ones((2, 480, 9), np.float32)
    bars[:, :, 4:] = 0
    for name, values in bar_features(bars).items():
        assert np.isfinite(values).all(), name
    assert (window_volatility(bars) > 0).all()


def test_training_windows_end_before_their_future(market: Windows, trained: BoostingForecaster) -> None:
    """Another future of the samples changes no feature, and the targets of their last windows alone."""
    assert market.future is not None
    features, targets = trained._training_table(market, np.arange(4))
    ids = (market.sample_id, market.coin_index, market.fold, market.coin_fold)
    other = Windows(*ids, market.past, np.sqrt(market.future))
    features_again, targets_again = trained._training_table(other, np.arange(4))
    assert np.array_equal(features_again, features)
    assert np.array_equal(targets_again[4:], targets[4:])  # windows cut from the past itself
    assert not np.array_equal(targets_again[:4], targets[:4])


def test_saved_boosters_forecast_alike(market: Windows, trained: BoostingForecaster, tmp_path: Path) -> None:
    files = trained.save(tmp_path)
    assert all(file.is_file() for file in files)
    again = BoostingForecaster(trained.settings, 480)
    again.load(tmp_path)
    rows = np.arange(SAMPLES)
    assert np.array_equal(
        again.forecast(market, rows, tmp_path).paths, trained.forecast(market, rows, tmp_path).paths
    )


def test_pooling_wants_every_sample_once(tmp_path: Path) -> None:
    paths = np.arange(4, dtype=np.float32)[:, None] + np.ones((4, 120), np.float32)
    write_forecasts(tmp_path / "a.parquet", np.array([12, 10]), paths[[2, 0]])
    write_forecasts(tmp_path / "b.parquet", np.array([13, 11]), paths[[3, 1]])
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert np.array_equal(pooled_forecasts(files, np.array([10, 11, 12, 13])), paths)
    assert np.array_equal(pooled_forecasts(files, np.array([13, 10, 12, 11])), paths[[3, 0, 2, 1]])
    for ids in ([10, 11, 12, 14], [10, 11, 12], [10, 11, 12, 13, 14]):
        with pytest.raises(ValueError, match="once"):
            pooled_forecasts(files, np.array(ids))
