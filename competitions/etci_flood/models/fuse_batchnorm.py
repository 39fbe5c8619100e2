"""Batch normalisation fused into the preceding convolutions: the same output with half the memory traffic.

In a trained network, normalisation is a fixed scale and shift of each channel, which the convolution's
weights can do (Jacob et al. 2018, section 3.2).
"""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fuse_batchnorm(network: nn.Module) -> nn.Module:
    """A copy for prediction only, with each batch normalisation fused into the convolution before it.

    The order in a Sequential, and the names conv1 and bn1 in residual blocks, say which normalisation follows
    which convolution. Other normalisations are kept.
    """
    fused = copy.deepcopy(network).eval()
    for module in list(fused.modules()):
        for convolution, norm in _pairs(module):
            first, second = getattr(module, convolution), getattr(module, norm)
            setattr(module, convolution, fuse_conv_bn_eval(first, second))
            setattr(module, norm, nn.Identity())
    return fused


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names of the convolutions of a module and of the batch normalisations of their outputs."""
    children = dict(module.named_children())
    names = list(children)
    if isinstance(module, nn.Sequential):
        candidates = list(pairwise(names))
    else:
        candidates = [(name, f"bn{name.removeprefix('conv')}") for name in names if name.startswith("conv")]
    return [
        (first, second)
        for first, second in candidates
        if type(children[first]) is nn.Conv2d and type(children.get(second)) is nn.BatchNorm2d
    ]
