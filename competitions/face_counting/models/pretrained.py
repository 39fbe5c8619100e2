"""Where a network's first weights come from: random, or a state dict that the user gives."""

from pathlib import Path

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import SUFFIXES, load_weights
from competitions.face_counting.experiment import DetectorSettings, Family
from competitions.face_counting.models.base import FaceDetector

LEAST_FITTING = 0.5
KNOWN: dict[Family, tuple[str, ...]] = {
    "yolov5": ("yolov5{size}", "yolov5{size}u", "yolov5{size}_coco_sd"),
    "yolo11": ("yolo11{size}",),
    "yolov5_classic": ("yolov5{size}_coco_sd", "yolov5{size}"),
    "retinaface": ("retinaface_mobilenet0.25", "retinaface_mnet0.25_biubug6", "mobilenet0.25_Final"),
    "faster_rcnn": ("vgg16",),
    "faster_rcnn_fpn": ("resnet101",),
    "faster_rcnn_yolov5": ("yolov5{size}_coco_sd", "yolov5{size}", "yolov5{size}u"),
    "ssd_yolov5": ("yolov5{size}_coco_sd", "yolov5{size}", "yolov5{size}u"),
    "ssd": ("ssd300_vgg16", "ssd300_vgg16_coco"),
}
"""Names of weights files: YOLOs and SSDs for COCO, RetinaFace for WIDER FACE, the others for ImageNet."""


def take_over_weights(network: FaceDetector, settings: DetectorSettings, location: Path | None) -> int:
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
    stems = [stem.format(size=settings.size) for stem in KNOWN[settings.family]]
    name = f"{settings.family}{settings.size or ''}"
    if location is None:
        if settings.pretrained:
            raise InputError(
                f"this experiment starts from given weights of {name}: give a state dict, or a folder with "
                f"{stems[0]}.safetensors or {stems[0]}.pt, with --weights; yolov5n_from_scratch needs none"
            )
        return 0
    if not settings.pretrained and location.expanduser().is_dir():
        # A folder may be given to many experiments at once; this one starts from random weights.
        return 0
    file = _weights_file(location.expanduser(), name, stems)
    own = network.state_dict()
    given = {network.own_name(key): value for key, value in load_weights(file).items()}
    fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    if len(fitting) < LEAST_FITTING * len(own):
        raise InputError(
            f"{display_path(file)}: {len(fitting)} of {len(own)} tensors fit {name}; expected a state dict of {name}"
        )
    network.load_state_dict(fitting, strict=False)
    log(f"  {display_path(file)}: {len(fitting)} of {len(own)} tensors fit {name}")
    return len(fitting)


def _weights_file(location: Path, name: str, stems: list[str]) -> Path:
    if location.is_file():
        return location
    for path in (location / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES):
        if path.is_file():
            return path
    raise InputError(
        f"{display_path(location)}: no weights for {name}; expected {' or '.join(stems)} with {', '.join(SUFFIXES)}"
    )
