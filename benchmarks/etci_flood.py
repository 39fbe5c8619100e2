"""Flood mapping against plain loops: reading tiles, a training step, maps of tiles.

    python -m benchmarks.etci_flood [reading] [memory] [training] [mapping] [raster]

The peers are what one writes first: a loop over tiles with Pillow and NumPy, a PyTorch loop in single
precision, networks and tensors as they come. Tiles are the sample generator's; nothing is downloaded.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from benchmarks.side_by_side import Comparison, compare, compare_processes, keep
from common.console import say
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment, PredictionSettings
from competitions.etci_flood.tile_arrays import TileArrays

SLUG = "etci_flood"
OFFICIAL_TILES = 33_405
FEW_TILES = 1000
TILES = 64
"""Tiles that networks are measured on."""
STEPS = 12
VIEWS: dict[Literal["one", "d4"], str] = {"one": "1 view", "d4": "8 views"}
Bytes = npt.NDArray[np.uint8]


def sample_tiles(folder: Path) -> Path:
    """Sample data in the official layout."""
    from competitions.etci_flood.sample_data import write_sample_data

    folder.mkdir()
    write_sample_data(folder, 2021, 1.0)
    return folder


def _check(right: bool, what: str) -> None:
    if not right:
        raise AssertionError(what)


# ---- reading tiles


def read_into_arrays(data: Path, out: Path) -> None:
    """Ours: join, decode in threads, write memory-mapped arrays."""
    from competitions.etci_flood.official_layout import find_tiles
    from competitions.etci_flood.tile_arrays import write_tile_arrays

    found = find_tiles(data)
    write_tile_arrays(out, found.labelled, [], lambda _: None)


def read_in_a_loop(data: Path, out: Path) -> None:
    """The plain loop: open every layer of a tile with Pillow, keep it, stack all, save."""
    from PIL import Image

    from competitions.etci_flood.official_layout import find_tiles

    layers: dict[str, list[Bytes]] = {name: [] for name in ("vv", "vh", "flood_label", "water_body_label")}
    for tile in find_tiles(data).labelled:
        for name, kept in layers.items():
            picture = np.array(Image.open(tile.files[name]).convert("RGB"))[:, :, 0]
            kept.append((picture > 127).astype(np.uint8) if name.endswith("label") else picture)
    out.mkdir(exist_ok=True)
    for name, kept in layers.items():
        np.save(out / f"{name}.npy", np.stack(kept))


def compose_in_a_loop(data: Path, out: Path) -> None:
    """The article's preparation as a loop: normalise, make the composite of VV, VH and ratio, save a tile."""
    from PIL import Image

    from competitions.etci_flood.official_layout import find_tiles

    out.mkdir(exist_ok=True)
    for tile in find_tiles(data).labelled:
        vv, vh = (np.array(Image.open(tile.files[name]).convert("RGB"))[:, :, 0] for name in ("vv", "vh"))
        masks = [
            np.array(Image.open(tile.files[f"{name}_label"]).convert("L")) for name in ("flood", "water_body")
        ]
        vv, vh = vv.astype(np.float32), vh.astype(np.float32)
        composite = np.stack([(vv - 128) / 90, (vh - 128) / 90, (vv - vh) / 90])
        np.savez(out / f"{tile.key}.npz", image=composite, masks=np.stack(masks) > 127)


def reading(data: Path, scratch: Path) -> list[Comparison]:
    """The labelled sample tiles, four pictures each."""
    from competitions.etci_flood.official_layout import find_tiles

    tiles = len(find_tiles(data).labelled)
    read_into_arrays(data, scratch / "ours")
    read_in_a_loop(data, scratch / "plain")
    for ours, plain in (("vv", "vv"), ("vh", "vh"), ("flood", "flood_label"), ("water", "water_body_label")):
        same = np.array_equal(np.load(scratch / f"ours/{ours}.npy"), np.load(scratch / f"plain/{plain}.npy"))
        _check(same, f"both must read the same {ours}")
    task = f"read {tiles} tiles of 4 pictures"
    work = ("threads into memory-mapped bytes", partial(read_into_arrays, data, scratch / "ours"))
    return [
        compare(
            SLUG,
            task,
            ours=work,
            peer=(
                "Pillow loop, stacked and saved as bytes",
                partial(read_in_a_loop, data, scratch / "plain"),
            ),
            target="at least 3x faster",
        ),
        compare(
            SLUG,
            task,
            ours=work,
            peer=(
                "Pillow loop, a file of composite and masks a tile",
                partial(compose_in_a_loop, data, scratch / "tiles"),
            ),
            target="at least 3x faster",
            note="the peer saves normalised composites, which we make when a tile is drawn",
        ),
    ]


