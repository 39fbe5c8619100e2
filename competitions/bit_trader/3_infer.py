"""Forecast the test samples with the forecasters of all folds.

    python competitions/bit_trader/3_infer.py [--experiment NAME]

Reads
    <work>/processed/                  what 1_preprocess made
    <work>/<experiment>/fold<k>/       what 2_train_folds learned
Writes
    <work>/<experiment>/test.parquet  forecast open prices, minute_0 to minute_119, one row a test sample

The folds' forecasts are averaged. A forecaster that is fitted to each series anew (arima) runs once.
"""

from typing import cast

from common.stage import Job, Outcome, Stage
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.experiment import BitTraderExperiment


def infer(job: Job) -> Outcome:
    """Mean forecast path of each test sample."""
    import numpy as np

    from competitions.bit_trader.forecasters import make_forecaster
    from competitions.bit_trader.forecasts import write_forecasts
    from competitions.bit_trader.market_windows import open_windows

    settings = cast(BitTraderExperiment, job.settings)
    windows = open_windows(job.processed, "test")
    rows = np.arange(len(windows))
    forecaster = make_forecaster(settings, job.device)
    folders = job.fold_folders if forecaster.learns else job.fold_folders[:1]
    total, troubles = np.zeros((len(rows), 120)), 0
    for folder in folders:
        forecaster.load(folder)
        forecast = forecaster.forecast(windows, rows, job.scratch)
        total += forecast.paths
        troubles += len(forecast.troubles)
        for trouble in forecast.troubles:
            job.survive(trouble)
    target = job.paths.test(settings.name, ".parquet")
    write_forecasts(target, windows.sample_id, (total / len(folders)).astype(np.float32))
    return Outcome([target], metrics={"samples": len(rows), "fallbacks": troubles})


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__).run(infer)
