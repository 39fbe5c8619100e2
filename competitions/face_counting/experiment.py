"""What an experiment in face counting may set."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.run.experiments import Experiment, Settings

PictureSet = Literal["stretched", "white_canvas", "white_canvas_half_copies"]
Family = Literal[
    "yolov5",
    "yolo11",
    "yolov5_classic",
    "retinaface",
    "faster_rcnn",
    "faster_rcnn_fpn",
    "faster_rcnn_yolov5",
    "ssd",
    "ssd_yolov5",
]
Size = Literal["n", "s", "m", "l", "x"]
SIZED: tuple[Family, ...] = ("yolov5", "yolo11", "yolov5_classic", "faster_rcnn_yolov5", "ssd_yolov5")
ANCHORED: tuple[Family, ...] = ("faster_rcnn", "faster_rcnn_fpn", "faster_rcnn_yolov5", "ssd", "ssd_yolov5")
Share = Annotated[float, Field(ge=0, le=1)]


class ViewSettings(Settings):
    """One look of a trained detector at a picture."""

    scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Canvas and picture are that many times as large as in training."""
    flip: bool = False
    """Whether the picture is mirrored."""


class PictureSettings(Settings):
    """How a picture becomes the detector's square input."""

    set: PictureSet = "white_canvas"
    """The article's settings 1, 2 and 3."""
    canvas: Annotated[int, Field(ge=64, multiple_of=32)] = 640
    """Side of the square in px; a picture that does not fit is scaled down, keeping its shape."""
    tight: bool = False
    """Whether a trained detector sees no more white around a picture than its strides need."""
    views: Annotated[list[ViewSettings], Field(min_length=1)] = Field(
        default_factory=lambda: [ViewSettings()]
    )
    """Looks of a trained detector at a picture; how their boxes are put together is decided out of fold."""


class DetectorSettings(Settings):
    """The network."""

    family: Family = "yolov5"
    """yolov5, yolo11: ultralytics' networks, anchor-free today. yolov5_classic: that of 2021, as given, for
    persons. retinaface: MobileNet 0.25, made for faces.
    faster_rcnn: VGG-16 and RoI pooling. faster_rcnn_fpn: ResNet-101, feature pyramid, RoIAlign, global
    average pooling. ssd: SSD300 on VGG-16. faster_rcnn_yolov5, ssd_yolov5: light ones on a YOLOv5's maps."""
    size: Size | None = None
    """Depth and width of a YOLO, or of the one below a detector, nano to extra large."""
    pretrained: bool = False
    """Whether 2_train_folds.py must be given weights by --weights."""
    anchors: Literal["usual", "fitted"] = "usual"
    """usual: those of the literature; fitted: to the boxes of the training pictures."""
    classes: Literal["face", "coco"] = "face"
    """coco (ssd alone): the classes that its weights know, where a person counts as a face."""

    @model_validator(mode="after")
    def _belongs_to_its_family(self) -> Self:
        if (self.size is not None) != (self.family in SIZED):
            raise ValueError(f"size: {', '.join(SIZED)} need one, other families have none")
        if self.anchors == "fitted" and self.family not in ANCHORED:
            raise ValueError(f"anchors: only {', '.join(ANCHORED)} have some to fit")
        if self.classes == "coco" and self.family != "ssd":
            raise ValueError("classes: coco is for ssd")
        return self


class AugmentationSettings(Settings):
    """How a training picture may change each time that it is shown."""

    crop: Annotated[int, Field(ge=0, multiple_of=32)] = 0
    """Side in px of a random window of the canvas that training sees; 0 for the whole."""
    mosaic: Share = 0.0
    """Chance of a canvas tiled from four pictures."""
    scale: Share = 0.2
    """The picture's side is multiplied by a random factor from 1 - scale to 1 + scale."""
    flip: Share = 0.5
    """Chance of a mirrored picture."""
    colour: Share = 0.5
    """Chance of other brightness, contrast, hue and saturation."""
    grey: Share = 0.05
    """Chance of a picture without colour."""
    blur: Share = 0.02
    """Chance of a blurred picture."""


class TrainingSettings(Settings):
    """One training."""

    epochs: Annotated[int, Field(ge=0)] = 30
    """Visits of every training picture; 0 leaves the given weights untouched."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Pictures a step."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """sgd has Nesterov momentum; adam is AdamW, with the same decay of weights."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    """Highest step size, reached after the warm-up."""
    final_learning_rate: Share = 0.01
    """Share of the step size that a cosine leaves at the end."""
    warmup: Share = 0.1
    """Share of all steps in which the step size grows from nothing."""
    momentum: Share = 0.937
    """Momentum of sgd, first beta of adam."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0005
    """Decay of the convolutions' weights; biases and normalisation are left alone."""
    averaging: Share = 0.0
    """Decay of the running average of the weights that is kept as the model; 0 keeps the last weights."""
    clip: Annotated[float, Field(gt=0)] = 10.0
    """Highest norm of the gradient."""
    frozen_statistics: bool = False
    """Whether batch normalisation keeps the means and variances of the given weights."""
    frozen: list[str] = Field(default_factory=list)
    """Beginnings of the names of weights that stay as they are given: the first, costly layers, say."""


class CountingSettings(Settings):
    """How boxes become a count; the thresholds are chosen among these on out-of-fold predictions."""

    floor: Share = 0.02
    """Boxes below this confidence are not kept at all."""
    loose_overlap: Share = 0.8
    """IoU of the suppression before predictions are stored; the tuned one comes on top."""
    confidences: list[Share] = Field(
        default_factory=lambda: [round(0.05 + 0.025 * step, 3) for step in range(31)]
    )
    """Confidences that are tried."""
    overlaps: list[Share] = Field(
        default_factory=lambda: [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8]
    )
    """IoUs of non-maximum suppression that are tried."""

    folds: Literal["mean_count", "fused_boxes"] = "mean_count"
    """How the folds' networks agree on a test picture: the mean of their counts, or one count of boxes fused
    across them. No held-out picture is seen by two networks, so this is not decided out of fold."""
    fold_overlap: Share = 0.6
    """IoU from which boxes of two folds are of one face."""


class FaceCountingExperiment(Experiment):
    """One way to count faces."""

    split: Literal["grouped", "printed"] = "grouped"
    """grouped: folds stratified by count, near duplicates together; printed: random 80/20 cuts."""
    pictures: PictureSettings = PictureSettings()
    detector: DetectorSettings = DetectorSettings(size="s")
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    counting: CountingSettings = CountingSettings()

    def preprocessing(self) -> dict[str, Any]:
        """Nothing: pictures are stored as they are, and the picture sets are made while they are read."""
        return {}

    @model_validator(mode="after")
    def _enough_folds(self) -> Self:
        if self.folds < (2 if self.split == "grouped" else 1):
            raise ValueError("folds: grouped folds are at least 2, printed cuts at least 1")
        return self

    @model_validator(mode="after")
    def _untouched_weights_are_given(self) -> Self:
        if self.training.epochs == 0 and not self.detector.pretrained:
            raise ValueError("training.epochs: 0 is for pretrained detectors")
        if self.training.epochs > 0 and self.detector.family == "yolov5_classic":
            raise ValueError("training.epochs: yolov5_classic is used as it is given: 0")
        return self
