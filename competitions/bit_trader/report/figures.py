"""The report's figures: equity curve, single trades, strategies, coins, equity against threshold."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from common.base.paths import WorkPaths
from common.learn.arrays import Float32, Float64, Floats
from common.run.competition import Figure, Finished
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES
from competitions.bit_trader.data.windows import Windows, open_windows
from competitions.bit_trader.decision.backtest import INTERVAL_SEED, backtest, equity_curve
from competitions.bit_trader.models.forecasts import pooled_forecasts
from competitions.bit_trader.rules.metric import NET_OF_FEES, START, growth, read_truth
from competitions.bit_trader.rules.submission import Positions, read_submission

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
STRATEGY, NEVER, ALWAYS, FORECAST, GAIN, LOSS = (
    "#1f5fa8",
    "#555555",
    "#c2573a",
    "#e08a1e",
    "#2a8f5b",
    "#c23b3b",
)
RESAMPLES = 1000
MAX_BAND_POINTS = 400
MAX_TRADES = 6
PAST_MINUTES_DRAWN = 180
DPI = 100


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw the figures of a finished experiment into `out`; the first one is its equity curve."""
    paths = WorkPaths(finished.work)
    folder = paths.experiment(finished.experiment)
    windows = open_windows(paths.processed(), "train")
    trades = pl.read_parquet(folder / "oof_trades.parquet")
    positions = [
        Positions(part["buy_quantity"].to_numpy(), part["sell_time"].to_numpy())
        for part in trades.partition_by("repeat", maintain_order=True)
    ]
    fold_files = sorted(folder.glob("fold*/oof.parquet"))
    forecast = pooled_forecasts(fold_files, windows.sample_id)[0].paths
    with mpl.rc_context(STYLE):
        figures = [
            _equity_figure(finished, windows, positions, out / "equity.png"),
            _trades_figure(windows, positions[0], forecast, out / "trades.png"),
            _strategies_figure(
                finished, pl.read_parquet(folder / "oof_strategies.parquet"), out / "strategies.png"
            ),
            _coins_figure(pl.read_parquet(folder / "oof_coins.parquet"), out / "coins.png"),
        ]
        curve = folder / "threshold_curve.parquet"
        if curve.is_file():
            figures.append(_threshold_figure(finished, pl.read_parquet(curve), out / "threshold.png"))
    return figures


def _equity_figure(finished: Finished, windows: Windows, positions: list[Positions], path: Path) -> Figure:
    """Equity sample by sample: of the test split if its truth is known, otherwise OOF."""
    submission = WorkPaths(finished.work).submission(finished.experiment, ".csv")
    future_open: Floats
    if finished.truth is not None and submission.is_file():
        sample_id, future_open = read_truth(finished.truth)
        positions, where = [read_submission(submission, sample_id)], "test samples"
    else:
        future_open, where = windows.future_open(np.arange(len(windows))), "training samples (OOF)"
    tested = backtest(future_open, positions)
    always = Positions(np.ones(len(future_open)), np.full(len(future_open), FUTURE_MINUTES - 1))
    held = equity_curve(np.log(growth(future_open, always)))
    factors, curve = np.exp(tested.log_growth), equity_curve(tested.log_growth)
    low, high = _band(tested.log_growth)
    traded = np.flatnonzero(tested.bought.any(axis=0))
    canvas = Canvas(figsize=(9, 4.6), layout="constrained")
    axes = canvas.subplots()
    steps = np.arange(len(curve))
    axes.fill_between(steps, low, high, color=STRATEGY, alpha=0.13, lw=0, label="90 % bootstrap band")
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    axes.plot(steps, held, color=ALWAYS, lw=1.2, label="always buying, held for 2 hours")
    axes.plot(steps, curve, color=STRATEGY, lw=2.2, label=finished.experiment)
    for gained, color, marker in ((True, GAIN, "^"), (False, LOSS, "v")):
        chosen = traded[(factors[traded] > 1) == gained]
        label = f"{len(chosen)} trades with a {'gain' if gained else 'loss'}"
        axes.scatter(chosen + 1, curve[chosen + 1], s=18, marker=marker, color=color, zorder=3, label=label)
    for value, color in ((curve[-1], STRATEGY), (held[-1], ALWAYS)):
        axes.annotate(
            f"{value:,.0f}",
            (len(factors), value),
            (6, 0),
            textcoords="offset points",
            color=color,
            va="center",
        )
    axes.set_yscale("log")
    _dollar_axis(axes)
    axes.set_xlim(0, len(factors) * 1.06)
    axes.set_xlabel(f"{where}, in order")
    axes.set_ylabel("equity in dollars, net of fees")
    axes.set_title(
        f"From 10,000 to {curve[-1]:,.0f} dollars with {len(traded)} trades in {len(factors)} samples"
    )
    axes.legend(loc="best", fontsize=9, ncols=2)
    _save(canvas, path)
    caption = (
        f"Equity over the {where} after a fee of 0.05 % on each side. The 90 % band is a bootstrap over "
        f"samples; at the end it spans {low[-1]:,.0f} to {high[-1]:,.0f}."
    )
    return Figure(path, f"Equity of {finished.experiment}", caption)


