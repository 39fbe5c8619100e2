"""The report's figures: maps of test tiles, a stitched scene, OOF IoU by scene and by threshold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch
from PIL import Image

from common.base.paths import WorkPaths
from common.learn.arrays import AnyArray, Bools, Float64, UInt8
from common.report.evaluation import stage_record
from common.run.competition import Figure, Finished
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.data.tiles import TileArrays, open_tile_arrays
from competitions.etci_flood.decision.thresholds import DEFAULT_THRESHOLD, threshold_of
from competitions.etci_flood.rules.metric import overlaps, pooled_iou
from competitions.etci_flood.rules.submission import read_truth

Decision = Mapping[str, Any]
"""The thresholds of stage 2."""

TILES_SHOWN = 4
MAX_TILES = 2000
"""Held-out tiles, evenly spread, that the shown ones are chosen from."""
MAX_BYTES = 200_000
WATER_BLUE, HIT, MISSED, FALSE_ALARM, PAPER = "#1f6fd0", "#2a9d8f", "#e9a820", "#d1495b", "#f4f1ea"
BASELINES = {
    "linear_rule": ("best VV/VH rule", "#5c6670"),
    "vv_threshold": ("best VV threshold", "#8a939c"),
    "water_mask": ("permanent water", "#c3cdd6"),
}


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw all figures of a finished experiment into `out`."""
    mpl.rcParams["font.size"] = 9
    settings = COMPETITION.recorded_experiment(finished.records[-1])
    arrays = open_tile_arrays(WorkPaths(finished.work).processed(settings.processed_folder()))
    maps = np.load(finished.work / finished.experiment / "test.npy", mmap_mode="r")
    pooled = stage_record(finished, "out_of_fold")
    decision = pooled.decision if pooled else {"threshold": DEFAULT_THRESHOLD}
    truth = read_truth(finished.truth)[0] if finished.truth else None
    figures = [
        _test_tiles(arrays, maps, decision, truth, out),
        _scene_figure(arrays, maps, decision, out),
    ]
    folder = finished.work / finished.experiment
    scenes = pd.read_csv(folder / "oof_scenes.csv")
    if len(scenes):
        folds = [folder / f"fold{fold}" for fold in range(settings.folds)]
        figures.append(_held_out_tiles(arrays, folds, decision, out))
        figures.append(_scene_bars(scenes, out))
        figures.append(_threshold_curve(pd.read_csv(folder / "oof_thresholds.csv"), decision, out))
    return figures


@dataclass(frozen=True)
class _Shown:
    """One row of a figure of tiles."""

    row: int
    """Of the processed table."""
    probability: UInt8
    """x 255."""
    truth: UInt8 | None


def _test_tiles(
    arrays: TileArrays, maps: UInt8, decision: Decision, truth: UInt8 | None, out: Path
) -> Figure:
    """Test tiles; without truth the probability is shown instead of label and error."""
    tiles = arrays.tiles[~arrays.tiles["labelled"]].reset_index()
    masks: Iterable[AnyArray]
    if truth is not None:
        masks = truth
    else:
        pairs = zip(maps, tiles["scene"], strict=True)
        masks = (probability >= threshold_of(decision, scene) for probability, scene in pairs)
    chosen = _informative_tiles(
        tiles["scene"].to_numpy(), np.array([np.asarray(mask).mean() for mask in masks])
    )
    shown = [
        _Shown(int(tiles["index"][tile]), np.asarray(maps[tile]), None if truth is None else truth[tile])
        for tile in chosen
    ]
    caption = "Sentinel-1 backscatter of test tiles and the predicted flood (blue)."
    if truth is not None:
        caption += " Error: green true positive, yellow false negative, red false positive."
    path = _draw_tiles(arrays, shown, decision, out / "test_tiles.png")
    return Figure(path, "Flood maps of test tiles", caption)


