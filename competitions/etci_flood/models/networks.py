"""Segmentation networks, most from segmentation-models-pytorch; their output is the logit of flood."""

from collections.abc import Sequence
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import nn

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import find_weights, load_weights
from competitions.etci_flood.experiment import FloodExperiment, NetworkSettings
from competitions.etci_flood.models.registry import NETWORKS


@NETWORKS.register("unet")
def unet(settings: NetworkSettings, in_channels: int) -> nn.Module:
    """U-Net (Ronneberger et al. 2015)."""
    return smp.Unet(
        settings.encoder,
        encoder_weights=None,
        in_channels=in_channels,
        decoder_channels=settings.decoder_channels,
    )


@NETWORKS.register("unetplusplus")
def unetplusplus(settings: NetworkSettings, in_channels: int) -> nn.Module:
    """U-Net++ (Zhou et al. 2018)."""
    return smp.UnetPlusPlus(
        settings.encoder,
        encoder_weights=None,
        in_channels=in_channels,
        decoder_channels=settings.decoder_channels,
    )


@NETWORKS.register("pan")
def pan(settings: NetworkSettings, in_channels: int) -> nn.Module:
    """Pyramid attention network (Li et al. 2018); its pyramid needs crops of at least 128 pixels."""
    return smp.PAN(settings.encoder, encoder_weights=None, in_channels=in_channels)


@NETWORKS.register("deeplabv3plus")
def deeplabv3plus(settings: NetworkSettings, in_channels: int) -> nn.Module:
    """DeepLabV3+ (Chen et al. 2018)."""
    return smp.DeepLabV3Plus(settings.encoder, encoder_weights=None, in_channels=in_channels)


@NETWORKS.register("segformer")
def segformer(settings: NetworkSettings, in_channels: int) -> nn.Module:
    """SegFormer (Xie et al. 2021)."""
    return smp.Segformer(settings.encoder, encoder_weights=None, in_channels=in_channels)


def build_network(
    settings: NetworkSettings, channels: Sequence[str], weights: Path | None = None
) -> nn.Module:
    """Build a network to train, its encoder pretrained where the settings say so.

    Parameters
    ----------
    channels : names of the input channels.
    weights : folder with `<encoder>.safetensors|.pt|.pth|.bin`, a state dict of the ImageNet classifier (as
        torchvision names its layers). The first convolution is adapted to the number of channels.

    Returns
    -------
    Module from (n, channels, height, width) to (n, 1, height, width); sides are multiples of 32.

    Raises
    ------
    InputError : pretrained weights are asked for and not given, or belong to another network.
    """
    if not settings.pretrained:
        return _assemble(settings, len(channels))
    if weights is None:
        raise InputError(
            f"this experiment starts from ImageNet weights of {settings.encoder}: give a folder with "
            f"{settings.encoder}.safetensors, .pt or .pth by --weights DIR"
        )
    network = _assemble(settings, 3)
    encoder = network.get_submodule("encoder")
    path = find_weights(weights, settings.encoder)
    try:
        encoder.load_state_dict(load_weights(path))
    except (RuntimeError, KeyError) as fault:
        reason = str(fault).splitlines()[0][:100]
        raise InputError(
            f"{display_path(path)}: not the weights of a {settings.encoder} classifier ({reason})"
        ) from None
    encoder.set_in_channels(len(channels), pretrained=True)  # type: ignore[operator]
    return network


def trained_network(settings: NetworkSettings, channels: Sequence[str], checkpoint: Path) -> nn.Module:
    """A network with the weights of a finished training; InputError when they belong to another network."""
    network = _assemble(settings, len(channels))
    try:
        network.load_state_dict(load_weights(checkpoint))
    except RuntimeError:
        raise InputError(
            f"{display_path(checkpoint)}: weights of another network; delete it and train the fold again"
        ) from None
    return network.eval()


def check_crop_size(network: nn.Module, settings: FloodExperiment) -> None:
    """Raise InputError when a network cannot take crops of `training.crop_size`."""
    side, was_training = settings.training.crop_size, network.training
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, len(settings.channels), side, side))
    except RuntimeError as fault:
        reason = str(fault).splitlines()[0][:100]
        raise InputError(
            f"training.crop_size: {settings.network.architecture} takes no crops of {side} pixels ({reason})"
        ) from None
    network.train(was_training)


def _assemble(settings: NetworkSettings, in_channels: int) -> nn.Module:
    network = NETWORKS[settings.architecture](settings, in_channels)
    if settings.dropout:
        head = network.get_submodule("segmentation_head")
        network.set_submodule("segmentation_head", nn.Sequential(nn.Dropout2d(settings.dropout), head))
    # Channels last in memory: a training step takes half the time on a CPU.
    channels_last: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return channels_last
