"""Scale-free features of a window of bars: what a trader sees who knows neither coin, price level nor clock.

Every feature looks at one window only. Prices and volumes enter as ratios within the window, so that a
sample's divisor cancels; quote volume over volume, which would give the coin's price away, is not used.
"""

import numpy as np
import numpy.typing as npt

from competitions.bit_trader.data.bar_files import FIELDS

FloatArray = npt.NDArray[np.float64]
Bars = npt.NDArray[np.float32]
SPANS = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 479)
LONG_SPANS = (15, 60, 240, 479)
FLOW_SPANS = (1, 5, 15, 30, 60, 120, 240, 479)
SHORTEST_WINDOW = max(SPANS) + 1
LEAST_VOLATILITY = 1e-5


def window_volatility(bars: Bars) -> FloatArray:
    """(n, minutes, 9) -> (n,): standard deviation of a minute's log return in the window, at least 1e-5."""
    returns = np.diff(np.log(_field(bars, "close")), axis=1)
    return np.maximum(np.sqrt((returns**2).mean(axis=1)), LEAST_VOLATILITY)


def bar_features(bars: Bars) -> dict[str, FloatArray]:
    """Name -> (n,) feature of each window.

    Parameters
    ----------
    bars : (n, minutes, 9), at least 480 minutes, the last one just before the purchase.
    """
    if bars.shape[1] < SHORTEST_WINDOW:
        raise ValueError(f"a window needs {SHORTEST_WINDOW} minutes, not {bars.shape[1]}")
    return _price_features(bars) | _flow_features(bars)


def _price_features(bars: Bars) -> dict[str, FloatArray]:
    price = np.log(_field(bars, "close"))
    returns = np.diff(price, axis=1)
    high, low = np.log(_field(bars, "high")), np.log(_field(bars, "low"))
    volatility, last = window_volatility(bars), price[:, -1]
    features = {"volatility": volatility}
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
        where = np.abs(latest).argmax(axis=1)
        features[f"largest_move_{span}"] = latest[np.arange(len(latest)), where] / volatility
        features[f"since_largest_move_{span}"] = (span - 1 - where).astype(np.float64)
    return features


def _flow_features(bars: Bars) -> dict[str, FloatArray]:
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


def _field(bars: Bars, name: str) -> FloatArray:
    return bars[:, :, FIELDS.index(name)].astype(np.float64)


def _ratio(above: FloatArray, below: FloatArray, otherwise: float) -> FloatArray:
    """above / below, `otherwise` where nothing was traded."""
    return np.divide(above, below, out=np.full(len(above), otherwise), where=below > 0)
