"""Which files are read for klines of your own; cheap to import."""

from collections.abc import Sequence
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.folder_listing import list_files

SUFFIXES = {".csv", ".json", ".txt", ".tsv", ".gz", ".zip", ".xlsx", ".parquet", ".pq"}
"""Endings of the files of a folder that are read."""


def kline_files(paths: Sequence[Path | str]) -> tuple[list[Path], str]:
    """Files and the kline files of folders, each once; and a sentence on what was left out of folders.

    Raises
    ------
    InputError : a path does not exist, or a folder holds no table.
    """
    files: dict[Path, Path] = {}
    sentences = []
    for given in paths:
        path = Path(given).expanduser()
        if path.is_dir():
            listing = list_files(path, SUFFIXES)
            if not listing.files:
                raise InputError(
                    f"{display_path(path)}: holds no kline files ({', '.join(sorted(SUFFIXES))}); "
                    f"{listing.sentence() or 'it is empty'}"
                )
            sentences.append(listing.sentence())
            found = listing.files
        elif path.is_file():
            found = [path]
        else:
            raise InputError(
                f"{display_path(path)}: no such file; expected a file or folder of 1-minute klines of an "
                "exchange"
            )
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values()), "; ".join(sentence for sentence in sentences if sentence)
