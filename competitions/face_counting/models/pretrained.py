"""Initial weights of a network: random, or a state dict that the user gives."""

from pathlib import Path

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import SUFFIXES, load_weights
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import FaceDetector

MIN_FITTING = 0.5
"""Share of a network's tensors that pretrained weights must fill."""


def load_pretrained(network: FaceDetector, settings: DetectorSettings, location: Path | None) -> int:
    """Load the tensors of a state dict that fit by name and shape; the rest keeps its random values.

    The YOLOv5 of 2021 and today's variant share backbone and neck; the heads differ.

    Parameters
    ----------
    location : a state dict, or a folder with one named after the network; None trains from random weights.

    Returns
    -------
    Number of tensors loaded.

    Raises
    ------
    InputError : pretrained weights are required and none are given; the folder holds none for this network;
        fewer than half of the network's tensors fit.
    """
    names = network.weights_names(settings)
    title = f"{settings.family}{settings.size or ''}"
    if location is None:
        if settings.pretrained:
            raise InputError(
                f"this experiment starts from pretrained weights of {title}: give a state dict, or a "
                f"folder with {names[0]}.safetensors or {names[0]}.pt, with --weights; "
                "yolov5n_from_scratch needs none"
            )
        return 0
    if not settings.pretrained and location.expanduser().is_dir():
        # One folder may be given to many experiments at once; this one starts from random weights.
        return 0
    file = _weights_file(location.expanduser(), title, names)
    own = network.state_dict()
    given = {network.state_key(key): value for key, value in load_weights(file).items()}
    fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    if len(fitting) < MIN_FITTING * len(own):
        raise InputError(
            f"{display_path(file)}: {len(fitting)} of {len(own)} tensors fit {title}; "
            f"expected a state dict of {title}"
        )
    network.load_state_dict(fitting, strict=False)
    log(f"  {display_path(file)}: {len(fitting)} of {len(own)} tensors fit {title}")
    return len(fitting)


def _weights_file(location: Path, title: str, names: list[str]) -> Path:
    if location.is_file():
        return location
    for path in (location / f"{name}{suffix}" for name in names for suffix in SUFFIXES):
        if path.is_file():
            return path
    raise InputError(
        f"{display_path(location)}: no weights for {title}; "
        f"expected {' or '.join(names)} with {', '.join(SUFFIXES)}"
    )
