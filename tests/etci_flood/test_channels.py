from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.base.errors import InputError
from common.run.experiments import load_experiment
from competitions.etci_flood.data.channels import input_channels
from competitions.etci_flood.experiment import FloodExperiment

# VH above VV by 1 to 255 grey levels, as on most pixels of the real scenes.
VV, VH = np.full(255, 0, np.uint8), np.arange(1, 256, dtype=np.uint8)
LAYERS = np.stack([VV, VH, np.ones_like(VV)])[:, None, :]


def test_the_ratio_does_not_saturate() -> None:
    ratio = input_channels(LAYERS, ["vv", "vh", "ratio"])[2, 0]
    assert len(np.unique(ratio)) == 255
    assert (np.diff(ratio) < 0).all()


def test_the_saturated_ratio_saturates() -> None:
    assert not input_channels(LAYERS, ["saturated_ratio"]).any()
    assert input_channels(np.array([[[200]], [[50]], [[0]]], np.uint8), ["saturated_ratio"]).item() == 0.75


def test_channels_are_in_the_order_of_their_names() -> None:
    inputs = input_channels(LAYERS, ["water", "vh", "vv"])
    assert inputs.shape == (3, 1, 255)
    assert (inputs[0] == 1).all()
    assert (np.diff(inputs[1]) > 0).all()
    assert len(np.unique(inputs[2])) == 1


def test_per_scene_normalisation_removes_brightness() -> None:
    rng = np.random.default_rng(0)
    layers = rng.integers(50, 150, (2, 3, 8, 8)).astype(np.uint8)
    layers[1] = layers[0]
    layers[1, :2] += 60
    scale = np.array([[[100, 40], [100, 40]], [[160, 40], [160, 40]]], np.float32)
    dark, bright = input_channels(layers, ["vv", "vh", "ratio"], scale)
    assert np.allclose(dark, bright)
    assert not np.allclose(*input_channels(layers, ["vv", "vh", "ratio"]))


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (["vv", "hh"], "Input should be 'vv'"),
        (["vv", "vv"], "named twice"),
        ([], "at least 1"),
        ("vv", "valid list"),
    ],
)
def test_unknown_channels_are_refused(channels: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FloodExperiment(name="test", channels=channels)


def test_an_unknown_channel_in_the_file_is_an_input_error(tmp_path: Path) -> None:
    file = tmp_path / "experiments.toml"
    file.write_text('[experiments.odd]\nchannels = ["vv", "slope"]\n')
    with pytest.raises(InputError, match=r"'channels\.1'"):
        load_experiment(file, FloodExperiment, "odd", "full")
