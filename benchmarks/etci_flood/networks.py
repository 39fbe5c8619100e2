"""The champion's network: training steps and prediction against a plain PyTorch loop in single precision."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.etci_flood.tiles import SLUG, sample_tiles
from benchmarks.side_by_side import Comparison, compare
from common.base.console import log
from common.learn.arrays import Int64, UInt8
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment, PredictionSettings, Tta

TILES = 64
"""Tiles that networks are measured on."""
STEPS = 12
TTA_NAMES: dict[Tta, str] = {"none": "no TTA", "d4": "D4 TTA"}


def tile_arrays(temp_dir: Path) -> TileArrays:
    """Processed labelled tiles of the sample."""
    from competitions.etci_flood.data.layout import find_tiles
    from competitions.etci_flood.data.tiles import write_tile_arrays

    data = sample_tiles(temp_dir / "data")
    table, files = write_tile_arrays(
        temp_dir / "arrays", find_tiles(data).labelled[:TILES], [], lambda _: None
    )
    vv, vh, water, flood = (np.load(file, mmap_mode="r") for file in files)
    return TileArrays(table, vv, vh, water, flood)


def experiment() -> FloodExperiment:
    """The network of the champion, in its full profile."""
    return COMPETITION.experiment("unet_light", "full")


def train_ours(arrays: TileArrays, losses: list[float]) -> None:
    """Training steps of 2_train_folds.py."""
    import torch

    from common.learn.seeding import seed_everything
    from competitions.etci_flood.models.networks import build_network
    from competitions.etci_flood.models.training import FloodTraining, training_loader

    settings = experiment()
    seed_everything(1)
    network = build_network(settings.network, settings.channels).train()
    module = FloodTraining(network, settings.training)
    optimizer = torch.optim.Adam(network.parameters(), settings.training.learning_rate, fused=True)
    for step in _batches(training_loader(arrays, np.arange(len(arrays.tiles)), settings, 1)):
        inputs, flood = step
        loss = module.loss(network(inputs), flood)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def train_plainly(arrays: TileArrays, losses: list[float]) -> None:
    """The same steps written plainly: float tiles in a list, albumentations, contiguous tensors."""
    import albumentations
    import segmentation_models_pytorch as smp
    import torch
    from torch.utils.data import DataLoader, Dataset

    from common.learn.seeding import seed_everything

    settings = experiment()
    seed_everything(1)
    augmentation = albumentations.Compose(
        [
            albumentations.RandomCrop(settings.training.crop_size, settings.training.crop_size),
            albumentations.D4(p=1),
        ],
        seed=1,
    )

    class Tiles(Dataset[tuple[torch.Tensor, torch.Tensor]]):
        def __len__(self) -> int:
            return len(arrays.tiles)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
            vv, vh = (layer[row].astype(np.float32) for layer in (arrays.vv, arrays.vh))
            water = arrays.water[row].astype(np.float32)
            image = np.stack([(vv - 128) / 90, (vh - 128) / 90, (vv - vh) / 90, water], axis=-1)
            augmented = augmentation(image=image, mask=arrays.flood[row].astype(np.float32))
            inputs = torch.from_numpy(np.ascontiguousarray(augmented["image"].transpose(2, 0, 1)))
            return inputs, torch.from_numpy(np.ascontiguousarray(augmented["mask"]))[None]

    network = smp.Unet(
        settings.network.encoder,
        encoder_weights=None,
        in_channels=4,
        decoder_channels=settings.network.decoder_channels,
    ).train()
    entropy, dice = torch.nn.BCEWithLogitsLoss(), smp.losses.DiceLoss("binary")
    optimizer = torch.optim.Adam(network.parameters(), settings.training.learning_rate)
    loader = DataLoader(Tiles(), settings.training.batch_size, shuffle=True)
    for inputs, flood in _batches(loader):
        logits = network(inputs)
        loss = (entropy(logits, flood) + dice(logits, flood)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def _batches(loader: Iterable[Any]) -> Iterator[Any]:
    """STEPS batches, epoch after epoch."""
    taken = 0
    while True:
        for batch in loader:
            yield batch
            taken += 1
            if taken == STEPS:
                return


def training(temp_dir: Path) -> list[Comparison]:
    """Steps of the champion's network with its batch size, crops and augmentation."""
    arrays = tile_arrays(temp_dir)
    ours: list[float] = []
    plain: list[float] = []
    result = compare(
        SLUG,
        f"{STEPS} training steps of U-Net mobilenet_v2, 8 crops of 96 x 96",
        ours=("ours", partial(train_ours, arrays, ours)),
        peer=("plain fp32 PyTorch loop", partial(train_plainly, arrays, plain)),
        target="at least 1.5x faster",
        runs=3,
    )
    last = [float(np.mean(losses[STEPS - 4 : STEPS])) for losses in (ours, plain)]
    log(f"  loss over the last 4 steps: {last[0]:.3f} and {last[1]:.3f}")
    note = f"loss over the last 4 of {STEPS} steps: {last[0]:.3f} ours, {last[1]:.3f} plain"
    return [result.model_copy(update={"note": note})]


