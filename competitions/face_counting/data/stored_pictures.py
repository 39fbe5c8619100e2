"""The pictures as 1_preprocess stores them: decoded, concatenated in one memory-mapped file, with tables."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.learn.arrays import Bools, Float64, UInt8
from competitions.face_counting.data.official_tables import BOX_COLUMNS


def pixels_file(processed: Path) -> Path:
    """uint8 RGB values of all pictures, row by row, one picture after the other."""
    return processed / "pixels.npy"


def pictures_file(processed: Path) -> Path:
    """One row per picture; see `StoredPictures.pictures`."""
    return processed / "pictures.parquet"


def boxes_file(processed: Path) -> Path:
    """One row per face: Name, xmin, ymin, xmax, ymax in px."""
    return processed / "boxes.parquet"


@dataclass(frozen=True)
class StoredPictures:
    """One split."""

    pictures: pd.DataFrame
    """Name, split (train or test), width, height in px, offset into the pixels, head_count (-1 in test),
    near_duplicates (group number, -1 in the test split); unreadable pictures have width 0."""
    pixels: UInt8
    boxes: dict[str, Float64]
    """Name -> (faces, 4) boxes in px."""

    def __len__(self) -> int:
        return len(self.pictures)

    def picture(self, row: int) -> UInt8:
        """The picture (height, width, 3) of a row."""
        entry = self.pictures.iloc[row]
        height, width, start = int(entry["height"]), int(entry["width"]), int(entry["offset"])
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def faces(self, row: int) -> Float64:
        """The boxes (faces, 4) of a row."""
        return self.boxes.get(str(self.pictures["Name"].iloc[row]), np.zeros((0, 4)))

    def where(self, mask: Bools) -> "StoredPictures":
        """The pictures that a mask (pictures,) selects."""
        return StoredPictures(self.pictures[mask].reset_index(drop=True), self.pixels, self.boxes)

    @property
    def names(self) -> list[str]:
        """File names, in the table's order."""
        return self.pictures["Name"].tolist()

    @property
    def readable(self) -> Bools:
        """(pictures,) whether each could be read."""
        return self.pictures["width"].to_numpy() > 0


def load_pictures(processed: Path, split: str) -> StoredPictures:
    """The pictures of `train` or `test`, in the official table's order."""
    pictures = pd.read_parquet(pictures_file(processed))
    boxes = pd.read_parquet(boxes_file(processed))
    by_name = {
        str(name): group[BOX_COLUMNS].to_numpy(np.float64)
        for name, group in boxes.groupby("Name", sort=False)
    }
    chosen = pictures[pictures["split"] == split].reset_index(drop=True)
    return StoredPictures(chosen, np.load(pixels_file(processed), mmap_mode="r"), by_name)
