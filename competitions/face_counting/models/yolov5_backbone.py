"""Backbone and neck of YOLOv5 without a head: feature maps of three strides for other detectors."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from competitions.face_counting.models.quiet_ultralytics import detection_model

STRIDES = (8, 16, 32)
SIZES = ("n", "s", "m", "l", "x")
WEIGHTS = ("yolov5{size}_coco_sd", "yolov5{size}", "yolov5{size}u")
"""File names of COCO weights: these layers did not change since 2021, so weights of either variant fit."""


class Yolov5Features(nn.Module):
    """ultralytics' layers up to the head, of a YOLOv5 n, s, m, l or x."""

    channels: list[int]
    """Of the feature maps, finest first."""

    def __init__(self, size: str | None) -> None:
        super().__init__()
        layers = list(detection_model(f"yolov5{size}", classes=1).model)
        self.layers = nn.ModuleList(layers[:-1])
        self.sources = [layer.f for layer in layers]
        self.channels = [branch[0].conv.in_channels for branch in layers[-1].cv2]

    def forward(self, pixels: torch.Tensor) -> "OrderedDict[str, torch.Tensor]":
        """Pixels (batch, 3, height, width) from 0 to 1 -> maps (batch, channels, rows, columns)."""
        kept: list[torch.Tensor] = []
        for layer, source in zip(self.layers, self.sources, strict=False):
            # `source`: -1 for the layer before, the number of an earlier layer, or a list of both.
            if source == -1:
                given: Any = kept[-1] if kept else pixels
            elif isinstance(source, int):
                given = kept[source]
            else:
                given = [kept[-1] if place == -1 else kept[place] for place in source]
            kept.append(layer(given))
        return OrderedDict((str(level), kept[place]) for level, place in enumerate(self.sources[-1]))

    def state_key(self, foreign: str) -> str:
        """Names of ultralytics' state dicts, with or without `model.`."""
        return f"layers.{foreign.removeprefix('model.')}"
