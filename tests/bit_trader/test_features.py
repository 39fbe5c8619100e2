"""Features depend on neither price level nor divisor."""

from typing import Any

import numpy as np
import pytest

from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.data.features import bar_features, window_volatility
from competitions.bit_trader.data.windows import Windows


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
