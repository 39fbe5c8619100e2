"""The report's pictures: the equity curve, forecasts and trades, coin by coin, equity against threshold."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from common.base.paths import WorkPaths
from common.run.competition import Figure, Finished
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES
from competitions.bit_trader.data.windows import Windows, open_windows
from competitions.bit_trader.decision.backtest import INTERVAL_SEED, backtest, equity_curve
from competitions.bit_trader.models.forecasts import pooled_forecasts
from competitions.bit_trader.rules.metric import NET_OF_FEES, START, growth, read_truth
from competitions.bit_trader.rules.submission import Orders, read_submission

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
BAND_POINTS = 400
SHOWN_TRADES = 6
SHOWN_PAST = 180
DOTS_AN_INCH = 100


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw the pictures of a finished experiment into `out`; the first one is its equity curve."""
    paths = WorkPaths(finished.work)
    folder = paths.experiment(finished.experiment)
    windows = open_windows(paths.processed(), "train")
    trades = pl.read_parquet(folder / "oof_trades.parquet")
    orders = [
        Orders(part["buy_quantity"].to_numpy(), part["sell_time"].to_numpy())
        for part in trades.partition_by("repeat", maintain_order=True)
    ]
    fold_files = sorted(folder.glob("fold*/oof.parquet"))
    forecast = pooled_forecasts(fold_files, windows.sample_id)[0].paths
    with mpl.rc_context(STYLE):
        figures = [
            _equity_figure(finished, windows, orders, out / "equity.png"),
            _trades_figure(windows, orders[0], forecast, out / "trades.png"),
            _strategies_figure(
                finished, pl.read_parquet(folder / "oof_strategies.parquet"), out / "strategies.png"
            ),
            _coins_figure(pl.read_parquet(folder / "oof_coins.parquet"), out / "coins.png"),
        ]
        curve = folder / "threshold_curve.parquet"
        if curve.is_file():
            figures.append(_threshold_figure(finished, pl.read_parquet(curve), out / "threshold.png"))
    return figures


def _equity_figure(finished: Finished, windows: Windows, orders: list[Orders], path: Path) -> Figure:
    """Equity sample by sample: of the test split where its truth is known, else out of fold."""
    submission = WorkPaths(finished.work).submission(finished.experiment, ".csv")
    if finished.truth is not None and submission.is_file():
        sample_id, future_open = read_truth(finished.truth)
        orders, where = [read_submission(submission, sample_id)], "test samples"
    else:
        future_open, where = windows.future_open(np.arange(len(windows))), "training samples, out of fold"
    tested = backtest(future_open, orders)
    always = Orders(np.ones(len(future_open)), np.full(len(future_open), FUTURE_MINUTES - 1))
    held = equity_curve(np.log(growth(future_open, always)))
    factors, curve = np.exp(tested.log_growth), equity_curve(tested.log_growth)
    low, high = _band(tested.log_growth)
    traded = np.flatnonzero(tested.bought.any(axis=0))
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
    axes.legend(loc="best", fontsize=9, ncols=2)
    _save(canvas, path)
    caption = (
        f"Equity over the {where} after 0.05 % fee on each side. The band holds 90 % of the curves when the "
        f"samples are drawn again with replacement; at the end it spans {low[-1]:,.0f} to {high[-1]:,.0f}."
    )
    return Figure(path, f"Equity of {finished.experiment}", caption)


