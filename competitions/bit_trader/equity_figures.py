"""The report's pictures: the equity curve, single trades, and equity against threshold."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from common.competition import Figure, Finished
from common.paths import WorkPaths
from competitions.bit_trader.bar_files import FIELDS, FUTURE_MINUTES
from competitions.bit_trader.equity import INTERVAL_SEED, NET_OF_FEES, START, growth, read_truth
from competitions.bit_trader.forecasts import pooled_forecasts
from competitions.bit_trader.market_windows import Windows, open_windows
from competitions.bit_trader.trade_orders import Orders, read_submission

FloatArray = npt.NDArray[np.float64]
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
}
TRADER, NEVER, ALWAYS, FORECAST, GAIN, LOSS = "#1f5fa8", "#555555", "#c2573a", "#e08a1e", "#2a8f5b", "#c23b3b"
RESAMPLES = 1000
SHOWN_TRADES = 6
SHOWN_PAST = 180
DOTS_AN_INCH = 100


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw the pictures of a finished experiment into `out`; the first one is its equity curve."""
    paths = WorkPaths(finished.work)
    folder = paths.experiment(finished.experiment)
    windows = open_windows(paths.processed(), "train")
    trades = pl.read_parquet(folder / "oof_trades.parquet")
    orders = Orders(trades["buy_quantity"].to_numpy(), trades["sell_time"].to_numpy())
    fold_files = sorted(folder.glob("fold*/oof.parquet"))
    forecast = pooled_forecasts(fold_files, windows.sample_id)
    with mpl.rc_context(STYLE):
        figures = [_equity_figure(finished, windows, orders, out / "equity.png")]
        figures.append(_trades_figure(windows, orders, forecast, out / "trades.png"))
        curve = folder / "threshold_curve.parquet"
        if curve.is_file():
            figures.append(_threshold_figure(finished, pl.read_parquet(curve), out / "threshold.png"))
    return figures


