"""Face counting: photos per second, the paper's three preprocessing modes, and photos of other sizes.

    python -m benchmarks.face_counting [detection] [preprocessing] [scales]

Reads nothing: the photos are drawn, and a YOLOv5n is trained on some of them for a minute, so that there are
boxes to find.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.ops import box_iou

from benchmarks.side_by_side import Comparison, benchmark_command, compare
from common.base.console import log
from common.files.pictures import read_rgb
from common.learn.arrays import Float32, Float64
from common.learn.seeding import seed_everything
from competitions.face_counting.data.official_tables import BOX_COLUMNS, training_boxes
from competitions.face_counting.data.placement import (
    Placement,
    half_scale,
    has_half_scale_copy,
    place,
    render,
)
from competitions.face_counting.decision.counting import as_decision
from competitions.face_counting.detection.boxes import boxes_table
from competitions.face_counting.experiment import (
    AugmentationSettings,
    CountingSettings,
    DetectorSettings,
    FaceCountingExperiment,
    InputSettings,
    Preprocessing,
    TrainingSettings,
)
from competitions.face_counting.models.augmentation import TrainingImages
from competitions.face_counting.models.factory import build_detector
from competitions.face_counting.models.openvino import CompiledDetector
from competitions.face_counting.models.quiet_ultralytics import quiet_ultralytics
from competitions.face_counting.models.training import train_detector
from competitions.face_counting.models.yolo import Yolo
from competitions.face_counting.predict.photos import Photo, as_stored
from competitions.face_counting.predict.predictor import DEFAULT_RULE, FaceCounter, Member
from competitions.face_counting.sample.sample_data import write_sample_data

SLUG = "face_counting"
SEED = 2021
SIZE = (640, 448)
"""Sides in px of photos that neither side scales or pads: both use the same pixels."""
SCORE_THRESHOLD, NMS_IOU, MAX_DETECTIONS = 0.25, 0.7, 300
"""Defaults of ultralytics' predict."""
BATCH = 60
MODES: tuple[Preprocessing, ...] = ("resize", "letterbox", "letterbox_half_scale")
IMAGE_SIZE = 640

Boxes = dict[str, Float64]


def drawn_pictures(folder: Path) -> Path:
    """Sample data in the official layout."""
    folder.mkdir()
    write_sample_data(folder, SEED, 1.0)
    return folder


# ---- photos per second


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
            ours=("OpenVINO, an image per thread, decoded and rendered ahead", ours),
            peer=("ultralytics predict, file by file", peer),
            target="at least 2x faster",
            note="same weights, thresholds and threads; boxes agree to an IoU of 0.99",
        )
    ]


def _counting() -> CountingSettings:
    return CountingSettings(score_threshold=SCORE_THRESHOLD, nms_iou=NMS_IOU)


def _trained(data: Path, folder: Path) -> Yolo:
    """A YOLOv5n that finds most drawn faces."""
    seed_everything(SEED)
    boxes = {str(name): own[BOX_COLUMNS].to_numpy() for name, own in training_boxes(data).groupby("Name")}
    stored = as_stored([Photo(name, read_rgb(data / "image_data" / name), 1.0) for name in boxes])
    stored.pictures["head_count"] = [len(own) for own in boxes.values()]
    stored = type(stored)(stored.pictures, stored.pixels, boxes)
    network = build_detector(DetectorSettings(size="n"))
    images = TrainingImages(stored, InputSettings(image_size=320), AugmentationSettings(), SEED)
    training = TrainingSettings(epochs=8, batch_size=4, optimizer="adamw", learning_rate=0.002, momentum=0.9)
    network, _ = train_detector(network, images, training, SEED, folder / "training", "cpu", "YOLOv5n")
    network.eval()
    if not isinstance(network, Yolo):
        raise TypeError(type(network))
    return network


