"""How every command ends: 0, 2 with one line for a fault of the input, 130 when it was stopped."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from common.base.console import log
from common.base.errors import explain_fault

STOPPED = 130
BAD_INPUT = 2
STOPPED_LINE = "stopped; the same command goes on from here"


CACHES = {
    "MPLCONFIGDIR": "matplotlib",
    "KERAS_HOME": "keras",
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    "YOLO_CONFIG_DIR": "ultralytics",
}
"""What libraries write to the home folder or to TMPDIR otherwise; a variable that is set stays."""


def keep_caches_in(folder: Path) -> None:
    """Have libraries that are imported later keep their caches in `folder`."""
    for variable, name in CACHES.items():
        os.environ.setdefault(variable, str(folder / name))


def run_command(work: Callable[[], object]) -> int:
    """Call `work` and return the exit code: its own number, else 0.

    A bug keeps its traceback. A reader that goes away (`| head`) ends the command without a word.
    """
    try:
        result = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        log(STOPPED_LINE, error=True)
        return STOPPED
    except BrokenPipeError:
        # Python flushes standard output once more at its end; there is nobody to read it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:
        line = explain_fault(fault)
        if line is None:
            raise
        log(f"error: {line}", error=True)
        return BAD_INPUT
    return result if isinstance(result, int) else 0
