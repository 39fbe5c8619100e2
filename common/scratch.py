"""Folders of unfinished work: they outlive a kill, and two processes never share one."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from common.errors import InputError


def fresh_scratch(scratch: Path, signature: str) -> bool:
    """Keep unfinished work of the same signature (True), wipe any other (False)."""
    marker = scratch / "signature"
    if marker.is_file() and marker.read_text() == signature:
        return any(path != marker for path in scratch.iterdir())
    for path in scratch.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    marker.write_text(signature)
    return False


@contextlib.contextmanager
def one_at_a_time(scratch: Path, title: str) -> Iterator[None]:
    """Hold the unit's scratch folder; InputError when another process is at the same work."""
    scratch.mkdir(parents=True, exist_ok=True)
    handle = os.open(scratch, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{title}: another process is at the same work; wait for it or stop it"
            ) from None
        yield
    except BaseException:
        # Nothing half-written stays: an empty scratch folder says nothing, and goes.
        if scratch.is_dir() and {path.name for path in scratch.iterdir()} <= {"signature"}:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    finally:
        os.close(handle)
