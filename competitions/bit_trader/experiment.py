"""The settings of one bit-trader experiment."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from common.run.experiments import Experiment, Settings
from competitions.bit_trader.models.registry import FORECASTERS

MAX_REPEATS = 5
"""Random orders of the training samples that 1_preprocess draws; each one cuts into any number of folds."""

Option = int | float | str | bool | list[int] | list[float] | list[str]


class Cnn(Settings):
    """One-dimensional convolutions over the open prices of the lookback."""

    filters: list[int] = Field(default=[300, 300])
    """Filters of each convolutional layer."""
    kernel_size: int = 2
    """Minutes that a filter sees."""
    pooling: Literal["max", "average"] = "max"
    """Kind of the pooling layer that follows each convolution."""
    pool_size: int = 2
    """Steps that a pooling layer joins."""
    padding: Literal["valid", "same"] = "valid"
    """Padding of the convolutions."""
    dense_units: int = 100
    """Units of the dense layer after flattening."""
    dropout: float = 0.4
    """Share of those units dropped in training."""


class Recurrence(Settings):
    """Two-dimensional convolutions over a recurrence plot of the lookback's open prices."""

    kind: Literal["trajectory", "delay"] = "trajectory"
    """trajectory: the paper's, distances within the path in the plane of scaled time and scaled price;
    delay: the usual one, distances between delay vectors of dimension 2."""
    image_size: int = Field(default=64, ge=8, le=128)
    """Height and width of a plot in pixels; the series is averaged down to as many points first."""
    delay: int = Field(default=1, ge=1)
    """Points between the two entries of a delay vector."""
    filters: list[int] = Field(default=[16, 32, 64])
    """Filters of each 3 x 3 convolution; each is followed by 2 x 2 max pooling."""
    dense_units: int = 64
    """Units of the dense layer after flattening."""
    dropout: float = 0.3
    """Share of those units dropped in training."""


class Search(Settings):
    """Random search over convolutional networks by Keras Tuner; the space is Table 2 of the paper."""

    max_trials: int = 0
    """Networks tried in each fold; 0 uses the table `cnn` without a search."""
    epochs: int = 5
    """Training epochs of each trial."""
    validation_split: float = Field(default=0.2, gt=0, lt=1)
    """Share of the fold's training samples on which trials are compared."""
    layers: list[int] = Field(default=[3, 5], min_length=2, max_length=2)
    """Minimum and maximum number of convolutional layers."""
    filters: list[int] = Field(default=[32, 512, 32], min_length=3, max_length=3)
    """Minimum, maximum and step of the filters per layer."""
    pooling: list[Literal["max", "average"]] = Field(default=["average", "max"])
    """Kinds of pooling; a network uses one for all its layers."""
    dense_units: list[int] = Field(default=[30, 100, 10], min_length=3, max_length=3)
    """Minimum, maximum and step of the units after flattening."""
    dropout: list[float] = Field(default=[0.0, 0.5], min_length=2, max_length=2)
    """Minimum and maximum dropout."""
    learning_rate: list[float] = Field(default=[1e-4, 1e-2], min_length=2, max_length=2)
    """Minimum and maximum learning rate, sampled on a logarithmic scale."""


class Rnn(Settings):
    """Recurrent layers over the open prices of the lookback."""

    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of recurrent layer."""
    layers: int = 1
    """Recurrent layers."""
    dense_layers: int = 1
    """Dense layers after them, the output layer included."""
    units: int = 16
    """Units of each recurrent and hidden dense layer."""
    horizon_step: int = 60
    """Minutes forecast at once; later minutes are forecast autoregressively from these."""
    minmax_scaling: bool = False
    """Scale each lookback window to 0..1 by its own minimum and maximum, and the forecast back."""


class Training(Settings):
    """Training of the neural forecasters: Adam on the mean squared error."""

    epochs: int = 10
    """Passes over the training samples."""
    batch_size: int = 32
    """Samples per gradient step."""
    learning_rate: float = 0.001
    """Adam's learning rate."""
    mixup_alpha: float = Field(default=0.0, ge=0)
    """Alpha of mixup's Beta distribution (Zhang et al. 2018); 0 switches mixup off."""


