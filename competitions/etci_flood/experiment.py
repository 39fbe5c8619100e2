"""Settings of an experiment in flood detection."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.run.experiments import Experiment, Settings
from competitions.etci_flood.models.registry import MODEL_KINDS, NETWORKS


def _distinct(channels: list[str]) -> list[str]:
    if len(set(channels)) < len(channels):
        raise ValueError(f"{', '.join(channels)}: a channel is named twice")
    return channels


Channel = Literal["vv", "vh", "ratio", "saturated_ratio", "water"]
Channels = Annotated[list[Channel], Field(min_length=1), AfterValidator(_distinct)]
Split = Literal["spatial", "scene", "block", "random", "phase", "all"]
Encoder = Literal[
    "vgg16", "vgg16_bn", "vgg19", "resnet18", "resnet34", "mobilenet_v2", "efficientnet-b0", "mit_b0"
]
Loss = Literal["cross_entropy", "dice", "dice_cross_entropy", "lovasz", "lovasz_cross_entropy", "focal"]
Tta = Literal["none", "flips", "d4"]
Options = dict[str, int | float | str | bool | list[int] | list[float] | list[str]]
"""Settings of a part of one's own, which that part validates itself."""
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]

RANDOM_FOLDS = 10


class TileSettings(Settings):
    """Which labelled tiles are trained on, and which are held out."""

    split: Split = "spatial"
    """spatial: by scene where there are at least two scenes per split, otherwise by block. scene: whole
    scenes are held out. block: bands of each scene; tiles that are adjacent to a held-out tile are not
    trained on. random: a tenth of the tiles, as in the paper; it leaks, because adjacent tiles share rivers.
    phase: phase 1 is held out. all: nothing is held out, so nothing can be measured."""
    n_splits: Annotated[int, Field(ge=2)] = 3
    """Number of parts that scenes and blocks are cut into; `folds` of them are held out in turn."""
    phase1: bool = True
    """Whether labelled phase 1 tiles belong to the labelled tiles."""
    drop_no_data: bool = False
    """Whether tiles outside the swath (VV is only 0 and 255) are left out of training."""
    drop_noisy_labels: bool = False
    """Whether tiles with suspected label noise (flood as bright as dry land) are left out of training."""


class NetworkSettings(Settings):
    """The segmentation network."""

    architecture: Annotated[str, AfterValidator(NETWORKS.check)] = "unet"
    """A registered network. unet: Ronneberger et al. 2015. unetplusplus: Zhou et al. 2018. pan: pyramid
    attention network, Li et al. 2018. deeplabv3plus: Chen et al. 2018. segformer: Xie et al. 2021. fcn32s,
    fcn16s, fcn8s: Long et al. 2015."""
    encoder: Encoder = "resnet34"
    """Classification network that is used as the encoder."""
    pretrained: bool = False
    """Whether 2_train_folds.py must be given ImageNet weights of the encoder by --weights."""
    decoder_channels: list[Positive] = Field(default=[256, 128, 64, 32, 16], min_length=5, max_length=5)
    """Widths of the decoder of U-Net and U-Net++, coarse to fine."""
    dropout: Fraction = 0.0
    """Probability that a feature map is dropped before the last convolution (Tompson et al. 2015)."""
    options: Options = Field(default_factory=dict)
    """Settings of a network of one's own."""


class TrainingSettings(Settings):
    """Training of a network."""

    epochs: Positive = 20
    batch_size: Annotated[int, Field(ge=2)] = 8
    crop_size: Annotated[int, Field(ge=64, le=256, multiple_of=32)] = 256
    """Side of the random square crop, pixels; 256 is the whole tile."""
    d4_augmentation: bool = True
    """Whether tile and mask are rotated by multiples of 90 degrees and flipped at random (group D4)."""
    brightness_shift: Annotated[int, Field(ge=0, le=100)] = 0
    """VV and VH are each shifted by a random number of grey levels, at most this many."""
    loss: Loss = "cross_entropy"
    """dice, lovasz: over the whole batch. ..._cross_entropy: the mean of both. focal: gamma 2."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """Of Adam; the highest one of the schedule."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay (AdamW)."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """one_cycle: up in the first third, then down to zero by a cosine."""
    flood_tile_fraction: Fraction | None = None
    """Class-balanced sampling: fraction of sampled tiles that have flood; None takes each tile once per
    epoch."""
    pseudo_labels: bool = False
    """Whether unlabelled tiles on which the parent (of the same fold) is confident are trained on."""
    validate_every: Positive = 1
    """Epochs between two validations on the held-out tiles, for the training curves only."""


