import numpy as np
import pytest

from common.base.errors import InputError
from competitions.etci_flood.data.channels import input_channels
from competitions.etci_flood.experiment import FloodExperiment

# VH above VV by 1 to 255 grey levels, as on most pixels of the real scenes.
VV, VH = np.full(255, 0, np.uint8), np.arange(1, 256, dtype=np.uint8)
LAYERS = np.stack([VV, VH, np.ones_like(VV)])[:, None, :]


def test_the_ratio_does_not_saturate() -> None:
    ratio = input_channels(LAYERS, "vv_vh_ratio")[2, 0]
    assert len(np.unique(ratio)) == 255
    assert (np.diff(ratio) < 0).all()


def test_the_clipped_ratio_saturates() -> None:
    assert not input_channels(LAYERS, "clipped").any()
    assert input_channels(np.array([[[200]], [[50]], [[0]]], np.uint8), "clipped").item() == 0.75


def test_channels_come_in_the_order_of_their_names() -> None:
    seen = input_channels(LAYERS, "water_vh_vv")
    assert seen.shape == (3, 1, 255)
    assert (seen[0] == 1).all()
    assert (np.diff(seen[1]) > 0).all()
    assert len(np.unique(seen[2])) == 1


def test_a_brighter_scene_looks_the_same_on_its_own_scale() -> None:
    rng = np.random.default_rng(0)
    layers = rng.integers(50, 150, (2, 3, 8, 8)).astype(np.uint8)
    layers[1] = layers[0]
    layers[1, :2] += 60
    scale = np.array([[[100, 40], [100, 40]], [[160, 40], [160, 40]]], np.float32)
    dark, bright = input_channels(layers, "vv_vh_ratio", scale)
    assert np.allclose(dark, bright)
    assert not np.allclose(*input_channels(layers, "vv_vh_ratio"))


@pytest.mark.parametrize("channels", ["vv_hh", "vv_vv", "", "vv-vh"])
def test_unknown_channels_are_refused(channels: str) -> None:
    with pytest.raises(ValueError, match="expected different ones of vv, vh, ratio, clipped, water"):
        FloodExperiment(name="test", channels=channels)


def test_an_unknown_channel_in_the_file_is_an_input_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from common.run.experiments import load_experiment

    file = tmp_path / "experiments.toml"
    file.write_text('[experiments.odd]\nchannels = "vv_slope"\n')
    with pytest.raises(InputError, match="'channels'"):
        load_experiment(file, FloodExperiment, "odd", "full")