def _held_out_tiles(arrays: TileArrays, folds: list[Path], decision: Decision, out: Path) -> Figure:
    """OOF maps of labelled tiles, one with suspected label noise among them."""
    held_out = [
        (int(row), folder / "oof.npy", place)
        for folder in folds
        for place, row in enumerate(pd.read_parquet(folder / "oof_tiles.parquet")["row"])
    ]
    held_out = held_out[:: -(-len(held_out) // MAX_TILES)]
    rows = np.array([row for row, _, _ in held_out])
    tiles = arrays.tiles.loc[rows]
    noisy = tiles["noisy_pixels"].to_numpy()
    share = np.array([float(np.asarray(arrays.flood[row]).mean()) for row in rows])
    picked = _informative_tiles(tiles["scene"].to_numpy(), np.where(noisy > 0, -1.0, share))
    if (noisy > 0).any():
        picked = [*picked[:-1], int(noisy.argmax())]
    shown = []
    for tile in picked:
        row, file, place = held_out[tile]
        shown.append(
            _Shown(row, np.array(np.load(file, mmap_mode="r")[place]), np.asarray(arrays.flood[row]))
        )
    caption = "Each tile was predicted by a model that was not trained on it. "
    caption += "Error: green true positive, yellow false negative, red false positive."
    if (noisy > 0).any():
        caption += " The label of the last tile is suspected noise: its flood is as bright as dry land."
    path = _draw_tiles(arrays, shown, decision, out / "oof_tiles.png")
    return Figure(path, "OOF flood maps", caption)


def _draw_tiles(arrays: TileArrays, shown: list[_Shown], decision: Decision, path: Path) -> Path:
    """Columns VV, VH, label, prediction, error; without truth VV, VH, probability, prediction."""
    with_truth = all(tile.truth is not None for tile in shown)
    titles = ["VV", "VH", "flood label", "prediction", "error"]
    if not with_truth:
        titles = ["VV", "VH", "probability", "prediction"]
    canvas = Canvas(figsize=(1.75 * len(titles) + 0.25, 1.78 * len(shown) + 0.55), layout="constrained")
    axes = canvas.subplots(len(shown), len(titles), squeeze=False)
    for row, tile in zip(axes, shown, strict=True):
        known = arrays.tiles.loc[tile.row]
        predicted = tile.probability >= threshold_of(decision, str(known["scene"]))
        images: list[tuple[Any, dict[str, Any]]] = [
            (_smaller(layer[tile.row], 2), _GREY) for layer in (arrays.vv, arrays.vh)
        ]
        if tile.truth is None:
            images += [(tile.probability, {"cmap": "Blues", "vmin": 0, "vmax": 255}), (predicted, _BLUE)]
        else:
            error = _error(predicted, tile.truth)
            images += [(tile.truth, _BLUE), (predicted, _BLUE), (error, _ERROR)]
            iou = float(pooled_iou(overlaps([predicted.astype(np.uint8)], [tile.truth])))
            row[-1].set_xlabel(f"IoU {iou:.2f}", fontsize=7.5)
        for axis, (image, style) in zip(row, images, strict=True):
            axis.imshow(np.asarray(image), interpolation="nearest", **style)
            axis.set_xticks([])
            axis.set_yticks([])
        region, _, when = str(known["scene"]).rpartition("_")
        place = f"{when[:8]}  row {known['x']}, column {known['y']}"
        row[0].set_ylabel(f"{region}\n{place}", fontsize=6.5)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    if with_truth:
        colours = {"true positive": HIT, "false negative": MISSED, "false positive": FALSE_ALARM}
        handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
        canvas.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    return _save(canvas, path)


_GREY = {"cmap": "gray", "vmin": 0, "vmax": 255}
_BLUE = {"cmap": ListedColormap([PAPER, WATER_BLUE]), "vmin": 0, "vmax": 1}
_ERROR = {"cmap": ListedColormap([PAPER, HIT, MISSED, FALSE_ALARM]), "vmin": 0, "vmax": 3}


def _error(predicted: Bools, truth: UInt8) -> UInt8:
    """0 true negative, 1 true positive, 2 false negative, 3 false positive."""
    flood = truth > 0
    return np.select([predicted & flood, flood, predicted], [1, 2, 3], 0).astype(np.uint8)


def _informative_tiles(scenes: AnyArray, flood_fraction: Float64) -> list[int]:
    """Tiles whose flood share is closest to a third, alternating between scenes; deterministic."""
    ranked = np.argsort(np.abs(flood_fraction - 0.33), kind="stable")
    turns = [[tile for tile in ranked if scenes[tile] == scene] for scene in np.unique(scenes)]
    longest = max(map(len, turns))
    dealt = [int(turn[place]) for place in range(longest) for turn in turns if place < len(turn)]
    return dealt[:TILES_SHOWN]


def _scene_figure(arrays: TileArrays, maps: UInt8, decision: Decision, out: Path) -> Figure:
    """The test scene with the most tiles, stitched: backscatter, without and with the predicted flood."""
    tiles = arrays.tiles[~arrays.tiles["labelled"]].reset_index()
    scene = tiles["scene"].value_counts(sort=True).index[0]
    chosen = tiles[tiles["scene"] == scene]
    top, left = chosen["x"].min(), chosen["y"].min()
    rows, columns = chosen["x"].max() - top + 1, chosen["y"].max() - left + 1
    step = max(2, -(-int(max(rows, columns)) * arrays.side // 1000))
    side = arrays.side // step
    grey = np.full((rows * side, columns * side), 235, np.uint8)
    flood = np.zeros_like(grey, dtype=bool)
    for place, tile in chosen.iterrows():
        top_left = (tile["x"] - top) * side, (tile["y"] - left) * side
        window = tuple(slice(start, start + side) for start in top_left)
        grey[window] = _smaller(arrays.vv[tile["index"]], step)
        flood[window] = _smaller(maps[place], step) >= threshold_of(decision, str(scene))
    plain = np.repeat(grey[..., None], 3, axis=2)
    painted = plain.copy()
    painted[flood] = np.rint(_under_water(grey[flood] / 255) * 255).astype(np.uint8)
    gap = np.full((len(plain), 12, 3), 255, np.uint8)
    path = out / "test_scene.png"
    _save_small(Image.fromarray(np.concatenate([plain, gap, painted], axis=1)), path)
    caption = f"{scene}: VV backscatter of its test tiles, without and with the predicted flood."
    caption += " Gaps are light grey."
    return Figure(path, "A test scene, stitched", caption)


def _scene_bars(scenes: pd.DataFrame, out: Path) -> Figure:
    """IoU of each scene, model and baselines."""
    shown = scenes.sort_values("iou", ascending=False)
    series = {"iou": ("model", WATER_BLUE), **BASELINES}
    canvas = Canvas(figsize=(7, 0.8 + 0.6 * len(shown)), layout="constrained")
    axis = canvas.subplots()
    thick = 0.8 / len(series)
    for place, (column, (label, colour)) in enumerate(series.items()):
        positions = np.arange(len(shown)) + (place - 1) * thick
        bars = axis.barh(positions, shown[column], height=thick * 0.92, color=colour, label=label)
        axis.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    names = [f"{scene}  ({tiles} tiles)" for scene, tiles in zip(shown["scene"], shown["tiles"], strict=True)]
    axis.set_yticks(np.arange(len(shown)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.08)
    axis.set_xlabel("flood IoU, OOF")
    axis.spines[["top", "right"]].set_visible(False)
    canvas.legend(loc="outside upper right", ncols=len(series), frameon=False, fontsize=8)
    caption = (
        "Each scene, or band of a scene, was predicted by a model that was not trained on it. "
        "The VV threshold and the linear rule are tuned on the same tiles."
    )
    return Figure(_save(canvas, out / "oof_scenes.png"), "OOF IoU by scene", caption)


def _threshold_curve(curve: pd.DataFrame, decision: Decision, out: Path) -> Figure:
    """Pooled IoU against the probability threshold."""
    canvas = Canvas(figsize=(4.6, 2.8), layout="constrained")
    axis = canvas.subplots()
    axis.plot(curve["threshold"], curve["iou"], color=WATER_BLUE)
    chosen = decision["threshold"] / 255
    axis.axvline(chosen, color=FALSE_ALARM, linewidth=1)
    axis.annotate(f" chosen: {chosen:.2f}", (chosen, 0.05), color=FALSE_ALARM, fontsize=8)
    axis.set(xlabel="probability threshold", ylabel="pooled IoU, OOF", xlim=(0, 1), ylim=(0, 1))
    axis.spines[["top", "right"]].set_visible(False)
    caption = "The threshold of the submission has the highest OOF IoU, noisy-label tiles left out."
    own = decision.get("scene_thresholds", {})
    if own:
        listed = ", ".join(f"{scene} {threshold / 255:.2f}" for scene, threshold in own.items())
        caption += f" Scenes with many labelled tiles have their own: {listed}."
    return Figure(_save(canvas, out / "oof_threshold.png"), "Probability threshold", caption)


def _save(canvas: Canvas, path: Path) -> Path:
    """Write as PNG with a palette, because speckle does not compress and the page embeds every figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=130)
    with Image.open(path) as image:
        _save_small(image.convert("RGB"), path)
    return path


def _save_small(image: Image.Image, path: Path) -> None:
    """Write a PNG of less than 200 kB, with fewer greys first, then fewer pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for greys, scale in ((48, 1.0), (32, 1.0), (24, 0.85), (16, 0.7), (16, 0.5), (16, 0.35)):
        size = (round(image.width * scale), round(image.height * scale))
        small = image.resize(size, Image.Resampling.LANCZOS) if scale < 1 else image
        small.quantize(palette=_palette(greys), dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            return


def _palette(greys: int) -> Image.Image:
    """Greys, the figures' colours, and their blends with paper, black and white."""
    colours = np.array([mpl.colors.to_rgb(name) for name in (WATER_BLUE, HIT, MISSED, FALSE_ALARM, PAPER)])
    grounds = np.array([[0.0] * 3, [1.0] * 3, mpl.colors.to_rgb(PAPER)])
    blends = [colours[:4] * (1 - share) + ground * share for ground in grounds for share in (0.25, 0.5, 0.75)]
    water = [_under_water(grey) for grey in np.linspace(0, 1, 16)]
    bars = [mpl.colors.to_rgb(colour) for _, colour in BASELINES.values()]
    entries = np.concatenate([np.linspace(0, 1, greys)[:, None].repeat(3, 1), colours, *blends, water, bars])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(entries * 255).astype(np.uint8).tobytes())
    return palette


def _under_water(grey: Any) -> Float64:
    """Predicted flood blended over backscatter (0 to 1), (..., 3)."""
    return 0.35 * np.asarray(grey)[..., None] + 0.65 * np.array(mpl.colors.to_rgb(WATER_BLUE))


def _smaller(image: UInt8, step: int) -> UInt8:
    """Means of step x step pixels, (height / step, width / step): fewer pixels and less speckle."""
    side = image.shape[0] // step * step
    blocks = np.asarray(image)[:side, :side].reshape(side // step, step, side // step, step)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)
