"""Face counting: photos a second, and the article's picture sets.

    python -m benchmarks.face_counting [detection] [picture_sets]

Reads nothing: the photos are drawn, and a YOLOv5n is trained on some of them for a minute, so that there are
boxes to be found.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torchvision.ops import box_iou

from benchmarks.side_by_side import Comparison, benchmark_command, compare
from common.base.console import log
from common.files.pictures import read_rgb
from common.learn.seeding import seed_everything
from competitions.face_counting.data.official_tables import BOX_COLUMNS, training_boxes
from competitions.face_counting.data.picture_sets import (
    Placement,
    half_size,
    has_half_copy,
    placement_of,
    render,
)
from competitions.face_counting.detection.boxes import found_in
from competitions.face_counting.experiment import (
    AugmentationSettings,
    CountingSettings,
    DetectorSettings,
    PictureSet,
    PictureSettings,
    TrainingSettings,
)
from competitions.face_counting.models.augmentation import TrainingCanvases
from competitions.face_counting.models.base import build_detector
from competitions.face_counting.models.openvino import CompiledDetector
from competitions.face_counting.models.training import train_detector
from competitions.face_counting.models.yolo import Yolo, quiet_ultralytics
from competitions.face_counting.predict.photos import OwnPicture, as_stored
from competitions.face_counting.sample.sample_data import write_sample_data

SLUG = "face_counting"
SEED = 2021
SIZE = (640, 448)
"""Sides in px of photos that neither side scales or pads: both look at the same pixels."""
CONFIDENCE, OVERLAP, MOST = 0.25, 0.7, 300
"""What ultralytics' predict does by default."""
TOGETHER = 60
SETS: tuple[PictureSet, ...] = ("stretched", "white_canvas", "white_canvas_half_copies")
CANVAS = 640

Boxes = dict[str, npt.NDArray[np.float64]]


def drawn_pictures(folder: Path) -> Path:
    """Sample data in the official layout."""
    folder.mkdir()
    write_sample_data(folder, SEED, 1.0)
    return folder


# ---- photos a second


def detection(folder: Path) -> list[Comparison]:
    """Our batches through OpenVINO against ultralytics' predict, called file by file with its defaults."""
    data = drawn_pictures(folder / "data")
    photos = folder / "photos"
    photos.mkdir()
    files = []
    for path in sorted((data / "image_data").iterdir())[:120]:
        files.append(photos / path.name)
        Image.fromarray(read_rgb(path)).resize(SIZE).save(files[-1], quality=90)
    network = _trained(data, folder)
    ours = partial(_our_boxes, files, CompiledDetector(network, _counting()))
    peer = partial(_peer_boxes, files, _ultralytics(network))
    _same_boxes(ours(), peer())
    return [
        compare(
            SLUG,
            f"boxes of {len(files)} JPEG photos of {SIZE[0]} x {SIZE[1]} px, YOLOv5n, float32",
            ours=("OpenVINO, a canvas a thread, decoded and drawn ahead", ours),
            peer=("ultralytics predict, file by file", peer),
            target="at least 2x faster",
            note="same weights, thresholds and threads; boxes agree to an IoU of 0.99",
        )
    ]


def _counting() -> CountingSettings:
    return CountingSettings(floor=CONFIDENCE, loose_overlap=OVERLAP)


def _trained(data: Path, folder: Path) -> Yolo:
    """A YOLOv5n that finds most drawn faces."""
    seed_everything(SEED)
    boxes = {str(name): own[BOX_COLUMNS].to_numpy() for name, own in training_boxes(data).groupby("Name")}
    stored = as_stored([OwnPicture(name, read_rgb(data / "image_data" / name), 1.0) for name in boxes])
    stored.pictures["head_count"] = [len(own) for own in boxes.values()]
    stored = type(stored)(stored.pictures, stored.pixels, boxes)
    network = build_detector(DetectorSettings(size="n"))
    canvases = TrainingCanvases(stored, PictureSettings(canvas=320), AugmentationSettings(), SEED)
    training = TrainingSettings(epochs=8, batch=4, optimizer="adam", learning_rate=0.002, momentum=0.9)
    network, _ = train_detector(network, canvases, training, SEED, folder / "training", "cpu", "YOLOv5n")
    network.eval()
    if not isinstance(network, Yolo):
        raise TypeError(type(network))
    return network


def _our_boxes(files: list[Path], detector: CompiledDetector) -> list[npt.NDArray[np.float32]]:
    pictures = PictureSettings(canvas=CANVAS, tight=True)
    boxes = []
    with ThreadPoolExecutor(2) as threads:
        read = threads.map(read_rgb, files)
        for start in range(0, len(files), TOGETHER):
            batch = [OwnPicture(path.name, next(read), 1.0) for path in files[start : start + TOGETHER]]
            table = found_in(detector.detect, as_stored(batch), pictures, "ours")
            by_name = dict(iter(table.groupby("Name")))
            for picture in batch:
                own = by_name.get(picture.name)
                boxes.append(
                    np.zeros((0, 4), np.float32) if own is None else own[BOX_COLUMNS].to_numpy()[:MOST]
                )
    return boxes


