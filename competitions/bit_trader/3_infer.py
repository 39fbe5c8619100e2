"""Forecast the test samples, or your own klines, with the forecasters of all folds.

    python competitions/bit_trader/3_infer.py [--experiment NAME]
    python competitions/bit_trader/3_infer.py [--experiment NAME] --klines FILE [--every MINUTES]

Reads
    <work>/processed/                  what 1_preprocess made
    <work>/<experiment>/fold<k>/       what 2_train_folds learned
Writes
    <work>/<experiment>/test.parquet  forecast open prices, minute_0 to minute_119, and volatility
    <work>/<experiment>/klines_<name>.csv  with --klines FILE: windows, decisions, and what came where known
    <work>/<experiment>/klines_<name>.parquet  with --klines FILE: the forecasts, as in test.parquet

The folds' forecasts are averaged. A forecaster that is fitted to each series anew (arima) runs once. FILE is
a 1-minute kline CSV of an exchange (12 columns, no header), at least 23 hours without a gap; it is cut into
windows, the last one at its end, and decided by the strategy that 2_train_folds found out of fold.
"""

import argparse
from pathlib import Path
from typing import cast

from common.run.run_record import hash_path
from common.run.stage import Job, Result, Stage
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.experiment import BitTraderExperiment


def infer(job: Job) -> Result:
    """Mean forecast path of each test sample, or of each window of the klines."""
    import numpy as np

    from competitions.bit_trader.data.windows import open_windows
    from competitions.bit_trader.models.base import mean_forecast
    from competitions.bit_trader.models.forecasts import write_forecasts

    if job.stage_args.klines:
        return infer_klines(job)
    windows = open_windows(job.processed, "test")
    settings = cast(BitTraderExperiment, job.settings)
    forecasts, troubles = mean_forecast(
        settings, job.device, job.fold_folders, windows, np.arange(len(windows)), job.resume_dir
    )
    for trouble in troubles:
        job.warn(trouble)
    target = job.paths.test(settings.name, ".parquet")
    write_forecasts(target, [(0, forecasts)])
    return Result([target], metrics={"samples": float(len(windows)), "fallbacks": float(len(troubles))})


def infer_klines(job: Job) -> Result:
    """Forecasts and decisions for every window of a kline file; time is known here, and told."""
    import numpy as np

    from common.base.console import log
    from common.base.errors import InputError
    from competitions.bit_trader.decision.backtest import backtest
    from competitions.bit_trader.decision.out_of_fold import decided_strategy
    from competitions.bit_trader.models.base import mean_forecast
    from competitions.bit_trader.models.forecasts import write_forecasts
    from competitions.bit_trader.predict.klines import clock, cut_windows, read_klines, write_decisions
    from competitions.bit_trader.rules.submission import Orders

    if job.stage_args.every < 1:
        raise InputError(f"--every {job.stage_args.every}: expected a number of minutes, at least 1")
    settings = cast(BitTraderExperiment, job.settings)
    klines = read_klines(job.stage_args.klines)
    for repair in klines.repairs:
        job.warn(repair)
    cut = cut_windows(klines, job.stage_args.every, job.stage_args.klines)
    rows = np.arange(len(cut.windows))
    forecasts, troubles = mean_forecast(
        settings, job.device, job.fold_folders, cut.windows, rows, job.resume_dir
    )
    for trouble in troubles:
        job.warn(trouble)
    orders = decided_strategy(job.upstream["oof"].decision).orders(forecasts)
    folder = job.paths.experiment(settings.name)
    table, paths = (folder / f"{record_name(job.stage_args)}{suffix}" for suffix in (".csv", ".parquet"))
    write_decisions(table, cut, forecasts, orders)
    write_forecasts(paths, [(0, forecasts)])
    last = f"buy {orders.buy_quantity[-1]:g}, sell at minute {orders.sell_time[-1]}"
    log(f"  {len(rows)} windows; the last, bought at {clock(cut.purchase_time[-1])}: {last}")
    figures = {"windows": float(len(rows)), "fallbacks": float(len(troubles))}
    if cut.known.any():
        known = Orders(orders.buy_quantity[cut.known], orders.sell_time[cut.known])
        figures |= backtest(cut.future_open[cut.known], [known]).figures()
    return Result([table, paths], metrics=figures)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Your own data."""
    parser.add_argument(
        "--klines", type=Path, metavar="FILE", help="1-minute kline CSV to forecast and decide"
    )
    parser.add_argument(
        "--every", type=int, default=120, metavar="MINUTES", help="minutes from window to window (120)"
    )


def record_name(own: argparse.Namespace) -> str:
    """Klines have a record of their own beside the test split's."""
    return f"klines_{own.klines.stem}" if own.klines else ""


def decisive(own: argparse.Namespace) -> object:
    """What of the flags decides the result."""
    return [hash_path(own.klines), own.every] if own.klines and own.klines.is_file() else None


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, add_flags, decisive, record_name).run(infer)