def _our_boxes(files: list[Path], detector: CompiledDetector) -> list[Float32]:
    settings = InputSettings(image_size=IMAGE_SIZE, rect=True)
    boxes = []
    with ThreadPoolExecutor(2) as threads:
        read = threads.map(read_rgb, files)
        for start in range(0, len(files), BATCH):
            batch = [Photo(path.name, next(read), 1.0) for path in files[start : start + BATCH]]
            table = boxes_table(detector.detect, as_stored(batch), settings, "ours")
            by_name = dict(iter(table.groupby("Name")))
            for picture in batch:
                own = by_name.get(picture.name)
                found = np.zeros((0, 4), np.float32) if own is None else own[BOX_COLUMNS].to_numpy()
                boxes.append(found[:MAX_DETECTIONS])
    return boxes


def _ultralytics(network: Yolo) -> Any:
    """ultralytics' own front end around the same weights."""
    with quiet_ultralytics():
        from ultralytics import YOLO

        front = YOLO("yolov5n.yaml")
    # The front end builds 80 classes; it gets our network of one class.
    own = build_detector(DetectorSettings(size="n"))
    own.load_state_dict(network.state_dict())
    assert isinstance(own, Yolo)  # noqa: S101
    own.network.names = {0: "face"}
    own.network.args = {}
    front.model = own.network.eval()
    return front


def _peer_boxes(files: list[Path], front: Any) -> list[Float32]:
    return [front.predict(str(path), verbose=False, device="cpu")[0].boxes.xyxy.numpy() for path in files]


def _same_boxes(ours: list[Float32], peer: list[Float32]) -> None:
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


# ---- preprocessing


def preprocessing(folder: Path) -> list[Comparison]:
    """The three preprocessing modes with their boxes, ours and in a plain Pillow loop."""
    data = drawn_pictures(folder / "data")
    boxes = {str(name): own[BOX_COLUMNS].to_numpy() for name, own in training_boxes(data).groupby("Name")}
    files = [data / "image_data" / name for name in boxes]
    ours, peer = partial(_our_images, files, boxes), partial(_pillow_images, files, boxes)
    for one, two in zip(ours(), peer(), strict=True):
        np.testing.assert_allclose(one, two, atol=0.51)  # half of odd sides is rounded in other places
    return [
        compare(
            SLUG,
            f"three preprocessing modes of {len(files)} JPEG pictures with their boxes, {IMAGE_SIZE} px",
            ours=("decoded once, OpenCV, boxes as arrays", ours),
            peer=("Pillow loop, decoded for every mode, box by box", peer),
            target="at least 2x faster",
            note="bilinear on both sides; boxes agree within a pixel",
        )
    ]


def _our_images(files: list[Path], boxes: Boxes) -> list[Float64]:
    with ThreadPoolExecutor(2) as threads:
        return [each for made in threads.map(partial(_our_image, boxes), files) for each in made]


def _our_image(boxes: Boxes, path: Path) -> list[Float64]:
    picture, own = read_rgb(path), boxes[path.name]
    height, width = picture.shape[:2]
    made = []
    for mode in MODES:
        placements: list[Placement] = [place(mode, width, height, IMAGE_SIZE)]
        if has_half_scale_copy(mode, len(own)):
            placements.append(half_scale(placements[0], IMAGE_SIZE))
        for placement in placements:
            render(picture, placement, IMAGE_SIZE)
            made.append(np.asarray(placement.to_image(own), dtype=np.float64))
    return made


