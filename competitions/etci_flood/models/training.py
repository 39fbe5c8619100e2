"""Training of one network on the tiles of one fold."""

import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations looks for a newer version at import

import albumentations
import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common.learn.seeding import derived_seed, seed_everything
from common.learn.training import EpochSampler
from competitions.etci_flood.data.channels import input_channels
from competitions.etci_flood.data.layout import TILE_SIDE
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment, TrainingSettings
from competitions.etci_flood.models.losses import FloodLoss

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

SETTLING_TILES = 256


class FloodTiles(Dataset[tuple[Tensor, Tensor]]):
    """Tiles with labels as (channels, side, side) input and (1, side, side) mask.

    Parameters
    ----------
    rows : of the processed table.
    changes : what happens to a tile and its mask alike.
    labels : masks of rows that have no label of their own, by row.
    """

    def __init__(
        self,
        arrays: TileArrays,
        rows: Rows,
        settings: FloodExperiment,
        changes: albumentations.Compose | None = None,
        labels: Mapping[int, Bytes] | None = None,
    ) -> None:
        self.arrays, self.rows, self.settings, self.changes = arrays, rows, settings, changes
        self.labels = labels or {}
        self.scale = arrays.scale(rows) if settings.backscatter == "scene" else None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        row = int(self.rows[position])
        arrays = self.arrays
        layers = np.stack([arrays.vv[row], arrays.vh[row], arrays.water[row]], axis=-1)
        flood = np.asarray(self.labels[row] if row in self.labels else arrays.flood[row])
        if self.changes is not None:
            changed = self.changes(image=layers, mask=flood)
            layers, flood = changed["image"], changed["mask"]
        scale = None if self.scale is None else self.scale[position]
        seen = input_channels(np.moveaxis(layers, -1, 0), self.settings.channels, scale)
        return torch.from_numpy(seen), torch.from_numpy(flood[None].astype(np.float32))


class LevelShift(albumentations.ImageOnlyTransform):
    """Make VV and VH, the first two of three layers, each darker or brighter by up to `most` levels."""

    def __init__(self, most: int) -> None:
        super().__init__(p=1.0)
        self.most = most

    def get_params(self) -> dict[str, Any]:
        """One shift for each of the two."""
        return {"shifts": [self.py_random.randint(-self.most, self.most) for _ in range(2)]}

    def apply(self, img: Bytes, shifts: list[int], **params: Any) -> Bytes:  # noqa: ARG002
        """(height, width, 3) uint8 to the same."""
        shifted = img.astype(np.int16)
        shifted[..., :2] += np.array(shifts, np.int16)
        return shifted.clip(0, 255).astype(np.uint8)


def tile_changes(settings: TrainingSettings) -> albumentations.Compose:
    """What happens to a tile and its mask alike at each visit."""
    steps: list[Any] = []
    if settings.crop < TILE_SIDE:
        steps.append(albumentations.RandomCrop(settings.crop, settings.crop))
    if settings.transform:
        steps.append(albumentations.D4(p=1.0))
    if settings.level_shift:
        steps.append(LevelShift(settings.level_shift))
    return albumentations.Compose(steps)


def training_loader(
    arrays: TileArrays,
    rows: Rows,
    settings: FloodExperiment,
    seed: int,
    pseudo_labels: Mapping[int, Bytes] | None = None,
) -> DataLoader[Any]:
    """Shuffled and changed tiles; an interrupted training goes on with the very same ones.

    Parameters
    ----------
    rows : labelled tiles.
    pseudo_labels : masks of unlabelled tiles that are trained on, too.
    """
    training, extra = settings.training, pseudo_labels or {}
    changes = tile_changes(training)
    has_flood = arrays.tiles["has_flood"].to_numpy()[rows]
    has_flood = np.concatenate([has_flood, [bool(mask.any()) for mask in extra.values()]]).astype(bool)
    rows = np.concatenate([rows, np.array(list(extra), np.int64)])
    weights = None
    if training.flood_share is not None:
        weights = draw_chances(has_flood, training.flood_share)
    sampler = EpochSampler(len(rows), seed, weights=weights, augmentations=changes)
    batch = min(training.batch, len(rows))
    data = FloodTiles(arrays, rows, settings, changes, extra)
    # A last batch of a single tile would leave batch normalisation nothing to average over.
    return DataLoader(data, batch_size=batch, sampler=sampler, drop_last=len(rows) % batch == 1)


