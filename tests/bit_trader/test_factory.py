"""From an experiment to the mean forecast of its folds."""

from pathlib import Path

import numpy as np
import pytest

from competitions.bit_trader.data.features import window_volatility
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.factory import mean_forecast
from competitions.bit_trader.models.gbdt import GbdtForecaster
from tests.bit_trader.small_market import gbdt_settings

SAMPLES = 12


def test_the_parts_of_a_fold_are_averaged(
    market: Windows, trained_gbdt: GbdtForecaster, tmp_path: Path
) -> None:
    rows = np.arange(SAMPLES)
    other = GbdtForecaster(gbdt_settings(trained_gbdt.settings), "cpu")
    other.boosters = dict(zip(trained_gbdt.boosters, reversed(trained_gbdt.boosters.values()), strict=True))
    trained_gbdt.save(tmp_path / "fold0" / "repeat0")
    other.save(tmp_path / "fold0" / "repeat1")
    trained_gbdt.save(tmp_path / "fold1")
    chosen = BitTraderExperiment(name="x", forecaster="gbdt", lookback=480, gbdt=trained_gbdt.settings)
    folds = [tmp_path / "fold0", tmp_path / "fold1"]
    found, warnings = mean_forecast(chosen, "auto", folds, market, rows, tmp_path)
    ours, theirs = (each.forecast(market, rows, tmp_path).paths for each in (trained_gbdt, other))
    assert found.paths == pytest.approx((2 * ours + theirs) / 3, abs=1e-6)
    assert found.volatility == pytest.approx(window_volatility(market.past[:, -480:]))
    assert warnings == []
