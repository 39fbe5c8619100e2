"""A network and a kind of model of one's own: one module in models/ and one TOML entry each."""

import argparse
from pathlib import Path

import numpy as np
import pytest

import competitions.etci_flood.models as room
from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.run.experiments import load_experiment
from common.run.job import Job
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.base import model_kind
from tests.etci_flood.small_arrays import random_arrays

NETWORK = """
from torch import nn

from common.run.experiments import Settings, read_options
from competitions.etci_flood.models.registry import NETWORKS


class TinyOptions(Settings):
    width: int = 4


@NETWORKS.register("tiny")
def tiny(settings, in_channels):
    width = read_options(TinyOptions, settings.options, "network.options").width
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))
"""
KIND = """
import json

import numpy as np

from common.run.experiments import Settings, read_options
from competitions.etci_flood.models.base import FittedFold, ModelKind, predict_tiles
from competitions.etci_flood.models.registry import MODEL_KINDS


class DarkOptions(Settings):
    threshold: int = 60


class Dark:
    padding = 0
    needs_scene = False

    def __init__(self, threshold):
        self.threshold = threshold

    def probability(self, layers, scale):
        return (layers[:, 0] < self.threshold).astype(np.float32)


@MODEL_KINDS.register("dark")
class DarkKind(ModelKind):
    def check(self):
        self.threshold = read_options(DarkOptions, self.settings.options, "options").threshold

    def fit(self, job, arrays, training, held_out):
        file = job.fold_folder / "checkpoint.txt"
        file.write_text(json.dumps(self.threshold))
        return FittedFold(predict_tiles([(1.0, Dark(self.threshold))], arrays, held_out, 2), [file])

    def load_fold(self, folder, device):
        return Dark(json.loads((folder / "checkpoint.txt").read_text()))
"""
EXPERIMENTS = """
[experiments.tiny]
about = "a network of one's own"
network = { architecture = "tiny", options = { width = 3 } }
training = { epochs = 1, batch_size = 2, crop_size = 64 }

[experiments.dark]
about = "a kind of model of one's own"
model = "dark"
options = { threshold = 60 }

[experiments.wrong]
about = "an option that the network does not know"
extends = "tiny"
network.options = { height = 3 }
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiments.toml, and the modules that it needs in a folder of the room."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "tiny_network_of_a_test.py").write_text(NETWORK)
    (tmp_path / "parts" / "dark_kind_of_a_test.py").write_text(KIND)
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path / "parts")])
    (tmp_path / "experiments.toml").write_text(EXPERIMENTS)
    return tmp_path / "experiments.toml"


def job_of(settings: FloodExperiment, folder: Path) -> Job[FloodExperiment]:
    job = Job(
        competition=COMPETITION,
        settings=settings,
        profile="sample",
        data=folder,
        paths=WorkPaths(folder),
        resume_dir=folder / "resume",
        seed=1,
        device="cpu",
        stage_args=argparse.Namespace(weights=None),
        upstream={},
        fold=0,
    )
    job.fold_folder.mkdir(parents=True)
    return job


@pytest.mark.parametrize("name", ["tiny", "dark"])
def test_a_part_of_ones_own_is_trained_predicts_and_is_loaded(file: Path, tmp_path: Path, name: str) -> None:
    settings = load_experiment(file, FloodExperiment, name, "full")
    arrays, job = random_arrays(), job_of(settings, tmp_path / "work")
    kind = model_kind(settings)
    fitted = kind.fit(job, arrays, np.array([0, 1]), np.array([2]))
    (maps,) = fitted.oof_maps
    assert (maps.dtype, maps.shape) == (np.uint8, (1, 256, 256))
    assert [output.is_file() for output in fitted.outputs] == [True]
    layers = np.stack([arrays.vv[2], arrays.vh[2], arrays.water[2]])[None]
    again = kind.load_fold(job.fold_folder, "cpu").probability(layers, arrays.scale(np.array([2])))
    assert np.abs(again * 255 - maps).max() <= 0.51


def test_unknown_options_of_a_part_are_refused(file: Path, tmp_path: Path) -> None:
    settings = load_experiment(file, FloodExperiment, "wrong", "full")
    with pytest.raises(InputError, match=r"options\.height: is no known key; expected width"):
        model_kind(settings).fit(
            job_of(settings, tmp_path / "work"), random_arrays(), np.array([0, 1]), np.array([2])
        )
