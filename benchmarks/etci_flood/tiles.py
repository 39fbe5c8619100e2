"""Reading tiles: time against a Pillow loop, and memory at the official size."""

import os
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.side_by_side import Comparison, compare, compare_processes
from common.learn.arrays import UInt8

SLUG = "etci_flood"
OFFICIAL_TILES = 33_405
FEW_TILES = 1000


def sample_tiles(folder: Path) -> Path:
    """Sample data in the official layout."""
    from competitions.etci_flood.sample.sample_data import write_sample_data

    folder.mkdir()
    write_sample_data(folder, 2021, 1.0)
    return folder


def read_into_arrays(data: Path, out: Path) -> None:
    """Ours: join, decode in threads, write memory-mapped arrays."""
    from competitions.etci_flood.data.layout import find_tiles
    from competitions.etci_flood.data.tiles import write_tile_arrays

    found = find_tiles(data)
    write_tile_arrays(out, found.labelled, [], lambda _: None)


def read_in_a_loop(data: Path, out: Path) -> None:
    """The plain loop: open every layer of a tile with Pillow, keep it, stack all, save."""
    from PIL import Image

    from competitions.etci_flood.data.layout import find_tiles

    layers: dict[str, list[UInt8]] = {name: [] for name in ("vv", "vh", "flood_label", "water_body_label")}
    for tile in find_tiles(data).labelled:
        for name, kept in layers.items():
            image = np.array(Image.open(tile.files[name]).convert("RGB"))[:, :, 0]
            kept.append((image > 127).astype(np.uint8) if name.endswith("label") else image)
    out.mkdir(exist_ok=True)
    for name, kept in layers.items():
        np.save(out / f"{name}.npy", np.stack(kept))
        _sync(out / f"{name}.npy")


def compose_in_a_loop(data: Path, out: Path) -> None:
    """The paper's preparation as a loop: normalise, make the composite of VV, VH and ratio, save a tile."""
    from PIL import Image

    from competitions.etci_flood.data.layout import find_tiles

    out.mkdir(exist_ok=True)
    for tile in find_tiles(data).labelled:
        vv, vh = (np.array(Image.open(tile.files[name]).convert("RGB"))[:, :, 0] for name in ("vv", "vh"))
        masks = [
            np.array(Image.open(tile.files[f"{name}_label"]).convert("L")) for name in ("flood", "water_body")
        ]
        vv, vh = vv.astype(np.float32), vh.astype(np.float32)
        composite = np.stack([(vv - 128) / 90, (vh - 128) / 90, (vv - vh) / 90])
        np.savez(out / f"{tile.key}.npz", image=composite, masks=np.stack(masks) > 127)
    for file in out.iterdir():
        _sync(file)


def _sync(file: Path) -> None:
    """Wait until a file is on disk, as ours are when the clock stops."""
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def reading(temp_dir: Path) -> list[Comparison]:
    """A thousand tiles, four images each; both sides have written all of it to disk when the clock stops."""
    data = many_tiles(sample_tiles(temp_dir / "data"), temp_dir / "many", FEW_TILES)
    read_into_arrays(data, temp_dir / "ours")
    read_in_a_loop(data, temp_dir / "plain")
    for ours, plain in (("vv", "vv"), ("vh", "vh"), ("flood", "flood_label"), ("water", "water_body_label")):
        same = np.array_equal(
            np.load(temp_dir / f"ours/{ours}.npy"), np.load(temp_dir / f"plain/{plain}.npy")
        )
        if not same:
            raise AssertionError(f"the two read different {ours}")
    task = f"read {FEW_TILES:,} tiles of 4 pictures"
    work = ("threads into memory-mapped bytes", partial(read_into_arrays, data, temp_dir / "ours"))
    return [
        compare(
            SLUG,
            task,
            ours=work,
            peer=(
                "Pillow loop, stacked and saved as bytes",
                partial(read_in_a_loop, data, temp_dir / "plain"),
            ),
            target="at least 3x faster",
            runs=3,
            note="ours also finds no-data tiles and noisy labels, and makes histograms",
        ),
        compare(
            SLUG,
            task,
            ours=work,
            peer=(
                "Pillow loop, a file of composite and masks a tile",
                partial(compose_in_a_loop, data, temp_dir / "tiles"),
            ),
            target="at least 3x faster",
            runs=3,
            note="the peer saves normalised composites, which ours makes when a tile is sampled",
        ),
    ]


def many_tiles(data: Path, many: Path, number: int) -> Path:
    """An official folder of `number` labelled tiles: links to the sample's images."""
    from competitions.etci_flood.data.layout import TileKey, find_tiles

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


def memory(temp_dir: Path) -> list[Comparison]:
    """As many tiles as the official training split has, next to a thousand."""
    data = sample_tiles(temp_dir / "data")
    many = many_tiles(data, temp_dir / "many", OFFICIAL_TILES)
    few = many_tiles(data, temp_dir / "few", FEW_TILES)
    return [
        compare_processes(
            SLUG,
            f"read {OFFICIAL_TILES:,} tiles of 4 pictures",
            ours=("threads into memory-mapped bytes", partial(read_into_arrays, many, temp_dir / "all")),
            peer=(f"the same with {FEW_TILES:,} tiles", partial(read_into_arrays, few, temp_dir / "part")),
            target="bounded memory",
            runs=1,
            note=f"sample images linked many times; {OFFICIAL_TILES * 262144 / 1e9:.1f} GB are written",
        )
    ]
