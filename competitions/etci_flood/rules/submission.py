"""The official submission: `submission.zip` with `submission.npy`, uint8 (tiles, 256, 256), 1 = flood."""

import csv
import io
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import AnyArray, UInt8
from common.run.competition import Score
from competitions.etci_flood.data.layout import submission_order
from competitions.etci_flood.data.rle import encode_mask
from competitions.etci_flood.data.tile_format import find_format
from competitions.etci_flood.rules.metric import mean_tile_iou, overlaps, pooled_iou

MEMBER = "submission.npy"
_CHUNK = 2**24
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
    OSError, struct.error,
)  # fmt: skip
MAX_HEADER = 10_000
"""Size of an array's header that is read; that of a submission has some hundred bytes."""


def write_archive(path: Path, masks: AnyArray) -> None:
    """Write `masks` as the official archive, whole or not at all; the same masks give the same bytes.

    `numpy.save` is called as the organisers do: allow_pickle=False, and fix_imports=True, which is its
    default and by now deprecated to be passed.
    """
    member = zipfile.ZipInfo(MEMBER, date_time=_EARLIEST)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    with (
        atomic_write(path) as partial,
        zipfile.ZipFile(partial, "w") as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        np.save(file, masks, allow_pickle=False)


def write_rle_table(path: Path, tiles: Sequence[str], masks: AnyArray) -> None:
    """Write `tile,rle`, the same masks run-length encoded."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["tile", "rle"])
        writer.writerows([tile, encode_mask(mask)] for tile, mask in zip(tiles, masks, strict=True))


def submission_faults(submission: Path, data: Path) -> list[str]:
    """Every breach of the official format, one line each; bounded in memory.

    Raises
    ------
    InputError : the submission does not exist, or the data folder holds no test tiles.
    """
    tiles = submission_order(data)
    side = find_format(tiles).side
    shape = (len(tiles), side, side)
    if not submission.is_file():
        raise InputError(f"{display_path(submission)}: no such submission file")
    if not zipfile.is_zipfile(submission):
        return [f"not a zip archive, or cut short; expected a zip with one member, {MEMBER}"]
    try:
        with zipfile.ZipFile(submission) as archive:
            names = archive.namelist()
            faults = [f"unexpected member {name!r}; expected only {MEMBER}" for name in _extra(names)]
            if MEMBER not in names:
                return [*faults, f"has no {MEMBER}; expected it at the top of the archive"]
            with archive.open(MEMBER) as file:
                return faults + _array_faults(file, shape)
    except _BROKEN as fault:
        return [f"the archive is damaged: {str(fault)[:100] or type(fault).__name__}"]


def read_archive(submission: Path, shape: tuple[int, ...]) -> UInt8:
    """Read the masks of a submission.

    Raises
    ------
    InputError : they cannot be read, or are no uint8 of `shape`, which is known before any value is read.
    """
    try:
        with zipfile.ZipFile(submission) as archive, archive.open(MEMBER) as file:
            found, in_columns, dtype = _header(file)
            if dtype != np.uint8 or found != shape:
                raise InputError(
                    f"{display_path(submission)}: {dtype} {found}, but the truth is uint8 {shape}; they do "
                    "not belong together"
                )
            size = math.prod(shape)
            content = file.read(size + 1)
            if len(content) != size:
                raise ValueError(f"its header promises {size} bytes of values, it has others")
            return np.frombuffer(content, np.uint8).reshape(shape, order="F" if in_columns else "C")
    except FileNotFoundError:
        raise InputError(f"{display_path(submission)}: no such submission file") from None
    except (*_BROKEN, KeyError) as fault:
        raise InputError(
            f"{display_path(submission)}: not a readable submission ({str(fault)[:100]}); "
            f"`python -m competitions validate` lists every fault"
        ) from None


def score_submission(submission: Path, truth: Path) -> Score:
    """Flood IoU of a submission, pooled; per scene and the mean per tile as details.

    Raises
    ------
    InputError : submission and truth do not belong together.
    """
    flood, scenes = read_truth(truth)
    masks = read_archive(submission, flood.shape)
    others = _other_values(masks)
    if others:
        raise InputError(
            f"{display_path(submission)}: holds {others}; expected masks, 1 = flood, 0 = not; "
            "`python -m competitions validate` lists every fault"
        )
    tiles = overlaps(masks, flood)
    details = {f"IoU {scene}": float(pooled_iou(tiles[scenes == scene])) for scene in np.unique(scenes)}
    return Score(float(pooled_iou(tiles)), {"mean IoU per tile": mean_tile_iou(tiles), **details})


def read_truth(truth: Path) -> tuple[UInt8, npt.NDArray[np.str_]]:
    """Masks of the test split in submission order, and the scene of each from tiles.csv next to them."""
    table = truth.with_name("tiles.csv")
    try:
        flood = np.load(truth, mmap_mode="r", allow_pickle=False)
        with table.open(encoding="utf-8", newline="") as file:
            scenes = np.array([row["scene"] for row in csv.DictReader(file)])
    except (ValueError, EOFError, KeyError, UnicodeDecodeError) as fault:
        raise InputError(
            f"{display_path(truth)}: not readable as truth with tiles.csv in its folder: {fault}"
        ) from None
    if flood.ndim != 3 or len(flood) != len(scenes):
        raise InputError(
            f"{display_path(truth)}: shape {flood.shape}, but {display_path(table)} lists {len(scenes)} tiles"
        )
    if flood.dtype != np.uint8 and flood.dtype != bool:
        raise InputError(f"{display_path(truth)}: holds {flood.dtype}; expected uint8, 1 = flood, 0 = not")
    others = _other_values(flood)
    if others:
        raise InputError(f"{display_path(truth)}: holds {others}; expected masks, 1 = flood, 0 = not")
    return flood, scenes


def _other_values(masks: AnyArray) -> str:
    """Values other than 0 and 1, the first few; empty when there are none."""
    seen = np.zeros(256, bool)
    for mask in masks:
        seen[np.asarray(mask, np.uint8)] = True
    others = [str(value) for value in np.flatnonzero(seen) if value > 1]
    return ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")


def _extra(names: list[str]) -> list[str]:
    first = names.index(MEMBER) if MEMBER in names else -1
    return [name for position, name in enumerate(names) if position != first]


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order by columns, and type of a .npy stream; ValueError when it has no header of numpy.save."""
    start = file.read(8)
    version = tuple(start[6:8])
    if start[:6] != np.lib.format.MAGIC_PREFIX or version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError("it does not begin as one")
    length = file.read(2 if version == (1, 0) else 4)
    size = int.from_bytes(length, "little")
    if size > MAX_HEADER:
        raise ValueError(f"its header has {size} bytes")
    text = io.BytesIO(length + file.read(size))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, in_columns, dtype = read(text)
    except Exception as fault:  # of the tokenizer, the parser, the types: a header can hold any text
        raise ValueError(f"its header cannot be read: {str(fault)[:80]}") from None
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"its shape is {str(shape)[:80]}")
    return shape, in_columns, dtype


