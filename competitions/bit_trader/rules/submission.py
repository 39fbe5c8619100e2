"""Positions (how much to buy, when to sell) and the official submission file."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import (
    examples,
    id_faults,
    parse_integer,
    parse_number,
    read_submission_table,
)
from common.learn.arrays import Float64, Int64
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES

HEADER = ("sample_id", "buy_quantity", "sell_time")


@dataclass(frozen=True)
class Positions:
    """One position per sample."""

    buy_quantity: Float64
    """(n,) share of the equity invested at y minute 0, 0 to 1; 0 is no trade."""
    sell_time: Int64
    """(n,) minute of y at whose open everything is sold, 0 to 119."""

    def __len__(self) -> int:
        return len(self.buy_quantity)


def write_submission(path: Path, sample_id: Int64, positions: Positions) -> None:
    """Write `sample_id,buy_quantity,sell_time`, one row per sample in the order given."""
    rows = zip(sample_id.tolist(), positions.buy_quantity.tolist(), positions.sell_time.tolist(), strict=True)
    lines = [",".join(HEADER)] + [f"{sample},{quantity!r},{minute}" for sample, quantity, minute in rows]
    write_text(path, "\n".join(lines) + "\n")


def official_test_ids(data: Path) -> list[str]:
    """Ids of the test samples in their order, as sample_submission.csv gives them."""
    path = data / "sample_submission.csv"
    if not path.is_file():
        raise InputError(
            f"{display_path(path)}: no such file; it lists the test samples; get it with the official files"
        )
    rows, faults = read_submission_table(path, HEADER)
    if faults or not rows:
        raise InputError(
            f"{display_path(path)}: {(faults or ['no rows'])[0]}; get it with the official files"
        )
    return [row[0].strip() for row in rows]


def submission_faults(submission: Path, data: Path) -> list[str]:
    """Every fault of a submission against the test samples of `data`, one line each; empty when valid.

    Official rule: header, one row per test sample in test order, buy_quantity in [0, 1], sell_time an integer
    in 0..119.
    """
    rows, faults = read_submission_table(submission, HEADER)
    faults += _id_faults([row[0].strip() for row in rows], official_test_ids(data))
    quantities = [(row[0], value) for row in rows if (value := parse_number(row[1])) is not None]
    not_numeric = [f"{row[1]!r} (sample {row[0]})" for row in rows if parse_number(row[1]) is None]
    not_finite = [name for name, value in quantities if not math.isfinite(value)]
    outside = [
        f"{value!r} (sample {name})"
        for name, value in quantities
        if math.isfinite(value) and not 0 <= value <= 1
    ]
    not_integer = [f"{row[2]!r} (sample {row[0]})" for row in rows if parse_integer(row[2]) is None]
    late = [
        f"{row[2]} (sample {row[0]})"
        for row in rows
        if (minute := parse_integer(row[2])) is not None and not 0 <= minute < FUTURE_MINUTES
    ]
    checks = (
        (not_numeric, "buy_quantity is not a number"),
        (not_finite, "buy_quantity is NaN or infinite for samples"),
        (outside, "buy_quantity is not within 0 and 1"),
        (not_integer, "sell_time is not an integer"),
        (late, f"sell_time is not within 0 and {FUTURE_MINUTES - 1}"),
    )
    return faults + [f"{len(found)} rows: {what}: {examples(found)}" for found, what in checks if found]


def _id_faults(ids: list[str], expected: list[str]) -> list[str]:
    """As `id_faults`; whole numbers with a decimal point, as tables with a missing cell write them, are "
    "named."""
    known = set(expected)
    pointed = [name for name in ids if name not in known and name.removesuffix(".0") in known]
    if pointed:
        return [f"{len(pointed)} sample ids are written with a decimal point: {examples(pointed)}"]
    return id_faults(ids, expected)


def read_submission(submission: Path, sample_id: Int64) -> Positions:
    """The positions of a submission for the samples `sample_id`; InputError when they do not match."""
    rows, faults = read_submission_table(submission, HEADER)
    faults += _id_faults([row[0].strip() for row in rows], [str(sample) for sample in sample_id])
    if faults:
        raise InputError(f"{display_path(submission)}: {faults[0]}")
    quantity = [parse_number(row[1]) for row in rows]
    minute = [parse_integer(row[2]) for row in rows]
    valid = all(value is not None and 0 <= value <= 1 for value in quantity) and all(
        value is not None and 0 <= value < FUTURE_MINUTES for value in minute
    )
    if not valid:
        raise InputError(
            f"{display_path(submission)}: a buy_quantity or sell_time is out of range; "
            "`python -m competitions validate bit_trader` lists all faults"
        )
    return Positions(np.asarray(quantity, np.float64), np.asarray(minute, np.int64))
