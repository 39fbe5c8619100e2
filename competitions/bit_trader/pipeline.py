"""The four stages: read bars, forecast out of fold and tune the rule, forecast the test samples, submit."""

import shutil
from pathlib import Path

import numpy as np

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.seeding import derived_seed
from common.run.job import Job, Result
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, PAST_MINUTES, BarFile, find_bar_file
from competitions.bit_trader.data.folds import held_out_sets
from competitions.bit_trader.data.windows import (
    check_joined,
    draw_fold_orders,
    open_windows,
    processed_files,
    store_bars,
    write_samples,
)
from competitions.bit_trader.decision.backtest import write_coins
from competitions.bit_trader.decision.out_of_fold import (
    decide,
    decided_strategy,
    write_strategies,
    write_threshold_curve,
    write_trades,
)
from competitions.bit_trader.experiment import MAX_REPEATS, BitTraderExperiment
from competitions.bit_trader.models.factory import make_forecaster
from competitions.bit_trader.models.forecasts import (
    Forecasts,
    pooled_forecasts,
    read_forecasts,
    write_forecasts,
)
from competitions.bit_trader.predict.predictor import BitTraderPredictor
from competitions.bit_trader.rules.submission import official_test_ids, submission_faults, write_submission

BitTraderJob = Job[BitTraderExperiment]


def preprocess(job: BitTraderJob) -> Result:
    """Stream the official bars into memory-mapped arrays; draw the sample orders that folds are cut from."""
    train_list, train_x, train_y = processed_files(job.processed, "train")
    test_list, test_x = processed_files(job.processed, "test")
    train = store_bars(find_bar_file(job.data, "train_x_df"), PAST_MINUTES, train_x)
    future = store_bars(find_bar_file(job.data, "train_y_df"), FUTURE_MINUTES, train_y)
    test = store_bars(find_bar_file(job.data, "test_x_df"), PAST_MINUTES, test_x)
    for name, file, array in (("x", train, train_x), ("y", future, train_y), ("test x", test, test_x)):
        samples, minutes, _ = np.load(array, mmap_mode="r").shape
        coins = len(np.unique(file.coin_index))
        where = display_path(file.path)
        job.understood(f"{name}: {where}, {samples:,} samples of {minutes:,} minutes, {coins} coins")
        for repair in file.repairs:
            job.warn(repair)
    _check_samples(job.data, train, future, test)
    check_joined(job.data, train.sample_id, np.load(train_x, mmap_mode="r"), np.load(train_y, mmap_mode="r"))
    write_samples(
        train_list, train.sample_id, train.coin_index, draw_fold_orders(len(train.sample_id), job.seed)
    )
    no_folds = np.full((len(test.sample_id), MAX_REPEATS), -1)
    write_samples(test_list, test.sample_id, test.coin_index, no_folds)
    figures = {
        "train_samples": float(len(train.sample_id)),
        "test_samples": float(len(test.sample_id)),
        "coins": float(len(np.unique(np.concatenate([train.coin_index, test.coin_index])))),
    }
    return Result([train_x, train_y, train_list, test_x, test_list], metrics=figures)


def _check_samples(data: Path, train: BarFile, future: BarFile, test: BarFile) -> None:
    """InputError unless x and y have the same training samples and the test samples are the official ones."""
    for key in ("sample_id", "coin_index"):
        if not np.array_equal(getattr(train, key), getattr(future, key)):
            raise InputError(
                f"{display_path(data)}: {key} of train_y_df differs from train_x_df; expected the same "
                "samples in the same order; get both files again"
            )
    both = np.intersect1d(train.sample_id, test.sample_id)
    if len(both):
        raise InputError(
            f"{display_path(data)}: sample {both[0]} appears in both train_x_df and test_x_df; "
            "get both files again"
        )
    if official_test_ids(data) != [str(sample) for sample in test.sample_id]:
        raise InputError(
            f"{display_path(data)}: sample_submission.csv does not list the samples of test_x_df in order; "
            "get both files again"
        )


