"""The networks, most from segmentation-models-pytorch, with one output: the logit of flood at each pixel."""

from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import find_weights, load_weights
from competitions.etci_flood.data.channels import channel_names
from competitions.etci_flood.experiment import NetworkSettings
from competitions.etci_flood.models.fcn import FullyConvolutionalNetwork


def build_network(settings: NetworkSettings, channels: str, weights: Path | None = None) -> nn.Module:
    """Build an untrained network, its encoder pretrained where the settings say so.

    Parameters
    ----------
    weights : folder with `<encoder>.safetensors|.pt|.pth|.bin`, a state dict of the ImageNet classifier (as
        torchvision names its layers). The first convolution is fitted to any number of channels.

    Returns
    -------
    Module from (n, channels, height, width) to (n, 1, height, width); sides are multiples of 32.

    Raises
    ------
    InputError : pretrained weights are asked for and not given, or belong to another network.
    """
    if settings.pretrained and weights is None:
        raise InputError(
            f"this experiment starts from ImageNet weights of {settings.encoder}: give a folder with "
            f"{settings.encoder}.safetensors, .pt or .pth by --weights DIR"
        )
    number = len(channel_names(channels))
    network = _assemble(settings, 3 if settings.pretrained else number)
    if settings.pretrained and weights is not None:
        path = find_weights(weights, settings.encoder)
        try:
            network.encoder.load_state_dict(load_weights(path))
        except (RuntimeError, KeyError) as fault:
            reason = str(fault).splitlines()[0][:100]
            raise InputError(
                f"{display_path(path)}: not the weights of a {settings.encoder} classifier ({reason})"
            ) from None
        network.encoder.set_in_channels(number, pretrained=True)
    built: nn.Module = network
    return built


def trained_network(settings: NetworkSettings, channels: str, checkpoint: Path) -> nn.Module:
    """A network with the weights of a finished training; InputError when they belong to another network."""
    network = _assemble(settings, len(channel_names(channels)))
    try:
        network.load_state_dict(load_weights(checkpoint))
    except RuntimeError:
        raise InputError(
            f"{display_path(checkpoint)}: weights of another network; delete it and train the fold again"
        ) from None
    trained: nn.Module = network.eval()
    return trained


def _assemble(settings: NetworkSettings, in_channels: int) -> Any:  # parts that nn.Module does not declare
    shared = {"encoder_weights": None, "in_channels": in_channels, "classes": 1}
    widths = {"decoder_channels": settings.decoder_channels}
    network: Any
    match settings.decoder:
        case "unet":
            network = smp.Unet(settings.encoder, **shared, **widths)
        case "unetplusplus":
            network = smp.UnetPlusPlus(settings.encoder, **shared, **widths)
        case "pan":
            network = smp.PAN(settings.encoder, **shared)
        case "deeplabv3plus":
            network = smp.DeepLabV3Plus(settings.encoder, **shared)
        case "segformer":
            network = smp.Segformer(settings.encoder, **shared)
        case "fcn32s":
            network = FullyConvolutionalNetwork(settings.encoder, in_channels, 32)
        case "fcn16s":
            network = FullyConvolutionalNetwork(settings.encoder, in_channels, 16)
        case "fcn8s":
            network = FullyConvolutionalNetwork(settings.encoder, in_channels, 8)
    if settings.dropout:
        head = network.segmentation_head
        network.segmentation_head = nn.Sequential(nn.Dropout2d(settings.dropout), head)
    # Channels last in memory: a training step takes half the time on a CPU.
    return network.to(memory_format=torch.channels_last)
