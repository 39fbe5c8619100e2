"""Training of one network on the tiles of one fold."""

import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations looks for a newer version at import

import albumentations
import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common.learn.arrays import Bools, Int64, UInt8
from common.learn.training import EpochSampler
from competitions.etci_flood.data.channels import input_channels
from competitions.etci_flood.data.layout import TILE_SIDE
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import DomainSettings, FloodExperiment, TrainingSettings
from competitions.etci_flood.models.domain_randomisation import ZOOMED_FRACTION, changed_domain
from competitions.etci_flood.models.losses import FloodLoss

CALIBRATION_TILES = 256
"""Training tiles, at most, that batch statistics are re-estimated on."""


class FloodTiles(Dataset[tuple[Tensor, Tensor]]):
    """Labelled tiles as (channels, side, side) input and (1, side, side) mask.

    Parameters
    ----------
    rows : of the processed table.
    augmentation : applied to a tile and its mask alike.
    labels : masks of unlabelled tiles (pseudo-labels), by row.
    """

    def __init__(
        self,
        arrays: TileArrays,
        rows: Int64,
        settings: FloodExperiment,
        augmentation: albumentations.Compose | None = None,
        labels: Mapping[int, UInt8] | None = None,
    ) -> None:
        self.arrays, self.rows, self.settings, self.augmentation = arrays, rows, settings, augmentation
        self.labels = labels or {}
        self.scale = arrays.scale(rows) if settings.normalisation == "scene" else None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        row = int(self.rows[position])
        arrays = self.arrays
        layers = np.stack([arrays.vv[row], arrays.vh[row], arrays.water[row]], axis=-1)  # (256, 256, 3)
        flood = np.asarray(self.labels[row] if row in self.labels else arrays.flood[row])
        if self.augmentation is not None:
            augmented = self.augmentation(image=layers, mask=flood)
            layers, flood = augmented["image"], augmented["mask"]
        scale = None if self.scale is None else self.scale[position]
        inputs = input_channels(np.moveaxis(layers, -1, 0), self.settings.channels, scale)
        return torch.from_numpy(inputs), torch.from_numpy(flood[None].astype(np.float32))


class BrightnessShift(albumentations.ImageOnlyTransform):
    """Shift VV and VH, the first two of three layers, each by up to `limit` grey levels."""

    def __init__(self, limit: int) -> None:
        super().__init__(p=1.0)
        self.limit = limit

    def get_params(self) -> dict[str, Any]:
        """One shift for each of the two."""
        return {"shifts": [self.py_random.randint(-self.limit, self.limit) for _ in range(2)]}

    def apply(self, img: UInt8, shifts: list[int], **params: Any) -> UInt8:  # noqa: ARG002
        """(height, width, 3) uint8 to the same."""
        shifted = img.astype(np.int16)
        shifted[..., :2] += np.array(shifts, np.int16)
        return shifted.clip(0, 255).astype(np.uint8)


class DomainShift(albumentations.ImageOnlyTransform):
    """`domain_randomisation.changed_domain` of a fraction of the tiles."""

    def __init__(self, settings: DomainSettings) -> None:
        super().__init__(p=settings.changed)
        self.settings = settings

    @property
    def targets_as_params(self) -> list[str]:
        """The mask says where there is water."""
        return ["mask"]

    def get_params_dependent_on_data(
        self,
        params: dict[str, Any],  # noqa: ARG002
        data: dict[str, Any],
    ) -> dict[str, Any]:
        """A seed for one tile, and its flood."""
        return {"seed": self.py_random.randrange(2**31), "flood": data["mask"] > 0}

    def apply(self, img: UInt8, seed: int, flood: Bools, **params: Any) -> UInt8:  # noqa: ARG002
        """(height, width, 3) uint8 to the same."""
        layers = np.ascontiguousarray(np.moveaxis(img, -1, 0))
        wet = flood | (layers[2] > 0)
        changed = changed_domain(layers, wet, self.settings, np.random.default_rng(seed))
        return np.ascontiguousarray(np.moveaxis(changed, 0, -1))


def tile_augmentation(
    settings: TrainingSettings, domain: DomainSettings | None = None, tile_side: int = TILE_SIDE
) -> albumentations.Compose:
    """Random crop, D4 augmentation, brightness shift and domain randomisation, as the settings say."""
    domain = domain or DomainSettings()
    side = min(settings.crop_size, tile_side)
    steps: list[Any] = []
    if domain.changed and domain.max_zoom > 1:
        zoomed = domain.changed * ZOOMED_FRACTION
        lowest = round(side / domain.max_zoom)
        steps.append(
            albumentations.OneOf(
                [
                    albumentations.RandomCrop(side, side, p=1 - zoomed),
                    albumentations.RandomSizedCrop((lowest, side), (side, side), p=zoomed),
                ],
                p=1,
            )
        )
    elif side < tile_side:
        steps.append(albumentations.RandomCrop(side, side))
    if settings.d4_augmentation:
        steps.append(albumentations.D4(p=1.0))
    if settings.brightness_shift:
        steps.append(BrightnessShift(settings.brightness_shift))
    if domain.changed:
        steps.append(DomainShift(domain))
    return albumentations.Compose(steps)


