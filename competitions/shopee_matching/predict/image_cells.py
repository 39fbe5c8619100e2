"""Cells of a user's image column: file names below one folder, or anything else that exports put there."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.base.console import counted

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{1,9}:)?//|data:|www\.", re.IGNORECASE)
LISTED = re.compile(r"[\[\]{}|\n]|\.\w{2,5}\s*[,;]\s*\S")
"""Brackets, bars, or a suffix that a separator follows."""
DRIVE = re.compile(r"[a-z]:", re.IGNORECASE)
KINDS = {
    "address": "a web address; download the pictures and name their files",
    "list": "a list; name one picture",
    "backslashes": "a path with backslashes; name the file, with / between folders",
    "outside": "a path that leads out of {folder}/; name a file in it",
    "missing": "no file in {folder}/, the folder of the pictures",
}


@dataclass(frozen=True)
class ImageCells:
    """Where the pictures are that a table names."""

    files: dict[str, Path]
    """Cell -> file; only cells that name a file in the folder."""
    faults: list[str]
    """One line per kind of cell that cannot be used."""


def find_pictures(cells: Sequence[str], folder: Path | None, places: Sequence[str]) -> ImageCells:
    """Look the cells up in `folder`; nothing outside of it is opened.

    Parameters
    ----------
    cells : file names, or paths below `folder`; empty without a picture.
    folder : None when all cells are empty.
    places : where each cell is, for messages: `line 7`.
    """
    files: dict[str, Path] = {}
    kind_of: dict[str, str] = {}
    odd: dict[str, list[int]] = {}
    root = os.path.realpath(folder) if folder is not None else ""
    for place, cell in enumerate(cells):
        if not cell or folder is None:
            continue
        if cell not in files and cell not in kind_of:
            path = _file_in(folder, root, cell)
            if isinstance(path, Path):
                files[cell] = path
            else:
                kind_of[cell] = path
        if cell in kind_of:
            odd.setdefault(kind_of[cell], []).append(place)
    faults = []
    for kind, rows in sorted(odd.items()):
        what = KINDS[kind].format(folder=folder.name if folder is not None else "")
        number = f"{counted(len(rows), 'image cell')} {'is' if len(rows) == 1 else 'are'}"
        example = f"{cells[rows[0]][:60]!r} in {places[rows[0]]}"
        faults.append(f"{number} {what} ({example}): matched by title")
    return ImageCells(files, faults)


def _file_in(folder: Path, root: str, cell: str) -> Path | str:
    """The file that a cell names, or the kind of what else it is."""
    if ADDRESS.match(cell):
        return "address"
    path = folder / cell
    try:
        real = os.path.realpath(path)
        inside = os.path.commonpath([root, real]) == root
        if inside and ".." not in Path(cell).parts and path.is_file():
            return path
    except (OSError, ValueError):  # too long a name, or a NUL character
        inside = True
    if LISTED.search(cell):
        return "list"
    if "\\" in cell or DRIVE.match(cell):
        return "backslashes"
    return "missing" if inside and ".." not in Path(cell).parts else "outside"
