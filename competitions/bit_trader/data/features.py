"""Scale-free features of a window of bars, independent of coin, price level and time.

Every feature uses one window only. Prices and volumes enter as ratios within the window, so that a sample's
divisor cancels. Quote volume over volume would reveal the coin's price and is not used.
"""

import numpy as np

from common.learn.arrays import Float32, Float64
from competitions.bit_trader.data.bar_files import FIELDS

Bars = Float32
"""(n, minutes, 9); the last axis is bar_files.FIELDS."""
SPANS = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 479)
LONG_SPANS = (15, 60, 240, 479)
FLOW_SPANS = (1, 5, 15, 30, 60, 120, 240, 479)
SHORTEST_WINDOW = max(SPANS) + 1
MIN_VOLATILITY = 1e-5


def window_volatility(bars: Bars) -> Float64:
    """(n, minutes, 9) -> (n,): standard deviation of one-minute log returns in the window, at least 1e-5."""
    returns = np.diff(np.log(_field(bars, "close")), axis=1)
    return np.maximum(np.sqrt((returns**2).mean(axis=1)), MIN_VOLATILITY)


def bar_features(bars: Bars) -> dict[str, Float64]:
    """Name -> (n,) feature of each window.

    Parameters
    ----------
    bars : (n, minutes, 9), at least 480 minutes, the last one just before the purchase.
    """
    if bars.shape[1] < SHORTEST_WINDOW:
        raise ValueError(f"a window needs {SHORTEST_WINDOW} minutes, not {bars.shape[1]}")
    return _price_features(bars) | _flow_features(bars)


def _price_features(bars: Bars) -> dict[str, Float64]:
    price = np.log(_field(bars, "close"))
    returns = np.diff(price, axis=1)
    high, low = np.log(_field(bars, "high")), np.log(_field(bars, "low"))
    volatility, last = window_volatility(bars), price[:, -1]
    features = {"volatility": volatility}
    # Returns in standard deviations of a random walk over the same span.
    for span in SPANS:
        gain = last - price[:, -1 - span]
        features[f"return_{span}"] = gain / (volatility * np.sqrt(span))
    for span in LONG_SPANS:
        recent = np.sqrt((returns[:, -span:] ** 2).mean(axis=1))
        features[f"volatility_ratio_{span}"] = recent / volatility
        features[f"below_high_{span}"] = (high[:, -span:].max(axis=1) - last) / volatility
        features[f"above_low_{span}"] = (last - low[:, -span:].min(axis=1)) / volatility
    for span in (15, 30, 60):
        latest = returns[:, -span:]
        place = np.abs(latest).argmax(axis=1)
        features[f"largest_move_{span}"] = latest[np.arange(len(latest)), place] / volatility
        features[f"since_largest_move_{span}"] = (span - 1 - place).astype(np.float64)
    return features


def _flow_features(bars: Bars) -> dict[str, Float64]:
    close, volume = _field(bars, "close"), _field(bars, "volume")
    trades, bought = _field(bars, "trades"), _field(bars, "tb_base_av")
    features = {"idle_share": (volume == 0).mean(axis=1)}
    usual_volume, usual_trades = volume.mean(axis=1), trades.mean(axis=1)
    for span in FLOW_SPANS:
        amount = volume[:, -span:].sum(axis=1)
        features[f"taker_share_{span}"] = _ratio(bought[:, -span:].sum(axis=1), amount, 0.5)
        features[f"volume_ratio_{span}"] = np.log1p(_ratio(amount / span, usual_volume, 0.0))
        features[f"trades_ratio_{span}"] = np.log1p(_ratio(trades[:, -span:].mean(axis=1), usual_trades, 0.0))
    for span in LONG_SPANS:
        amount = volume[:, -span:].sum(axis=1)
        average = _ratio((close * volume)[:, -span:].sum(axis=1), amount, 0.0)
        vwap = np.where(average > 0, average, close[:, -1])
        features[f"above_vwap_{span}"] = np.log(close[:, -1] / vwap)
    return features


def _field(bars: Bars, name: str) -> Float64:
    return bars[:, :, FIELDS.index(name)].astype(np.float64)


def _ratio(numerator: Float64, denominator: Float64, default: float) -> Float64:
    """numerator / denominator, `default` where nothing was traded."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), default), where=denominator > 0)
