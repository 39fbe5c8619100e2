"""DACON AI Bit Trader, season 3: when to buy a coin, and when to sell it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from competitions.bit_trader.predict.predictor import BitTraderPredictor


def load(
    experiment: str = "champion", work: Path | str | None = None, device: str = "auto"
) -> "BitTraderPredictor":
    """A trained experiment, ready for klines of your own.

    Parameters
    ----------
    experiment : its name in experiments.toml.
    work : the work folder that it was trained in (default: work/bit_trader); only its own sub-folder is read.
    device : auto, cpu or cuda; for neural forecasters.

    Raises
    ------
    InputError : the experiment is not trained there.

    Examples
    --------
    >>> from competitions.bit_trader import load
    >>> model = load("champion", work="work/bit_trader")
    >>> table = model.predict("BTCUSDT-1m-2024-05.csv", every=60)  # or a folder of months, or a DataFrame
    """
    from competitions.bit_trader.predict.predictor import BitTraderPredictor

    model = BitTraderPredictor(experiment, work, device)
    model.trained.log_sample_data()
    return model
