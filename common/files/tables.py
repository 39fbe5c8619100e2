"""Tables on disk: CSV or parquet by suffix, whole or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

from common.base.atomic import atomic_write

if TYPE_CHECKING:
    import pandas as pd


def write_table(path: Path, table: "pd.DataFrame", float_format: str | None = "%.6f") -> None:
    """Write a table without its index.

    Parameters
    ----------
    path : ends with `.csv` (UTF-8, LF line ends) or `.parquet`.
    float_format : of the CSV's real numbers; None writes all their digits.
    """
    with atomic_write(path) as partial:
        if path.suffix == ".csv":
            table.to_csv(partial, index=False, lineterminator="\n", float_format=float_format)
        else:
            table.to_parquet(partial, index=False)
