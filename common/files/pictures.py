"""Pictures read from disk, corrupt ones told apart from missing ones."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from common.base.paths import display_path


class UnreadablePictureError(Exception):
    """A picture that is missing, cut short or no picture; the message is one line."""


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Read (height, width, 3) uint8 RGB, EXIF rotation applied, or raise UnreadablePictureError."""
    return np.asarray(open_rgb(path))


def open_rgb(path: Path, at_least: int = 0) -> Image.Image:
    """Read a decoded RGB Pillow image; greyscale, alpha (on white), CMYK and palettes are converted.

    Parameters
    ----------
    at_least : a JPEG may be decoded at a half, a quarter or an eighth of its size, which is faster, as long
        as both sides keep so many pixels; 0 decodes all.
    """
    try:
        with Image.open(path) as picture:
            if at_least:
                picture.draft(None, (at_least, at_least))
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                layer = upright.convert("RGBA")
                white = Image.new("RGBA", layer.size, "white")
                return Image.alpha_composite(white, layer).convert("RGB")
            return upright.convert("RGB")
    except FileNotFoundError:
        raise UnreadablePictureError(f"{display_path(path)}: no such picture") from None
    except ImportError:
        # ultralytics, once imported, has Image.open ask for a HEIF reader when it cannot identify a file.
        raise UnreadablePictureError(f"{display_path(path)}: unreadable picture (unknown format)") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise UnreadablePictureError(
            f"{display_path(path)}: unreadable picture ({str(fault)[:100]})"
        ) from None
