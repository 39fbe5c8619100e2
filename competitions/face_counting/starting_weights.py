"""Where a network's first weights come from: random, or a state dict that the user gives."""

from pathlib import Path
from typing import TYPE_CHECKING

from common.console import say
from common.errors import InputError
from common.paths import shown
from common.weights import SUFFIXES, load_weights
from competitions.face_counting.experiment import DetectorSettings

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

LEAST_FITTING = 0.5


def take_over_weights(network: "DetectionModel", settings: DetectorSettings, location: Path | None) -> int:
    """Take over the tensors of a state dict that fit by name and shape; the rest stays as it is.

    The classic YOLOv5 and today's variant share backbone and neck; the heads differ.

    Parameters
    ----------
    location : a state dict, or a folder with one named after the network; None trains from random weights.

    Returns
    -------
    How many tensors were taken over.

    Raises
    ------
    InputError : pretrained weights are asked for and none are given; there are none for this network; fewer
        than half of the network's tensors fit.
    """
    name = f"{settings.family}{settings.size}"
    if location is None:
        if settings.pretrained:
            raise InputError(
                f"this experiment starts from COCO weights of {name}: give a state dict, or a folder with "
                f"{name}.safetensors or {name}.pt, with --weights; the experiment champion needs none"
            )
        return 0
    file = _weights_file(location.expanduser(), name)
    own = network.state_dict()
    given = load_weights(file)
    # State dicts of the inner module lack the prefix.
    given = {key if key in own else f"model.{key}": value for key, value in given.items()}
    fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    if len(fitting) < LEAST_FITTING * len(own):
        raise InputError(
            f"{shown(file)}: {len(fitting)} of {len(own)} tensors fit {name}; expected a state dict of {name}"
        )
    network.load_state_dict(fitting, strict=False)
    say(f"  {shown(file)}: {len(fitting)} of {len(own)} tensors fit {name}")
    return len(fitting)


def _weights_file(location: Path, name: str) -> Path:
    if location.is_file():
        return location
    stems = [name, f"{name}u", f"{name}_coco_sd"]
    for path in (location / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES):
        if path.is_file():
            return path
    raise InputError(
        f"{shown(location)}: no weights for {name}; expected {' or '.join(stems)} with {', '.join(SUFFIXES)}"
    )
