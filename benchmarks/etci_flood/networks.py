"""The champion's network: training steps and maps against a plain PyTorch loop in single precision."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from benchmarks.etci_flood.tiles import SLUG, Bytes, sample_tiles
from benchmarks.side_by_side import Comparison, compare
from common.base.console import log
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment, PredictionSettings

TILES = 64
"""Tiles that networks are measured on."""
STEPS = 12
VIEWS: dict[Literal["one", "d4"], str] = {"one": "1 view", "d4": "8 views"}


def tile_arrays(scratch: Path) -> TileArrays:
    """Processed labelled tiles of the sample."""
    from competitions.etci_flood.data.layout import find_tiles
    from competitions.etci_flood.data.tiles import write_tile_arrays

    data = sample_tiles(scratch / "data")
    table, files = write_tile_arrays(
        scratch / "arrays", find_tiles(data).labelled[:TILES], [], lambda _: None
    )
    vv, vh, water, flood = (np.load(file, mmap_mode="r") for file in files)
    return TileArrays(table, vv, vh, water, flood)


def experiment() -> FloodExperiment:
    """The network of the champion, in its full profile."""
    return cast(FloodExperiment, COMPETITION.experiment("unet_light", "full"))


def train_ours(arrays: TileArrays, losses: list[float]) -> None:
    """Some steps as 2_train_folds.py takes them."""
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
        seen, flood = step
        loss = module.loss(network(seen), flood)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def train_plainly(arrays: TileArrays, losses: list[float]) -> None:
    """The same steps as one writes them first: float tiles in a list, albumentations, contiguous tensors."""
    import albumentations
    import segmentation_models_pytorch as smp
    import torch
    from torch.utils.data import DataLoader, Dataset

    from common.learn.seeding import seed_everything

    settings = experiment()
    seed_everything(1)
    changes = albumentations.Compose(
        [albumentations.RandomCrop(settings.training.crop, settings.training.crop), albumentations.D4(p=1)],
        seed=1,
    )

    class Tiles(Dataset[tuple[torch.Tensor, torch.Tensor]]):
        def __len__(self) -> int:
            return len(arrays.tiles)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
            vv, vh = (layer[row].astype(np.float32) for layer in (arrays.vv, arrays.vh))
            water = arrays.water[row].astype(np.float32)
            image = np.stack([(vv - 128) / 90, (vh - 128) / 90, (vv - vh) / 90, water], axis=-1)
            changed = changes(image=image, mask=arrays.flood[row].astype(np.float32))
            seen = torch.from_numpy(np.ascontiguousarray(changed["image"].transpose(2, 0, 1)))
            return seen, torch.from_numpy(np.ascontiguousarray(changed["mask"]))[None]

    network = smp.Unet(
        settings.network.encoder,
        encoder_weights=None,
        in_channels=4,
        decoder_channels=settings.network.decoder_channels,
    ).train()
    entropy, dice = torch.nn.BCEWithLogitsLoss(), smp.losses.DiceLoss("binary")
    optimizer = torch.optim.Adam(network.parameters(), settings.training.learning_rate)
    loader = DataLoader(Tiles(), settings.training.batch, shuffle=True)
    for seen, flood in _batches(loader):
        logits = network(seen)
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


def training(scratch: Path) -> list[Comparison]:
    """Steps of the champion's network, its batch, its crops and symmetries."""
    arrays = tile_arrays(scratch)
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


def mapping(scratch: Path) -> list[Comparison]:
    """Maps of tiles by the champion's network, in one view and in eight."""
    import torch

    from competitions.etci_flood.data.channels import input_channels
    from competitions.etci_flood.models.base import equal_shares, predicted_maps
    from competitions.etci_flood.models.network_model import VIEWS_BEFORE_COMPILING, NetworkModel
    from competitions.etci_flood.models.networks import build_network

    arrays = tile_arrays(scratch)
    torch.manual_seed(1)
    base = experiment()
    network = build_network(base.network, base.channels)
    plain_network: Any = build_network(base.network, base.channels)
    plain_network = plain_network.to(memory_format=torch.contiguous_format)
    plain_network.load_state_dict(network.state_dict())
    plain_network.eval()
    results = []
    for views, words in VIEWS.items():
        tiles = 16 if views == "one" else 4
        rows = np.arange(tiles)
        settings = base.model_copy(update={"prediction": PredictionSettings(views=views, margin=0, batch=4)})
        model = NetworkModel(network, settings, "cpu")
        model.mapped = VIEWS_BEFORE_COMPILING  # as after the first hundreds of tiles

        def ours(model: NetworkModel = model, rows: npt.NDArray[np.int64] = rows) -> Bytes:
            return np.concatenate(list(predicted_maps(equal_shares([model]), arrays, rows, 4)))

        def plain(rows: npt.NDArray[np.int64] = rows, many: bool = views == "d4") -> Bytes:
            maps = []
            with torch.no_grad():
                for row in rows:
                    layers = np.stack([arrays.vv[row], arrays.vh[row], arrays.water[row]])
                    seen = torch.from_numpy(input_channels(layers, base.channels))[None]
                    total = torch.zeros(256, 256)
                    for turns in range(4 if many else 1):
                        for mirrored in (False, True) if many else (False,):
                            view = torch.rot90(
                                seen.flip(-1) if mirrored else seen, turns, (-2, -1)
                            ).contiguous()
                            back = torch.rot90(torch.sigmoid(plain_network(view))[0, 0], -turns, (-2, -1))
                            total += back.flip(-1) if mirrored else back
                    maps.append((total / (8 if many else 1) * 255).round().numpy().astype(np.uint8))
            return np.stack(maps)

        apart = int(np.abs(ours().astype(int) - plain().astype(int)).max())
        if apart > 1:
            raise AssertionError(f"the maps differ by {apart} of 255")
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
