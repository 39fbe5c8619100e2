"""What an experiment in flood mapping may set."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.run.experiments import Experiment, Settings

CHANNELS = ("vv", "vh", "ratio", "clipped", "water")
"""What input_channels.py can make of a tile."""


def _known_channels(channels: str) -> str:
    names = channels.split("_")
    unknown = [name for name in names if name not in CHANNELS]
    if unknown or len(set(names)) < len(names):
        raise ValueError(f"{channels!r}: expected different ones of {', '.join(CHANNELS)}, joined by _")
    return channels


Split = Literal["spatial", "scene", "block", "random", "phase", "all"]
Channels = Annotated[str, AfterValidator(_known_channels)]
"""Names of channels joined by `_`: `vv_vh_ratio_water`."""
Decoder = Literal["unet", "unetplusplus", "pan", "deeplabv3plus", "segformer", "fcn32s", "fcn16s", "fcn8s"]
Encoder = Literal[
    "vgg16", "vgg16_bn", "vgg19", "resnet18", "resnet34", "mobilenet_v2", "efficientnet-b0", "mit_b0"
]
Loss = Literal["cross_entropy", "dice", "dice_cross_entropy", "lovasz", "lovasz_cross_entropy", "focal"]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

RANDOM_TENTHS = 10
PAN_SIDE = 128
"""Smallest side that PAN's pyramid, seven times halved, can take."""


class TileSettings(Settings):
    """Which labelled tiles are trained on, and which are held out."""

    split: Split = "spatial"
    """spatial: by scene where there are at least two scenes a part, else by block. scene: whole scenes are
    held out. block: bands of each scene; a tile that touches a held-out one is not trained on. random: a
    tenth of the tiles, as printed; it leaks, for neighbours share rivers. phase: phase 1 is held out. all:
    nothing is, so nothing can be measured."""
    parts: Annotated[int, Field(ge=2)] = 3
    """Parts that scenes and blocks are cut into; `folds` of them are held out in turn."""
    phase1: bool = True
    """Whether labelled phase 1 tiles belong to the labelled tiles."""
    without_blanks: bool = False
    """Whether tiles beyond the swath's edge (VV only 0 and 255) are left out of training."""
    without_bright_floods: bool = False
    """Whether tiles whose labelled flood is as bright as their dry land are left out of training."""


class NetworkSettings(Settings):
    """The network, from segmentation-models-pytorch, or one of the FCNs."""

    decoder: Decoder = "unet"
    """unet: Ronneberger et al. 2015. unetplusplus: Zhou et al. 2018. pan: pyramid attention network, Li et
    al. 2018. deeplabv3plus: Chen et al. 2018. segformer: Xie et al. 2021. fcn32s, fcn16s, fcn8s: Long et al.
    2015."""
    encoder: Encoder = "resnet34"
    """The classification network that the encoder is."""
    pretrained: bool = False
    """Whether 2_train_folds.py must be given ImageNet weights of the encoder by --weights."""
    decoder_channels: list[Positive] = Field(default=[256, 128, 64, 32, 16], min_length=5, max_length=5)
    """Widths of the decoder of U-Net and U-Net++, coarse to fine."""
    dropout: Share = 0.0
    """Chance that a feature map is dropped before the last convolution (Tompson et al. 2015)."""


class TrainingSettings(Settings):
    """One training of a network."""

    epochs: Positive = 20
    """Visits of every training tile."""
    batch: Annotated[int, Field(ge=2)] = 8
    """Tiles a step."""
    crop: Annotated[int, Field(ge=64, le=256, multiple_of=32)] = 256
    """Side of the random square cut out of a tile at each visit, pixels; 256 is the whole tile."""
    transform: bool = True
    """Whether a tile and its mask are turned and mirrored alike (the eight symmetries of the square)."""
    level_shift: Annotated[int, Field(ge=0, le=100)] = 0
    """A tile's VV and VH are each made darker or brighter by up to so many levels at each visit: scenes
    differ in brightness, and few scenes are there to learn that from."""
    loss: Loss = "cross_entropy"
    """dice, lovasz: over the whole batch. ..._cross_entropy: the mean of both. focal: gamma 2."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """Adam's step size, the highest one of the schedule."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled from the step size (AdamW)."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """one_cycle: up in the first third, then down to nothing by a cosine."""
    flood_share: Share | None = None
    """Chance that a drawn tile has flood in it; None visits each tile once an epoch."""
    pseudo_labels: bool = False
    """Whether unlabelled tiles that the parent (of the same fold) is sure of are trained on with its maps."""
    validate_every: Positive = 1
    """Epochs between two looks at the held-out tiles, for the training curves only."""


class PixelSettings(Settings):
    """Boosted trees on what surrounds a pixel (LightGBM, Ke et al. 2017)."""

    trees: Positive = 200
    """Rounds of boosting."""
    leaves: Annotated[int, Field(ge=2)] = 31
    """Leaves of a tree."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.08
    """Share of each tree that is added."""
    pixels: Positive = 3000
    """Pixels drawn at random from each training tile, on average."""
    leaf_pixels: Positive = 200
    """Fewest pixels of a leaf."""
    scene_balance: Share = 0.0
    """0: as many pixels of each tile. 1: as many of each scene, however few tiles it has."""


class PredictionSettings(Settings):
    """How maps are predicted."""

    views: Literal["one", "flips", "d4"] = "one"
    """Averaged views of a tile: itself; four mirrored ones; all eight symmetries of the square."""
    margin: Annotated[int, Field(ge=0, le=128, multiple_of=32)] = 0
    """Pixels around a tile that the network sees, too: of its neighbours, mirrored where there is none."""
    batch: Positive = 8
    """Tiles at a time."""


class FloodExperiment(Experiment):
    """One way to map floods."""

    folds: int = 3
    """How many parts are held out in turn."""
    model: Literal["network", "pixels", "mixture"] = "network"
    """network: a segmentation network. pixels: boosted trees, pixel by pixel. mixture: the weighted mean of
    the parents' maps."""
    channels: Channels = "vv_vh_ratio"
    """What a network sees of a tile."""
    backscatter: Literal["levels", "scene"] = "levels"
    """What VV and VH are measured against: levels: mean and deviation of the official training split. scene:
    the median and spread of their own scene."""
    tiles: TileSettings = TileSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    pixels: PixelSettings = PixelSettings()
    prediction: PredictionSettings = PredictionSettings()
    ablation: str | None = None
    """What this run adds to the one named first, or to the one before, in the table of gains."""

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

    @model_validator(mode="after")
    def _parents_that_are_used(self) -> Self:
        if self.model == "mixture" and len(self.parents) < 2:
            raise ValueError("parents: a mixture needs at least two")
        if self.model != "mixture" and len(self.parents) != int(self.training.pseudo_labels):
            raise ValueError("parents: one where training.pseudo_labels = true, else none")
        return self
