import pytest
import torch
from torch import nn

from competitions.etci_flood.experiment import Decoder, Encoder, NetworkSettings
from competitions.etci_flood.models.fuse_batchnorm import without_batch_norms
from competitions.etci_flood.models.networks import build_network


def norms_of(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(
    ("decoder", "encoder"),
    [("unet", "resnet18"), ("unetplusplus", "mobilenet_v2"), ("pan", "mobilenet_v2"), ("fcn8s", "vgg16_bn")],
)
def test_maps_stay_the_same(decoder: Decoder, encoder: Encoder) -> None:
    torch.manual_seed(1)
    network = build_network(NetworkSettings(decoder=decoder, encoder=encoder), "vv_vh").train()
    seen = torch.randn(2, 2, 128, 128)
    with torch.no_grad():
        for _ in range(2):
            network(seen)  # fill the running statistics
        network.eval()
        before, number = network(seen), norms_of(network)
        folded = without_batch_norms(network)
        assert torch.allclose(folded(seen), before, rtol=1e-3, atol=1e-3 * before.abs().max().item())
        assert norms_of(folded) == 0
        assert norms_of(network) == number, "the network itself is left alone"
        assert torch.equal(network(seen), before)
