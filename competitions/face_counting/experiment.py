"""What an experiment in face counting may set."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.run.experiments import Experiment, Settings
from competitions.face_counting.models.registry import DETECTORS

Preprocessing = Literal["resize", "letterbox", "letterbox_half_scale"]
Share = Annotated[float, Field(ge=0, le=1)]
Option = int | float | str | bool | list[Any]


class ViewSettings(Settings):
    """One view of a picture in test-time augmentation (TTA)."""

    scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on the side of the image and of the picture on it, relative to training."""
    flip: bool = False
    """Whether the image is mirrored."""


class InputSettings(Settings):
    """How a picture becomes the detector's square input image."""

    preprocessing: Preprocessing = "letterbox"
    """resize: the picture fills the image and loses its aspect ratio (setting 1 of the paper); letterbox: it
    keeps its shape on a white background (setting 2); letterbox_half_scale: training also sees half-scale
    copies (setting 3)."""
    image_size: Annotated[int, Field(ge=64, multiple_of=32)] = 640
    """Side of the image in px; a larger picture is scaled down to fit, keeping its shape."""
    rect: bool = False
    """Rectangular inference: no more padding around a picture than the strides need."""
    tta: Annotated[list[ViewSettings], Field(min_length=1)] = Field(default_factory=lambda: [ViewSettings()])
    """Test-time augmentation: views of each picture. The merging of their boxes is tuned OOF."""


class DetectorSettings(Settings):
    """The network."""

    family: Annotated[str, AfterValidator(DETECTORS.check)] = "yolov5"
    """A detector registered in models/."""
    size: str | None = None
    """Depth and width of a family that has sizes: n, s, m, l, x."""
    pretrained: bool = False
    """Whether 2_train_folds.py needs pretrained weights from --weights."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Settings of this family alone, checked by its class in models/."""


class AugmentationSettings(Settings):
    """Random changes of a training image."""

    crop: Annotated[int, Field(ge=0, multiple_of=32)] = 0
    """Side in px of a random crop of the image; 0 trains on the whole image."""
    mosaic: Share = 0.0
    """Probability of an image tiled from four pictures."""
    scale: Share = 0.2
    """The picture's side is multiplied by a random factor from 1 - scale to 1 + scale."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    color_jitter: Share = 0.5
    """Probability of a change of brightness and contrast, and of hue and saturation."""
    grayscale: Share = 0.05
    """Probability of a grayscale picture."""
    blur: Share = 0.02
    """Probability of a blurred picture."""


class TrainingSettings(Settings):
    """One training."""

    epochs: Annotated[int, Field(ge=0)] = 30
    """Passes over the training pictures; 0 uses pretrained weights without training."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Images per optimizer step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """sgd has Nesterov momentum."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    """Peak learning rate, reached after the warm-up."""
    min_lr_ratio: Share = 0.01
    """Learning rate at the end of the cosine schedule, relative to the peak."""
    warmup_ratio: Share = 0.1
    """Share of all steps in which the learning rate rises linearly from 0."""
    momentum: Share = 0.937
    """Momentum of sgd, first beta of adamw."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0005
    """Weight decay of convolutions; biases and normalisation layers have none."""
    ema_decay: Share = 0.0
    """Decay of the exponential moving average (EMA) of the weights, which becomes the model; 0: no EMA."""
    grad_clip_norm: Annotated[float, Field(gt=0)] = 10.0
    """Limit of the gradient norm."""
    freeze_batchnorm: bool = False
    """Whether BatchNorm layers keep the statistics of the pretrained weights."""
    freeze: list[str] = Field(default_factory=list)
    """Prefixes of the names of parameters that are not trained."""


class CountingSettings(Settings):
    """How boxes become a count; thresholds are selected from these grids on OOF predictions."""

    score_threshold: Share = 0.02
    """Boxes with a lower score are dropped."""
    nms_iou: Share = 0.8
    """IoU of the NMS before predictions are stored; the tuned, stricter one is applied later."""
    score_grid: list[Share] = Field(
        default_factory=lambda: [round(0.05 + 0.025 * step, 3) for step in range(31)]
    )
    """Score thresholds to select from."""
    iou_grid: list[Share] = Field(
        default_factory=lambda: [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8]
    )
    """IoU thresholds of NMS or WBF to select from."""
    fold_ensemble: Literal["mean_count", "wbf"] = "mean_count"
    """How the folds' models are combined on a test picture: mean of their counts, or one count of their boxes
    merged by weighted boxes fusion. OOF predictions cannot select this, because one model predicts each OOF
    picture."""
    wbf_iou: Share = 0.6
    """IoU from which boxes of two folds are merged."""


class FaceCountingExperiment(Experiment):
    """One way to count faces."""

    split: Literal["stratified_group_kfold", "holdout_80_20"] = "stratified_group_kfold"
    """stratified_group_kfold: folds stratified by head count, near duplicates in one fold; holdout_80_20:
    random 80/20 splits, as in the paper."""
    input: InputSettings = InputSettings()
    detector: DetectorSettings = DetectorSettings(size="s")
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    counting: CountingSettings = CountingSettings()

    def preprocessing(self) -> dict[str, Any]:
        """Nothing: pictures are stored in their own size, and images are made when a picture is read."""
        return {}

    def weights_needed(self) -> list[str]:
        """File name (without suffix) of the pretrained weights; InputError when the size is wrong."""
        if not self.detector.pretrained or self.parents:
            return []
        return [DETECTORS[self.detector.family].weights_names(self.detector)[0]]

    @model_validator(mode="after")
    def _enough_folds(self) -> Self:
        least = 2 if self.split == "stratified_group_kfold" else 1
        if self.folds < least:
            raise ValueError(f"folds: {self.split} needs at least {least}")
        return self

    @model_validator(mode="after")
    def _no_training_needs_pretrained_weights(self) -> Self:
        if self.training.epochs == 0 and not self.detector.pretrained:
            raise ValueError("training.epochs: 0 requires detector.pretrained = true")
        return self
