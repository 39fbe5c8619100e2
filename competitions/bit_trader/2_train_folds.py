"""Train the forecaster fold by fold, forecast the samples held out, tune the trading rule on these forecasts.

    python competitions/bit_trader/2_train_folds.py [--experiment NAME] [--fold K]

Reads
    <work>/processed/   what 1_preprocess made
Writes
    <work>/<experiment>/fold<k>/oof.parquet  forecast paths of the samples held out, repeat by repeat
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network (cnn, recurrence, rnn)
    <work>/<experiment>/fold<k>/search.json  every trial of the fold's random search, and the best network
    <work>/<experiment>/fold<k>/boosters.json  the fold's boosters by horizon (boosting)
    <work>/<experiment>/fold<k>/<part>/boosters.json  the same where a fold has several parts: repeats, coins
    <work>/<experiment>/fold<k>/<part>/checkpoint.safetensors
    <work>/<experiment>/fold<k>/<part>/search.json
    <work>/<experiment>/oof_trades.parquet  every training sample's out-of-fold order and what it earned
    <work>/<experiment>/oof_coins.parquet  the same coin by coin
    <work>/<experiment>/oof_strategies.parquet  what every strategy would have earned on the same forecasts
    <work>/<experiment>/threshold_curve.parquet  out-of-fold equity against threshold (tuned rules)

Samples are held out by repeated K-fold, or one coin after the other. A threshold is tuned on out-of-fold
forecasts alone, and a tuned rule trades only where the 5 % bound of the out-of-fold equity lies above the
10,000 of never buying and the reality check leaves little room for luck; otherwise it never buys and says so.
ARIMA learns nothing from other samples and keeps no model.
"""

import shutil
from pathlib import Path
from typing import cast

from common.run.stage import Job, Result, Stage
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.experiment import BitTraderExperiment


def train_fold(job: Job) -> Result:
    """One forecaster a part of the fold, trained on all other samples, and its forecasts of the part."""
    import numpy as np

    from common.learn.seeding import derived_seed
    from competitions.bit_trader.data.folds import held_out_in
    from competitions.bit_trader.data.windows import open_windows
    from competitions.bit_trader.models.base import make_forecaster
    from competitions.bit_trader.models.forecasts import Forecasts, write_forecasts

    settings = cast(BitTraderExperiment, job.settings)
    windows = open_windows(job.processed, "train")
    oof = job.fold_folder / "oof.parquet"
    outputs, parts, troubles = [oof], [], 0
    history: list[dict[str, float]] = []
    squared: list[float] = []
    held_out = held_out_in(settings, windows, job.fold)
    for left in filter(Path.is_dir, job.fold_folder.iterdir()):
        shutil.rmtree(left)  # parts of another number of repeats would be taken for this run's
    for part in held_out:
        scratch = job.resume_dir / part.name
        scratch.mkdir(exist_ok=True)
        forecaster = make_forecaster(settings, job.device)
        others = np.setdiff1d(np.arange(len(windows)), part.rows)
        seed = derived_seed(job.seed, "fold", job.fold, part.name)
        fitted = forecaster.fit(windows, others, scratch, seed)
        history = history or fitted  # one curve a fold
        forecast = forecaster.forecast(windows, part.rows, scratch)
        for trouble in forecast.troubles:
            job.warn(trouble)
        troubles += len(forecast.troubles)
        squared += ((forecast.paths - windows.future_open(part.rows)) ** 2).mean(axis=1).tolist()
        found = Forecasts(windows.sample_id[part.rows], forecast.paths, windows.volatility(part.rows))
        parts.append((part.repeat, found))
        outputs += forecaster.save(job.fold_folder if len(held_out) == 1 else job.fold_folder / part.name)
    write_forecasts(oof, parts)
    figures = {
        "samples": float(len(squared)),
        "squared_error": float(np.mean(squared)),
        "fallbacks": float(troubles),
    }
    return Result(outputs, metrics=figures, history=history)


def pool_folds(job: Job) -> Result:
    """Out-of-fold forecasts of all training samples, the rule tuned on them, and its equity."""
    import numpy as np

    from common.base.console import log
    from competitions.bit_trader.data.windows import open_windows
    from competitions.bit_trader.decision.backtest import write_coins
    from competitions.bit_trader.decision.out_of_fold import (
        decide,
        write_strategies,
        write_threshold_curve,
        write_trades,
    )
    from competitions.bit_trader.models.forecasts import pooled_forecasts

    settings = cast(BitTraderExperiment, job.settings)
    windows = open_windows(job.processed, "train")
    forecasts = pooled_forecasts([folder / "oof.parquet" for folder in job.fold_folders], windows.sample_id)
    result = decide(settings, windows, forecasts)
    log(f"  {result.verdict}")
    folder, future_open = job.paths.experiment(settings.name), windows.future_open(np.arange(len(windows)))
    outputs = [
        write_trades(folder / "oof_trades.parquet", windows, result),
        write_coins(folder / "oof_coins.parquet", windows.coin_index, future_open, result.tested),
        write_strategies(folder / "oof_strategies.parquet", result.strategies),
    ]
    if result.curves:
        outputs.append(write_threshold_curve(folder / "threshold_curve.parquet", result.curves))
    return Result(outputs, metrics=result.metrics, decision=result.decision)


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__).run(train_fold, pool=pool_folds)
