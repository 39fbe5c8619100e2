"""Photos of the user's own: found, read in batches of limited memory, and drawn with their boxes."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from common.base import atomic
from common.base.console import printable
from common.base.errors import InputError
from common.base.paths import LOCKS, display_path, readable_folder
from common.files.folder_listing import list_files
from common.files.pictures import PICTURE_SUFFIXES, UnreadablePictureError, open_rgb
from common.learn.arrays import Floats, UInt8
from competitions.face_counting.data.stored_pictures import StoredPictures

BATCH = 16
"""Photos in memory at once, at most."""
BATCH_PIXELS = 24_000_000
"""Of the photos in memory at once; a single photo may have more."""
MAX_PIXELS = 50_000_000
"""Larger photos are reduced to so many."""
UNKNOWN_PIXELS = 12_000_000
"""Of a photo whose header does not say its size."""
MAX_DRAWN_SIDE = 2048
"""Side in px to which photos are reduced when they are drawn."""
MAX_NAME_BYTES = 180
"""Longer names of drawn pictures are cut short; file systems allow 255 bytes."""
RESULT = "counts"
"""Stem of a result's table and run.json; its folder holds nothing but results."""
BOX, EDGE = "#5dff9b", "#000000"
ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")

Photos = Path | str | Sequence[Path | str]
"""A folder, a file or several files."""


@dataclass(frozen=True)
class PhotoFiles:
    """The photos that the user named."""

    folder: Path
    """Names are relative to it."""
    files: list[Path]
    """Sorted for a folder, else in the order given."""
    left_out: str = ""
    """What else lies in the folder, by number."""


@dataclass(frozen=True)
class Photo:
    """One photo, upright, RGB."""

    name: str
    """Path below the folder, as `photo_name` writes it."""
    pixels: UInt8
    """(height, width, 3), at most MAX_PIXELS."""
    scale: float
    """Side of the file over the side of `pixels`."""


def find_photos(photos: Photos) -> PhotoFiles:
    """The files of a folder and its sub-folders, or those given.

    Folders of earlier results and work folders are left out, as well as hidden ones and links to folders.

    Raises
    ------
    InputError : something does not exist, or a folder holds no picture that can be read.
    """
    if isinstance(photos, (str, Path)):
        if not Path(photos).expanduser().is_file():
            return _photos_below(readable_folder(Path(photos), "the folder of photos"))
        photos = [photos]
    files = [Path(photo).expanduser().absolute() for photo in photos]
    if not files:
        raise InputError("no photos given; expected a folder, a file or a list of files")
    for file in files:
        if not file.is_file():
            raise InputError(f"{display_path(file)}: no such photo")
    return PhotoFiles(Path(os.path.commonpath([file.parent for file in files])), files)


def _photos_below(folder: Path) -> PhotoFiles:
    listing = list_files(folder, PICTURE_SUFFIXES, recursive=True)
    results = {folder: False}
    files = [file for file in listing.files if not _is_result(file.parent, results)]
    if len(files) < len(listing.files):
        listing.left_out["pictures of this program's own results"] = len(listing.files) - len(files)
    if not files:
        raise InputError(
            f"{display_path(folder)}: holds no photos ({listing.sentence() or 'it is empty'}); expected "
            f"files {', '.join(sorted(PICTURE_SUFFIXES))}"
        )
    return PhotoFiles(folder, files, listing.sentence())


def _is_result(folder: Path, known: dict[Path, bool]) -> bool:
    """Whether a folder lies in one that this program wrote; `known` holds the folder of photos itself."""
    if folder not in known:
        marks = (f"{RESULT}.run.json", f"{RESULT}.resume", LOCKS)
        known[folder] = any((folder / mark).exists() for mark in marks) or _is_result(folder.parent, known)
    return known[folder]


def photo_name(path: Path, folder: Path) -> str:
    r"""Path below the folder in printable UTF-8.

    Bytes that are no UTF-8 and control characters become `\xe9`, a backslash becomes two; `photo_path` is the
    inverse. Other names stay as they are.
    """
    name = path.relative_to(folder).as_posix().replace("\\", "\\\\")
    escaped = ""
    for char in name:
        if "\udc80" <= char <= "\udcff":
            escaped += f"\\x{ord(char) - 0xDC00:02x}"
        elif char < " " or "\x7f" <= char <= "\x9f":
            escaped += "".join(f"\\x{byte:02x}" for byte in char.encode())
        else:
            escaped += char
    return escaped


