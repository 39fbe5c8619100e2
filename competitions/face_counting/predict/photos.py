"""Photos of the user's own: read in batches, and drawn with their boxes."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from common.base import atomic
from common.base.errors import InputError
from common.base.paths import display_path, readable_folder
from common.files.pictures import UnreadablePictureError, open_rgb
from common.learn.arrays import Float32, UInt8
from competitions.face_counting.data.stored_pictures import StoredPictures

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
BATCH = 16
"""Photos in memory at once."""
MAX_SIDE = 2048
"""Side in px to which larger photos are reduced before detection: this limits memory."""
BOX, EDGE = "#5dff9b", "#000000"

Photos = Path | str | Sequence[Path | str]
"""A folder, a file or several files."""


@dataclass(frozen=True)
class Photo:
    """One photo, upright, RGB."""

    name: str
    """Path below the folder."""
    pixels: UInt8
    """(height, width, 3), at most MAX_SIDE px per side."""
    scale: float
    """Side of the file over the side of `pixels`."""


def photo_files(photos: Photos) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files: sorted for a folder, else in the order given.

    Raises
    ------
    InputError : something does not exist, or a folder holds no JPEG, PNG or WebP file.
    """
    if isinstance(photos, (str, Path)):
        if not Path(photos).expanduser().is_file():
            return _files_below(Path(photos))
        photos = [photos]
    files = [Path(photo).expanduser().absolute() for photo in photos]
    if not files:
        raise InputError("no photos given; expected a folder, a file or a list of files")
    for file in files:
        if not file.is_file():
            raise InputError(f"{display_path(file)}: no such photo")
    return Path(os.path.commonpath([file.parent for file in files])), files


def _files_below(folder: Path) -> tuple[Path, list[Path]]:
    folder = readable_folder(folder, "the folder of photos")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{display_path(folder)}: holds no photos; expected files {', '.join(SUFFIXES)}")
    return folder, found


def read_photos(folder: Path, files: list[Path], warn: Callable[[str], None]) -> Iterator[list[Photo]]:
    """Photos in batches; threads decode the next batch while the last is used.

    Parameters
    ----------
    warn : called with one line for each unreadable photo, which is left out.
    """
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(_open, path, folder) for path in files[:BATCH]]
        for start in range(BATCH, len(files) + BATCH, BATCH):
            batch = waiting
            waiting = [threads.submit(_open, path, folder) for path in files[start : start + BATCH]]
            photos = []
            for future in batch:
                try:
                    photos.append(future.result())
                except UnreadablePictureError as fault:
                    warn(str(fault))
            if photos:
                yield photos


def _open(path: Path, folder: Path) -> Photo:
    picture = open_rgb(path)
    longest = max(picture.size)
    if longest > MAX_SIDE:
        picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    scale = longest / max(picture.size)
    return Photo(path.relative_to(folder).as_posix(), np.asarray(picture), scale)


def as_stored(photos: list[Photo]) -> StoredPictures:
    """Photos in the form of the official pictures: concatenated pixels, without labelled boxes."""
    sizes = [photo.pixels.size for photo in photos]
    table = pd.DataFrame(
        {
            "Name": [photo.name for photo in photos],
            "width": [photo.pixels.shape[1] for photo in photos],
            "height": [photo.pixels.shape[0] for photo in photos],
            "offset": np.cumsum([0, *sizes[:-1]]),
            "head_count": -1,
        }
    )
    return StoredPictures(table, np.concatenate([photo.pixels.ravel() for photo in photos]), {})


def save_drawing(folder: Path, photo: Photo, count: float, boxes: Float32) -> Path:
    """Write the photo with its boxes (faces, 4) and count to `<folder>/<name>.jpg`, e.g. a.png.jpg."""
    drawing = Image.fromarray(photo.pixels)
    draw_boxes(drawing, boxes)
    text = f"{count:.1f}"
    font = ImageFont.load_default(max(14, max(drawing.size) // 30))
    draw = ImageDraw.Draw(drawing)
    draw.rectangle(draw.textbbox((6, 4), text, font), fill=EDGE)
    draw.text((6, 4), text, fill=BOX, font=font)
    path = folder / f"{photo.name}.jpg"
    with atomic.atomic_write(path) as partial:
        drawing.save(partial, quality=90)
    return path


def draw_boxes(picture: Image.Image, boxes: Float32) -> None:
    """Draw boxes (n, 4) in px on a picture."""
    draw = ImageDraw.Draw(picture)
    thick = max(2, max(picture.size) // 300)
    for x0, y0, x1, y1 in boxes.tolist():
        # A dark line on both sides of the bright one shows on any background.
        draw.rectangle([x0, y0, max(x0, x1), max(y0, y1)], outline=EDGE, width=thick + 2)
        if x1 - x0 > 2 and y1 - y0 > 2:
            draw.rectangle([x0 + 1, y0 + 1, x1 - 1, y1 - 1], outline=BOX, width=thick)
