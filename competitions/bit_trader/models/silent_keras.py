"""Keras on tensorflow, imported without the lines that tensorflow prints before its log level counts."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send what C++ writes to stderr nowhere; Python's exceptions pass as ever."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _silent_stderr():
    import keras
    import tensorflow

logging.getLogger("tensorflow").setLevel(logging.ERROR)

__all__ = ["keras", "tensorflow"]
