"""No forecaster looks into the future or at other samples."""

from pathlib import Path

import numpy as np
import pytest

from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import Arima, BitTraderExperiment, Cnn, Recurrence, Rnn
from competitions.bit_trader.models.factory import make_forecaster


@pytest.mark.parametrize("forecaster", ["cnn", "recurrence", "rnn", "arima"])
def test_no_forecaster_uses_the_future_or_other_samples(
    market: Windows, forecaster: str, tmp_path: Path
) -> None:
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