def train_fold(job: BitTraderJob) -> Result:
    """Train one forecaster per validation set of the fold (one per repeat or coin) and forecast the set."""
    settings, windows = job.settings, open_windows(job.processed, "train")
    oof = job.fold_folder / "oof.parquet"
    outputs, parts, fallbacks = [oof], [], 0
    history: list[dict[str, float]] = []
    squared_errors: list[float] = []
    sets = held_out_sets(settings, windows, job.fold)
    for stale in filter(Path.is_dir, job.fold_folder.iterdir()):
        shutil.rmtree(stale)  # models of an earlier run with other repeats would be averaged in
    for held_out in sets:
        resume_dir = job.resume_dir / held_out.name
        resume_dir.mkdir(exist_ok=True)
        forecaster = make_forecaster(settings, job.device)
        training_rows = np.setdiff1d(np.arange(len(windows)), held_out.rows)
        seed = derived_seed(job.seed, "fold", job.fold, held_out.name)
        fitted = forecaster.fit(windows, training_rows, resume_dir, seed)
        history = history or fitted  # one curve per fold
        forecast = forecaster.forecast(windows, held_out.rows, resume_dir)
        for warning in forecast.warnings:
            job.warn(warning)
        fallbacks += len(forecast.warnings)
        errors = (forecast.paths - windows.future_open(held_out.rows)) ** 2
        squared_errors += errors.mean(axis=1).tolist()
        ids, volatility = windows.sample_id[held_out.rows], windows.volatility(held_out.rows)
        parts.append((held_out.repeat, Forecasts(ids, forecast.paths, volatility)))
        outputs += forecaster.save(job.fold_folder if len(sets) == 1 else job.fold_folder / held_out.name)
    write_forecasts(oof, parts)
    figures = {
        "samples": float(len(squared_errors)),
        "mse": float(np.mean(squared_errors)),
        "fallbacks": float(fallbacks),
    }
    return Result(outputs, metrics=figures, history=history)


def pool_folds(job: BitTraderJob) -> Result:
    """Pool the OOF forecasts of all training samples, tune the trading rule on them, backtest it."""
    settings, windows = job.settings, open_windows(job.processed, "train")
    forecasts = pooled_forecasts([folder / "oof.parquet" for folder in job.fold_folders], windows.sample_id)
    decision = decide(settings, windows, forecasts)
    log(f"  {decision.summary}")
    folder, future_open = job.paths.experiment(settings.name), windows.future_open(np.arange(len(windows)))
    outputs = [
        write_trades(folder / "oof_trades.parquet", windows, decision.cross_fitted),
        write_coins(
            folder / "oof_coins.parquet", windows.coin_index, future_open, decision.cross_fitted.tested
        ),
        write_strategies(folder / "oof_strategies.parquet", decision.results),
    ]
    if decision.curves:
        outputs.append(write_threshold_curve(folder / "threshold_curve.parquet", decision.curves))
    return Result(outputs, metrics=decision.metrics, decision=decision.as_record())


def infer(job: BitTraderJob) -> Result:
    """Forecast the test samples; forecasts are averaged over folds and repeats."""
    windows = open_windows(job.processed, "test")
    forecasts, warnings = BitTraderPredictor(job.settings.name, job.paths.work, job.device).forecast(
        windows, job.resume_dir
    )
    for warning in warnings:
        job.warn(warning)
    target = job.paths.test(job.settings.name, ".parquet")
    write_forecasts(target, [(0, forecasts)])
    return Result([target], metrics={"samples": float(len(windows)), "fallbacks": float(len(warnings))})


def make_submission(job: BitTraderJob) -> Result:
    """Turn the test forecasts into positions and write the submission, if it breaks no official rule."""
    forecasts = read_forecasts(job.paths.test(job.settings.name, ".parquet"))
    positions = decided_strategy(job.upstream["oof"].decision).positions(forecasts)
    draft = job.resume_dir / "submission.csv"
    write_submission(draft, forecasts.sample_id, positions)
    faults = submission_faults(draft, job.data)
    if faults:
        raise AssertionError(f"the submission breaks the official rules: {'; '.join(faults)}")
    target = job.paths.submission(job.settings.name, ".csv")
    draft.replace(target)
    trades = float((positions.buy_quantity > 0).sum())
    return Result([target], metrics={"rows": float(len(positions)), "trades": trades})
