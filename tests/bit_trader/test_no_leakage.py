"""No look into the future, no step from sample to sample, no price level."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.data.features import bar_features, window_volatility
from competitions.bit_trader.data.folds import held_out_sets
from competitions.bit_trader.data.windows import Windows, draw_fold_orders
from competitions.bit_trader.experiment import Arima, BitTraderExperiment, Cnn, Gbdt, Recurrence, Rnn
from competitions.bit_trader.models.factory import make_forecaster, mean_forecast
from competitions.bit_trader.models.forecasts import Forecasts, pooled_forecasts, write_forecasts
from competitions.bit_trader.models.gbdt import GbdtForecaster
from competitions.bit_trader.sample.market_simulation import bars_of, draw_coins, simulate_market

SAMPLES = 12


def windows(seed: int = 0) -> Windows:
    generator = np.random.default_rng(seed)
    coins, coin_index = draw_coins(generator), np.arange(SAMPLES) % 10
    bars = bars_of(
        simulate_market(coins.volatility[coin_index], generator), coins.pick(coin_index), generator
    )
    order = draw_fold_orders(SAMPLES, seed=0)
    return Windows(np.arange(SAMPLES), coin_index, order, bars[:, :1380], bars[:, 1380:])


def gbdt_settings(settings: Gbdt) -> BitTraderExperiment:
    return BitTraderExperiment(name="x", forecaster="gbdt", lookback=480, gbdt=settings)


@pytest.fixture(scope="module")
def market() -> Windows:
    return windows()


@pytest.fixture(scope="module")
def trained(market: Windows, tmp_path_factory: pytest.TempPathFactory) -> GbdtForecaster:
    small = Gbdt(horizons=[30, 119], stride=120, num_boost_round=10, min_data_in_leaf=5)
    forecaster = GbdtForecaster(gbdt_settings(small), "cpu")
    forecaster.fit(market, np.arange(6), tmp_path_factory.mktemp("scratch"), seed=1)
    return forecaster


def bare(coin_index: np.ndarray) -> Windows:
    number = np.arange(len(coin_index))
    order = draw_fold_orders(len(number), seed=5)
    return Windows(number, coin_index, order, np.empty((len(number), 0, 9), np.float32), None)


def settings_of(cv: str, folds: int, repeats: int = 1) -> BitTraderExperiment:
    return BitTraderExperiment(name="x", folds=folds, cv=cv, repeats=repeats)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 40), st.integers(2, 3), st.integers(1, 5))
def test_repeated_folds_hold_each_sample_once_a_repeat(samples: int, folds: int, repeats: int) -> None:
    windows, chosen = bare(np.zeros(samples, np.int64)), settings_of("repeated_kfold", folds, repeats)
    parts = [part for fold in range(folds) for part in held_out_sets(chosen, windows, fold)]
    assert len(parts) == folds * repeats
    for repeat in range(repeats):
        rows = np.concatenate([part.rows for part in parts if part.repeat == repeat])
        assert sorted(rows) == list(range(samples))
    sizes = [len(part.rows) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_repeats_cut_anew_and_seeds_count() -> None:
    first, second = draw_fold_orders(60, seed=5), draw_fold_orders(60, seed=6)
    assert np.array_equal(first, draw_fold_orders(60, seed=5))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:, 0], first[:, 1])


def test_each_coin_is_left_out_alone() -> None:
    windows, chosen = bare(np.array([7, 3, 7, 1, 3, 9, 1, 7])), settings_of("leave_one_coin_out", 3)
    parts = [part for fold in range(3) for part in held_out_sets(chosen, windows, fold)]
    assert sorted(part.name for part in parts) == ["coin1", "coin3", "coin7", "coin9"]
    for part in parts:
        (coin,) = set(windows.coin_index[part.rows])
        assert part.name == f"coin{coin}"
        assert len(part.rows) == (windows.coin_index == coin).sum()


def test_too_few_coins_or_samples_are_refused() -> None:
    windows = bare(np.zeros(9, np.int64))
    assert len(held_out_sets(settings_of("repeated_kfold", 3), windows, 0)) == 1
    with pytest.raises(InputError, match="1 coins"):
        held_out_sets(settings_of("leave_one_coin_out", 3), windows, 0)
    with pytest.raises(InputError, match="9 samples"):
        held_out_sets(settings_of("repeated_kfold", 10), windows, 0)


def test_a_forecast_sees_its_own_past_alone(market: Windows, trained: GbdtForecaster, tmp_path: Path) -> None:
    rows = np.arange(6, SAMPLES)
    expected = trained.forecast(market, rows, tmp_path).paths
    assert market.future is not None
    past = market.past.copy()
    past[:8] = market.past[:8, ::-1]  # other bars for samples 0 to 7, another future and coin for all
    ids = (market.sample_id[::-1], market.coin_index[::-1], market.fold_order)
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


def test_training_windows_end_before_their_future(market: Windows, trained: GbdtForecaster) -> None:
    """Another future of the samples changes no feature, and the targets of their last windows alone."""
    assert market.future is not None
    features, targets = trained._training_table(market, np.arange(4))
    ids = (market.sample_id, market.coin_index, market.fold_order)
    other = Windows(*ids, market.past, np.sqrt(market.future))
    features_again, targets_again = trained._training_table(other, np.arange(4))
    assert np.array_equal(features_again, features)
    assert np.array_equal(targets_again[4:], targets[4:])  # windows cut from the past itself
    assert not np.array_equal(targets_again[:4], targets[:4])


def test_saved_boosters_forecast_alike(market: Windows, trained: GbdtForecaster, tmp_path: Path) -> None:
    files = trained.save(tmp_path)
    assert all(file.is_file() for file in files)
    again = GbdtForecaster(gbdt_settings(trained.settings), "cpu")
    again.load(tmp_path)
    rows = np.arange(SAMPLES)
    assert np.array_equal(
        again.forecast(market, rows, tmp_path).paths, trained.forecast(market, rows, tmp_path).paths
    )


def test_a_killed_boosting_goes_on_behind_its_finished_horizons(
    market: Windows, trained: GbdtForecaster, tmp_path: Path
) -> None:
    again = GbdtForecaster(gbdt_settings(trained.settings), "cpu")
    history = again.fit(market, np.arange(6), tmp_path, seed=1)
    kept, missing = tmp_path / "minute30.txt", tmp_path / "minute119.txt"
    before = kept.stat().st_mtime_ns
    missing.unlink()
    resumed = GbdtForecaster(gbdt_settings(trained.settings), "cpu")
    assert resumed.fit(market, np.arange(6), tmp_path, seed=1) == history
    assert kept.stat().st_mtime_ns == before
    rows = np.arange(SAMPLES)
    expected = trained.forecast(market, rows, tmp_path).paths
    assert np.array_equal(resumed.forecast(market, rows, tmp_path).paths, expected)


def test_the_parts_of_a_fold_are_averaged(market: Windows, trained: GbdtForecaster, tmp_path: Path) -> None:
    rows = np.arange(SAMPLES)
    other = GbdtForecaster(gbdt_settings(trained.settings), "cpu")
    other.boosters = dict(zip(trained.boosters, reversed(trained.boosters.values()), strict=True))
    trained.save(tmp_path / "fold0" / "repeat0")
    other.save(tmp_path / "fold0" / "repeat1")
    trained.save(tmp_path / "fold1")
    chosen = BitTraderExperiment(name="x", forecaster="gbdt", lookback=480, gbdt=trained.settings)
    folds = [tmp_path / "fold0", tmp_path / "fold1"]
    found, warnings = mean_forecast(chosen, "auto", folds, market, rows, tmp_path)
    ours, theirs = (each.forecast(market, rows, tmp_path).paths for each in (trained, other))
    assert found.paths == pytest.approx((2 * ours + theirs) / 3, abs=1e-6)
    assert found.volatility == pytest.approx(window_volatility(market.past[:, -480:]))
    assert warnings == []


def forecasts(ids: list[int]) -> Forecasts:
    number = np.array(ids)
    paths = number[:, None].astype(np.float32) + np.ones((len(ids), 120), np.float32)
    return Forecasts(number, paths, number / 1000.0)


def test_pooling_wants_every_sample_once_a_repeat(tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_forecasts(files[0], [(0, forecasts([12, 10])), (1, forecasts([11]))])
    write_forecasts(files[1], [(0, forecasts([13, 11])), (1, forecasts([10, 13, 12]))])
    for order in ([10, 11, 12, 13], [13, 10, 12, 11]):
        pooled = pooled_forecasts(files, np.array(order))
        assert len(pooled) == 2
        for repeat in pooled:
            assert repeat.sample_id.tolist() == order
            assert repeat.paths[:, 5].tolist() == [number + 1 for number in order]
            assert repeat.volatility.tolist() == [number / 1000 for number in order]
    for ids in ([10, 11, 12, 14], [10, 11, 12], [10, 11, 12, 13, 14]):
        with pytest.raises(ValueError, match="once"):
            pooled_forecasts(files, np.array(ids))


def test_forecasts_are_finite_and_of_the_right_horizon() -> None:
    for paths in (np.ones((2, 119)), np.full((2, 120), np.nan), np.ones((3, 120))):
        with pytest.raises(ValueError, match="forecasts"):
            Forecasts(np.arange(2), paths.astype(np.float32), np.ones(2))


@pytest.mark.parametrize("forecaster", ["cnn", "recurrence", "rnn", "arima"])
def test_no_forecaster_looks_ahead_or_aside(market: Windows, forecaster: str, tmp_path: Path) -> None:
    """Another future, other samples around: the same forecast of 120 minutes."""
    small = {
        "cnn": {"cnn": Cnn(filters=[2])},
        "recurrence": {"recurrence": Recurrence(image_size=8, filters=[2])},
        "rnn": {"rnn": Rnn(units=2)},
        "arima": {"arima": Arima(order=[1, 1, 0], n_jobs=1)},
    }[forecaster]
    chosen = BitTraderExperiment(name="x", forecaster=forecaster, lookback=30, **small)  # type: ignore[arg-type]
    untrained = make_forecaster(chosen, "auto")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    expected = untrained.forecast(market, np.arange(4), tmp_path / "one").paths
    assert market.future is not None
    past = market.past.copy()
    past[:2] = past[:2, ::-1]
    changed = Windows(market.sample_id, market.coin_index, market.fold_order, past, market.future[:, ::-1])
    again = untrained.forecast(changed, np.arange(4), tmp_path / "two").paths
    assert expected.shape == (4, 120)
    assert np.allclose(again[2:], expected[2:], atol=1e-6)
    assert not np.allclose(again[:2], expected[:2], atol=1e-6)