def photo_path(name: str, folder: Path) -> Path:
    """The file of a name in counts.csv."""
    raw = ESCAPE.sub(
        lambda found: b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)]), name.encode()
    )
    return folder / os.fsdecode(raw)


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height in px by the header; (0, 0) when that cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except Exception:  # damaged headers raise errors of any kind; the reader names them later
        return 0, 0


def read_photos(
    folder: Path, files: list[Path], sizes: list[tuple[int, int]], warn: Callable[[str], None]
) -> Iterator[list[Photo]]:
    """Photos in batches; threads decode the next batch while the last is used.

    Parameters
    ----------
    sizes : of each file, by `photo_size`; they limit how many are decoded at a time.
    warn : called with one line for each unreadable photo, which is left out.
    """
    with ThreadPoolExecutor() as threads:
        waiting: list[Future[Photo]] = []
        for batch in _batches(files, sizes):
            ready, waiting = waiting, [threads.submit(_open, path, folder) for path in batch]
            yield from _finished(ready, warn)
        yield from _finished(waiting, warn)


def _batches(files: list[Path], sizes: list[tuple[int, int]]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    pixels = 0
    for file, (width, height) in zip(files, sizes, strict=True):
        own = min(MAX_PIXELS, width * height or UNKNOWN_PIXELS)
        if batch and (len(batch) == BATCH or pixels + own > BATCH_PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(file)
        pixels += own
    if batch:
        yield batch


def _finished(futures: "list[Future[Photo]]", warn: Callable[[str], None]) -> Iterator[list[Photo]]:
    photos = []
    for future in futures:
        try:
            photos.append(future.result())
        except UnreadablePictureError as fault:
            warn(printable(str(fault)))
    if photos:
        yield photos


def _open(path: Path, folder: Path) -> Photo:
    picture = open_rgb(path)
    longest = max(picture.size)
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        factor = (MAX_PIXELS / pixels) ** 0.5
        sides = (max(1, int(side * factor)) for side in picture.size)
        picture = picture.resize((next(sides), next(sides)), Image.Resampling.BOX)
    return Photo(photo_name(path, folder), np.asarray(picture), longest / max(picture.size))


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


def save_drawing(folder: Path, photo: Photo, count: float, boxes: Floats) -> Path:
    """Write the photo with its boxes (faces, 4) and count to `<folder>/<name>.jpg`, e.g. a.png.jpg.

    Long names are cut short and end with a hash.
    """
    drawing = Image.fromarray(photo.pixels)
    longest = max(drawing.size)
    if longest > MAX_DRAWN_SIDE:
        drawing.thumbnail((MAX_DRAWN_SIDE, MAX_DRAWN_SIDE))
        boxes = boxes * (max(drawing.size) / longest)
    draw_boxes(drawing, boxes)
    text = f"{count:.1f}"
    font = ImageFont.load_default(max(14, max(drawing.size) // 30))
    draw = ImageDraw.Draw(drawing)
    draw.rectangle(draw.textbbox((6, 4), text, font), fill=EDGE)
    draw.text((6, 4), text, fill=BOX, font=font)
    path = folder / drawing_name(photo.name)
    with atomic.atomic_write(path) as partial:
        drawing.save(partial, quality=90)
    return path


def drawing_name(name: str) -> str:
    """Path of a drawn photo below the folder of drawn photos."""
    parts = []
    for part in name.split("/"):
        if len(part.encode()) > MAX_NAME_BYTES:
            start = part.encode()[: MAX_NAME_BYTES - 20].decode(errors="ignore")
            part = f"{start}-{hashlib.sha256(part.encode()).hexdigest()[:12]}"
        parts.append(part)
    return f"{'/'.join(parts)}.jpg"


def draw_boxes(picture: Image.Image, boxes: Floats) -> None:
    """Draw boxes (n, 4) in px on a picture."""
    draw = ImageDraw.Draw(picture)
    thick = max(2, max(picture.size) // 300)
    for x0, y0, x1, y1 in boxes.tolist():
        # A dark line on both sides of the bright one shows on any background.
        draw.rectangle([x0, y0, max(x0, x1), max(y0, y1)], outline=EDGE, width=thick + 2)
        if x1 - x0 > 2 and y1 - y0 > 2:
            draw.rectangle([x0 + 1, y0 + 1, x1 - 1, y1 - 1], outline=BOX, width=thick)
