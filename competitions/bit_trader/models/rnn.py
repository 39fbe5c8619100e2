"""The paper's LSTM and GRU on open prices: 60 minutes at once, the rest autoregressively."""

import numpy as np

from common.learn.arrays import Float32
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.networks import build_rnn
from competitions.bit_trader.models.neural import NetworkForecaster, minmax
from competitions.bit_trader.models.registry import FORECASTERS
from competitions.bit_trader.models.silent_keras import keras


@FORECASTERS.register("rnn")
class RnnForecaster(NetworkForecaster):
    """Recurrent layers over open prices, unscaled or min-max scaled window by window."""

    def __init__(self, settings: BitTraderExperiment, device: str) -> None:
        super().__init__(settings, device)
        self.horizon = settings.rnn.horizon_step

    def build(self) -> keras.Model:
        """(batch, lookback, 1) -> (batch, horizon_step)."""
        return build_rnn(self.settings.rnn, self.lookback)

    def scaled(self, past_open: Float32) -> tuple[Float32, Float32, Float32]:
        """Inputs (n, lookback), offset and width (n, 1)."""
        if not self.settings.rnn.minmax_scaling:
            return super().scaled(past_open)
        low, width = minmax(past_open)
        return np.asarray((past_open - low) / width), low, width
