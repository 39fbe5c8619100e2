"""The YOLOv5 of 2021 with its COCO classes and anchors, as it is given: it finds persons.

A head that is turned away is a head to the labels of this challenge, and no face to a face detector; a person
it is all the same. Each person found stands for a head: the upper middle of its box.
"""

import torch
from torch import nn

from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import DenseDetector
from competitions.face_counting.models.yolov5_backbone import STRIDES, Yolov5Features

PERSON = 0
CLASSES = 80
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""Widths and heights in px at each stride, fitted to COCO by its authors."""
HEAD_WIDTH, HEAD_HEIGHT = 0.45, 0.35
"""Most of a person's box that its head takes; heads are a fifth higher than wide."""
HIGHER = 1.2


class ClassicYolov5(DenseDetector):
    """ultralytics' backbone and neck, which did not change, under the head of 2021."""

    any_size = True

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.features = Yolov5Features(settings)
        self.heads = nn.ModuleList(
            [nn.Conv2d(inside, 3 * (5 + CLASSES), 1) for inside in self.features.channels]
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One map a stride: (batch, 3 x 85, rows, columns), before the sigmoid."""
        maps = self.features(pixels).values()
        return tuple(head(each) for head, each in zip(self.heads, maps, strict=True))

    def decoded(
        self,
        outputs: list[torch.Tensor],
        height: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The head of every person, and how sure it is that there is a person."""
        boxes, scores = [], []
        for output, stride, sides in zip(outputs, STRIDES, ANCHORS, strict=True):
            batch, _, rows, columns = output.shape
            values = (
                output.float().view(batch, 3, 5 + CLASSES, rows, columns).permute(0, 1, 3, 4, 2).sigmoid()
            )
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            place = torch.stack((x, y), dim=-1).to(values)
            middle = (values[..., :2] * 2 - 0.5 + place) * stride
            side = (values[..., 2:4] * 2) ** 2 * torch.tensor(sides).to(values).view(1, 3, 1, 1, 2)
            boxes.append(torch.cat((middle - side / 2, middle + side / 2), dim=-1).reshape(batch, -1, 4))
            scores.append((values[..., 4] * values[..., 5 + PERSON]).reshape(batch, -1))
        return [
            (heads_of(own), sure)
            for own, sure in zip(torch.cat(boxes, dim=1), torch.cat(scores, dim=1), strict=True)
        ]

    def losses(self, canvases: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """It is not trained here: NotImplementedError."""
        raise NotImplementedError("the classic YOLOv5 is used as it is given")

    def own_name(self, foreign: str) -> str:
        """Names of ultralytics' state dicts, with or without `model.`."""
        inner = foreign.removeprefix("model.")
        if inner.startswith("24.m."):
            return inner.replace("24.m.", "heads.")
        return f"features.{self.features.own_name(foreign)}"


def heads_of(persons: torch.Tensor) -> torch.Tensor:
    """Boxes (n, 4) of persons as boxes of their heads, in px: upper middle."""
    sides = persons[:, 2:] - persons[:, :2]
    head = torch.minimum(HEAD_WIDTH * sides[:, 0], HEAD_HEIGHT * sides[:, 1])
    middle = (persons[:, 0] + persons[:, 2]) / 2
    top = persons[:, 1]
    return torch.stack((middle - head / 2, top, middle + head / 2, top + HIGHER * head), dim=1)
