"""Sample data made once, and the real stages run through their command line."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from common.base.paths import ROOT
from common.run.sample_data import make_sample_data
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.windows import Windows, draw_fold_orders
from competitions.bit_trader.experiment import Gbdt
from competitions.bit_trader.models.gbdt import GbdtForecaster
from competitions.bit_trader.sample.market_simulation import bars_of, draw_coins, simulate_market
from tests.bit_trader.small_market import gbdt_settings

FOLDER = ROOT / "competitions" / "bit_trader"
RunStage = Callable[..., tuple[int, str]]
SCALE = 0.1
MARKET_SAMPLES = 12


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample data at a tenth of their size: 30 training and 15 test samples. Never written to."""
    folder = tmp_path_factory.mktemp("bit_trader") / "sample"
    make_sample_data(COMPETITION, folder, seed=3, scale=SCALE)
    return folder


def call_stage(script: str, *argv: str) -> tuple[int, str]:
    """Run a stage by its path, as a user does; returns exit code and everything printed."""
    command = [sys.executable, str(FOLDER / script), *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def run_stage(tmp_path: Path) -> RunStage:
    """Run a stage in a work folder of the test's own."""
    return partial(_run_in, tmp_path / "work")


def _run_in(work: Path, script: str, *argv: str) -> tuple[int, str]:
    return call_stage(script, "--work", str(work), *argv)


@pytest.fixture(scope="session")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a champion run through all four stages."""
    work = tmp_path_factory.mktemp("finished") / "work"
    for script in ("1_preprocess.py", "2_train_folds.py", "3_infer.py", "4_make_submission.py"):
        argv = ["--data", str(sample)] if script.startswith("1") else []
        code, text = call_stage(script, "--work", str(work), *argv)
        assert code == 0, text
    return work


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Without tensorflow's graphs, whose making takes seconds a network."""
    from competitions.bit_trader.models.silent_keras import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def market() -> Windows:
    generator = np.random.default_rng(0)
    coins, coin_index = draw_coins(generator), np.arange(MARKET_SAMPLES) % 10
    bars = bars_of(
        simulate_market(coins.volatility[coin_index], generator), coins.pick(coin_index), generator
    )
    order = draw_fold_orders(MARKET_SAMPLES, seed=0)
    return Windows(np.arange(MARKET_SAMPLES), coin_index, order, bars[:, :1380], bars[:, 1380:])


@pytest.fixture(scope="session")
def trained_gbdt(market: Windows, tmp_path_factory: pytest.TempPathFactory) -> GbdtForecaster:
    small = Gbdt(horizons=[30, 119], stride=120, num_boost_round=10, min_data_in_leaf=5)
    forecaster = GbdtForecaster(gbdt_settings(small), "cpu")
    forecaster.fit(market, np.arange(6), tmp_path_factory.mktemp("resume"), seed=1)
    return forecaster


@pytest.fixture(scope="session")
def random_walks() -> Windows:
    generator = np.random.default_rng(0)
    course = np.cumsum(0.001 * generator.normal(size=(16, 1500)), axis=1)
    prices = np.exp(course - course[:, 1379:1380]).astype(np.float32)
    bars = np.repeat(prices[:, :, None], 9, axis=2)
    number = np.arange(16)
    return Windows(number, number, number[:, None], bars[:, :1380], bars[:, 1380:])
