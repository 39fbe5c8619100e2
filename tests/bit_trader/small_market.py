"""Small inputs of the tests: prices whose equity can be computed by hand, klines, settings."""

from typing import Any

import numpy as np
import polars as pl

from competitions.bit_trader.experiment import BitTraderExperiment, Gbdt
from competitions.bit_trader.predict.kline_cells import MINUTE
from competitions.bit_trader.predict.kline_columns import KLINE_COLUMNS
from competitions.bit_trader.rules.submission import Positions


def prices(*ratios: float, start: float = 1.25) -> np.ndarray:
    """One sample per ratio: `start` until minute 59, `start * ratio` from minute 60 on."""
    future = np.full((len(ratios), 120), start)
    future[:, 60:] *= np.asarray(ratios)[:, None]
    return future


def positions(buy: list[float], sell: list[int]) -> Positions:
    return Positions(np.asarray(buy), np.asarray(sell))


def gbdt_settings(settings: Gbdt) -> BitTraderExperiment:
    return BitTraderExperiment(name="x", forecaster="gbdt", lookback=480, gbdt=settings)


START = 1_714_521_600_000  # 2024-05-01T00:00Z


def kline_table(minutes: int, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.001 * generator.normal(size=minutes)))
    opened = np.concatenate([[100.0], close[:-1]])
    volume = generator.uniform(1, 9, minutes)
    time = START + MINUTE * np.arange(minutes)
    columns: dict[str, Any] = {
        "open_time": time,
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "volume": volume,
        "close_time": time + MINUTE - 1,
        "quote_av": volume * close,
        "trades": generator.integers(1, 50, minutes),
        "tb_base_av": volume / 2,
        "tb_quote_av": volume * close / 2,
        "ignore": np.zeros(minutes, np.int64),
    }
    return pl.DataFrame({name: columns[name] for name in KLINE_COLUMNS})
