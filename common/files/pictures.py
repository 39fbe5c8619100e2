"""Pictures read from disk, corrupt ones told apart from missing ones."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.base.paths import display_path

FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "DIB", "WEBP", "AVIF", "JPEG2000", "PPM", "TGA", "HEIF")
"""Pillow's names of what is decoded; JPEG includes MPO. Others start programs (EPS) or hardly occur."""
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
PILLOW_SUFFIXES = """
    .jpg .jpeg .jpe .jfif .mpo .png .apng .gif .tif .tiff .bmp .dib .webp .avif .jp2 .j2k .jpx
    .ppm .pgm .pbm .pnm .tga
"""
PICTURE_SUFFIXES = frozenset(PILLOW_SUFFIXES.split()) | (HEIF_SUFFIXES if find_spec("pillow_heif") else set())
"""Endings of the files that are read, in lower case."""
MAX_PIXELS = 128_000_000
"""Larger pictures are refused by their header: some kilobytes can hold gigabytes of one colour."""
MAX_PIXELS_AT_ONCE = 256_000_000
"""Pixels that all threads together decode at a time."""
BIT_DEPTHS = (8, 10, 12, 14, 16, 24, 31, 32)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the picture upright (CIPA DC-008, tag 0x0112)."""
ORIENTATION = 0x0112


# Pillow warns of odd metadata, and of sizes that are checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class UnreadablePictureError(Exception):
    """A picture that is missing, cut short or no picture; the message is one line."""


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Read (height, width, 3) uint8 RGB, EXIF rotation applied, or raise UnreadablePictureError."""
    return np.asarray(open_rgb(path))


def open_rgb(path: Path, at_least: int = 0) -> Image.Image:
    """Read a decoded RGB Pillow image, upright as its EXIF orientation says.

    Greyscale, alpha (on white), CMYK and palettes are converted. Pictures of more than 8 bits are scaled by
    the bit depth that their largest value needs (8, 10, 12, 14, 16, ...), pictures of floats by 1 or 255.

    Parameters
    ----------
    at_least : a JPEG may be decoded at a half, a quarter or an eighth of its size, which is faster, as long
        as both sides keep so many pixels; 0 decodes all.

    Raises
    ------
    UnreadablePictureError : the file is missing, no picture of `FORMATS`, cut short, or larger than
        `MAX_PIXELS`.
    """
    try:
        return _decode(path, at_least)
    except FileNotFoundError:
        raise UnreadablePictureError(f"{display_path(path)}: no such picture") from None
    except ImportError:
        # ultralytics, once imported, has Image.open ask for a HEIF reader when it cannot identify a file.
        raise UnreadablePictureError(f"{display_path(path)}: unreadable picture (unknown format)") from None
    except Exception as fault:
        # Decoders answer damaged files with errors of any kind (struct.error, IndexError, zlib.error, ...).
        reason = (str(fault) or type(fault).__name__)[:100]
        if isinstance(fault, Image.UnidentifiedImageError):
            reason = "unknown format"
        raise UnreadablePictureError(f"{display_path(path)}: unreadable picture ({reason})") from None


def _decode(path: Path, at_least: int) -> Image.Image:
    if path.suffix.lower() in HEIF_SUFFIXES and find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(path, formats=known) as picture:
        if at_least:
            picture.draft(None, (at_least, at_least))
        pixels = picture.width * picture.height
        if pixels > MAX_PIXELS:
            size = f"{picture.width} x {picture.height} pixels"
            raise ValueError(f"{size}; at most {MAX_PIXELS // 1_000_000} megapixels are read")
        with _decoding(pixels):
            picture.load()
            upright = _eight_bits(picture)
            turn = _turn(picture)
            if turn is not None:
                upright = upright.transpose(turn)
            if upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
                layer = upright.convert("RGBA")
                white = Image.new("RGBA", layer.size, "white")
                return Image.alpha_composite(white, layer).convert("RGB")
            return upright.convert("RGB")


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """What turns the picture upright; None as well when its metadata cannot be read."""
    try:
        return TURNS.get(int(picture.getexif().get(ORIENTATION, 1)))
    except Exception:  # metadata of any damage; the pixels are there
        return None


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Greyscale of 16 or 32 bits, or of floats, as 8 bits; other pictures as they are.

    Pillow's own conversion cuts off at 255, which leaves a white picture.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture)
    if not np.isfinite(values).all():
        raise ValueError("values that are no numbers")
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F":
        full_scale = next((scale for scale in (1.0, 255.0, 65535.0) if high <= scale), None)
    else:
        full_scale = next((2.0**bits - 1 for bits in BIT_DEPTHS if high <= 2.0**bits - 1), None)
    if low < 0 or full_scale is None:
        raise ValueError(f"values from {low:g} to {high:g} are on no scale of grey")
    return Image.fromarray(np.round(values * (255.0 / full_scale)).astype(np.uint8))


_free = threading.Condition()
_in_flight = [0]


@contextmanager
def _decoding(pixels: int) -> Iterator[None]:
    """Wait until the pixels that other threads decode leave room for these."""
    with _free:
        _free.wait_for(lambda: not _in_flight[0] or _in_flight[0] + pixels <= MAX_PIXELS_AT_ONCE)
        _in_flight[0] += pixels
    try:
        yield
    finally:
        with _free:
            _in_flight[0] -= pixels
            _free.notify_all()
