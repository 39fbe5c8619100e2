"""A forecaster of one's own: one module in models/ and one entry in experiments.toml."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import competitions.bit_trader.models as room
from common.base.errors import InputError
from common.run import Stage
from common.run.run_record import read_record
from competitions.bit_trader import load, pipeline
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.models.registry import FORECASTERS
from competitions.bit_trader.rules.submission import submission_faults
from tests.bit_trader.conftest import call_stage
from tests.bit_trader.small_market import kline_table

MODULE = '''
"""The price continues as in the last minutes."""

import json
import numpy as np
from common.run.experiments import Settings, read_options
from competitions.bit_trader.models.base import PricePaths
from competitions.bit_trader.models.registry import FORECASTERS


class Options(Settings):
    minutes: int
    damping: float = 0.5


@FORECASTERS.register("drift")
class Drift:
    learns = True

    def __init__(self, settings, device):
        self.options = read_options(Options, settings.options, "options")
        self.mean = 0.0

    def fit(self, windows, rows, resume_dir, seed):
        self.mean = float(windows.past_open(rows, self.options.minutes).mean())
        return [{"epoch": 1.0, "loss": self.mean}]

    def save(self, folder):
        folder.mkdir(exist_ok=True)
        (folder / "drift.json").write_text(json.dumps(self.mean))
        return [folder / "drift.json"]

    def load(self, folder):
        self.mean = json.loads((folder / "drift.json").read_text())

    def forecast(self, windows, rows, resume_dir):
        past = windows.past_open(rows, self.options.minutes)
        slope = self.options.damping * (past[:, -1:] - past[:, :1]) / self.options.minutes
        return PricePaths((past[:, -1:] + slope * np.arange(120)).astype(np.float32))
'''
ENTRY = """
[experiments.drift]
about = "drift of the last half hour"
forecaster = "drift"
rule = { kind = "risk_adjusted", min_trades = 3 }
options = { minutes = 30, damping = 0.2 }
"""


@pytest.fixture
def drift_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "drift.py").write_text(MODULE)
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    yield
    sys.modules.pop("competitions.bit_trader.models.drift", None)
    FORECASTERS._parts.pop("drift", None)


@pytest.mark.usefixtures("drift_module")
def test_one_module_and_one_entry_add_a_forecaster(sample: Path, tmp_path: Path) -> None:
    text = COMPETITION.experiments_file.read_text(encoding="utf-8")
    (tmp_path / "experiments.toml").write_text(text + ENTRY)
    competition = replace(COMPETITION, folder=tmp_path)
    work, klines = tmp_path / "work", tmp_path / "coin.csv"
    argv = ["--experiment", "drift", "--work", str(work)]
    Stage(competition, "preprocess", "").run(pipeline.preprocess, argv=[*argv, "--data", str(sample)])
    Stage(competition, "train_folds", "").run(pipeline.train_fold, pool=pipeline.pool_folds, argv=argv)
    Stage(competition, "infer", "").run(pipeline.infer, argv=argv)
    Stage(competition, "make_submission", "").run(pipeline.make_submission, argv=argv)
    assert submission_faults(work / "drift" / "submission.csv", sample) == []
    record = read_record(work / "drift" / "oof.run.json")
    assert record.experiment["options"] == {"minutes": 30, "damping": 0.2}
    assert record.decision["rule"] in ("risk_adjusted", "expected_net_return")
    kline_table(1380).write_csv(klines, include_header=False)
    assert len(load("drift", work).predict(klines)) == 1


@pytest.mark.usefixtures("drift_module")
def test_a_forecaster_validates_its_own_options() -> None:
    from competitions.bit_trader.models.factory import make_forecaster

    champion = COMPETITION.experiment("champion", "sample")
    wrong = champion.model_copy(update={"forecaster": "drift", "options": {"minutes": 30, "damp": 1.0}})
    with pytest.raises(InputError, match=r"options\.damp: is no known key; expected minutes, damping"):
        make_forecaster(wrong, "cpu")
    for name in ("champion", "arima"):
        unused = COMPETITION.experiment(name, "sample").model_copy(update={"options": {"minutes": 30}})
        with pytest.raises(InputError, match=r"options\.minutes: is no known key"):
            make_forecaster(unused, "cpu")


def test_an_unknown_forecaster_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    code, text = call_stage(
        "1_preprocess.py", "--work", str(tmp_path / "work"), "--set", "forecaster=crystal_ball"
    )
    assert code == 2
    assert "unknown forecaster 'crystal_ball'" in text
    for name in ("arima", "cnn", "gbdt", "recurrence", "rnn"):
        assert name in text
