"""How a trained detector looks at pictures: canvases of every view, and boxes brought back from them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from competitions.face_counting.data.picture_sets import (
    Picture,
    Placement,
    enlarged,
    paste,
    placement_of,
    resize,
    white_canvas,
)
from competitions.face_counting.experiment import PictureSettings, ViewSettings

STEP = 32
"""Sides of a canvas are multiples of the coarsest stride."""
MOST_PIXELS = 16 * 640 * 640
"""Of the canvases that a detector sees at once."""


@dataclass(frozen=True)
class Sight:
    """One picture as one view shows it."""

    row: int
    view: int
    placement: Placement
    height: int
    width: int
    """Sides of the canvas in px."""
    flip: bool

    def canvas(self, picture: Picture) -> npt.NDArray[np.uint8]:
        """(3, height, width) uint8 with the picture on white."""
        canvas = white_canvas(self.width, self.height)
        paste(canvas, resize(picture, self.placement), self.placement.left, self.placement.top)
        return np.ascontiguousarray((canvas[:, ::-1] if self.flip else canvas).transpose(2, 0, 1))

    def to_picture(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Boxes (n, 4) of the canvas as boxes of the picture, in px."""
        upright = boxes.astype(np.float64)
        if self.flip:
            upright[:, [0, 2]] = self.width - upright[:, [2, 0]]
        return np.asarray(self.placement.to_picture(upright), dtype=np.float64)


def sight_of(
    row: int, width: int, height: int, view: int, looks: ViewSettings, pictures: PictureSettings
) -> Sight:
    """Where a picture of `width` x `height` px lies on the canvas of a view."""
    side = max(STEP, round(pictures.canvas * looks.scale / STEP) * STEP)
    placement = enlarged(placement_of(pictures.set, width, height, pictures.canvas), looks.scale, side)
    if not pictures.tight:
        return Sight(row, view, placement, side, side, looks.flip)
    rows, columns = (-(-size // STEP) * STEP for size in (placement.resized_height, placement.resized_width))
    left, top = (columns - placement.resized_width) // 2, (rows - placement.resized_height) // 2
    return Sight(row, view, replace(placement, left=left, top=top), rows, columns, looks.flip)


def batches(sights: list[Sight]) -> Iterator[list[Sight]]:
    """Sights with canvases of one size together, so many that their pixels fit; sorted by size."""
    by_size: dict[tuple[int, int], list[Sight]] = {}
    for sight in sights:
        by_size.setdefault((sight.height, sight.width), []).append(sight)
    for (height, width), alike in by_size.items():
        together = max(1, MOST_PIXELS // (height * width))
        for start in range(0, len(alike), together):
            yield alike[start : start + together]