def training_loader(
    arrays: TileArrays,
    rows: Int64,
    settings: FloodExperiment,
    seed: int,
    pseudo_labels: Mapping[int, UInt8] | None = None,
) -> DataLoader[Any]:
    """Shuffled and augmented tiles; a resumed training gets the same ones as an uninterrupted one.

    Parameters
    ----------
    rows : labelled tiles.
    pseudo_labels : masks of further, unlabelled tiles, by row.
    """
    training, extra = settings.training, pseudo_labels or {}
    augmentation = tile_augmentation(training, settings.domain, arrays.side)
    has_flood = arrays.tiles["has_flood"].to_numpy()[rows]
    has_flood = np.concatenate([has_flood, [bool(mask.any()) for mask in extra.values()]]).astype(bool)
    rows = np.concatenate([rows, np.array(list(extra), np.int64)])
    weights = None
    if training.flood_tile_fraction is not None:
        weights = sampling_weights(has_flood, training.flood_tile_fraction)
    sampler = EpochSampler(len(rows), seed, weights=weights, augmentations=augmentation)
    batch_size = min(training.batch_size, len(rows))
    data = FloodTiles(arrays, rows, settings, augmentation, extra)
    # A last batch of a single tile would leave batch normalisation nothing to average over.
    return DataLoader(data, batch_size=batch_size, sampler=sampler, drop_last=len(rows) % batch_size == 1)


def calibration_loader(arrays: TileArrays, rows: Int64, settings: FloodExperiment) -> DataLoader[Any]:
    """Centre crops of at most 256 training tiles, to re-estimate batch statistics on."""
    subset = rows[:: -(-len(rows) // CALIBRATION_TILES)]
    side = min(settings.training.crop_size, arrays.side)
    centre = albumentations.Compose([albumentations.CenterCrop(side, side)])
    batch_size = max(8, settings.training.batch_size // 4)
    # Of a single tile some networks (PAN) have one value per channel, which has no variance.
    single = len(subset) > 1 and len(subset) % batch_size == 1
    return DataLoader(FloodTiles(arrays, subset, settings, centre), batch_size=batch_size, drop_last=single)


def recalibrate_batchnorm(network: nn.Module, tiles: DataLoader[Any]) -> None:
    """Precise batch norm: replace running averages by averages over `tiles` (Wu and Johnson 2021).

    Running averages trail behind the weights. After a few hundred steps they are so far off that a network
    that has learned well predicts nothing.
    """
    torch.optim.swa_utils.update_bn(tiles, network, next(network.parameters()).device)


def sampling_weights(has_flood: Bools, flood_tile_fraction: float) -> Tensor | None:
    """Weight of each tile so that this fraction of samples has flood; None when all or no tiles have."""
    number = int(has_flood.sum())
    if number in (0, len(has_flood)):
        return None
    dry = len(has_flood) - number
    weights = np.where(has_flood, flood_tile_fraction / number, (1 - flood_tile_fraction) / dry)
    return torch.from_numpy(weights)


class FloodTraining(lightning.LightningModule):
    """A network, its loss, and Adam (Kingma and Ba 2015)."""

    overlap: Tensor
    """Intersection and union on the validation tiles so far."""

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, calibration: DataLoader[Any] | None = None
    ) -> None:
        super().__init__()
        self.network, self.settings, self.calibration = network, settings, calibration
        self.loss = FloodLoss(settings.loss)
        self.register_buffer("overlap", torch.zeros(2, dtype=torch.float64))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:  # noqa: ARG002
        """One step; logs the loss."""
        inputs, flood = batch
        loss = self.loss(self.network(inputs), flood)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(inputs))
        return loss

    def on_validation_start(self) -> None:
        """Recalibrate batch normalisation, as before prediction."""
        if self.calibration is not None:
            recalibrate_batchnorm(self.network, self.calibration)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:  # noqa: ARG002
        """Loss and IoU at probability 0.5, for the training curves only."""
        inputs, flood = batch
        logits = self.network(inputs)
        self.log("val_loss", self.loss(logits, flood), on_epoch=True, batch_size=len(inputs))
        predicted, truth = logits > 0, flood > 0.5
        self.overlap += torch.stack([(predicted & truth).sum(), (predicted | truth).sum()]).double()

    def on_validation_epoch_end(self) -> None:
        """Log the IoU over the pooled pixels."""
        intersection, union = self.overlap.tolist()
        self.log("val_iou", intersection / union if union else 1.0)
        self.overlap.zero_()

    def configure_optimizers(self) -> Any:
        """Adam (AdamW with weight decay), with the schedule of the settings."""
        parameters, rate = self.network.parameters(), self.settings.learning_rate
        optimizer: torch.optim.Optimizer
        if self.settings.weight_decay:
            decay = self.settings.weight_decay
            optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        else:
            optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
        if self.settings.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.settings.learning_rate, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