def mapping(temp_dir: Path) -> list[Comparison]:
    """Prediction of tiles by the champion's network, without and with D4 TTA."""
    import torch

    from competitions.etci_flood.data.channels import input_channels
    from competitions.etci_flood.models.base import equal_weights, predict_tiles
    from competitions.etci_flood.models.network_model import TILES_BEFORE_COMPILING, NetworkModel
    from competitions.etci_flood.models.networks import build_network

    arrays = tile_arrays(temp_dir)
    torch.manual_seed(1)
    base = experiment()
    network = build_network(base.network, base.channels)
    plain_network: Any = build_network(base.network, base.channels)
    plain_network = plain_network.to(memory_format=torch.contiguous_format)
    plain_network.load_state_dict(network.state_dict())
    plain_network.eval()
    results = []
    for tta, words in TTA_NAMES.items():
        tiles = 16 if tta == "none" else 4
        rows = np.arange(tiles)
        prediction = PredictionSettings(tta=tta, context_padding=0, batch_size=4)
        settings = base.model_copy(update={"prediction": prediction})
        model = NetworkModel(network, settings, "cpu")
        model.tiles_mapped = TILES_BEFORE_COMPILING  # as after the first hundreds of tiles

        def ours(model: NetworkModel = model, rows: Int64 = rows) -> UInt8:
            return np.concatenate(list(predict_tiles(equal_weights([model]), arrays, rows, 4)))

        def plain(rows: Int64 = rows, many: bool = tta == "d4") -> UInt8:
            maps = []
            with torch.no_grad():
                for row in rows:
                    layers = np.stack([arrays.vv[row], arrays.vh[row], arrays.water[row]])
                    inputs = torch.from_numpy(input_channels(layers, base.channels))[None]
                    total = torch.zeros(256, 256)
                    for turns in range(4 if many else 1):
                        for flipped in (False, True) if many else (False,):
                            view = torch.rot90(
                                inputs.flip(-1) if flipped else inputs, turns, (-2, -1)
                            ).contiguous()
                            back = torch.rot90(torch.sigmoid(plain_network(view))[0, 0], -turns, (-2, -1))
                            total += back.flip(-1) if flipped else back
                    maps.append((total / (8 if many else 1) * 255).round().numpy().astype(np.uint8))
            return np.stack(maps)

        apart = int(np.abs(ours().astype(int) - plain().astype(int)).max())
        if apart > 1:
            raise AssertionError(f"the probability maps differ by {apart} of 255")
        result = compare(
            SLUG,
            f"map {tiles} tiles of 256 x 256, {words}, U-Net mobilenet_v2",
            ours=("ours", ours),
            peer=("plain fp32 PyTorch loop", plain),
            target="at least 2x faster",
            runs=5,
        )
        rate = f"{tiles / result.our_seconds:.1f} tiles a second against {tiles / result.peer_seconds:.1f}"
        results.append(result.model_copy(update={"note": f"{rate}; maps differ by at most {apart} of 255"}))
    return results
