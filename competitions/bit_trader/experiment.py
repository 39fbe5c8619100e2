"""The settings of one bit-trader experiment."""

from typing import Any, Literal

from pydantic import Field

from common.run.experiments import Experiment, Settings

PARTITIONS = 5
"""Random orders of the training samples that 1_preprocess lays; each cuts into any number of folds."""


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


class Recurrence(Settings):
    """Two-dimensional convolutions over a recurrence plot of the lookback's open prices."""

    sense: Literal["trajectory", "delay"] = "trajectory"
    """trajectory: the article's, distances within the path in the plane of scaled time and scaled price;
    delay: the usual one, distances between delay vectors of dimension 2."""
    pixels: int = Field(default=64, ge=8, le=128)
    """Height and width of a plot; the series is averaged down to as many points first."""
    delay: int = Field(default=1, ge=1)
    """Points between the two entries of a delay vector."""
    filters: list[int] = Field(default=[16, 32, 64])
    """Filters of each convolution of 3 x 3; each is followed by max pooling of 2 x 2."""
    dense_units: int = 64
    """Nodes of the layer behind the flattening."""
    dropout: float = 0.3
    """Share of those nodes dropped in training."""


class Search(Settings):
    """Random search over convolutional networks by Keras Tuner; the space is the article's Table 2."""

    trials: int = 0
    """Networks tried in each fold; 0 takes the settings of the table `cnn` as they are."""
    epochs: int = 5
    """Passes over the training samples of each trial."""
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the fold's training samples that judges the trials."""
    layers: list[int] = Field(default=[3, 5], min_length=2, max_length=2)
    """Fewest and most convolutional layers."""
    filters: list[int] = Field(default=[32, 512, 32], min_length=3, max_length=3)
    """Fewest and most filters of a layer, and the step between."""
    pooling: list[Literal["max", "average"]] = Field(default=["average", "max"])
    """Kinds of pooling, one for all layers."""
    dense_units: list[int] = Field(default=[30, 100, 10], min_length=3, max_length=3)
    """Fewest and most nodes behind the flattening, and the step between."""
    dropout: list[float] = Field(default=[0.0, 0.5], min_length=2, max_length=2)
    """Smallest and largest dropout."""
    learning_rate: list[float] = Field(default=[1e-4, 1e-2], min_length=2, max_length=2)
    """Smallest and largest step size, drawn on a logarithmic scale."""


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
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of the Beta distribution that mixes pairs of samples (Zhang et al. 2018); 0 mixes none."""


class Arima(Settings):
    """One ARIMA a sample, orders chosen by auto_arima; ARIMA(1,1,1) where that fails."""

    engine: Literal["statsforecast", "pmdarima"] = "statsforecast"
    """statsforecast (fast) or pmdarima (the article's)."""
    max_order: int = 5
    """Highest autoregressive and moving-average order tried."""
    order: list[int] = Field(default=[], max_length=3)
    """A fixed [p, d, q] instead of auto_arima; empty lets auto_arima choose."""
    predicts: Literal["forecast", "in_sample"] = "forecast"
    """forecast: the 120 minutes after the purchase; in_sample: fitted values of x minutes 1 to 120, a day
    before, which the organisers' notebook took for a forecast."""
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


TunedRule = Literal["price_threshold", "net_edge", "cautious"]


class Rule(Settings):
    """How a forecast becomes an order; strategies.py defines each kind."""

    kind: Literal["printed", "price_threshold", "net_edge", "cautious", "best_of"] = "printed"
    """printed: the article's; best_of: whichever of `candidates` is best out of fold; the others have a
    threshold that is tuned out of fold."""
    candidates: list[TunedRule] = Field(default=["net_edge", "cautious"])
    """Kinds that best_of chooses from."""
    sell: Literal["best", "last"] = "best"
    """best: at the best expected minute; last: at minute 119."""
    thresholds: int = 40
    """Thresholds tried of each kind; the most promising samples are told apart most finely."""
    fewest_trades: int = 8
    """Thresholds with fewer out-of-fold trades are not considered."""

    @property
    def tuned(self) -> list[TunedRule]:
        """The kinds whose thresholds are tuned; none for the printed rule."""
        if self.kind == "printed":
            return []
        return self.candidates if self.kind == "best_of" else [self.kind]


class BitTraderExperiment(Experiment):
    """One run: a forecaster, a rule that trades on its forecasts, and how samples are held out."""

    forecaster: Literal["cnn", "recurrence", "rnn", "arima", "boosting"] = "cnn"
    """What forecasts the open prices of the next 120 minutes; its own table below applies."""
    lookback: int = 1380
    """How many of the 1,380 minutes the forecaster sees, counted back from the last."""
    held_out_by: Literal["sample", "coin"] = "sample"
    """sample: folds of samples; coin: every coin in turn, all its samples at once (leave one coin out)."""
    repeats: int = Field(default=1, ge=1, le=PARTITIONS)
    """How often the samples are cut into folds anew (repeated K-fold)."""
    cnn: Cnn = Cnn()
    search: Search = Search()
    recurrence: Recurrence = Recurrence()
    rnn: Rnn = Rnn()
    training: Training = Training()
    arima: Arima = Arima()
    boosting: Boosting = Boosting()
    rule: Rule = Rule()

    def preprocessing(self) -> dict[str, Any]:
        """1_preprocess lays an order from which any number of folds follows."""
        return {}