def _pillow_images(files: list[Path], boxes: Boxes) -> list[Float64]:
    made = []
    for path in files:
        for mode in MODES:
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            width, height = picture.size
            if mode == "resize":
                image = picture.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)
                scale_x, scale_y, left, top = IMAGE_SIZE / width, IMAGE_SIZE / height, 0, 0
            else:
                scale_x = scale_y = 1.0
                left, top = (IMAGE_SIZE - width) // 2, (IMAGE_SIZE - height) // 2
                image = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), "white")
                image.paste(picture, (left, top))
            np.asarray(image)
            moved = []
            for x0, y0, x1, y1 in boxes[path.name].tolist():
                moved.append(
                    [x0 * scale_x + left, y0 * scale_y + top, x1 * scale_x + left, y1 * scale_y + top]
                )
            made.append(np.array(moved))
            if mode == MODES[2] and len(moved) <= 5:
                half = image.resize((IMAGE_SIZE // 2, IMAGE_SIZE // 2), Image.Resampling.BILINEAR)
                copy = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), "white")
                copy.paste(half, (IMAGE_SIZE // 4, IMAGE_SIZE // 4))
                np.asarray(copy)
                made.append(np.array([[value / 2 + IMAGE_SIZE // 4 for value in box] for box in moved]))
    return made


# ---- photos of other sizes


def scales(folder: Path) -> list[Comparison]:
    """Collages, enlarged and reduced photos: counted in tiles, and whole at 640 px."""
    data = drawn_pictures(folder / "data")
    network = _trained(data, folder)
    settings = FaceCountingExperiment(name="drawn", input=InputSettings(rect=True))
    decision = as_decision(DEFAULT_RULE, mean_count=0.0, views=1)
    model = FaceCounter([[Member(network, settings)]], settings, decision, "cpu")
    sets = _composed(data, folder / "photos")
    found: dict[bool, list[str]] = {True: [], False: []}
    for title, (photos, faces) in sets.items():
        counts = {tiles: model.predict(photos, tiles, tell=_nothing)["HeadCount"].sum() for tiles in found}
        log(f"{title}: {faces} faces, {counts[True]:.0f} in tiles, {counts[False]:.0f} whole")
        for tiles, count in counts.items():
            found[tiles].append(f"{count:.0f} of {faces} ({title})")
    largest = sets["6 x 6 photos"][0]
    return [
        compare(
            SLUG,
            "faces of composed photos, and seconds for the 6 x 6 photos",
            ours=("whole, in tiles and reduced", partial(model.predict, largest, True, tell=_nothing)),
            peer=("whole at 640 px", partial(model.predict, largest, False, tell=_nothing)),
            target="at least 85 % of the faces",
            runs=1,
            note=f"in tiles {', '.join(found[True])}; whole {', '.join(found[False])}",
        )
    ]


def _nothing(line: str) -> None:
    """Says nothing of how photos are read."""


def _composed(data: Path, folder: Path) -> dict[str, tuple[list[Path], int]]:
    """Title -> photos and the number of their faces."""
    boxes = {str(name): own for name, own in training_boxes(data).groupby("Name")}
    names = list(boxes)
    pictures = {name: Image.fromarray(read_rgb(data / "image_data" / name)) for name in names[:36]}
    folder.mkdir()

    def saved(title: str, picture: Image.Image) -> Path:
        path = folder / f"{title}.png"
        picture.save(path)
        return path

    sets = {}
    for side in (2, 3, 6):
        chosen = names[: side * side]
        collage = Image.new("RGB", (612 * side, 612 * side), "white")
        for row, name in enumerate(chosen):
            collage.paste(pictures[name], (row % side * 612, row // side * 612))
        sets[f"{side} x {side} photos"] = (
            [saved(f"collage{side}", collage)],
            sum(len(boxes[n]) for n in chosen),
        )
    for factor in (0.5, 2.0):
        scaled = []
        for name in names[:12]:
            sides = [round(value * factor) for value in pictures[name].size]
            scaled.append(saved(f"{factor:g}-{name}", pictures[name].resize((sides[0], sides[1]))))
        sets[f"12 photos at {factor:g} times their size"] = scaled, sum(len(boxes[n]) for n in names[:12])
    return sets


if __name__ == "__main__":
    benchmark_command(__doc__, {"detection": detection, "preprocessing": preprocessing, "scales": scales})
