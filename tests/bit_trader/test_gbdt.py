"""The LightGBM forecaster: training windows, resuming, saving; each sample from its own past."""

from pathlib import Path

import numpy as np

from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.models.gbdt import GbdtForecaster
from tests.bit_trader.small_market import gbdt_settings

SAMPLES = 12


def test_a_forecast_depends_on_its_own_past_only(
    market: Windows, trained_gbdt: GbdtForecaster, tmp_path: Path
) -> None:
    rows = np.arange(6, SAMPLES)
    expected = trained_gbdt.forecast(market, rows, tmp_path).paths
    assert market.future is not None
    past = market.past.copy()
    past[:8] = market.past[:8, ::-1]  # other bars for samples 0 to 7, another future and coin for all
    ids = (market.sample_id[::-1], market.coin_index[::-1], market.fold_order)
    changed = Windows(*ids, past, market.future[:, ::-1])
    again = trained_gbdt.forecast(changed, rows, tmp_path).paths
    assert np.array_equal(again[2:], expected[2:])
    assert not np.array_equal(again[:2], expected[:2])
    alone = trained_gbdt.forecast(market, rows[3:4], tmp_path).paths
    assert np.array_equal(alone, expected[3:4])


def test_training_windows_end_before_their_future(market: Windows, trained_gbdt: GbdtForecaster) -> None:
    """Another future of the samples changes no feature, and the targets of their last windows alone."""
    assert market.future is not None
    features, targets = trained_gbdt._training_table(market, np.arange(4))
    ids = (market.sample_id, market.coin_index, market.fold_order)
    other = Windows(*ids, market.past, np.sqrt(market.future))
    features_again, targets_again = trained_gbdt._training_table(other, np.arange(4))
    assert np.array_equal(features_again, features)
    assert np.array_equal(targets_again[4:], targets[4:])  # windows cut from the past itself
    assert not np.array_equal(targets_again[:4], targets[:4])


def test_saved_boosters_forecast_alike(market: Windows, trained_gbdt: GbdtForecaster, tmp_path: Path) -> None:
    files = trained_gbdt.save(tmp_path)
    assert all(file.is_file() for file in files)
    again = GbdtForecaster(gbdt_settings(trained_gbdt.settings), "cpu")
    again.load(tmp_path)
    rows = np.arange(SAMPLES)
    assert np.array_equal(
        again.forecast(market, rows, tmp_path).paths, trained_gbdt.forecast(market, rows, tmp_path).paths
    )


def test_an_interrupted_training_continues_after_its_finished_horizons(
    market: Windows, trained_gbdt: GbdtForecaster, tmp_path: Path
) -> None:
    again = GbdtForecaster(gbdt_settings(trained_gbdt.settings), "cpu")
    history = again.fit(market, np.arange(6), tmp_path, seed=1)
    kept, missing = tmp_path / "minute30.txt", tmp_path / "minute119.txt"
    before = kept.stat().st_mtime_ns
    missing.unlink()
    resumed = GbdtForecaster(gbdt_settings(trained_gbdt.settings), "cpu")
    assert resumed.fit(market, np.arange(6), tmp_path, seed=1) == history
    assert kept.stat().st_mtime_ns == before
    rows = np.arange(SAMPLES)
    expected = trained_gbdt.forecast(market, rows, tmp_path).paths
    assert np.array_equal(resumed.forecast(market, rows, tmp_path).paths, expected)
