"""Detectors built from settings, and restored from checkpoints."""

from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import load_weights
from common.learn.arrays import Float64
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import FaceDetector
from competitions.face_counting.models.pretrained import check_finite
from competitions.face_counting.models.registry import DETECTORS

CHECKPOINT = "checkpoint.safetensors"


def build_detector(settings: DetectorSettings, face_sides: Float64 | None = None) -> FaceDetector:
    """A detector with random weights; seed torch first.

    Parameters
    ----------
    face_sides : (faces, 2) widths and heights in px of the image, of the training faces: anchors are fitted
        to them where the options ask for it. None where a checkpoint brings the anchors.

    Raises
    ------
    InputError : the family is unknown, or `size` or `options` do not fit it.
    """
    family: type[FaceDetector] = DETECTORS[settings.family]
    family.check_size(settings)
    return family(settings, face_sides)


def load_detector(settings: DetectorSettings, fold_folder: Path) -> FaceDetector:
    """The network that 2_train_folds wrote to a fold's folder; InputError when its weights do not fit."""
    network, file = build_detector(settings), fold_folder / CHECKPOINT
    state = load_weights(file)
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise InputError(
            f"{display_path(file)}: weights of another network; run 2_train_folds.py again"
        ) from None
    check_finite(file, state)
    return network