def settling_loader(arrays: TileArrays, rows: Rows, settings: FloodExperiment) -> DataLoader[Any]:
    """At most 256 training tiles, their middle cut out: what batch statistics are settled on."""
    some = rows[:: -(-len(rows) // SETTLING_TILES)]
    side = settings.training.crop
    middle = albumentations.Compose([albumentations.CenterCrop(side, side)])
    batch = max(8, settings.training.batch // 4)
    # Of a single tile some networks (PAN) have one value a channel, which has no spread.
    single = len(some) > 1 and len(some) % batch == 1
    return DataLoader(FloodTiles(arrays, some, settings, middle), batch_size=batch, drop_last=single)


def settle_batch_statistics(network: nn.Module, tiles: DataLoader[Any]) -> None:
    """Replace the running averages of batch normalisation by averages over `tiles` (Wu and Johnson 2021).

    The running ones trail behind the weights. After a few hundred steps they are so far off that a network
    which learned well maps nothing.
    """
    torch.optim.swa_utils.update_bn(tiles, network, next(network.parameters()).device)


def draw_chances(has_flood: npt.NDArray[np.bool_], flood_share: float) -> Tensor | None:
    """Chance of each tile so that `flood_share` of all draws have flood; None when all or no tiles have."""
    number = int(has_flood.sum())
    if number in (0, len(has_flood)):
        return None
    chances = np.where(has_flood, flood_share / number, (1 - flood_share) / (len(has_flood) - number))
    return torch.from_numpy(chances)


class FloodTraining(lightning.LightningModule):
    """A network, its loss, and Adam (Kingma and Ba 2015)."""

    overlap: Tensor
    """Intersection and union on held-out tiles so far."""

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, settling: DataLoader[Any] | None = None
    ) -> None:
        super().__init__()
        self.network, self.settings, self.settling = network, settings, settling
        self.loss = FloodLoss(settings.loss)
        self.register_buffer("overlap", torch.zeros(2, dtype=torch.float64))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:  # noqa: ARG002
        """One step; logs the loss."""
        seen, flood = batch
        loss = self.loss(self.network(seen), flood)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(seen))
        return loss

    def on_validation_start(self) -> None:
        """Settle the batch statistics: what is held out is seen through them."""
        if self.settling is not None:
            settle_batch_statistics(self.network, self.settling)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:  # noqa: ARG002
        """Loss and IoU at probability one half, for the training curves; no decision hangs on them."""
        seen, flood = batch
        logits = self.network(seen)
        self.log("held_out_loss", self.loss(logits, flood), on_epoch=True, batch_size=len(seen))
        called, truth = logits > 0, flood > 0.5
        self.overlap += torch.stack([(called & truth).sum(), (called | truth).sum()]).double()

    def on_validation_epoch_end(self) -> None:
        """Log the IoU over the pooled pixels."""
        intersection, union = self.overlap.tolist()
        self.log("held_out_iou", intersection / union if union else 1.0)
        self.overlap.zero_()

    def configure_optimizers(self) -> Any:
        """Adam (AdamW where weights decay), with the schedule of the settings."""
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


def seed_of_fold(seed: int, fold: int) -> int:
    """Seed everything for one fold, before its network is built; returns the fold's own seed."""
    own = derived_seed(seed, "fold", fold)
    seed_everything(own)
    return own
