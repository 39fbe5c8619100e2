"""Files that appear whole or not at all: written under another name, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PARTIAL = ".partial"
OLDER = ".older"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path in the same folder to write to; rename it to `path` when the block ends without an error.

    That name keeps the suffix of `path`, because many writers choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}{PARTIAL}{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder next to `path` to fill; rename it to `path` when the block ends without an error.

    An older folder of that name is kept until the new one has its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}{PARTIAL}")
    older = path.with_name(f".{path.name}{OLDER}")
    if older.exists() and not path.exists():
        older.rename(path)  # a kill between the two renames below
    for left in (partial, older):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            path.rename(older)
        partial.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if path.exists():
            shutil.rmtree(older, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Put the names in a folder on the disk, so that a power cut does not lose them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def atomic_array(
    path: Path, shape: tuple[int, ...], dtype: "npt.DTypeLike"
) -> Iterator["np.ndarray[Any, Any]"]:
    """Give a memory-mapped .npy array of `shape` and `dtype` to fill; `path` appears when the block ends.

    The disk space is claimed first, so that a full disk is an OSError here and no crash while writing.
    """
    import numpy as np

    with atomic_write(path) as partial:
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.dtype(dtype), shape=shape)
        if array.size:
            with partial.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
        yield array
        if isinstance(array, np.memmap):
            array.flush()
        del array
