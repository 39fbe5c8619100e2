"""Backbone and neck of YOLOv5, without a head: maps of three strides for whatever looks for faces in them."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.yolo import quiet_ultralytics

STRIDES = (8, 16, 32)


class Yolov5Features(nn.Module):
    """ultralytics' layers up to the head; they did not change since 2021, so COCO weights of either fit."""

    channels: list[int]
    """Of the maps, finest first."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        with quiet_ultralytics():
            from ultralytics.nn.tasks import DetectionModel

            whole: Any = DetectionModel(f"yolov5{settings.size}.yaml", ch=3, nc=1, verbose=False)
        layers = list(whole.model)
        self.layers = nn.ModuleList(layers[:-1])
        self.sources = [layer.f for layer in layers]
        self.channels = [branch[0].conv.in_channels for branch in layers[-1].cv2]

    def forward(self, pixels: torch.Tensor) -> "OrderedDict[str, torch.Tensor]":
        """(batch, 3, height, width) from 0 to 1 to (batch, channels, height / stride, width / stride)."""
        kept: list[torch.Tensor] = []
        for layer, source in zip(self.layers, self.sources, strict=False):
            if source == -1:
                given: Any = kept[-1] if kept else pixels
            elif isinstance(source, int):
                given = kept[source]
            else:
                given = [kept[-1] if place == -1 else kept[place] for place in source]
            kept.append(layer(given))
        return OrderedDict((str(level), kept[place]) for level, place in enumerate(self.sources[-1]))

    def own_name(self, foreign: str) -> str:
        """Names of ultralytics' state dicts, with or without `model.`."""
        return f"layers.{foreign.removeprefix('model.')}"