class Arima(Settings):
    """One ARIMA per sample, order chosen by auto_arima; ARIMA(1,1,1) where that fails."""

    engine: Literal["statsforecast", "pmdarima"] = "statsforecast"
    """statsforecast (fast) or pmdarima (the paper's)."""
    max_order: int = 5
    """Highest autoregressive and moving-average order tried."""
    order: list[int] = Field(default=[], max_length=3)
    """A fixed [p, d, q] instead of auto_arima; empty lets auto_arima choose."""
    prediction: Literal["forecast", "fitted_values"] = "forecast"
    """forecast: the 120 minutes after the purchase; fitted_values: the fit to x minutes 1 to 120, a day
    earlier, which the organisers' notebook took for a forecast."""
    n_jobs: int = 2
    """Processes that fit series in parallel."""
    chunk_size: int = 16
    """Series per checkpoint."""


class Gbdt(Settings):
    """LightGBM on scale-free features of a sample's own last minutes."""

    horizons: list[int] = Field(default=[10, 20, 30, 45, 60, 90, 119])
    """Minutes after the purchase whose log price ratio is learned, one booster each."""
    stride: int = 20
    """Minutes between the additional training windows that are cut from a training sample's own 23 hours."""
    num_boost_round: int = 150
    """Trees of each booster."""
    num_leaves: int = 8
    """Leaves of each tree."""
    learning_rate: float = 0.05
    """Shrinkage of each tree."""
    min_data_in_leaf: int = 50
    """Minimum number of training windows in a leaf."""
    feature_fraction: float = 0.5
    """Share of the features that each tree may use."""
    lambda_l2: float = 10.0
    """L2 penalty on the leaf values."""


TunedKind = Literal["price_threshold", "expected_net_return", "risk_adjusted"]


class Rule(Settings):
    """How a forecast becomes a position; decision/strategies.py defines each kind."""

    kind: Literal["paper_rule", "price_threshold", "expected_net_return", "risk_adjusted", "best_of"] = (
        "paper_rule"
    )
    """paper_rule: the paper's; best_of: the candidate with the best OOF result; the others have a threshold
    that is tuned on OOF forecasts."""
    candidates: list[TunedKind] = Field(default=["expected_net_return", "risk_adjusted"], min_length=1)
    """Kinds that best_of chooses from."""
    sell: Literal["best", "last"] = "best"
    """best: at the best expected minute; last: at minute 119."""
    n_thresholds: int = 40
    """Thresholds tried per kind, spaced evenly in the logarithm of the number of trades."""
    min_trades: int = 8
    """Thresholds with fewer OOF trades are not considered."""

    @property
    def tuned(self) -> list[TunedKind]:
        """The kinds whose thresholds are tuned; none for the paper's rule."""
        if self.kind == "paper_rule":
            return []
        return self.candidates if self.kind == "best_of" else [self.kind]


class BitTraderExperiment(Experiment):
    """One run: a forecaster, a rule that trades on its forecasts, and a cross-validation scheme."""

    forecaster: Annotated[str, AfterValidator(FORECASTERS.check)] = "cnn"
    """Forecasts the open prices of the next 120 minutes; a module of models/ registers the name."""
    options: dict[str, Option] = Field(default={})
    """Settings of a forecaster that has no table of its own here; the forecaster validates them."""
    lookback: int = Field(default=1380, ge=1, le=1380)
    """How many of the 1,380 minutes the forecaster sees, counted back from the last."""
    cv: Literal["repeated_kfold", "leave_one_coin_out"] = "repeated_kfold"
    """repeated_kfold: folds of samples; leave_one_coin_out: all samples of one coin at a time."""
    repeats: int = Field(default=1, ge=1, le=MAX_REPEATS)
    """Repeats of the K-fold split, each with another random order of the samples."""
    cnn: Cnn = Cnn()
    search: Search = Search()
    recurrence: Recurrence = Recurrence()
    rnn: Rnn = Rnn()
    training: Training = Training()
    arima: Arima = Arima()
    gbdt: Gbdt = Gbdt()
    rule: Rule = Rule()

    def preprocessing(self) -> dict[str, Any]:
        """Nothing: 1_preprocess draws sample orders from which any number of folds follows."""
        return {}
