"""Files of a folder of the user's own: what is read, and what is left out, by number."""

import os
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from pathlib import Path

from common.base.console import counted

MAX_SUFFIXES_NAMED = 4
MADE_BY_SYSTEMS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found", "system volume information"}
)
"""Folders of thumbnails, waste and leftovers of archives, in lower case."""
PLURALS = {
    "folder": "folders",
    "locked folder": "locked folders",
    "link to a folder": "links to folders",
    "link that leads nowhere": "links that lead nowhere",
}


@dataclass
class FolderListing:
    """What lies in a folder."""

    files: list[Path]
    """The wanted ones, sorted."""
    other_endings: Counter[str] = field(default_factory=Counter)
    """Ending in lower case -> files that were not wanted."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Reason -> files and folders left out for it."""

    def sentence(self) -> str:
        """`left out: 3 files of other kinds (.heic 2, .txt 1), 2 hidden`, empty when nothing was left out."""
        parts = []
        count = self.other_endings.total()
        if count:
            named = [
                f"{suffix or 'no ending'} {n}"
                for suffix, n in self.other_endings.most_common(MAX_SUFFIXES_NAMED)
            ]
            more = ", ..." if len(self.other_endings) > MAX_SUFFIXES_NAMED else ""
            parts.append(f"{counted(count, 'file')} of other kinds ({', '.join(named)}{more})")
        parts += [counted(n, reason, PLURALS.get(reason, reason)) for reason, n in self.left_out.items()]
        return f"left out: {', '.join(parts)}" if parts else ""


def list_files(
    folder: Path, wanted: Set[str] | Callable[[Path], bool], recursive: bool = False
) -> FolderListing:
    """List the wanted files of a folder, with what is left out and why.

    Links to files are read. Links to folders are not followed: they may lead out of the folder or in circles.
    Hidden files and folders, and those that systems make (thumbnails of a NAS, waste), are left out.

    Parameters
    ----------
    wanted : endings in lower case with their dot, or what decides on a path.
    recursive : also list what lies in its folders; without it they are counted as left out.
    """
    is_wanted = (lambda path: path.suffix.lower() in wanted) if isinstance(wanted, Set) else wanted
    listing = FolderListing([])
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            entries = list(os.scandir(current))
        except PermissionError:
            if current == folder:
                raise
            listing.left_out["locked folder"] += 1
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith(".") or entry.name.lower() in MADE_BY_SYSTEMS:
                listing.left_out["hidden"] += 1
            elif entry.is_dir():
                if entry.is_symlink():
                    listing.left_out["link to a folder"] += 1
                elif recursive:
                    pending.append(path)
                else:
                    listing.left_out["folder"] += 1
            elif not entry.is_file():
                reason = "link that leads nowhere" if entry.is_symlink() else "no file (a pipe or device)"
                listing.left_out[reason] += 1
            elif not is_wanted(path):
                listing.other_endings[path.suffix.lower()] += 1
            elif not os.access(path, os.R_OK):
                listing.left_out["locked"] += 1
            else:
                listing.files.append(path)
    listing.files.sort()
    return listing
