import pytest
import torch
from torch import nn

from competitions.etci_flood.experiment import Encoder, NetworkSettings
from competitions.etci_flood.models.fuse_batchnorm import fuse_batchnorm
from competitions.etci_flood.models.networks import build_network


def norms_of(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [("unet", "resnet18"), ("unetplusplus", "mobilenet_v2"), ("pan", "mobilenet_v2"), ("fcn8s", "vgg16_bn")],
)
def test_the_output_stays_the_same(architecture: str, encoder: Encoder) -> None:
    torch.manual_seed(1)
    network = build_network(NetworkSettings(architecture=architecture, encoder=encoder), ["vv", "vh"]).train()
    inputs = torch.randn(2, 2, 128, 128)
    with torch.no_grad():
        for _ in range(2):
            network(inputs)  # fill the running statistics
        network.eval()
        before, number = network(inputs), norms_of(network)
        fused = fuse_batchnorm(network)
        assert torch.allclose(fused(inputs), before, rtol=1e-3, atol=1e-3 * before.abs().max().item())
        assert norms_of(fused) == 0
        assert norms_of(network) == number, "the network itself is left alone"
        assert torch.equal(network(inputs), before)
