"""counts.csv while it grows: a row for each finished photo, read again after an interruption."""

import csv
from pathlib import Path

DECIMALS = 2
CELLS = 3


class GrowingCounts:
    """Rows of Name, HeadCount, Faces in a file that is appended to.

    A last line that an interruption cut short is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, tuple[float, int]] = {}
        """Name -> HeadCount, Faces of the finished photos."""
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for cells in csv.reader(text[: text.rfind("\n") + 1].splitlines()):
            if len(cells) == CELLS:
                self.rows[cells[0]] = float(cells[1]), int(cells[2])
        self.path.write_text("", encoding="utf-8")
        for name, row in list(self.rows.items()):
            self._append(name, *row)

    def add(self, name: str, count: float, faces: int) -> None:
        """Keep a finished photo."""
        self.rows[name] = round(count, DECIMALS), faces
        self._append(name, *self.rows[name])

    def _append(self, name: str, count: float, faces: int) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([name, count, faces])
