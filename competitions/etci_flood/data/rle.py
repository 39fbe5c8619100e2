"""Run-length encoding (RLE) of masks, `start length ...`: counted from 1, column-major, as on Kaggle."""

import numpy as np

from common.base.errors import InputError
from common.learn.arrays import UInt8


def encode_mask(mask: UInt8) -> str:
    """Run lengths of a (height, width) mask; empty when no pixel is set."""
    pixels = np.concatenate([[0], np.asarray(mask).ravel(order="F") > 0, [0]]).astype(np.int8)
    # A zero on both ends, so that every run has a rise and a fall; rises and falls alternate.
    borders = np.flatnonzero(np.diff(pixels)) + 1
    starts, ends = borders[::2], borders[1::2]
    return " ".join(f"{start} {end - start}" for start, end in zip(starts, ends, strict=True))


def decode_mask(runs: str, shape: tuple[int, int]) -> UInt8:
    """The (height, width) uint8 mask of run lengths; InputError when they do not fit the shape."""
    parts = runs.split()
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise InputError(f"run lengths {runs[:40]!r}: expected whole numbers")
    numbers = np.array(parts, dtype=np.int64)
    if len(numbers) % 2:
        raise InputError(f"run lengths {runs[:40]!r}: expected pairs of start and length")
    mask = np.zeros(shape[0] * shape[1], dtype=np.uint8)
    end_before = 1
    for start, length in numbers.reshape(-1, 2):
        if start < end_before or length < 1 or start - 1 + length > mask.size:
            raise InputError(f"run lengths: run {start} {length} overlaps or leaves the {shape} mask")
        mask[start - 1 : start - 1 + length] = 1
        end_before = start + length
    return mask.reshape(shape, order="F")
