"""One writer for tables of pandas, polars and pyarrow."""

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from common.files.tables import write_table

COLUMNS = {"name": ["a", "b"], "count": [1.25, 2.5]}


@pytest.mark.parametrize("table", [pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS), pa.table(COLUMNS)])
def test_every_kind_of_table_is_ordinary_parquet(tmp_path: Path, table: pd.DataFrame) -> None:
    path = write_table(tmp_path / "folder" / "t.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(path), pd.DataFrame(COLUMNS))
    assert [file.name for file in path.parent.iterdir()] == ["t.parquet"]


def test_csv_has_no_index_and_unix_line_ends(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", pd.DataFrame(COLUMNS), float_format="%.1f")
    assert path.read_bytes() == b"name,count\na,1.2\nb,2.5\n"