def _array_faults(file: IO[bytes], shape: tuple[int, ...]) -> list[str]:
    """Faults of the .npy stream: its header, its values, its length. Reads as many bytes as `shape` has."""
    try:
        found, _, dtype = _header(file)
    except ValueError as fault:
        return [f"{MEMBER} is not an array of numpy.save: {str(fault)[:100]}"]
    if dtype.hasobject:
        return [f"{MEMBER} holds pickled objects; expected uint8, saved with allow_pickle=False"]
    faults = []
    if dtype != np.uint8:
        faults.append(f"{MEMBER} has dtype {str(dtype)[:60]}; expected uint8")
    if found != shape:
        faults.append(f"{MEMBER} has shape {str(found)[:60]}; expected {shape}, one mask for each test tile")
    if dtype.kind not in "biuf":
        return faults
    return faults + _value_faults(file, dtype, math.prod(found), math.prod(shape))


def _value_faults(file: IO[bytes], dtype: np.dtype[Any], promised: int, expected: int) -> list[str]:
    """Faults of the first `expected` values."""
    read = wrong = 0
    example = ""
    limit = min(promised, expected) * dtype.itemsize
    chunk = _CHUNK - _CHUNK % dtype.itemsize
    while read <= limit and (content := file.read(min(chunk, limit + 1 - read))):
        values = np.frombuffer(content[: len(content) - len(content) % dtype.itemsize], dtype)
        odd = values[(values != 0) & (values != 1)]
        example = example or (str(odd[0]) if len(odd) else "")
        wrong += len(odd)
        read += len(content)
    faults = []
    if wrong:
        faults.append(
            f"{MEMBER} has {wrong} values other than 0 and 1, {example} for one; 1 = flood, 0 = not"
        )
    if read < limit or (read > limit and promised <= expected):
        has = f"more than {limit}" if read > limit else str(read)
        faults.append(f"{MEMBER} has {has} bytes of values; its header promises {promised * dtype.itemsize}")
    return faults
