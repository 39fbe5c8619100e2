"""ultralytics imported without network access, installs, reports or a settings file in the user's home."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

ENVIRONMENT = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


@contextlib.contextmanager
def quiet_ultralytics() -> Iterator[None]:
    """Import ultralytics inside this block."""
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("YOLO_CONFIG_DIR")
        os.environ["YOLO_CONFIG_DIR"] = folder
        try:
            yield
            from ultralytics import settings

            settings.update(sync=False)
        finally:
            if before is None:
                del os.environ["YOLO_CONFIG_DIR"]
            else:
                os.environ["YOLO_CONFIG_DIR"] = before


def detection_model(name: str, classes: int) -> Any:
    """ultralytics' DetectionModel of `<name>.yaml` with random weights."""
    with quiet_ultralytics():
        from ultralytics.nn.tasks import DetectionModel

        return DetectionModel(f"{name}.yaml", ch=3, nc=classes, verbose=False)
