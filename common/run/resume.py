"""Folders of unfinished work: they outlive a kill, and two processes never share one."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from common.base.errors import InputError


def prepare_resume_dir(folder: Path, inputs_hash: str) -> bool:
    """Keep unfinished work of the same inputs_hash (True), wipe any other (False)."""
    marker = folder / "inputs_hash"
    if marker.is_file() and marker.read_text() == inputs_hash:
        return any(path != marker for path in folder.iterdir())
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    marker.write_text(inputs_hash)
    return False


@contextlib.contextmanager
def file_lock(folder: Path, title: str) -> Iterator[None]:
    """Hold the unit's folder folder; InputError when another process is at the same work."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{title}: another process is at the same work; wait for it or stop it"
            ) from None
        yield
    except BaseException:
        # Nothing half-written stays: an empty folder folder says nothing, and goes.
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"inputs_hash"}:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(handle)
