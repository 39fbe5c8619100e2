import shutil

import pytest
import torch
from torch import nn

from competitions.etci_flood.compiled_training import COMPILERS, compiled_for_training


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.Conv2d(4, 1, 1)).train()


def gradients(network: nn.Module) -> list[torch.Tensor]:
    return [weights.grad.clone() for weights in network.parameters() if weights.grad is not None]


@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C++ compiler")
@pytest.mark.parametrize("tiles", [3, 2])
def test_compiled_and_plain_steps_are_the_same(tiles: int) -> None:
    seen = torch.randn(tiles, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    plain, network = small_network(), small_network()
    plain(seen).square().sum().backward()
    compiled_for_training(network, batch=3)(seen).square().sum().backward()
    for ours, theirs in zip(gradients(network), gradients(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert torch.allclose(network[1].running_mean, plain[1].running_mean)  # type: ignore[index]


def test_without_a_compiler_it_trains_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    network = small_network()
    seen = torch.randn(3, 2, 16, 16)
    assert torch.equal(compiled_for_training(network, batch=3)(seen), network(seen))
    assert "no C++ compiler" in capsys.readouterr().out