def _equity_figure(finished: Finished, windows: Windows, orders: Orders, path: Path) -> Figure:
    """Equity sample by sample: of the test split where its truth is known, else out of fold."""
    submission = WorkPaths(finished.work).submission(finished.experiment, ".csv")
    if finished.truth is not None and submission.is_file():
        sample_id, future_open = read_truth(finished.truth)
        orders, where = read_submission(submission, sample_id), "test samples"
    else:
        future_open, where = windows.future_open(np.arange(len(windows))), "training samples, out of fold"
    factors = growth(future_open, orders)
    always = Orders(np.ones(len(factors)), np.full(len(factors), FUTURE_MINUTES - 1))
    held = START * np.cumprod(np.concatenate([[1.0], growth(future_open, always)]))
    curve = START * np.cumprod(np.concatenate([[1.0], factors]))
    low, high = _band(factors)
    traded = np.flatnonzero(orders.buy_quantity > 0)
    canvas = Canvas(figsize=(9, 4.6), layout="constrained")
    axes = canvas.subplots()
    minutes = np.arange(len(curve))
    axes.fill_between(
        minutes, low, high, color=TRADER, alpha=0.13, lw=0, label="90 % of curves over resampled samples"
    )
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    axes.plot(minutes, held, color=ALWAYS, lw=1.2, label="always buying, held 2 hours")
    axes.plot(minutes, curve, color=TRADER, lw=2.2, label=finished.experiment)
    for gained, colour, mark in ((True, GAIN, "^"), (False, LOSS, "v")):
        chosen = traded[(factors[traded] > 1) == gained]
        label = f"{len(chosen)} trades that {'gained' if gained else 'lost'}"
        axes.scatter(chosen + 1, curve[chosen + 1], s=18, marker=mark, color=colour, zorder=3, label=label)
    for value, colour in ((curve[-1], TRADER), (held[-1], ALWAYS)):
        axes.annotate(
            f"{value:,.0f}",
            (len(factors), value),
            (6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
        )
    axes.set_yscale("log")
    _dollar_axis(axes)
    axes.set_xlim(0, len(factors) * 1.06)
    axes.set_xlabel(f"{where}, one after the other")
    axes.set_ylabel("equity in dollars, net of fees")
    axes.set_title(
        f"From 10,000 to {curve[-1]:,.0f} dollars with {len(traded)} trades in {len(factors)} samples"
    )
    axes.legend(loc="upper left", fontsize=9, ncols=2)
    _save(canvas, path)
    caption = (
        f"Equity over the {where} after 0.05 % fee on each side. The band holds 90 % of the curves when the "
        f"samples are drawn again with replacement; at the end it spans {low[-1]:,.0f} to {high[-1]:,.0f}."
    )
    return Figure(path, f"Equity of {finished.experiment}", caption)


def _band(factors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """5 % and 95 % quantiles of the equity curve over resampled samples, (n + 1,) each."""
    generator = np.random.default_rng(INTERVAL_SEED)
    picked = generator.integers(0, len(factors), size=(RESAMPLES, len(factors)))
    courses = np.cumsum(np.log(factors)[picked], axis=1)
    low, high = np.quantile(courses, [0.05, 0.95], axis=0)
    return tuple(START * np.exp(np.concatenate([[0.0], bound])) for bound in (low, high))


def _trades_figure(windows: Windows, orders: Orders, forecast: npt.NDArray[np.float32], path: Path) -> Figure:
    """Some windows with what was forecast out of fold, when it was sold, and what came."""
    traded = np.flatnonzero(orders.buy_quantity > 0)
    chosen = traded if len(traded) else np.arange(len(windows))
    rows = chosen[np.linspace(0, len(chosen) - 1, min(SHOWN_TRADES, len(chosen))).round().astype(np.int64)]
    future = windows.future_open(rows).astype(np.float64)
    past = windows.past[rows, -SHOWN_PAST:, FIELDS.index("open")]
    factors = growth(future, Orders(orders.buy_quantity[rows], orders.sell_time[rows]))
    canvas = Canvas(figsize=(11, 5.6), layout="constrained")
    for number, row in enumerate(rows):
        axes = canvas.add_subplot(2, -(-len(rows) // 2), number + 1)
        bought = future[number, 0]
        axes.plot(np.arange(-SHOWN_PAST, 0), past[number], color=NEVER, lw=0.9, label="past")
        axes.plot(future[number], color=TRADER, lw=1.4, label="what came")
        axes.plot(forecast[row], color=FORECAST, lw=2, label="forecast, out of fold")
        axes.axvline(0, color="#bbbbbb", lw=0.8)
        title = f"sample {windows.sample_id[row]}, coin {windows.coin_index[row]}: "
        if orders.buy_quantity[row] > 0:
            sold = orders.sell_time[row]
            axes.scatter([0], [bought], marker="^", color=GAIN, s=55, zorder=4, label="bought")
            axes.scatter([sold], [future[number, sold]], marker="v", color=LOSS, s=55, zorder=4, label="sold")
            axes.set_title(f"{title}{factors[number] - 1:+.2%}", color=GAIN if factors[number] > 1 else LOSS)
        else:
            axes.set_title(f"{title}not bought", color=NEVER)
        axes.set_xlabel("minutes after the purchase")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3f}"))
        if number == 0:
            axes.legend(fontsize=8)
    canvas.supylabel("open price, relative to minute 1379", fontsize=10)
    _save(canvas, path)
    caption = (
        "Windows evenly picked from all out-of-fold trades in the order of the samples, good and bad alike; "
        f"the figure is the gain after both fees. {len(traded)} of {len(windows)} samples were bought."
    )
    return Figure(path, "Single trades", caption)


def _threshold_figure(finished: Finished, curve: pl.DataFrame, path: Path) -> Figure:
    """Out-of-fold equity against the threshold on the expected gain."""
    decision = next((record.decision for record in finished.records if record.decision), {})
    canvas = Canvas(figsize=(8, 4.2), layout="constrained")
    axes = canvas.subplots()
    threshold = curve["threshold"].to_numpy() * 100
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    axes.plot(
        threshold,
        curve["equity"].to_numpy(),
        color=TRADER,
        lw=2,
        marker="o",
        ms=3,
        label="out-of-fold equity",
    )
    axes.fill_between(
        threshold, curve["low"].to_numpy(), curve["equity"].to_numpy(), color=TRADER, alpha=0.13, lw=0,
        label="down to its 5 % bound",
    )  # fmt: skip
    axes.axvline(0, color="#bbbbbb", lw=0.8)
    chosen = decision.get("threshold")
    if chosen is not None:
        axes.axvline(chosen * 100, color=FORECAST, lw=1.6, label=f"chosen: {chosen:.2%}")
    axes.set_yscale("log")
    _dollar_axis(axes)
    above = axes.secondary_xaxis("top")
    # The point nearest to each of a few evenly spaced thresholds.
    even = np.linspace(threshold.min(initial=0), threshold.max(initial=0), 7)
    ticks = sorted({int(np.abs(threshold - value).argmin()) for value in even}) if len(curve) else []
    above.set_xticks([threshold[tick] for tick in ticks], [str(curve["trades"][tick]) for tick in ticks])
    above.set_xlabel("trades", fontsize=9)
    axes.set_xlabel("threshold on the expected gain after both fees, %")
    axes.set_ylabel("final equity in dollars")
    axes.legend(fontsize=9)
    _save(canvas, path)
    verdict = (
        f"trades above {chosen:.3%}"
        if chosen is not None
        else "never buys, as the evidence does not carry trading"
    )
    caption = (
        "What each threshold would have earned on the training samples, out of fold. The best point is "
        "flattered by the picking; the decision rests on thresholds tuned without the fold they trade: "
        f"{verdict}. Break-even needs a price ratio of {1 / NET_OF_FEES:.6f}."
    )
    return Figure(path, "Equity against threshold", caption)


def _dollar_axis(axes: Any) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_minor_locator(NullLocator())


def _save(canvas: Canvas, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=DOTS_AN_INCH, format="png")