class DomainSettings(Settings):
    """Domain randomisation, for rasters that are not processed as the official tiles are."""

    gain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The contrast of VV and VH is multiplied by a random factor within 1 - gain and 1 + gain."""
    offset: Annotated[float, Field(ge=0, le=10)] = 0.0
    """VV and VH are shifted by at most this many decibels."""
    speckle: Fraction = 0.0
    """Probability that speckle is added."""
    min_looks: Annotated[float, Field(ge=1)] = 4.0
    """Number of looks of the strongest speckle; 4.4 are those of ground range products of 10 m."""
    wind: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Flood is brightened by at most this many decibels in VV, as wind that roughens it does."""
    max_zoom: Annotated[float, Field(ge=1, le=4)] = 1.0
    """Half of the tiles are enlarged by a random factor of at most this."""
    hidden_water: Fraction = 0.0
    """Probability that a changed tile has no permanent water, as a raster without --water."""
    changed: Fraction = 0.0
    """Fraction of the tiles (or pixels) that are changed; the others are trained on as they are."""


class PixelLgbmSettings(Settings):
    """Pixel-wise LightGBM (Ke et al. 2017)."""

    num_boost_round: Positive = 200
    num_leaves: Annotated[int, Field(ge=2)] = 31
    learning_rate: Annotated[float, Field(gt=0)] = 0.08
    min_data_in_leaf: Positive = 200
    pixels_per_tile: Positive = 3000
    """Pixels sampled at random from each training tile, on average."""
    scene_medians: bool = True
    """Whether VV and VH relative to their medians in the whole scene are features; otherwise relative to the
    brightest ground around the pixel, which a raster of any extent has."""
    scene_balance: Fraction = 0.0
    """0: equally many pixels of each tile. 1: equally many pixels of each scene, however few tiles it has."""


class PredictionSettings(Settings):
    """How probability maps are predicted."""

    tta: Tta = "none"
    """Test-time augmentation: none, the mean over four flips, or over D4 (rotations and flips)."""
    context_padding: Annotated[int, Field(ge=0, le=128, multiple_of=32)] = 0
    """Pixels of the adjacent tiles that the network sees around a tile, mirrored where there is none."""
    batch_size: Positive = 8


class FloodExperiment(Experiment):
    """Settings of one experiment in flood mapping."""

    folds: int = 3
    """How many of the `tiles.n_splits` parts are held out in turn."""
    model: Annotated[str, AfterValidator(MODEL_KINDS.check)] = "network"
    """A registered kind of model. network: a segmentation network. pixel_lgbm: LightGBM pixel by pixel.
    ensemble: the weighted mean of the parents' probability maps."""
    channels: Channels = Field(default=["vv", "vh", "ratio"])
    """Input channels of a network."""
    normalisation: Literal["dataset", "scene"] = "dataset"
    """dataset: VV and VH by mean and standard deviation of the official training split. scene: by median and
    spread of their own scene."""
    tiles: TileSettings = TileSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    pixel_lgbm: PixelLgbmSettings = PixelLgbmSettings()
    domain: DomainSettings = DomainSettings()
    prediction: PredictionSettings = PredictionSettings()
    options: Options = Field(default_factory=dict)
    """Settings of a model kind of one's own."""
    ablation: Literal["base", "+", "~"] | None = None
    """Row of the ablation table: + adds a step to the last + row, ~ varies that row."""

    def preprocessing(self) -> dict[str, Any]:
        """The number of splits: arrays and fold columns serve all experiments alike."""
        return {"n_splits": self.tiles.n_splits}

    def weights_needed(self) -> list[str]:
        """The encoder's ImageNet weights, where the network starts from them."""
        return [self.network.encoder] if self.network.pretrained else []

    @model_validator(mode="after")
    def _check_folds(self) -> Self:
        limit = {"phase": 1, "all": 1, "random": RANDOM_FOLDS}.get(self.tiles.split, self.tiles.n_splits)
        if not 1 <= self.folds <= limit:
            raise ValueError(f"folds: a {self.tiles.split} split has 1 to {limit} folds, not {self.folds}")
        if self.tiles.split == "phase" and not self.tiles.phase1:
            raise ValueError("tiles.phase1: a phase split needs the phase 1 tiles")
        return self

    @model_validator(mode="after")
    def _check_parents(self) -> Self:
        if self.training.pseudo_labels and len(self.parents) != 1:
            raise ValueError("parents: training.pseudo_labels needs one parent, the source of the labels")
        if not self.training.pseudo_labels and len(self.parents) == 1:
            raise ValueError("parents: an ensemble needs at least two; one is for training.pseudo_labels")
        return self
