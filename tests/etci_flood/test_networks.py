from pathlib import Path

import pytest
import torch
from torch import nn

from common.base.errors import InputError
from common.files.weights import save_weights
from common.run.experiments import experiment_names
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment, NetworkSettings, TrainingSettings
from competitions.etci_flood.models.networks import build_network, check_crop_size
from competitions.etci_flood.models.registry import NETWORKS
from competitions.etci_flood.models.training import FloodTraining

NAMES = experiment_names(COMPETITION.experiments_file)


def experiment(name: str) -> FloodExperiment:
    return COMPETITION.experiment(name, "full")


def encoder_of(network: nn.Module) -> nn.Module:
    return network.get_submodule("encoder")


def test_every_network_takes_a_training_step() -> None:
    """Once for each different network, loss and set of channels of experiments.toml."""
    different: dict[str, FloodExperiment] = {}
    for own in (experiment(name) for name in NAMES):
        scratch = own.network.model_copy(update={"pretrained": False})
        key = f"{scratch.model_dump_json()} {own.channels} {own.training.loss}"
        if own.model == "network":
            different[key] = own.model_copy(update={"network": scratch})
    assert {own.network.architecture for own in different.values()} == set(NETWORKS.names())
    for own in different.values():
        network = build_network(own.network, own.channels).train()
        side = 128 if own.network.architecture == "pan" else 64
        inputs = torch.randn(2, len(own.channels), side, side)
        logits = network(inputs)
        assert logits.shape == (2, 1, side, side)
        FloodTraining(network, own.training).loss(logits, (inputs[:, :1] < 0).float()).backward()
        before = next(network.parameters()).detach().clone()
        torch.optim.SGD(network.parameters(), 1.0).step()
        assert not torch.equal(before, next(network.parameters())), own.name


def test_crops_that_are_too_small_for_pan_are_refused() -> None:
    pan = NetworkSettings(architecture="pan", encoder="mobilenet_v2")
    for side in (128, 96):
        own = FloodExperiment(name="pan", network=pan, training=TrainingSettings(crop_size=side))
        network = build_network(pan, own.channels)
        if side == 128:
            check_crop_size(network, own)
            assert network.training
        else:
            with pytest.raises(InputError, match=r"training\.crop_size: pan takes no crops of 96 pixels"):
                check_crop_size(network, own)


@pytest.mark.parametrize("name", [name for name in NAMES if "imagenet" in name])
def test_pretrained_networks_name_the_flag(name: str) -> None:
    own = experiment(name)
    with pytest.raises(InputError, match="--weights"):
        build_network(own.network, own.channels)


def test_pretrained_weights_reach_the_encoder_for_any_number_of_channels(tmp_path: Path) -> None:
    own = experiment("pan_mobilenet_v2_imagenet")
    scratch = own.network.model_copy(update={"pretrained": False})
    donor = encoder_of(build_network(scratch, own.channels)).state_dict()
    save_weights(tmp_path / "mobilenet_v2.safetensors", donor)
    network = build_network(own.network, [*own.channels, "water"], tmp_path)
    ours = encoder_of(network).state_dict()
    first = next(name for name, tensor in donor.items() if tensor.ndim == 4)
    assert ours[first].shape[1] == 4
    assert all(torch.equal(tensor, ours[name]) for name, tensor in donor.items() if name != first)
    save_weights(tmp_path / "mobilenet_v2.safetensors", {"fc.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="not the weights of a mobilenet_v2"):
        build_network(own.network, own.channels, tmp_path)
