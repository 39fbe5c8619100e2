"""Train the forecaster fold by fold, forecast the samples held out, tune the trading rule on these forecasts.

    python competitions/bit_trader/2_train_folds.py [--experiment NAME] [--fold K]

Reads
    <work>/processed/   what 1_preprocess made
Writes
    <work>/<experiment>/fold<k>/oof.parquet  forecast paths of the samples held out
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network (cnn, rnn)
    <work>/<experiment>/fold<k>/boosters.json  the fold's boosters by horizon (boosting)
    <work>/<experiment>/oof_trades.parquet  every training sample's out-of-fold order and what it earned
    <work>/<experiment>/threshold_curve.parquet  out-of-fold equity against threshold (rule net_edge)

A threshold is tuned on out-of-fold forecasts alone, and the rule trades only where the 5 % bound of the
out-of-fold equity lies above the 10,000 of never buying; otherwise it never buys and says so. ARIMA learns
nothing from other samples and keeps no model.
"""

from typing import cast

from common.stage import Job, Outcome, Stage
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.experiment import BitTraderExperiment


def train_fold(job: Job) -> Outcome:
    """One forecaster, trained on all samples but the fold's, and its forecasts of those."""
    import numpy as np

    from common.seeding import derived_seed
    from competitions.bit_trader.forecasters import make_forecaster
    from competitions.bit_trader.forecasts import write_forecasts
    from competitions.bit_trader.market_windows import open_windows

    settings = cast(BitTraderExperiment, job.settings)
    windows = open_windows(job.processed, "train")
    fold = windows.folds_by(settings.held_out_by)
    held_out = np.flatnonzero(fold == job.fold)
    forecaster = make_forecaster(settings, job.device)
    history = forecaster.fit(
        windows, np.flatnonzero(fold != job.fold), job.scratch, derived_seed(job.seed, "fold", job.fold)
    )
    forecast = forecaster.forecast(windows, held_out, job.scratch)
    for trouble in forecast.troubles:
        job.survive(trouble)
    oof = job.fold_folder / "oof.parquet"
    write_forecasts(oof, windows.sample_id[held_out], forecast.paths)
    error = float(np.mean((forecast.paths - windows.future_open(held_out)) ** 2))
    figures = {"samples": len(held_out), "squared_error": error, "fallbacks": len(forecast.troubles)}
    return Outcome([oof, *forecaster.save(job.fold_folder)], metrics=figures, history=history)


def pool_folds(job: Job) -> Outcome:
    """Out-of-fold forecasts of all training samples, the rule tuned on them, and its equity."""
    from common.console import say
    from competitions.bit_trader.forecasts import pooled_forecasts
    from competitions.bit_trader.market_windows import open_windows
    from competitions.bit_trader.out_of_fold import decide, write_threshold_curve, write_trades

    settings = cast(BitTraderExperiment, job.settings)
    windows = open_windows(job.processed, "train")
    paths = pooled_forecasts([folder / "oof.parquet" for folder in job.fold_folders], windows.sample_id)
    result = decide(settings, windows, paths)
    say(f"  {result.verdict}")
    folder = job.paths.experiment(settings.name)
    outputs = [write_trades(folder / "oof_trades.parquet", windows, result.orders)]
    if result.curve is not None:
        outputs.append(write_threshold_curve(folder / "threshold_curve.parquet", result.curve))
    return Outcome(outputs, metrics=result.metrics, decision=result.decision)


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__).run(train_fold, pool=pool_folds)
