"""Tables as users have them: read in the one way they can be read, or refused in one line."""

import gzip
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from common.base.errors import InputError
from common.files.own_table import own_table_of, read_own_table
from common.files.tables import write_table

ROWS = [["sku", "name"], ["1", "Milk, 1 l"], ["2", "Jam"]]


def written(path: Path, text: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding", "understood"),
    [
        ('sku,name\n1,"Milk, 1 l"\n2,Jam\n', "utf-8", "commas, UTF-8, 2 rows"),
        ("sku;name\n1;Milk, 1 l\n2;Jam\n", "utf-8-sig", "semicolons, UTF-8 with BOM, 2 rows"),
        ("sku\tname\r\n1\tMilk, 1 l\r\n2\tJam\r\n", "utf-16", "tabs, UTF-16, 2 rows"),
        (" sku |name \n1|Milk, 1 l\n\n2|Jam\n\n\n", "utf-8", "bars, UTF-8, 2 rows"),
    ],
)
def test_separators_and_encodings(tmp_path: Path, text: str, encoding: str, understood: str) -> None:
    table = read_own_table(written(tmp_path / "t.csv", text, encoding))
    assert [table.columns, *table.rows] == ROWS
    assert table.understood == understood


def test_packed_tables(tmp_path: Path) -> None:
    text = b'sku,name\n1,"Milk, 1 l"\n2,Jam\n'
    packed = written(tmp_path / "t.csv.gz", gzip.compress(text))
    assert read_own_table(packed).rows == ROWS[1:]
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", text)
        archive.writestr("__MACOSX/._t.csv", b"x")
    assert read_own_table(tmp_path / "t.zip").rows == ROWS[1:]
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as archive:
        archive.writestr("u.csv", text)
    with pytest.raises(InputError, match="holds 2 files, expected one table"):
        read_own_table(tmp_path / "t.zip")
    with pytest.raises(InputError, match="cut short"):
        read_own_table(written(packed, gzip.compress(text)[:-9]))


def test_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in ([], ["sku", "name", None], [1, "Milk, 1 l", None], [2.0, "Jam", " "]):
        book.active.append(row)
    book.create_sheet("empty")
    book.save(tmp_path / "t.xlsx")
    table = read_own_table(tmp_path / "t.xlsx")
    assert [table.columns, *table.rows] == ROWS
    assert (table.lines, table.understood) == ([3, 4], "Excel, sheet 'Sheet', 2 rows")
    book["empty"].append(["more"])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="2 sheets: Sheet, empty"):
        read_own_table(tmp_path / "t.xlsx")


def test_excel_loses_digits_of_long_ids(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["sku"])
    book.active.append([4_006_381_333_931_000_123])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="has more than the 15 digits"):
        read_own_table(tmp_path / "t.xlsx")


def test_parquet_and_frames(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sku": [1.0, 2.0], "name": ["Milk", None], "price": [1.5, float("nan")]})
    write_table(tmp_path / "t.parquet", frame)
    for table in (read_own_table(tmp_path / "t.parquet"), own_table_of(frame)):
        assert (table.columns, table.rows) == (
            ["sku", "name", "price"],
            [["1", "Milk", "1.5"], ["2", "", ""]],
        )
    write_table(tmp_path / "n.parquet", frame.assign(tags=pd.Series([["a"], ["b"]])))
    nested = read_own_table(tmp_path / "n.parquet")
    assert nested.columns == ["sku", "name", "price"]
    assert nested.understood.endswith("hold no text or number: tags")


def test_columns_are_found_by_name_then_by_case_and_spaces(tmp_path: Path) -> None:
    table = read_own_table(written(tmp_path / "t.csv", "Product  ID,product id,Name ,Name\n1,2,3,4\n"))
    assert table.column("product id") == ["2"]
    for wanted, words in (
        ("PRODUCT ID", "2 columns are"),
        ("Name", "2 columns"),
        ("price", "are: Product ID, product id"),
    ):
        with pytest.raises(InputError, match=words):
            table.column(wanted)


def test_a_header_can_be_decided_by_its_cells(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"\xef\xbb\xbf1,2\n3,4\n")
    table = read_own_table(path, header=lambda cells: not cells[0].isdigit())
    assert (table.columns, table.rows, table.lines) == ([], [["1", "2"], ["3", "4"]], [1, 2])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"sku,name\n", "a header and no row"),
        (b"sku,name\n1,a\n2,b,c\n", "line 3 has 3 cells, the first one has 2"),
        (b'sku,name\n1,"a\n2,b\n', "row from line 2 on is not valid CSV"),
        (b"sku,name\n1,caf\xe9\n", "line 2 is not UTF-8 text"),
        ("sku,name\n1,a\n".encode("utf-16-le"), "NUL characters"),
        (b"a,b;c\n1,2;3\n", "commas or semicolons"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", "Excel file of the old kind"),
        (b"PK\x03\x04....", "damaged"),
        (b"PAR1....", "no parquet file"),
    ],
)
def test_faults_end_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_own_table(written(tmp_path / "t", content))


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "sku,name\n1,café\n", "cp1252")
    table = read_own_table(path, encoding="cp1252")
    assert (table.rows, table.understood) == ([["1", "café"]], "commas, cp1252, 1 row")
    with pytest.raises(InputError, match="cannot be read as 'ascii'"):
        read_own_table(path, encoding="ascii")
    with pytest.raises(InputError, match="cannot be read as 'klingon'"):
        read_own_table(path, encoding="klingon")


def test_text_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.files.own_table.MAX_BYTES", 5)
    with pytest.raises(InputError, match="split it"):
        read_own_table(written(tmp_path / "t.csv", "sku,name\n"))


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    table = read_own_table(written(tmp_path / "t.csv", 'sku,name\n1,"two\nlines"\n\n2,b\n'))
    assert table.lines == [2, 5]
