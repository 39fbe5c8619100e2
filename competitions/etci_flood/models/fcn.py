"""FCN-32s, FCN-16s and FCN-8s (Long et al. 2015), as in figure 4 of the paper.

A 1 x 1 convolution scores every pixel of the coarsest feature maps. A transposed convolution that starts as
bilinear interpolation doubles the resolution of the scores, and the scores of the next finer feature maps are
added element by element: never in FCN-32s, at stride 16 in FCN-16s, at strides 16 and 8 in FCN-8s. A last
transposed convolution restores the tile's resolution.
"""

from typing import Literal

import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn

from competitions.etci_flood.experiment import NetworkSettings
from competitions.etci_flood.models.registry import NETWORKS

Stride = Literal[32, 16, 8]
STRIDES: dict[str, Stride] = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}


@NETWORKS.register("fcn32s", "fcn16s", "fcn8s")
def fcn(settings: NetworkSettings, in_channels: int) -> nn.Module:
    """The FCN of the settings' architecture."""
    return FullyConvolutionalNetwork(settings.encoder, in_channels, STRIDES[settings.architecture])


class FullyConvolutionalNetwork(nn.Module):
    """An FCN on any encoder of segmentation-models-pytorch.

    Parameters
    ----------
    encoder : its name.
    in_channels : number of input channels.
    stride : of the finest scores, pixels.
    """

    def __init__(self, encoder: str, in_channels: int, stride: Stride) -> None:
        super().__init__()
        self.encoder = get_encoder(encoder, in_channels=in_channels, depth=5, weights=None)
        self.skips = {32: 0, 16: 1, 8: 2}[stride]
        widths = self.encoder.out_channels[::-1]
        self.scores = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in widths[: self.skips + 1])
        self.doublings = nn.ModuleList(bilinear_upsampling(2) for _ in range(self.skips))
        self.segmentation_head = bilinear_upsampling(stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, channels, height, width) -> (n, 1, height, width) logits; sides are multiples of 32."""
        features = self.encoder(inputs)[::-1]  # coarse to fine
        scores: Tensor = self.scores[0](features[0])
        for level in range(self.skips):
            scores = self.doublings[level](scores) + self.scores[level + 1](features[level + 1])
        logits: Tensor = self.segmentation_head(scores)
        return logits


def bilinear_upsampling(factor: int) -> nn.ConvTranspose2d:
    """A learned transposed convolution of one channel, initialised as bilinear, by an even `factor`."""
    upsampling = nn.ConvTranspose2d(1, 1, 2 * factor, stride=factor, padding=factor // 2, bias=False)
    # Weights fall linearly from the kernel's centre to zero; their outer product is the bilinear kernel.
    ramp = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    with torch.no_grad():
        upsampling.weight.copy_((ramp[:, None] * ramp[None, :])[None, None])
    return upsampling