def many_tiles(data: Path, many: Path, number: int) -> Path:
    """An official folder of `number` labelled tiles: links to the sample's pictures."""
    from competitions.etci_flood.official_layout import TileKey, find_tiles

    sources = find_tiles(data).labelled
    scene = many / "train" / "many_20170213t002121" / "tiles"
    for layer in ("vv", "vh", "flood_label", "water_body_label"):
        (scene / layer).mkdir(parents=True)
    for place in range(number):
        source, key = (
            sources[place % len(sources)],
            TileKey("many_20170213t002121", place // 200, place % 200),
        )
        for layer, file in source.files.items():
            suffix = f"_{layer}" if layer in ("vv", "vh") else ""
            (scene / layer / f"{key}{suffix}.png").symlink_to(file)
    (many / "test").symlink_to(data / "test")
    return many


def memory(data: Path, scratch: Path, tiles: int = OFFICIAL_TILES) -> list[Comparison]:
    """As many tiles as the official training split has, or `tiles`, beside a thousand."""
    many, few = many_tiles(data, scratch / "many", tiles), many_tiles(data, scratch / "few", FEW_TILES)
    return [
        compare_processes(
            SLUG,
            f"read {tiles:,} tiles of 4 pictures",
            ours=("threads into memory-mapped bytes", partial(read_into_arrays, many, scratch / "all")),
            peer=(f"the same with {FEW_TILES:,} tiles", partial(read_into_arrays, few, scratch / "part")),
            target="bounded memory",
            runs=1,
            note=f"sample pictures linked many times; {tiles * 262144 / 1e9:.1f} GB of arrays are written",
        )
    ]


# ---- networks


def tile_arrays(data: Path, scratch: Path) -> TileArrays:
    """Processed labelled tiles of the sample."""
    from competitions.etci_flood.official_layout import find_tiles
    from competitions.etci_flood.tile_arrays import write_tile_arrays

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

    from common.seeding import seed_everything
    from competitions.etci_flood.flood_training import FloodTraining, training_loader
    from competitions.etci_flood.segmentation_networks import build_network

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

    from common.seeding import seed_everything

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


def training(data: Path, scratch: Path) -> list[Comparison]:
    """Steps of the champion's network, its batch, its crops and symmetries."""
    arrays = tile_arrays(data, scratch)
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
    say(f"  loss over the last 4 steps: {last[0]:.3f} and {last[1]:.3f}")
    note = f"loss over the last 4 of {STEPS} steps: {last[0]:.3f} ours, {last[1]:.3f} plain"
    return [result.model_copy(update={"note": note})]


def mapping(data: Path, scratch: Path) -> list[Comparison]:
    """Maps of tiles by the champion's network, in one view and in eight."""
    import torch

    from competitions.etci_flood.flood_maps import equal_shares, predicted_maps
    from competitions.etci_flood.input_channels import input_channels
    from competitions.etci_flood.network_model import VIEWS_BEFORE_COMPILING, NetworkModel
    from competitions.etci_flood.segmentation_networks import build_network

    arrays = tile_arrays(data, scratch)
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
        _check(apart <= 1, "both must map the same")
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


# ---- rasters


def map_a_raster(source: Path, target: Path) -> None:
    """A whole raster by a U-Net with the champion's settings and random weights."""
    from competitions.etci_flood.flood_maps import equal_shares
    from competitions.etci_flood.geotiff_maps import map_geotiff
    from competitions.etci_flood.network_model import NetworkModel
    from competitions.etci_flood.segmentation_networks import build_network

    settings = experiment()
    settings = settings.model_copy(
        update={"prediction": settings.prediction.model_copy(update={"views": "one"})}
    )
    model = NetworkModel(build_network(settings.network, settings.channels), settings, "cpu")
    levels = np.array([[140, 30], [180, 40]], np.float32)
    map_geotiff(source, target, equal_shares([model]), 128, levels)


def write_raster(path: Path, side: int) -> Path:
    """A tiled, compressed raster of `side` x `side` pixels in decibels, full of land."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    block = np.random.default_rng(1).normal(-12, 2, (2, 1000, 1000)).astype(np.float32)
    grid = {"crs": "EPSG:32614", "transform": from_origin(500_000, 4_700_000, 10, 10)}
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", "GTiff", side, side, 2, dtype="float32", **grid, **tiled) as raster:
        for top in range(0, side, 1000):
            for left in range(0, side, 1000):
                raster.write(block, window=Window(left, top, 1000, 1000))
    return path


def raster(data: Path, scratch: Path) -> list[Comparison]:  # noqa: ARG001
    """A raster of 10,000 x 10,000 beside one of a twenty-fifth of its area."""
    large, small = write_raster(scratch / "large.tif", 10_000), write_raster(scratch / "small.tif", 2_000)
    return [
        compare_processes(
            SLUG,
            "map a raster of 10,000 x 10,000, 1 view, U-Net mobilenet_v2",
            ours=("window by window", partial(map_a_raster, large, scratch / "large_flood.tif")),
            peer=("the same on 2,000 x 2,000", partial(map_a_raster, small, scratch / "small_flood.tif")),
            target="bounded memory",
            runs=1,
        )
    ]


PARTS: dict[str, Callable[[Path, Path], list[Comparison]]] = {
    "reading": reading,
    "training": training,
    "mapping": mapping,
    "memory": memory,
    "raster": raster,
}


def main() -> None:
    """Measure the parts that are asked for, all by default, and keep the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="for temporary files, up to 10 GB")
    parser.add_argument(
        "--tiles", type=int, default=OFFICIAL_TILES, metavar="N", help=f"of part memory ({OFFICIAL_TILES})"
    )
    flags = parser.parse_args()
    unknown = [part for part in flags.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; expected: {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(dir=flags.scratch) as folder:
        data = sample_tiles(Path(folder) / "data")
        for part in flags.parts or PARTS:
            scratch = Path(folder) / part
            scratch.mkdir()
            measure = partial(memory, tiles=flags.tiles) if part == "memory" else PARTS[part]
            keep(measure(data, scratch))


if __name__ == "__main__":
    main()
