"""Initial weights of a network: random, or a state dict that the user gives."""

import struct
import warnings
import zipfile
from pathlib import Path

import torch

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples
from common.files.weights import SUFFIXES, load_weights
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import FaceDetector

MIN_FITTING = 0.5
"""Share of a network's tensors that weights must fill to count as weights of this network."""
OWN_TENSORS = ("num_batches_tracked", "anchor_sides")
"""Last parts of the names of tensors that no published weights need to hold: predictions do not read the one,
and anchors are fitted to the training faces."""
FOREIGN = (
    ImportError,
    AttributeError,
    TypeError,
    AssertionError,
    LookupError,
    struct.error,
    zipfile.BadZipFile,
)
"""Errors that files of other programs raise in torch.load besides those that `load_weights` names."""


def load_pretrained(
    network: FaceDetector, settings: DetectorSettings, location: Path | None, *, trains: bool
) -> int:
    """Load a state dict; without training it must fill the whole network.

    Before a training the heads may keep their random values (`FaceDetector.new_in_training`): COCO weights of
    a YOLOv5 share backbone and neck with this network, and those of 2021 have another head.

    Parameters
    ----------
    location : a state dict, or a folder with one named after the network; None trains from random weights.
    trains : whether a training follows.

    Returns
    -------
    Number of tensors loaded.

    Raises
    ------
    InputError : pretrained weights are required and none are given; the folder holds none for this network;
        the file is no state dict; tensors are missing, of another shape, or hold NaN or infinite values.
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
    # Names of this project's own checkpoints are taken as they are.
    given = {
        key if key in own else network.state_key(key): value for key, value in _read(file, names[0]).items()
    }
    fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    if len(fitting) < MIN_FITTING * len(own):
        raise InputError(
            f"{display_path(file)}: {len(fitting)} of {len(own)} tensors fit {title}; "
            f"expected a state dict of {title}"
        )
    optional = network.new_in_training if trains else ()
    required = [key for key in own if not key.endswith(OWN_TENSORS) and not key.startswith(optional)]
    missing = [key for key in required if key not in fitting]
    if missing:
        reshaped = sum(key in given for key in missing)
        remedy = f"give complete weights of {title}"
        if all(key.startswith(network.new_in_training or ("no head",)) for key in missing):
            remedy = f"its head is not trained for faces: train it by 2_train_folds.py --weights, or {remedy}"
        raise InputError(
            f"{display_path(file)}: {len(missing)} of the {len(own)} tensors of {title} are missing"
            f"{f' ({reshaped} have another shape)' if reshaped else ''}: {examples(missing)}; {remedy}"
        )
    check_finite(file, fitting)
    network.load_state_dict(fitting, strict=False)
    log(f"  {display_path(file)}: {len(fitting)} of {len(own)} tensors fit {title}")
    return len(fitting)


def check_finite(file: Path, state: dict[str, torch.Tensor]) -> None:
    """InputError when tensors hold NaN or infinite values, or are no real numbers (quantised ones, say)."""
    odd = [
        name
        for name, value in state.items()
        if value.is_quantized or value.is_complex() or value.is_sparse or not bool(value.isfinite().all())
    ]
    if odd:
        raise InputError(
            f"{display_path(file)}: {len(odd)} of {len(state)} tensors hold NaN, infinite or no real numbers "
            f"({examples(odd)}); their training diverged or the file is damaged: use other weights"
        )


def _read(file: Path, name: str) -> dict[str, torch.Tensor]:
    """The state dict of a file; the message of an InputError says how to save one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on formats that it then refuses
            return load_weights(file)
    except InputError as fault:
        reason = str(fault)
    except FOREIGN as fault:
        reason = f"{display_path(file)}: not a readable weights file ({type(fault).__name__})"
    raise InputError(
        f"{reason}; pickled models and files of other programs are not opened: save the weights alone, "
        f"torch.save(model.state_dict(), '{name}.pt'), where they were made"
    )


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
