"""Tables on disk: CSV or parquet by suffix, whole or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.base.atomic import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def write_table(path: Path, table: "pd.DataFrame | pl.DataFrame | pa.Table", **csv: Any) -> Path:
    """Write a table of pandas (without its index), polars or pyarrow; returns `path`.

    Parameters
    ----------
    path : ends with `.parquet`, or for a table of pandas with `.csv` (UTF-8, LF line ends).
    csv : further arguments of pandas' `to_csv`, `float_format="%.6f"` say.
    """
    import pandas as pd

    with atomic_write(path) as partial:
        if isinstance(table, pd.DataFrame):
            if path.suffix == ".csv":
                options: dict[str, Any] = {"index": False, "lineterminator": "\n"} | csv
                table.to_csv(partial, **options)
            else:
                table.to_parquet(partial, index=False)
        elif hasattr(table, "write_parquet"):
            table.write_parquet(partial)
        else:
            import pyarrow.parquet as pq

            pq.write_table(table, partial)
    return path
