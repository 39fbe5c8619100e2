"""Anybody's photos: read from a folder, counted, and shown with boxes."""

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from common.base import atomic
from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path, readable_folder
from common.files.pictures import UnreadablePictureError, open_rgb
from competitions.face_counting.data.stored_pictures import StoredPictures

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
TOGETHER = 16
"""Pictures in memory at once."""
LARGEST_SIDE = 2048
"""Side in px to which larger photos are brought before detection: bounds memory, not boxes."""
BOX, EDGE = "#5dff9b", "#000000"


@dataclass(frozen=True)
class OwnPicture:
    """One photo, upright, RGB."""

    name: str
    """Path below the folder."""
    pixels: npt.NDArray[np.uint8]
    """(height, width, 3), at most LARGEST_SIDE px a side."""
    scale: float
    """Sides of the photo are that many times as long."""


@dataclass(frozen=True)
class CountedPicture:
    """What was found on one photo."""

    name: str
    count: float
    """By the counting rule; real-valued."""
    boxes: npt.NDArray[np.float32]
    """(faces, 4) boxes in px of the upright photo that are worth at least half a face."""


Count = Callable[[StoredPictures], list[tuple[float, npt.NDArray[np.float32]]]]
"""Pictures -> for each its count and the boxes (faces, 4) to show, in px."""


def picture_files(folder: Path) -> list[Path]:
    """All JPEG, PNG and WebP files below a folder, sorted; InputError when there are none."""
    folder = readable_folder(folder, "the folder of pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{display_path(folder)}: holds no pictures; expected files {', '.join(SUFFIXES)}")
    return found


def count_pictures(folder: Path, out: Path, count: Count, save_pictures: bool) -> list[str]:
    """Count the faces of all photos below `folder`.

    Writes `out`/counts.csv with Name, HeadCount (real-valued), Faces (boxes shown), and with `save_pictures`
    each photo with its boxes to `out`/pictures/.

    Returns
    -------
    One line for each photo that could not be read; it has no row.

    Raises
    ------
    InputError : no photos, or none that can be read.
    """
    files = picture_files(folder)
    folder = folder.expanduser().absolute()
    unreadable: list[str] = []
    counted: list[CountedPicture] = []
    batches = _read(files, folder, unreadable)
    for pictures in progress(batches, "counting faces", "batch", -(-len(files) // TOGETHER)):
        stored = as_stored(pictures)
        for picture, (number, boxes) in zip(pictures, count(stored), strict=True):
            counted.append(CountedPicture(picture.name, number, (boxes * picture.scale).astype(np.float32)))
            if save_pictures:
                _save(out / "pictures", picture, number, boxes)
    if not counted:
        raise InputError(
            f"{display_path(folder)}: none of {len(files)} pictures can be read ({unreadable[0]})"
        )
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["Name", "HeadCount", "Faces"])
    rows.writerows([each.name, round(each.count, 2), len(each.boxes)] for each in counted)
    atomic.write_text(out / "counts.csv", text.getvalue())
    return unreadable


def as_stored(pictures: list[OwnPicture]) -> StoredPictures:
    """Photos as a detector takes the official pictures: end to end, without boxes."""
    sizes = [picture.pixels.size for picture in pictures]
    table = pd.DataFrame(
        {
            "Name": [picture.name for picture in pictures],
            "width": [picture.pixels.shape[1] for picture in pictures],
            "height": [picture.pixels.shape[0] for picture in pictures],
            "offset": np.cumsum([0, *sizes[:-1]]),
            "head_count": -1,
        }
    )
    return StoredPictures(table, np.concatenate([picture.pixels.ravel() for picture in pictures]), {})


def _read(files: list[Path], folder: Path, unreadable: list[str]) -> Iterator[list[OwnPicture]]:
    """Photos in batches, decoded in threads while the batch before is looked at."""
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(_open, path, folder) for path in files[:TOGETHER]]
        for start in range(0, len(files), TOGETHER):
            batch, waiting = (
                waiting,
                [
                    threads.submit(_open, path, folder)
                    for path in files[start + TOGETHER : start + 2 * TOGETHER]
                ],
            )
            pictures = []
            for future in batch:
                try:
                    pictures.append(future.result())
                except UnreadablePictureError as fault:
                    unreadable.append(str(fault))
            if pictures:
                yield pictures


def _open(path: Path, folder: Path) -> OwnPicture:
    picture = open_rgb(path)
    longest = max(picture.size)
    if longest > LARGEST_SIDE:
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    scale = longest / max(picture.size)
    return OwnPicture(path.relative_to(folder).as_posix(), np.asarray(picture), scale)


def _save(folder: Path, picture: OwnPicture, number: float, boxes: npt.NDArray[np.float32]) -> None:
    """The photo with its boxes, as JPEG (the suffix is kept in the name: a.png and a.jpg differ)."""
    drawing = Image.fromarray(picture.pixels)
    draw_boxes(drawing, boxes)
    text = f"{number:.1f}"
    font = ImageFont.load_default(max(14, max(drawing.size) // 30))
    draw = ImageDraw.Draw(drawing)
    draw.rectangle(draw.textbbox((6, 4), text, font), fill=EDGE)
    draw.text((6, 4), text, fill=BOX, font=font)
    path = folder / f"{picture.name}.jpg"
    with atomic.atomic_write(path) as partial:
        drawing.save(partial, quality=90)


def draw_boxes(picture: Image.Image, boxes: npt.NDArray[np.float32]) -> None:
    """Draw boxes (n, 4) in px on a picture."""
    draw = ImageDraw.Draw(picture)
    thick = max(2, max(picture.size) // 300)
    for x0, y0, x1, y1 in boxes.tolist():
        # Dark on both sides of the bright line: it shows on any background.
        draw.rectangle([x0, y0, max(x0, x1), max(y0, y1)], outline=EDGE, width=thick + 2)
        if x1 - x0 > 2 and y1 - y0 > 2:
            draw.rectangle([x0 + 1, y0 + 1, x1 - 1, y1 - 1], outline=BOX, width=thick)
