"""What an experiment in flood mapping may set."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.experiments import Experiment, Settings

Split = Literal["spatial", "scene", "block", "random", "phase", "all"]
Channels = Literal["vv_vh", "vv_vh_ratio", "vv_vh_water", "vv_vh_ratio_water"]
Encoder = Literal["vgg16", "vgg19", "resnet18", "resnet34", "mobilenet_v2"]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

RANDOM_TENTHS = 10
PAN_SIDE = 128
"""Smallest side that PAN's pyramid, seven times halved, can take."""


class TileSettings(Settings):
    """Which labelled tiles are trained on, and which are held out."""

    split: Split = "spatial"
    """spatial: by scene where there are at least two scenes a part, else by block. scene: whole scenes are
    held out. block: contiguous bands of each scene. random: a tenth of the tiles, as printed; it leaks, for
    neighbours share rivers. phase: phase 1 is held out. all: nothing is, so nothing can be measured."""
    parts: Annotated[int, Field(ge=2)] = 3
    """Parts that scenes and blocks are cut into; `folds` of them are held out in turn."""
    phase1: bool = True
    """Whether labelled phase 1 tiles belong to the labelled tiles."""
    without_blanks: bool = False
    """Whether tiles beyond the swath's edge (VV only 0 and 255) are left out of training."""


class NetworkSettings(Settings):
    """The network, from segmentation-models-pytorch."""

    decoder: Literal["unet", "pan"] = "unet"
    """unet: Ronneberger et al. 2015. pan: pyramid attention network, Li et al. 2018."""
    encoder: Encoder = "resnet34"
    """The classification network that the encoder is."""
    pretrained: bool = False
    """Whether 2_train_folds.py must be given ImageNet weights of the encoder by --weights."""
    decoder_channels: list[Positive] = Field(default=[256, 128, 64, 32, 16], min_length=5, max_length=5)
    """Widths of the U-Net's decoder, coarse to fine."""


class TrainingSettings(Settings):
    """One training."""

    epochs: Positive = 20
    """Visits of every training tile."""
    batch: Annotated[int, Field(ge=2)] = 8
    """Tiles a step."""
    crop: Annotated[int, Field(ge=64, le=256, multiple_of=32)] = 256
    """Side of the random square cut out of a tile at each visit, pixels; 256 is the whole tile."""
    transform: bool = True
    """Whether a tile and its mask are turned and mirrored alike (the eight symmetries of the square)."""
    loss: Literal["cross_entropy", "dice_cross_entropy"] = "cross_entropy"
    """dice_cross_entropy: the mean of both; Dice is computed over the whole batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """Adam's step size, the highest one of the schedule."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """one_cycle: up in the first third, then down to nothing by a cosine."""
    flood_share: Share | None = None
    """Chance that a drawn tile has flood in it; None visits each tile once an epoch."""
    validate_every: Positive = 1
    """Epochs between two looks at the held-out tiles, for the training curves only."""


class PredictionSettings(Settings):
    """How maps are predicted."""

    views: Literal["one", "flips", "d4"] = "one"
    """Averaged views of a tile: itself; four mirrored ones; all eight symmetries of the square."""
    batch: Positive = 8
    """Tiles at a time."""


class FloodExperiment(Experiment):
    """One way to map floods."""

    folds: int = 3
    """How many parts are held out in turn."""
    channels: Channels = "vv_vh_ratio"
    """What the network sees of a tile."""
    tiles: TileSettings = TileSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    prediction: PredictionSettings = PredictionSettings()

    def preprocessing(self) -> dict[str, Any]:
        """The number of parts: arrays and fold columns serve all experiments alike."""
        return {"parts": self.tiles.parts}

    @model_validator(mode="after")
    def _folds_that_exist(self) -> Self:
        limit = {"phase": 1, "all": 1, "random": RANDOM_TENTHS}.get(self.tiles.split, self.tiles.parts)
        if not 1 <= self.folds <= limit:
            raise ValueError(f"folds: a {self.tiles.split} split has 1 to {limit} folds, not {self.folds}")
        if self.tiles.split == "phase" and not self.tiles.phase1:
            raise ValueError("tiles.phase1: a phase split needs the phase 1 tiles")
        if self.network.decoder == "pan" and self.training.crop < PAN_SIDE:
            raise ValueError(
                f"training.crop: PAN's pyramid needs {PAN_SIDE} pixels, not {self.training.crop}"
            )
        return self
