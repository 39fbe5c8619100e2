"""Keras on tensorflow, imported without the lines that tensorflow prints before its log level applies."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard what C++ code writes to stderr; Python exceptions are unaffected."""
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
