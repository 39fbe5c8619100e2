"""The settings of one bit-trader experiment."""

from typing import Any, Literal

from pydantic import Field

from common.experiments import Experiment, Settings


class Cnn(Settings):
    """One-dimensional convolutions over the open prices of the lookback."""

    filters: list[int] = Field(default=[300, 300])
    """Filters of each convolutional layer."""
    kernel: int = 2
    """Minutes that a filter sees."""
    pooling: Literal["max", "average"] = "max"
    """What a pooling layer keeps; one follows each convolution."""
    pool_size: int = 2
    """Steps that a pooling layer joins."""
    padding: Literal["valid", "same"] = "valid"
    """Padding of the convolutions."""
    dense_units: int = 100
    """Nodes of the layer behind the flattening."""
    dropout: float = 0.4
    """Share of those nodes dropped in training."""


class Rnn(Settings):
    """Recurrent layers over the open prices of the lookback."""

    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of recurrent layer."""
    layers: int = 1
    """Recurrent layers."""
    dense_layers: int = 1
    """Dense layers behind them, the output layer included."""
    units: int = 16
    """Units of each recurrent and hidden dense layer."""
    minutes_at_once: int = 60
    """Minutes forecast in one go; the next ones are forecast from these."""
    min_max: bool = False
    """Scale each lookback window to 0..1 by its own minimum and maximum, and the forecast back."""


class Training(Settings):
    """Gradient descent of the neural forecasters, by Adam on the squared error."""

    epochs: int = 10
    """Passes over the training samples."""
    batch_size: int = 32
    """Samples a step."""
    learning_rate: float = 0.001
    """Step size of Adam."""


class Arima(Settings):
    """One ARIMA a sample, orders chosen by auto_arima; ARIMA(1,1,1) where that fails."""

    engine: Literal["statsforecast", "pmdarima"] = "statsforecast"
    """statsforecast (fast) or pmdarima (the article's)."""
    max_order: int = 5
    """Highest autoregressive and moving-average order tried."""
    processes: int = 2
    """Series fitted side by side."""
    chunk: int = 16
    """Series between two savings of what is done."""


class Boosting(Settings):
    """LightGBM on scale-free features of a sample's own last minutes."""

    horizons: list[int] = Field(default=[10, 20, 30, 45, 60, 90, 119])
    """Minutes after the purchase whose log price ratio is learned, one booster each."""
    cut_every: int = 20
    """Minutes between the further training windows that are cut from a training sample's own 23 hours."""
    rounds: int = 150
    """Trees of each booster."""
    leaves: int = 8
    """Leaves of each tree."""
    learning_rate: float = 0.05
    """Shrinkage of each tree."""
    windows_in_leaf: int = 50
    """Least number of training windows in a leaf."""
    feature_share: float = 0.5
    """Share of the features that each tree may use."""
    ridge: float = 10.0
    """L2 penalty on the leaves."""


class Rule(Settings):
    """How a forecast becomes an order."""

    kind: Literal["printed", "net_edge"] = "printed"
    """printed: buy all when any forecast minute exceeds 1; net_edge: when the best expected gain after both
    fees exceeds a threshold that is tuned out of fold."""
    thresholds: int = 40
    """Thresholds tried; the highest expected gains are told apart most finely."""
    fewest_trades: int = 8
    """Thresholds with fewer out-of-fold trades are not considered."""


class BitTraderExperiment(Experiment):
    """One run: a forecaster, a rule that trades on its forecasts, and how samples are held out."""

    forecaster: Literal["cnn", "rnn", "arima", "boosting"] = "cnn"
    """What forecasts the open prices of the next 120 minutes; its own table below applies."""
    lookback: int = 1380
    """How many of the 1,380 minutes the forecaster sees, counted back from the last."""
    held_out_by: Literal["sample", "coin"] = "sample"
    """sample: folds of samples; coin: a coin's samples share a fold, so that it is new to the forecaster."""
    cnn: Cnn = Cnn()
    rnn: Rnn = Rnn()
    training: Training = Training()
    arima: Arima = Arima()
    boosting: Boosting = Boosting()
    rule: Rule = Rule()

    def preprocessing(self) -> dict[str, Any]:
        """Both kinds of folds are laid by 1_preprocess, so that only their number matters."""
        return {"folds": self.folds}
