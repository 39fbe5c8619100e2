"""What the pooled out-of-fold forecasts decide, and what they would have earned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from common.atomic import whole_file
from competitions.bit_trader.bar_files import FIELDS
from competitions.bit_trader.equity import START, final_equity, growth, trading_figures
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.forecasts import Paths
from competitions.bit_trader.market_windows import Windows
from competitions.bit_trader.naive_traders import naive_orders
from competitions.bit_trader.trade_orders import Orders
from competitions.bit_trader.trading_rules import (
    NEVER,
    ThresholdCurve,
    judge,
    net_edge_orders,
    printed_orders,
    threshold_curve,
)


@dataclass(frozen=True)
class Decision:
    """The rule for the test split, and the evidence for it."""

    decision: dict[str, Any]
    """`rule`, and for net_edge `threshold` (None: never buy), as kept in the run record."""
    metrics: dict[str, float]
    orders: Orders
    """Out-of-fold orders of all training samples."""
    curve: ThresholdCurve | None
    verdict: str
    """One line for people."""


def decide(settings: BitTraderExperiment, windows: Windows, paths: Paths) -> Decision:
    """Apply or tune the experiment's rule on the out-of-fold forecasts (n, 120) of all training samples."""
    rows = np.arange(len(windows))
    future_open = windows.future_open(rows)
    curve, evidence = None, {}
    decision: dict[str, Any] = {"rule": settings.rule.kind}
    if settings.rule.kind == "printed":
        orders = printed_orders(paths)
        verdict = "the printed rule: buys all when any forecast minute exceeds 1"
    else:
        tried, fewest = settings.rule.thresholds, settings.rule.fewest_trades
        curve = threshold_curve(paths, future_open, tried, fewest)
        judged = judge(paths, future_open, windows.folds_by(settings.held_out_by), tried, fewest)
        orders, trades = judged.orders, judged.threshold != NEVER
        decision["threshold"] = judged.threshold if trades else None
        evidence = {"evidence_equity": judged.evidence, "evidence_low": judged.evidence_low}
        bound = f"out-of-fold equity {judged.evidence:,.0f}, 5 % bound {judged.evidence_low:,.0f}"
        verdict = (
            f"trades when the expected net gain exceeds {judged.threshold:.3%}: {bound}"
            if trades
            else f"never buys: {bound}, not above {START:,.0f}"
        )
    metrics = {f"oof_{name}": value for name, value in trading_figures(future_open, orders).items()}
    return Decision(decision, metrics | evidence | _naive_metrics(windows), orders, curve, verdict)


def decided_orders(decision: dict[str, Any], paths: Paths) -> Orders:
    """Orders by the rule that `decide` left in the run record."""
    if decision["rule"] == "printed":
        return printed_orders(paths)
    threshold = decision["threshold"]
    return net_edge_orders(paths, NEVER if threshold is None else threshold)


def write_trades(path: Path, windows: Windows, orders: Orders) -> Path:
    """Write sample_id, coin_index, buy_quantity, sell_time and growth (what the equity was multiplied by)."""
    future_open = windows.future_open(np.arange(len(windows)))
    table = pl.DataFrame(
        {
            "sample_id": windows.sample_id,
            "coin_index": windows.coin_index,
            "buy_quantity": orders.buy_quantity,
            "sell_time": orders.sell_time,
            "growth": growth(future_open, orders),
        }
    )
    with whole_file(path) as partial:
        table.write_parquet(partial)
    return path


def write_threshold_curve(path: Path, curve: ThresholdCurve) -> Path:
    """Write threshold, trades, equity and low (5 % bound), ascending in the threshold."""
    table = {"threshold": curve.threshold, "trades": curve.trades, "equity": curve.equity, "low": curve.low}
    with whole_file(path) as partial:
        pl.DataFrame(table).write_parquet(partial)
    return path


def _naive_metrics(windows: Windows) -> dict[str, float]:
    """Out-of-fold equity of the naive traders that a forecast must beat."""
    rows = np.arange(len(windows))
    future_open = windows.future_open(rows)
    past_close = windows.past[:, -60:, FIELDS.index("close")]
    return {
        f"naive: {name}": final_equity(growth(future_open, orders))
        for name, orders in naive_orders(past_close, future_open).items()
    }