def _ultralytics(network: Yolo) -> Any:
    """ultralytics' own front end around the same weights."""
    with quiet_ultralytics():
        from ultralytics import YOLO

        front = YOLO("yolov5n.yaml")
    # The front end builds 80 classes; it is handed the network of one.
    own = build_detector(DetectorSettings(size="n"))
    own.load_state_dict(network.state_dict())
    assert isinstance(own, Yolo)  # noqa: S101
    own.network.names = {0: "face"}
    own.network.args = {}  # type: ignore[assignment]
    front.model = own.network.eval()  # type: ignore[assignment]
    return front


def _peer_boxes(files: list[Path], front: Any) -> list[npt.NDArray[np.float32]]:
    return [front.predict(str(path), verbose=False, device="cpu")[0].boxes.xyxy.numpy() for path in files]


def _same_boxes(ours: list[npt.NDArray[np.float32]], peer: list[npt.NDArray[np.float32]]) -> None:
    """Raise ValueError when the two sides do not find the same boxes."""
    found = 0
    for one, two in zip(ours, peer, strict=True):
        found += len(one)
        if len(one) != len(two):
            raise ValueError(f"{len(one)} and {len(two)} boxes")
        if len(one):
            best = box_iou(torch.from_numpy(one), torch.from_numpy(two)).max(dim=1).values
            if best.min() < 0.99:
                raise ValueError(f"boxes agree to an IoU of {float(best.min()):.3f} only")
    if found < len(ours):
        raise ValueError(f"{found} boxes on {len(ours)} photos: too few to compare")
    log(f"both sides find the same {found} boxes on {len(ours)} photos")


# ---- picture sets


def picture_sets(folder: Path) -> list[Comparison]:
    """All three picture sets with their boxes, ours and as a plain Pillow loop makes them."""
    data = drawn_pictures(folder / "data")
    boxes = {str(name): own[BOX_COLUMNS].to_numpy() for name, own in training_boxes(data).groupby("Name")}
    files = [data / "image_data" / name for name in boxes]
    ours, peer = partial(_our_sets, files, boxes), partial(_pillow_sets, files, boxes)
    for one, two in zip(ours(), peer(), strict=True):
        np.testing.assert_allclose(one, two, atol=0.51)  # half of odd sides is rounded in other places
    return [
        compare(
            SLUG,
            f"the three picture sets of {len(files)} JPEG pictures with their boxes, canvas {CANVAS}",
            ours=("decoded once, OpenCV, boxes as arrays", ours),
            peer=("Pillow loop, decoded for every set, box by box", peer),
            target="at least 2x faster",
            note="bilinear on both sides; boxes agree within a pixel",
        )
    ]


def _our_sets(files: list[Path], boxes: Boxes) -> list[npt.NDArray[np.float64]]:
    with ThreadPoolExecutor(2) as threads:
        return [each for made in threads.map(partial(_our_picture, boxes), files) for each in made]


def _our_picture(boxes: Boxes, path: Path) -> list[npt.NDArray[np.float64]]:
    picture, own = read_rgb(path), boxes[path.name]
    height, width = picture.shape[:2]
    made = []
    for name in SETS:
        placements: list[Placement] = [placement_of(name, width, height, CANVAS)]
        if has_half_copy(name, len(own)):
            placements.append(half_size(placements[0], CANVAS))
        for placement in placements:
            render(picture, placement, CANVAS)
            made.append(np.asarray(placement.to_canvas(own), dtype=np.float64))
    return made


def _pillow_sets(files: list[Path], boxes: Boxes) -> list[npt.NDArray[np.float64]]:
    made = []
    for path in files:
        for name in SETS:
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            width, height = picture.size
            if name == "stretched":
                canvas = picture.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
                scale_x, scale_y, left, top = CANVAS / width, CANVAS / height, 0, 0
            else:
                scale_x = scale_y = 1.0
                left, top = (CANVAS - width) // 2, (CANVAS - height) // 2
                canvas = Image.new("RGB", (CANVAS, CANVAS), "white")
                canvas.paste(picture, (left, top))
            np.asarray(canvas)
            moved = []
            for x0, y0, x1, y1 in boxes[path.name].tolist():
                moved.append(
                    [x0 * scale_x + left, y0 * scale_y + top, x1 * scale_x + left, y1 * scale_y + top]
                )
            made.append(np.array(moved))
            if name == SETS[2] and len(moved) <= 5:
                half = canvas.resize((CANVAS // 2, CANVAS // 2), Image.Resampling.BILINEAR)
                copy = Image.new("RGB", (CANVAS, CANVAS), "white")
                copy.paste(half, (CANVAS // 4, CANVAS // 4))
                np.asarray(copy)
                made.append(np.array([[value / 2 + CANVAS // 4 for value in box] for box in moved]))
    return made


if __name__ == "__main__":
    benchmark_command(__doc__, {"detection": detection, "picture_sets": picture_sets})
