"""FCN-32s, FCN-16s and FCN-8s (Long et al. 2015), as the article's figure 4 draws them.

Every pixel of the coarsest feature maps gets a score (1 x 1 convolution). Scores are doubled in resolution by
a learned upsampling that starts as a bilinear one, and the scores of the next finer feature maps are added
element by element: not at all in FCN-32s, at stride 16 in FCN-16s, at strides 16 and 8 in FCN-8s. A last
learned upsampling leads to the tile's own resolution.
"""

from typing import Literal

import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn

Stride = Literal[32, 16, 8]


class FullyConvolutionalNetwork(nn.Module):
    """One of the three, on any encoder of segmentation-models-pytorch.

    Parameters
    ----------
    encoder : its name.
    in_channels : channels of a tile.
    stride : of the finest scores: 32, 16 or 8 pixels.
    """

    def __init__(self, encoder: str, in_channels: int, stride: Stride) -> None:
        super().__init__()
        self.encoder = get_encoder(encoder, in_channels=in_channels, depth=5, weights=None)
        self.skips = {32: 0, 16: 1, 8: 2}[stride]
        widths = self.encoder.out_channels[::-1]
        self.scores = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in widths[: self.skips + 1])
        self.doublings = nn.ModuleList(learned_upsampling(2) for _ in range(self.skips))
        self.segmentation_head = learned_upsampling(stride)

    def forward(self, seen: Tensor) -> Tensor:
        """(n, channels, height, width) -> (n, 1, height, width) logits; sides are multiples of 32."""
        features = self.encoder(seen)[::-1]
        scores: Tensor = self.scores[0](features[0])
        for level in range(self.skips):
            scores = self.doublings[level](scores) + self.scores[level + 1](features[level + 1])
        logits: Tensor = self.segmentation_head(scores)
        return logits


def learned_upsampling(factor: int) -> nn.ConvTranspose2d:
    """A transposed convolution of one channel that starts as bilinear interpolation by an even `factor`."""
    upsampling = nn.ConvTranspose2d(1, 1, 2 * factor, stride=factor, padding=factor // 2, bias=False)
    ramp = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    with torch.no_grad():
        upsampling.weight.copy_((ramp[:, None] * ramp[None, :])[None, None])
    return upsampling