def _band(log_growth: Float64) -> tuple[Float64, Float64]:
    """5 % and 95 % quantiles (n + 1,) of the equity curve over bootstrap resamples."""
    generator = np.random.default_rng(INTERVAL_SEED)
    n = len(log_growth)
    # Curves of thousands of samples are evaluated at a few hundred points.
    points = np.unique(np.linspace(0, n - 1, min(n, MAX_BAND_POINTS)).round().astype(np.int64))
    curves = np.empty((RESAMPLES, len(points)))
    for row in range(RESAMPLES):
        curves[row] = np.cumsum(log_growth[generator.integers(0, n, n)])[points]
    low, high = (
        np.interp(np.arange(n), points, bound) for bound in np.quantile(curves, [0.05, 0.95], axis=0)
    )
    return tuple(START * np.exp(np.concatenate([[0.0], bound])) for bound in (low, high))


def _trades_figure(windows: Windows, positions: Positions, forecast: Float32, path: Path) -> Figure:
    """Some windows with their OOF forecast, the sale, and the prices that followed."""
    traded = np.flatnonzero(positions.buy_quantity > 0)
    chosen = traded if len(traded) else np.arange(len(windows))
    rows = chosen[np.linspace(0, len(chosen) - 1, min(MAX_TRADES, len(chosen))).round().astype(np.int64)]
    future = windows.future_open(rows).astype(np.float64)
    past = windows.past[rows, -PAST_MINUTES_DRAWN:, FIELDS.index("open")]
    factors = growth(future, Positions(positions.buy_quantity[rows], positions.sell_time[rows]))
    canvas = Canvas(figsize=(11, 5.6), layout="constrained")
    for number, row in enumerate(rows):
        axes = canvas.add_subplot(2, -(-len(rows) // 2), number + 1)
        bought = future[number, 0]
        axes.plot(np.arange(-PAST_MINUTES_DRAWN, 0), past[number], color=NEVER, lw=0.9, label="past")
        axes.plot(future[number], color=STRATEGY, lw=1.4, label="actual")
        axes.plot(forecast[row], color=FORECAST, lw=2, label="OOF forecast")
        axes.axvline(0, color="#bbbbbb", lw=0.8)
        title = f"sample {windows.sample_id[row]}, coin {windows.coin_index[row]}: "
        if positions.buy_quantity[row] > 0:
            sold = positions.sell_time[row]
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
        "Windows picked at even intervals from all OOF trades, in the order of the samples. The number is "
        f"the gain after both fees. {len(traded)} of {len(windows)} samples were bought."
    )
    return Figure(path, "Single trades", caption)


def _strategies_figure(finished: Finished, strategies: pl.DataFrame, path: Path) -> Figure:
    """Every strategy on the same forecasts, cross-fitted, and the baselines."""
    metrics = next(record.metrics for record in finished.records if record.decision)
    baselines = {
        name.removeprefix("baseline: "): value
        for name, value in metrics.items()
        if name.startswith("baseline: ") and "foresight" not in name
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
    axes.errorbar(equity, place, xerr=np.maximum(reach, 0), fmt="o", color=STRATEGY, ms=5, capsize=3)
    below = len(rows) + np.arange(len(baselines))
    axes.scatter(list(baselines.values()), below, color=ALWAYS, s=26)
    axes.set_yticks([*place, *below], [*labels, *baselines], fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("final OOF equity in dollars, 90 % interval")
    _save(canvas, path)
    caption = (
        "Equity of each strategy on the same OOF forecasts of the training samples. Thresholds are "
        "cross-fitted: each fold is traded with the threshold tuned on the other folds. Below are the "
        "baselines without a model. The dashed line is never buying."
    )
    return Figure(path, "Strategies", caption)


def _coins_figure(coins: pl.DataFrame, path: Path) -> Figure:
    """OOF equity per coin, with its interval."""
    canvas = Canvas(figsize=(8, 3.8), layout="constrained")
    axes = canvas.subplots()
    place = np.arange(len(coins))
    equity = coins["equity"].to_numpy()
    reach = [equity - coins["equity_low"].to_numpy(), coins["equity_high"].to_numpy() - equity]
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    axes.scatter(
        place - 0.12, coins["held"].to_numpy(), color=ALWAYS, s=26, label="always buying, held for 2 hours"
    )
    axes.errorbar(
        place + 0.12,
        equity,
        np.maximum(reach, 0),
        fmt="o",
        color=STRATEGY,
        ms=5,
        capsize=3,
        label="OOF, 90 % interval",
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
        "OOF equity from 10,000 dollars if only the samples of one coin were traded. Below each coin: "
        "trades of samples. A gain that comes from a single coin is not evidence of skill."
    )
    return Figure(path, "Equity per coin", caption)


def _threshold_figure(finished: Finished, curves: pl.DataFrame, path: Path) -> Figure:
    """OOF equity against the number of trades, one line per kind of strategy."""
    decision = next((record.decision for record in finished.records if record.decision), {})
    canvas = Canvas(figsize=(8, 4.2), layout="constrained")
    axes = canvas.subplots()
    axes.axhline(START, color=NEVER, lw=1.2, ls="--", label="never buying")
    selected = decision.get("threshold")
    kinds = curves.partition_by("kind", maintain_order=True)
    for curve, color in zip(kinds, (STRATEGY, FORECAST, GAIN), strict=False):
        kind, trades = curve["kind"][0], curve["trades"].to_numpy()
        axes.plot(trades, curve["equity"].to_numpy(), color=color, lw=2, marker="o", ms=3, label=kind)
        axes.fill_between(
            trades, curve["low"].to_numpy(), curve["equity"].to_numpy(), color=color, alpha=0.13, lw=0,
            label="to the lower 5 % bound",
        )  # fmt: skip
        if selected is not None and kind == decision["rule"]:
            row = int(np.abs(curve["threshold"].to_numpy() - selected).argmin())
            axes.axvline(trades[row], color=LOSS, lw=1.6, label=f"selected: {kind} above {selected:.4g}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _dollar_axis(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("samples traded (strict to loose thresholds)")
    axes.set_ylabel("final equity in dollars")
    axes.legend(fontsize=9)
    _save(canvas, path)
    record = next(record for record in finished.records if record.decision)
    tried, p_value = record.metrics.get("rules_tried", 0), record.metrics.get("reality_check_p", 1)
    decided = (
        f"trades by {decision['rule']} above {selected:.4g}"
        if selected is not None
        else "no trades, because OOF equity is not significantly above 10,000"
    )
    caption = (
        "OOF equity of each threshold on the training samples. The best point is biased upwards by its "
        "selection, so the decision uses cross-fitted thresholds and White's reality check "
        f"(p = {p_value:.3f} over {tried:.0f} rules): {decided}. "
        f"Break-even is a price ratio of {1 / NET_OF_FEES:.6f}."
    )
    return Figure(path, "Equity against threshold", caption)


def _dollar_axis(axes: Any) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_minor_locator(NullLocator())


def _save(canvas: Canvas, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=DPI, format="png")
