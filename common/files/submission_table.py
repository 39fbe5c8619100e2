"""Checks that every official CSV submission shares: header, ids, order."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path

EXAMPLES = 3
MAX_BYTES, MAX_LINES = 512 << 20, 2_000_000
"""Several times the largest official submission; more would fill the memory."""
LONGEST_NUMBER = 60
NUMBER = re.compile(
    r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE | re.ASCII
)
INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def read_submission_table(path: Path, header: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Read a CSV submission as text, without a byte order mark and empty lines, as pandas does.

    Returns
    -------
    rows : cells of every row that has as many cells as the header.
    faults : wrong header, rows of another width, not a text file.

    Raises
    ------
    InputError : the file does not exist or may not be read.
    """
    if not path.is_file():
        raise InputError(f"{display_path(path)}: no such submission file")
    try:
        if path.stat().st_size > MAX_BYTES:
            return [], [f"the file has more than {MAX_BYTES >> 20} MB; no submission is that large"]
        with path.open(encoding="utf-8-sig", newline="") as file:
            numbered = enumerate(csv.reader(file, strict=True), start=1)
            lines = [(number, row) for number, row in itertools.islice(numbered, MAX_LINES) if row]
            if next(numbered, None) is not None:
                return [], [f"the file has more than {MAX_LINES:,} lines; no submission is that long"]
    except UnicodeDecodeError:
        return [], ["the file is not UTF-8 text; expected a CSV file"]
    except csv.Error as fault:
        return [], [f"the file is not valid CSV: {fault}"]
    if not lines:
        return [], ["the file is empty"]
    faults, table = [], [row for _, row in lines]
    if table[0] != list(header):
        faults.append(f"wrong header {','.join(table[0])[:80]!r}; expected {','.join(header)!r}")
    rows = [row for row in table[1:] if len(row) == len(header)]
    odd = [number for number, row in lines[1:] if len(row) != len(header)]
    if odd:
        faults.append(
            f"{len(odd)} lines do not have {len(header)} cells: {examples(f'line {n}' for n in odd)}"
        )
    return rows, faults


def id_faults(ids: Sequence[str], expected: Sequence[str], ordered: bool = True) -> list[str]:
    """Missing, extra, duplicated and reordered ids, one line each."""
    faults = []
    counts = Counter(ids)
    known = set(expected)
    duplicated = [name for name, count in counts.items() if count > 1]
    missing = [name for name in expected if name not in counts]
    extra = [name for name in counts if name not in known]
    if missing:
        faults.append(f"{len(missing)} ids are missing: {examples(missing)}")
    if extra:
        faults.append(f"{len(extra)} ids are not in the test split: {examples(extra)}")
    if duplicated:
        faults.append(f"{len(duplicated)} ids occur more than once: {examples(duplicated)}")
    if ordered and not faults and list(ids) != list(expected):
        first = next(row for row, (a, b) in enumerate(zip(ids, expected, strict=True)) if a != b)
        faults.append(
            f"the ids are not in the test split's order: "
            f"row {first + 1} is {ids[first]}, expected {expected[first]}"
        )
    return faults


def parse_number(cell: str) -> float | None:
    """The number of a cell, as a CSV reader for tables reads it; NaN and infinities included, else None.

    Python's own `float` reads more: `1_0`, digits of other scripts, no-break spaces, thousands of digits.
    """
    text = cell.strip(" ")
    return float(text) if len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) else None


def parse_integer(cell: str) -> int | None:
    """The whole number of a cell in ASCII digits, else None."""
    text = cell.strip(" ")
    return int(text) if len(text) <= LONGEST_NUMBER and INTEGER.fullmatch(text) else None


def examples(names: Iterable[object]) -> str:
    """The first few of `names` for a message."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:EXAMPLES]) + (", ..." if len(listed) > EXAMPLES else "")
