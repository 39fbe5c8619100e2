"""What an experiment in face counting may set."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.experiments import Experiment, Settings

PictureSet = Literal["stretched", "white_canvas", "white_canvas_half_copies"]
Size = Literal["n", "s", "m", "l", "x"]
Share = Annotated[float, Field(ge=0, le=1)]


class PictureSettings(Settings):
    """How a picture becomes the detector's square input."""

    set: PictureSet = "white_canvas"
    """The article's settings 1, 2 and 3."""
    canvas: Annotated[int, Field(ge=64, multiple_of=32)] = 640
    """Side of the square in px; a picture that does not fit is scaled down, keeping its shape."""


class DetectorSettings(Settings):
    """The network."""

    family: Literal["yolov5"] = "yolov5"
    """ultralytics' yolov5{n,s,m,l,x}.yaml: today's anchor-free variant."""
    size: Size = "s"
    """Depth and width, nano to extra large."""
    pretrained: bool = False
    """Whether 2_train_folds.py must be given COCO weights by --weights."""


class AugmentationSettings(Settings):
    """How a training picture may change each time that it is shown."""

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

    epochs: Annotated[int, Field(ge=1)] = 30
    """Visits of every training picture."""
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


class FaceCountingExperiment(Experiment):
    """One way to count faces."""

    split: Literal["grouped", "printed"] = "grouped"
    """grouped: folds stratified by count, near duplicates together; printed: random 80/20 cuts."""
    pictures: PictureSettings = PictureSettings()
    detector: DetectorSettings = DetectorSettings()
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