def _band(log_growth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """5 % and 95 % quantiles of the equity curve over resampled samples, (n + 1,) each."""
    generator = np.random.default_rng(INTERVAL_SEED)
    n = len(log_growth)
    # Curves of thousands of samples are drawn at a few hundred points.
    shown = np.unique(np.linspace(0, n - 1, min(n, BAND_POINTS)).round().astype(np.int64))
    courses = np.empty((RESAMPLES, len(shown)))
    for row in range(RESAMPLES):
        courses[row] = np.cumsum(log_growth[generator.integers(0, n, n)])[shown]
    low, high = (
        np.interp(np.arange(n), shown, bound) for bound in np.quantile(courses, [0.05, 0.95], axis=0)
    )
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


def _strategies_figure(finished: Finished, strategies: pl.DataFrame, path: Path) -> Figure:
    """Every strategy on the same forecasts, tuned without the fold it trades, beside the naive traders."""
    metrics = next(record.metrics for record in finished.records if record.decision)
    naive = {
        name.removeprefix("naive: "): value
        for name, value in metrics.items()
        if name.startswith("naive: ") and "foresight" not in name
    }
    rows = strategies.select("strategy", "sell", "trades", "equity", "equity_low", "equity_high")
    labels = [
        f"{kind.replace('_', ' ')}, sold at the {sell} minute, {trades:.0f} trades"
        for kind, sell, trades, *_ in rows.iter_rows()
    ]
    canvas = Canvas(figsize=(9, 5), layout="constrained")
    axes = canvas.subplots()
    axes.axvline(START, color=NEVER, lw=1.2, ls="--")
    equity, place = rows["equity"].to_numpy(), np.arange(len(rows))
    reach = [equity - rows["equity_low"].to_numpy(), rows["equity_high"].to_numpy() - equity]
    axes.errorbar(equity, place, xerr=np.maximum(reach, 0), fmt="o", color=TRADER, ms=5, capsize=3)
    below = len(rows) + np.arange(len(naive))
    axes.scatter(list(naive.values()), below, color=ALWAYS, s=26)
    axes.set_yticks([*place, *below], [*labels, *naive], fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("final equity in dollars, out of fold, 90 % interval")
    _save(canvas, path)
    caption = (
        "What each strategy would have earned on these forecasts of the training samples, its threshold "
        "tuned without the fold that it trades; below, traders that forecast nothing. The dashed line is "
        "never buying."
    )
    return Figure(path, "Strategies compared", caption)


def _coins_figure(coins: pl.DataFrame, path: Path) -> Figure:
    """Out-of-fold equity of each coin alone, with its interval."""
    canvas = Canvas(figsize=(8, 3.8), layout="constrained")
    axes = canvas.subplots()
    place = np.arange(len(coins))
    equity = coins["equity"].to_numpy()
    reach = [equity - coins["equity_low"].to_numpy(), coins["equity_high"].to_numpy() - equity]
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    axes.scatter(
        place - 0.12, coins["held"].to_numpy(), color=ALWAYS, s=26, label="always buying, held 2 hours"
    )
    axes.errorbar(
        place + 0.12,
        equity,
        np.maximum(reach, 0),
        fmt="o",
        color=TRADER,
        ms=5,
        capsize=3,
        label="out of fold, 90 % interval",
    )
    labels = [
        f"coin {coin}\n{trades:.0f} of {samples}"
        for coin, trades, samples in coins.select("coin_index", "trades", "samples").iter_rows()
    ]
    axes.set_xticks(place, labels, fontsize=8)
    axes.set_yscale("log")
    _dollar_axis(axes)
    axes.set_ylabel("equity in dollars")
    axes.legend(fontsize=9)
    _save(canvas, path)
    caption = (
        "Equity from 10,000 dollars if the samples of one coin alone were traded, out of fold; below each "
        "coin the trades among its samples. A gain that hangs on one coin is no skill."
    )
    return Figure(path, "Coin by coin", caption)


def _threshold_figure(finished: Finished, curves: pl.DataFrame, path: Path) -> Figure:
    """Out-of-fold equity against the share of samples traded, one line a kind of strategy."""
    decision = next((record.decision for record in finished.records if record.decision), {})
    canvas = Canvas(figsize=(8, 4.2), layout="constrained")
    axes = canvas.subplots()
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    chosen = decision.get("threshold")
    kinds = curves.partition_by("kind", maintain_order=True)
    for curve, colour in zip(kinds, (TRADER, FORECAST, GAIN), strict=False):
        kind, trades = curve["kind"][0], curve["trades"].to_numpy()
        axes.plot(trades, curve["equity"].to_numpy(), color=colour, lw=2, marker="o", ms=3, label=kind)
        axes.fill_between(
            trades, curve["low"].to_numpy(), curve["equity"].to_numpy(), color=colour, alpha=0.13, lw=0,
            label="down to its 5 % bound",
        )  # fmt: skip
        if chosen is not None and kind == decision["rule"]:
            row = int(np.abs(curve["threshold"].to_numpy() - chosen).argmin())
            axes.axvline(trades[row], color=LOSS, lw=1.6, label=f"chosen: {kind} above {chosen:.4g}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _dollar_axis(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("samples traded: thresholds from strict to loose")
    axes.set_ylabel("final equity in dollars")
    axes.legend(fontsize=9)
    _save(canvas, path)
    record = next(record for record in finished.records if record.decision)
    tried, luck = record.metrics.get("rules_tried", 0), record.metrics.get("reality_check_p", 1)
    verdict = (
        f"trades by {decision['rule']} above {chosen:.4g}"
        if chosen is not None
        else "never buys, as the evidence does not carry trading"
    )
    caption = (
        "What each threshold would have earned on the training samples, out of fold. The best point is "
        "flattered by the picking; the decision rests on thresholds tuned without the fold that they trade, "
        f"and on the chance {luck:.3f} that the best of {tried:.0f} rules looks so good by luck: {verdict}. "
        f"Break-even needs a price ratio of {1 / NET_OF_FEES:.6f}."
    )
    return Figure(path, "Equity against threshold", caption)


def _dollar_axis(axes: Any) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_minor_locator(NullLocator())


def _save(canvas: Canvas, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=DOTS_AN_INCH, format="png")
