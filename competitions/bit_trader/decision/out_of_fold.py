"""From pooled OOF forecasts to the trading decision, its metrics and its tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from common.files.tables import write_table
from common.learn.arrays import Floats
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.data.folds import cv_groups
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.decision.multiple_testing import deflated_sharpe, reality_check
from competitions.bit_trader.decision.strategies import NEVER, PAPER_RULE, Strategy
from competitions.bit_trader.decision.tuning import (
    CrossFitted,
    GatedStrategy,
    StrategyResults,
    ThresholdCurve,
    cross_fit_strategies,
    significance_gate,
)
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.baselines import BASELINE_MINUTES, baseline_equities_on
from competitions.bit_trader.rules.metric import START


@dataclass(frozen=True)
class Decision:
    """The strategy for the test split, and the OOF results that it rests on."""

    strategy: Strategy
    cross_fitted: CrossFitted
    """OOF positions of all training samples, and their backtest."""
    metrics: dict[str, float]
    results: StrategyResults
    """Every kind of strategy on the same forecasts."""
    curves: list[ThresholdCurve]
    """Of the kinds that were tuned."""
    summary: str
    """One line for people."""

    def as_record(self) -> dict[str, Any]:
        """`rule`, `sell` and `threshold` (None: no trades), for the run record."""
        threshold = None if self.strategy.threshold == NEVER else self.strategy.threshold
        return {"rule": self.strategy.kind, "sell": self.strategy.sell, "threshold": threshold}


def decided_strategy(record: dict[str, Any]) -> Strategy:
    """The strategy that `Decision.as_record` describes."""
    threshold = record["threshold"]
    return Strategy(record["rule"], record["sell"], NEVER if threshold is None else threshold)


def decide(settings: BitTraderExperiment, windows: Windows, forecasts: Sequence[Forecasts]) -> Decision:
    """Apply or tune the experiment's rule on the OOF forecasts of all training samples.

    Parameters
    ----------
    forecasts : one entry per repeat, in the order of `windows`.
    """
    future_open = windows.future_open(np.arange(len(windows)))
    groups = cv_groups(settings, windows)
    results = cross_fit_strategies(settings.rule, forecasts, future_open, groups)
    baselines = _baseline_metrics(windows, future_open)
    if settings.rule.kind == "paper_rule":
        return _paper_rule_decision(results, baselines)
    gated = significance_gate(settings.rule, results, future_open, groups)
    tests = {
        "cross_fitted_equity": gated.equity,
        "cross_fitted_equity_low": gated.equity_low,
        "rules_tried": float(gated.rules_tried),
        "reality_check_p": gated.p_value,
        "deflated_sharpe": gated.deflated_sharpe,
    }
    metrics = _oof_metrics(gated.cross_fitted) | tests | baselines
    return Decision(gated.strategy, gated.cross_fitted, metrics, results, gated.curves, _summary(gated))


def _paper_rule_decision(results: StrategyResults, baselines: dict[str, float]) -> Decision:
    cross_fitted = results["paper_rule", "best"].cross_fitted
    log_growth = cross_fitted.tested.log_growth
    tests = {
        "rules_tried": 1.0,
        "reality_check_p": reality_check(log_growth[None, :]),
        "deflated_sharpe": deflated_sharpe(log_growth, np.zeros(1)),
    }
    metrics = _oof_metrics(cross_fitted) | tests | baselines
    summary = "paper's rule: buys if any forecast minute exceeds 1"
    return Decision(PAPER_RULE, cross_fitted, metrics, results, [], summary)


def _summary(gated: GatedStrategy) -> str:
    figures = (
        f"cross-fitted OOF equity {gated.equity:,.0f}, lower 5 % bound {gated.equity_low:,.0f}, "
        f"reality check over {gated.rules_tried} rules p = {gated.p_value:.3f}"
    )
    if gated.significant:
        return f"trades by {gated.strategy.kind} above {gated.strategy.threshold:.4g}: {figures}"
    return f"no trades: out-of-fold equity is not significantly above 10,000 ({figures})"


def _oof_metrics(cross_fitted: CrossFitted) -> dict[str, float]:
    return {f"oof_{name}": value for name, value in cross_fitted.tested.figures.items()}


def _baseline_metrics(windows: Windows, future_open: Floats) -> dict[str, float]:
    """Equity of the baselines on the training samples."""
    past_close = windows.past[:, -BASELINE_MINUTES:, FIELDS.index("close")]
    baselines = baseline_equities_on(past_close, future_open)
    return {f"baseline: {name}": value for name, value in baselines.items()}


def write_trades(path: Path, windows: Windows, cross_fitted: CrossFitted) -> Path:
    """Write repeat, sample_id, coin_index, buy_quantity, sell_time, growth (factor on the equity)."""
    tables = [
        pl.DataFrame(
            {
                "repeat": np.full(len(windows), repeat),
                "sample_id": windows.sample_id,
                "coin_index": windows.coin_index,
                "buy_quantity": positions.buy_quantity,
                "sell_time": positions.sell_time,
                "growth": cross_fitted.tested.factors[repeat],
            }
        )
        for repeat, positions in enumerate(cross_fitted.positions)
    ]
    return write_table(path, pl.concat(tables))


def write_threshold_curve(path: Path, curves: Sequence[ThresholdCurve]) -> Path:
    """Write kind, threshold, trades, equity and low (5 % bound), ascending in the threshold of each kind."""
    tables = [
        pl.DataFrame(
            {
                "kind": [str(curve.kind)] * len(curve.threshold),
                "threshold": curve.threshold,
                "trades": curve.trades,
                "equity": curve.equity,
                "low": START * np.exp(curve.low_growth),
            }
        )
        for curve in curves
    ]
    return write_table(path, pl.concat(tables))


def write_strategies(path: Path, results: StrategyResults) -> Path:
    """Write strategy, sell and the figures of its cross-fitted backtest, one row per strategy."""
    rows = [
        {"strategy": kind, "sell": sell, **result.cross_fitted.tested.figures}
        for (kind, sell), result in results.items()
    ]
    return write_table(path, pl.DataFrame(rows))
