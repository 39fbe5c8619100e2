"""Batch normalisation folded into the convolutions before it: the same maps with half the work in memory.

Once a network is trained, normalisation is a fixed scale and shift of each channel, which the convolution's
own weights can do (Jacob et al. 2018, section 3.2).
"""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def without_batch_norms(network: nn.Module) -> nn.Module:
    """A copy of a network for prediction alone, each batch normalisation that follows a convolution folded.

    What follows what is told by the order in a Sequential, and by the names conv1 and bn1 in the blocks of
    residual networks. A normalisation that stands elsewhere stays.
    """
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        for convolution, norm in _pairs(module):
            first, second = getattr(module, convolution), getattr(module, norm)
            setattr(module, convolution, fuse_conv_bn_eval(first, second))
            setattr(module, norm, nn.Identity())
    return folded


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names of convolutions of a module and of the batch normalisations of their outputs."""
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
