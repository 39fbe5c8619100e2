"""Folders of unfinished work: they outlive a kill, and two processes never share one."""

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from common.base.atomic import write_text
from common.base.errors import InputError

MARKER = "inputs_hash"
SECONDS = "seconds"
SECONDS_BETWEEN_NOTES = 5.0


def prepare_resume_dir(folder: Path, inputs_hash: str) -> bool:
    """Keep unfinished work of the same inputs (True), wipe any other (False)."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if marker.is_file() and marker.read_text() == inputs_hash:
        return not _is_empty(folder)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    write_text(marker, inputs_hash)
    return False


def remove_empty_resume_dir(folder: Path) -> None:
    """Remove a resume folder that holds no work; nothing is left of a unit that failed at once."""
    if folder.is_dir() and _is_empty(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _is_empty(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} <= {MARKER, SECONDS}


@contextlib.contextmanager
def file_lock(path: Path, title: str) -> Iterator[None]:
    """Hold the lock file `path`, which is never deleted; InputError when another process holds it.

    The system releases the lock when its process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{title}: another process is at the same work; wait for it or stop it") from None
    try:
        yield
    finally:
        lock.release()


class Stopwatch:
    """Seconds of work on a unit, those of killed tries included.

    A thread notes them in the resume folder, so that a kill loses a few seconds of the count at most.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / SECONDS
        self.earlier = _noted(self.file)
        self.start = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._note, daemon=True)

    @property
    def seconds(self) -> float:
        """Until now."""
        return self.earlier + time.monotonic() - self.start

    def __enter__(self) -> "Stopwatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _note(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN_NOTES):
            with contextlib.suppress(OSError):  # a full disk must not end the work for this
                write_text(self.file, f"{self.seconds:.1f}")


def _noted(file: Path) -> float:
    try:
        return max(0.0, float(file.read_text()))
    except (OSError, ValueError):
        return 0.0
