"""Every experiment on sample data: trained, kept, loaded, decided out of fold, submitted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.run.experiments import experiment_names
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.bar_files import find_bar_file
from competitions.bit_trader.data.folds import held_out_sets
from competitions.bit_trader.data.windows import Windows, draw_fold_orders, store_bars
from competitions.bit_trader.decision.out_of_fold import decide, decided_strategy
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.factory import make_forecaster, mean_forecast
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.submission import submission_faults, write_submission

FEW = 12


@pytest.fixture(scope="module")
def splits(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Windows, Windows]:
    """The first training samples and all test samples."""
    folder = tmp_path_factory.mktemp("arrays")
    arrays: dict[str, Any] = {}
    for stem, minutes in (("train_x_df", 1380), ("train_y_df", 120), ("test_x_df", 1380)):
        arrays[stem] = store_bars(find_bar_file(sample, stem), minutes, folder / f"{stem}.npy")
    past, future, test = (
        np.load(folder / f"{stem}.npy", mmap_mode="r") for stem in ("train_x_df", "train_y_df", "test_x_df")
    )
    train_list, test_list = arrays["train_x_df"], arrays["test_x_df"]
    coin = np.arange(FEW) % 4
    train = Windows(train_list.sample_id[:FEW], coin, draw_fold_orders(FEW, 0), past[:FEW], future[:FEW])
    none = np.full((len(test), 5), -1)
    return train, Windows(test_list.sample_id, test_list.coin_index, none, test, None)


def small(settings: BitTraderExperiment) -> BitTraderExperiment:
    """The sample profile's experiment with everything that only takes time cut short."""
    cut: dict[str, Any] = {"training": settings.training.model_copy(update={"epochs": 1})}
    cut["gbdt"] = settings.gbdt.model_copy(update={"num_boost_round": 3, "stride": 400})
    cut["arima"] = settings.arima.model_copy(update={"n_jobs": 1})
    if settings.arima.engine == "pmdarima":  # seconds a series; test_forecasters lets it choose the order
        cut["arima"] = cut["arima"].model_copy(update={"order": [1, 1, 0]})
    if settings.search.max_trials:
        cut["search"] = settings.search.model_copy(update={"max_trials": 1, "epochs": 1})
    if settings.forecaster == "rnn":
        cut["lookback"] = 30
    return settings.model_copy(update=cut)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", experiment_names(COMPETITION.experiments_file))
def test_from_sample_data_to_a_valid_submission(
    name: str, splits: tuple[Windows, Windows], sample: Path, tmp_path: Path
) -> None:
    train, test = splits
    experiment = COMPETITION.experiment(name, "sample")
    assert isinstance(experiment, BitTraderExperiment)
    settings = small(experiment)
    (tmp_path / "resume").mkdir()
    fold = tmp_path / "fold0"
    fold.mkdir()
    (part, *_) = held_out_sets(settings, train, 0)
    forecaster = make_forecaster(settings, "auto")
    others = np.setdiff1d(np.arange(FEW), part.rows)
    forecaster.fit(train, others, tmp_path / "resume", seed=1)
    files = forecaster.save(fold)
    assert all(file.is_file() for file in files)
    assert bool(files) == forecaster.learns
    (tmp_path / "oof").mkdir()
    paths = forecaster.forecast(train, np.arange(FEW), tmp_path / "oof").paths
    assert paths.shape == (FEW, 120)
    found = Forecasts(train.sample_id, paths, train.volatility(np.arange(FEW)))
    decided = decide(settings, train, [found])
    assert decided.metrics["oof_equity_low"] <= decided.metrics["oof_equity"]
    assert len([key for key in decided.metrics if key.startswith("baseline: ")]) == 8
    (tmp_path / "test").mkdir()
    rows = np.arange(len(test))
    forecasts, _ = mean_forecast(settings, "auto", [fold], test, rows, tmp_path / "test")
    submission = tmp_path / "submission.csv"
    write_submission(submission, test.sample_id, decided_strategy(decided.as_record()).positions(forecasts))
    assert submission_faults(submission, sample) == []
