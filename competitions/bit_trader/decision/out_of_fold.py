"""What the pooled out-of-fold forecasts decide, and what they would have earned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from common.base.atomic import atomic_write
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.data.folds import groups
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.decision.backtest import Backtest, backtest
from competitions.bit_trader.decision.multiple_testing import deflated_sharpe, reality_check
from competitions.bit_trader.decision.strategies import NEVER, PRINTED, Strategy
from competitions.bit_trader.decision.tuning import (
    ThresholdCurve,
    Verdict,
    compare_strategies,
    curve_table,
    judge,
)
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.baselines import NAIVE_MINUTES, naive_equities_on
from competitions.bit_trader.rules.submission import Orders


@dataclass(frozen=True)
class Decision:
    """The strategy for the test split, and the evidence for it."""

    decision: dict[str, Any]
    """`rule`, `sell` and `threshold` (None: never buy), as kept in the run record."""
    metrics: dict[str, float]
    orders: list[Orders]
    """Out-of-fold orders of all training samples, one entry a repeat."""
    tested: Backtest
    """What these orders would have earned."""
    curves: list[ThresholdCurve]
    """Of the strategies that were tuned."""
    strategies: list[dict[str, str | float]]
    """What each strategy would have earned on the same forecasts."""
    verdict: str
    """One line for people."""


def decide(settings: BitTraderExperiment, windows: Windows, forecasts: Sequence[Forecasts]) -> Decision:
    """Apply or tune the experiment's rule on the out-of-fold forecasts of all training samples."""
    future_open = windows.future_open(np.arange(len(windows)))
    held_out = groups(settings, windows)
    strategies = compare_strategies(settings.rule, forecasts, future_open, held_out)
    if settings.rule.kind == "printed":
        return _printed(windows, forecasts, strategies)
    judged = judge(settings.rule, forecasts, future_open, held_out)
    tested = backtest(future_open, judged.orders)
    evidence = {
        "evidence_equity": judged.evidence,
        "evidence_low": judged.evidence_low,
        "rules_tried": float(judged.rules_tried),
        "reality_check_p": judged.luck,
        "deflated_sharpe": judged.deflated_sharpe,
    }
    return Decision(
        _kept(judged.strategy),
        _figures(tested) | evidence | _naive_metrics(windows),
        judged.orders,
        tested,
        judged.curves,
        strategies,
        _told(judged),
    )


def _printed(
    windows: Windows, forecasts: Sequence[Forecasts], strategies: list[dict[str, str | float]]
) -> Decision:
    future_open = windows.future_open(np.arange(len(windows)))
    orders = [PRINTED.orders(each) for each in forecasts]
    tested = backtest(future_open, orders)
    logs = tested.log_growth
    evidence = {
        "rules_tried": 1.0,
        "reality_check_p": reality_check(logs[None, :]),
        "deflated_sharpe": deflated_sharpe(logs, np.zeros(1)),
    }
    verdict = "the printed rule: buys all when any forecast minute exceeds 1"
    metrics = _figures(tested) | evidence | _naive_metrics(windows)
    return Decision(_kept(PRINTED), metrics, orders, tested, [], strategies, verdict)


def _told(judged: Verdict) -> str:
    bound = (
        f"out-of-fold equity {judged.evidence:,.0f}, 5 % bound {judged.evidence_low:,.0f}, chance of the "
        f"best of {judged.rules_tried} rules by luck {judged.luck:.3f}"
    )
    if judged.trades:
        return f"trades by {judged.strategy.kind} above {judged.strategy.threshold:.4g}: {bound}"
    return f"never buys, for the evidence does not carry it: {bound}"


def _kept(strategy: Strategy) -> dict[str, Any]:
    threshold = None if strategy.threshold == NEVER else strategy.threshold
    return {"rule": strategy.kind, "sell": strategy.sell, "threshold": threshold}


def decided_strategy(decision: dict[str, Any]) -> Strategy:
    """The strategy that `decide` left in the run record."""
    threshold = decision["threshold"]
    return Strategy(decision["rule"], decision["sell"], NEVER if threshold is None else threshold)


def write_trades(path: Path, windows: Windows, decided: Decision) -> Path:
    """Write repeat, sample_id, coin_index, buy_quantity, sell_time, growth (what multiplied the equity)."""
    tables = [
        pl.DataFrame(
            {
                "repeat": np.full(len(windows), repeat),
                "sample_id": windows.sample_id,
                "coin_index": windows.coin_index,
                "buy_quantity": orders.buy_quantity,
                "sell_time": orders.sell_time,
                "growth": decided.tested.factors[repeat],
            }
        )
        for repeat, orders in enumerate(decided.orders)
    ]
    with atomic_write(path) as partial:
        pl.concat(tables).write_parquet(partial)
    return path


def write_threshold_curve(path: Path, curves: Sequence[ThresholdCurve]) -> Path:
    """Write kind, threshold, trades, equity and low (5 % bound), ascending in the threshold of each kind."""
    with atomic_write(path) as partial:
        pl.DataFrame(curve_table(curves)).write_parquet(partial)
    return path


def _figures(tested: Backtest) -> dict[str, float]:
    return {f"oof_{name}": value for name, value in tested.figures().items()}


def write_strategies(path: Path, strategies: Sequence[dict[str, str | float]]) -> Path:
    """Write strategy, sell and the figures of its backtest, one row a strategy."""
    with atomic_write(path) as partial:
        pl.DataFrame(strategies).write_parquet(partial)
    return path


def _naive_metrics(windows: Windows) -> dict[str, float]:
    """Equity of the naive traders on the training samples, which a forecast must beat."""
    past_close = windows.past[:, -NAIVE_MINUTES:, FIELDS.index("close")]
    naive = naive_equities_on(past_close, windows.future_open(np.arange(len(windows))))
    return {f"naive: {name}": value for name, value in naive.items()}
