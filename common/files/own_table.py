"""Tables of the user's own, as text cells: CSV of any separator, gzip, zip, Excel, parquet.

A table that can be read in two ways is refused; `understood` says how it was read.
"""

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from common.base.console import counted
from common.base.errors import InputError
from common.base.paths import display_path

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
SAMPLE_ROWS = 200
"""Rows by which the separator is found."""
STATED_SEPARATOR = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""A first line by which Excel is given the separator."""
MAX_BYTES = 2 << 30
"""Of the uncompressed text; more would not fit in memory as cells."""
EXCEL_DIGITS = 10**15
"""Excel keeps 15 digits of a number; longer ids have lost their last ones."""
MAX_COLUMNS_NAMED = 20

HasHeader = bool | Callable[[list[str]], bool]


@dataclass
class OwnTable:
    """A table as it is in the file: every cell is text, a missing one is empty."""

    where: str
    """The file for messages."""
    columns: list[str]
    """The header without outer spaces; empty when the table has none."""
    rows: list[list[str]]
    lines: list[int]
    """Line (or sheet row) of each row, for messages."""
    understood: str
    """How it was read: `semicolons, UTF-8 with BOM, 48 rows`."""
    lossy: dict[int, str] = field(default_factory=dict)
    """Position of a column -> why its cells are not what they were; such a column is not handed out."""

    def index(self, name: str) -> int:
        """Position of a column: its exact name first, then without regard to case and spaces.

        Raises
        ------
        InputError : no such column, with the names that are there, or more than one.
        """
        exact = [n for n, column in enumerate(self.columns) if column == name]
        alike = [n for n, column in enumerate(self.columns) if _plain(column) == _plain(name)]
        found = exact or alike
        if not found:
            there = ", ".join(self.columns[:MAX_COLUMNS_NAMED])
            more = ", ..." if len(self.columns) > MAX_COLUMNS_NAMED else ""
            raise InputError(f"{self.where}: column {name!r} is missing; the columns are: {there}{more}")
        if found[0] in self.lossy:
            raise InputError(self.lossy[found[0]])
        if len(found) > 1:
            raise InputError(f"{self.where}: {len(found)} columns are named {name!r}; rename all but one")
        return found[0]

    def column(self, name: str) -> list[str]:
        """Cells of a column, found as `index` does."""
        position = self.index(name)
        return [row[position] for row in self.rows]


def read_own_table(path: Path, header: HasHeader = True, encoding: str | None = None) -> OwnTable:
    """Read a table by its content: CSV (also in .gz or a .zip of one file), .xlsx or parquet.

    The separator of a CSV file is the one of `SEPARATORS` that gives all rows as many cells. Text is UTF-8,
    or UTF-16 with a byte order mark; other encodings must be named. Empty lines are skipped.

    Parameters
    ----------
    header : whether the first row names the columns, or what decides that by its cells.
    encoding : of the text, any name that Python knows; None reads UTF-8 and UTF-16 with a mark.

    Raises
    ------
    InputError : the file is missing, holds no row, is cut short or not a table, has rows of different widths,
        or can be read in two ways.
    """
    where = display_path(path)
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            if start[:4] == b"PAR1":
                return _of_parquet(where, path)
            if start == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
                raise InputError(f"{where}: an Excel file of the old kind; save it as .xlsx or CSV")
            if start[:4] == b"PK\x03\x04":
                return _of_zip(where, path, header, encoding)
            if start[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    return _of_text(where, _limited(where, unpacked), header, encoding, "gzip")
            return _of_text(where, _limited(where, file), header, encoding)
    except PermissionError:
        raise InputError(f"{where}: may not be read (permission denied)") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as fault:
        raise InputError(f"{where}: the archive is cut short or damaged ({str(fault)[:80]})") from None


def own_table_of(frame: "pd.DataFrame", where: str = "the DataFrame") -> OwnTable:
    """A pandas DataFrame as text cells; NaN, None and NaT are empty, rows count from 0.

    Raises
    ------
    InputError : it has no row.
    """
    if frame.empty:
        raise InputError(f"{where}: holds no row")
    missing = frame.isna().to_numpy()
    rows = [
        ["" if empty else _cell_text(cell) for cell, empty in zip(cells, gaps, strict=True)]
        for cells, gaps in zip(frame.itertuples(index=False, name=None), missing, strict=True)
    ]
    columns = [str(column).strip() for column in frame.columns]
    return OwnTable(where, columns, rows, list(range(len(rows))), counted(len(rows), "row"))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


# ---- text


def _limited(where: str, file: BinaryIO | gzip.GzipFile) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InputError(f"{where}: holds more than {MAX_BYTES >> 30} GB of text; split it")
    return content


def _decoded(where: str, content: bytes, encoding: str | None) -> tuple[str, str]:
    """Text, and the name of its encoding for a message."""
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff"), encoding
        except (UnicodeDecodeError, LookupError) as fault:
            raise InputError(f"{where}: cannot be read as {encoding!r} ({str(fault)[:80]})") from None
    for mark, name, label in (
        (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8 with BOM"),
        (b"\xff\xfe", "utf-16", "UTF-16"),
        (b"\xfe\xff", "utf-16", "UTF-16"),
        (b"", "utf-8", "UTF-8"),
    ):
        if content.startswith(mark):
            try:
                text = content.decode(name)
            except UnicodeDecodeError as fault:
                line = content.count(b"\n", 0, fault.start) + 1
                raise InputError(
                    f"{where}: line {line} is not {label} text; save the table as UTF-8, or name its encoding"
                ) from None
            if "\0" in text:
                raise InputError(f"{where}: holds NUL characters; expected a CSV, Excel or parquet file")
            return text, label
    raise AssertionError("the last mark is empty")


def _of_text(
    where: str, content: bytes, header: HasHeader, encoding: str | None, packed: str = ""
) -> OwnTable:
    text, label = _decoded(where, content, encoding)
    if not text.strip():
        raise InputError(f"{where}: is empty")
    stated = STATED_SEPARATOR.match(text)
    separator = stated[1] if stated else _separator(where, text)
    rows, lines = [], []
    try:
        for line, row in _records(text[stated.end() :] if stated else text, separator):
            rows.append(row)
            lines.append(line + bool(stated))
    except csv.Error as fault:
        line = lines[-1] + 1 if lines else 1
        raise InputError(f"{where}: the row from line {line} on is not valid CSV ({fault})") from None
    if not rows:
        raise InputError(f"{where}: holds no row")
    words = [
        SEPARATORS.get(separator, f"separator {separator!r}") if len(rows[0]) > 1 else "one column",
        label,
        packed,
    ]
    return _table(where, rows, lines, header, ", ".join(word for word in words if word))


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line on which each row starts, and its cells; empty lines are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    for row in reader:
        if row and any(cell.strip() for cell in row):
            yield line, row
        line = reader.line_num + 1


def _separator(where: str, text: str) -> str:
    """The separator by which the first rows have equally many cells, more than one."""
    fitting, widest = [], (1, ",")
    for separator in SEPARATORS:
        widths = []
        try:
            for _, row in _records(text, separator):
                widths.append(len(row))
                if len(widths) == SAMPLE_ROWS:
                    break
        except csv.Error:
            pass
        if widths and widths[0] > 1 and len(set(widths)) == 1:
            fitting.append(separator)
        if widths:
            widest = max(widest, (widths[0], separator), key=lambda pair: pair[0])
    if len(fitting) > 1:
        names = " or ".join(SEPARATORS[separator] for separator in fitting)
        raise InputError(
            f"{where}: the columns can be separated by {names}; save the table with one separator and quotes "
            "around cells that hold the other"
        )
    return fitting[0] if fitting else widest[1]


def _table(
    where: str, rows: list[list[str]], lines: list[int], header: HasHeader, understood: str
) -> OwnTable:
    """Split off the header; InputError for rows of another width than the first."""
    width = len(rows[0])
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise InputError(f"{where}: line {line} has {len(row)} cells, the first one has {width}")
    columns: list[str] = []
    if header(rows[0]) if callable(header) else header:
        columns, rows, lines = [cell.strip() for cell in rows[0]], rows[1:], lines[1:]
        if not rows:
            raise InputError(f"{where}: holds a header and no row")
    return OwnTable(where, columns, rows, lines, f"{understood}, {counted(len(rows), 'row')}")


# ---- archives, spreadsheets, parquet


def _of_zip(where: str, path: Path, header: HasHeader, encoding: str | None) -> OwnTable:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if any(info.filename == "xl/workbook.xml" for info in members):
            if sum(info.file_size for info in members) > MAX_BYTES:
                raise InputError(f"{where}: holds more than {MAX_BYTES >> 30} GB; split it")
            return _of_excel(where, path, header)
        members = [info for info in members if not info.filename.startswith(("__MACOSX/", "."))]
        if len(members) != 1:
            raise InputError(f"{where}: holds {len(members)} files, expected one table; unpack it")
        if members[0].flag_bits & 1:
            raise InputError(f"{where}: is locked by a password; unpack it")
        with archive.open(members[0]) as unpacked:
            return _of_text(where, _limited(where, unpacked), header, encoding, "zip")  # type: ignore[arg-type]


def _of_excel(where: str, path: Path, header: HasHeader) -> OwnTable:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise InputError(
            f"{where}: Excel files need openpyxl (`pip install openpyxl`); or save it as CSV"
        ) from None
    lossy: dict[str, dict[int, str]] = {}
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets: dict[str, list[tuple[int, list[str]]]] = {}
        for sheet in book.worksheets:
            sheets[sheet.title], lossy[sheet.title] = [], {}
            for line, row in enumerate(sheet.iter_rows(values_only=True), 1):
                for place, cell in enumerate(row):
                    if isinstance(cell, int | float) and abs(cell) >= EXCEL_DIGITS:
                        lossy[sheet.title].setdefault(
                            place,
                            f"{where}, row {line}: the number {cell:.0f} has more than the 15 digits "
                            "that Excel keeps; store it as text",
                        )
                if any(cell is not None for cell in row):
                    sheets[sheet.title].append((line, [_cell_text(cell) for cell in row]))
    except Exception as fault:  # openpyxl answers damaged files with errors of any kind
        raise InputError(f"{where}: is no Excel file that can be read ({str(fault)[:80]})") from None
    filled = {name: rows for name, rows in sheets.items() if rows}
    if len(filled) != 1:
        what = "no sheet with rows" if not filled else f"{len(filled)} sheets: {', '.join(filled)}"
        raise InputError(f"{where}: has {what}; expected one. Save the sheet as a file of its own")
    name, found = next(iter(filled.items()))
    width = max(len(row) for _, row in found)
    while width > 1 and not any(row[width - 1 :] and row[width - 1].strip() for _, row in found):
        width -= 1
    rows = [(row + [""] * width)[:width] for _, row in found]
    table = _table(where, rows, [line for line, _ in found], header, f"Excel, sheet {name!r}")
    table.lossy = lossy[name]
    return table


def _of_parquet(where: str, path: Path) -> OwnTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as fault:
        raise InputError(f"{where}: is no parquet file that can be read ({str(fault)[:80]})") from None
    if not table.num_rows:
        raise InputError(f"{where}: holds no row")
    columns, cells, nested = [], [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        text = _parquet_text(column)
        if text is None:
            nested.append(name)
        else:
            columns.append(name.strip())
            cells.append(text)
    rows = [list(row) for row in zip(*cells, strict=True)]
    left_out = (
        f", columns left out because they hold no text or number: {', '.join(nested)}" if nested else ""
    )
    understood = f"parquet, {counted(len(rows), 'row')}{left_out}"
    return OwnTable(where, columns, rows, list(range(len(rows))), understood)


def _parquet_text(column: "pa.ChunkedArray") -> list[str] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        return ["" if cell is None else cell for cell in column.cast(pa.string()).to_pylist()]
    except pa.ArrowException:
        return None


def _cell_text(cell: Any) -> str:
    """A cell of a spreadsheet or of a DataFrame as text; whole numbers have no decimal point."""
    if cell is None:
        return ""
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, bool) or not hasattr(cell, "__float__"):
        return str(cell)
    return str(int(cell)) if float(cell).is_integer() and abs(cell) < 2**53 else str(cell)
