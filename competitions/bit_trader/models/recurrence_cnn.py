"""CNN on recurrence plots of the open prices, an idea of the paper's section 5.2."""

import numpy as np

from common.learn.arrays import Float32
from competitions.bit_trader.models.networks import build_recurrence_cnn
from competitions.bit_trader.models.neural import NetworkForecaster, minmax
from competitions.bit_trader.models.recurrence_plots import recurrence_plots
from competitions.bit_trader.models.registry import FORECASTERS
from competitions.bit_trader.models.silent_keras import keras


@FORECASTERS.register("recurrence")
class RecurrenceCnnForecaster(NetworkForecaster):
    """Two-dimensional convolutions over a recurrence plot; forecasts the change since the last price."""

    def build(self) -> keras.Model:
        """(batch, image_size, image_size, 1) -> (batch, 120)."""
        return build_recurrence_cnn(self.settings.recurrence)

    def scaled(self, past_open: Float32) -> tuple[Float32, Float32, Float32]:
        """Inputs (n, lookback); the offset is the last price, because a plot does not show where that is."""
        _, width = minmax(past_open)
        last = past_open[:, -1:]
        return np.asarray((past_open - last) / width), last, width

    def network_inputs(self, series: Float32) -> Float32:
        """(n, lookback) -> (n, image_size, image_size, 1)."""
        return recurrence_plots(series, self.settings.recurrence)
