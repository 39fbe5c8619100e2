"""Titles of the labelled listings, kept with a trained experiment for the word frequencies of catalogues.

In a catalogue of twenty listings of one mouse its name is the most frequent word; among the labelled titles
it is rare and says which product it is.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table

TITLES_FILE = "training_titles.parquet"


def write_training_titles(path: Path, titles: Sequence[str]) -> None:
    """Write the decoded titles, whole or not at all."""
    write_table(path, pa.table({"title": list(titles)}))


def training_titles(experiment: Path) -> list[str]:
    """The labelled titles below `<work>/<experiment>`; none where an earlier version trained it.

    Raises
    ------
    InputError : the file is damaged.
    """
    path = experiment / TITLES_FILE
    if not path.is_file():
        return []
    try:
        found: list[str] = pq.read_table(path, columns=["title"])["title"].to_pylist()
    except (pa.ArrowInvalid, OSError):
        raise InputError(f"{display_path(path)}: damaged; run 2_train_folds.py again") from None
    return found
