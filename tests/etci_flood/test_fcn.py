import pytest
import torch
from torch import nn
from torch.nn import functional as F

from competitions.etci_flood.models.fcn import FullyConvolutionalNetwork, Stride, bilinear_upsampling


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_upsampling_starts_as_bilinear_interpolation(factor: int) -> None:
    scores = torch.randn(1, 1, 6, 6)
    ours = bilinear_upsampling(factor)(scores)
    expected = F.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)
    assert ours.shape == expected.shape
    inside = slice(factor, -factor)  # at the border the interpolation repeats the last score, ours fades out
    assert torch.allclose(ours[..., inside, inside], expected[..., inside, inside], atol=1e-5)


def test_upsampling_is_learned() -> None:
    assert bilinear_upsampling(2).weight.requires_grad


class _FlatFeatures(nn.Module):
    """Feature maps of one channel, each of one value."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def forward(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        side = inputs.shape[-1]
        sides = [side // 2**level for level in range(6)]
        return [torch.full((1, 1, n, n), value) for n, value in zip(sides, self.values, strict=True)]


@pytest.mark.parametrize(("stride", "expected"), [(32, 100.0), (16, 110.0), (8, 111.0)])
def test_scores_of_finer_features_are_added_element_by_element(stride: Stride, expected: float) -> None:
    network = FullyConvolutionalNetwork("resnet18", 3, stride)
    network.encoder = _FlatFeatures([0.0, 0.0, 0.0, 1.0, 10.0, 100.0])
    network.scores = nn.ModuleList(nn.Identity() for _ in network.scores)
    logits = network(torch.zeros(1, 3, 256, 256))
    assert logits.shape == (1, 1, 256, 256)
    assert logits[0, 0, 128, 128].item() == pytest.approx(expected, rel=1e-5)
