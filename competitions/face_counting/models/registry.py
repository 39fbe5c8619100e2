"""The detectors that experiments.toml may name; each module of this room registers its own.

@DETECTORS.register("retinaface")
class RetinaFace(DenseDetector): ...
"""

from typing import Any

from common.run.registry import Registry

DETECTORS: Registry[Any] = Registry("competitions.face_counting.models", "DETECTORS", "detector")
"""Subclasses of models.base.FaceDetector, which needs torch and is not imported here."""
