"""The networks, from segmentation-models-pytorch, with one output: the logit of flood at each pixel."""

from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base import SegmentationModel

from common.errors import InputError
from common.paths import shown
from common.weights import find_weights, load_weights
from competitions.etci_flood.experiment import NetworkSettings
from competitions.etci_flood.input_channels import Channels, channel_names


def build_network(
    settings: NetworkSettings, channels: Channels, weights: Path | None = None
) -> SegmentationModel:
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
                f"{shown(path)}: not the weights of a {settings.encoder} classifier ({reason})"
            ) from None
        network.encoder.set_in_channels(number, pretrained=True)
    return network


def trained_network(settings: NetworkSettings, channels: Channels, checkpoint: Path) -> SegmentationModel:
    """A network with the weights of a finished training; InputError when they belong to another network."""
    network = _assemble(settings, len(channel_names(channels)))
    try:
        network.load_state_dict(load_weights(checkpoint))
    except RuntimeError:
        raise InputError(
            f"{shown(checkpoint)}: weights of another network; delete it and train the fold again"
        ) from None
    network.eval()
    return network


def _assemble(settings: NetworkSettings, in_channels: int) -> SegmentationModel:
    shared = {"encoder_weights": None, "in_channels": in_channels, "classes": 1}
    network: SegmentationModel
    if settings.decoder == "pan":
        network = smp.PAN(settings.encoder, **shared)
    else:
        network = smp.Unet(settings.encoder, decoder_channels=settings.decoder_channels, **shared)
    # Channels last in memory: a training step takes half the time on a CPU.
    return network.to(memory_format=torch.channels_last)
