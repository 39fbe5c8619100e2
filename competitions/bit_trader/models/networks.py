"""The networks in Keras: CNN and RNN on prices, CNN on recurrence plots."""

from competitions.bit_trader.data.bar_files import FUTURE_MINUTES
from competitions.bit_trader.experiment import Cnn, Recurrence, Rnn
from competitions.bit_trader.models.silent_keras import keras


def build_cnn(settings: Cnn, lookback: int) -> keras.Model:
    """Convolutions, each followed by pooling; flattened, one dense layer, dropout, 120 open prices.

    (batch, lookback, 1) -> (batch, 120)
    """
    pooling = keras.layers.MaxPooling1D if settings.pooling == "max" else keras.layers.AveragePooling1D
    layers: list[keras.layers.Layer] = [keras.Input((lookback, 1))]
    for filters in settings.filters:
        layers.append(
            keras.layers.Conv1D(filters, settings.kernel_size, padding=settings.padding, activation="relu")
        )
        layers.append(pooling(settings.pool_size))
    return keras.Sequential(layers + _head(settings.dense_units, settings.dropout))


def build_recurrence_cnn(settings: Recurrence) -> keras.Model:
    """3 x 3 convolutions with 2 x 2 max pooling; flattened, one dense layer, dropout, 120 prices.

    (batch, image_size, image_size, 1) -> (batch, 120)
    """
    layers: list[keras.layers.Layer] = [keras.Input((settings.image_size, settings.image_size, 1))]
    for filters in settings.filters:
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D(2))
    return keras.Sequential(layers + _head(settings.dense_units, settings.dropout))


def _head(dense_units: int, dropout: float) -> list[keras.layers.Layer]:
    return [
        keras.layers.Flatten(),
        keras.layers.Dense(dense_units, activation="relu"),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(FUTURE_MINUTES),
    ]


def build_rnn(settings: Rnn, lookback: int) -> keras.Model:
    """Recurrent layers, dense layers, the next `horizon_step` open prices.

    (batch, lookback, 1) -> (batch, horizon_step)
    """
    cell = keras.layers.LSTM if settings.cell == "lstm" else keras.layers.GRU
    layers: list[keras.layers.Layer] = [keras.Input((lookback, 1))]
    for number in range(settings.layers):
        layers.append(cell(settings.units, return_sequences=number < settings.layers - 1))
    for _ in range(settings.dense_layers - 1):
        layers.append(keras.layers.Dense(settings.units, activation="relu"))
    layers.append(keras.layers.Dense(settings.horizon_step))
    return keras.Sequential(layers)
