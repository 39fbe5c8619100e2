"""Orders (how much to buy, when to sell) and the official submission file that carries them."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples, id_faults, read_submission_table
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, IntArray

HEADER = ("sample_id", "buy_quantity", "sell_time")


@dataclass(frozen=True)
class Orders:
    """One order a sample."""

    buy_quantity: npt.NDArray[np.float64]
    """(n,) share of the equity invested at y minute 0, 0 to 1; 0 does not trade."""
    sell_time: IntArray
    """(n,) minute of y at whose open all is sold, 0 to 119."""

    def __len__(self) -> int:
        return len(self.buy_quantity)


def write_submission(path: Path, sample_id: IntArray, orders: Orders) -> None:
    """Write `sample_id,buy_quantity,sell_time`, one row a sample in the order given."""
    rows = zip(sample_id.tolist(), orders.buy_quantity.tolist(), orders.sell_time.tolist(), strict=True)
    lines = [",".join(HEADER)] + [f"{sample},{quantity!r},{minute}" for sample, quantity, minute in rows]
    write_text(path, "\n".join(lines) + "\n")


def official_test_ids(data: Path) -> list[str]:
    """Ids of the test samples in their order, as sample_submission.csv gives them."""
    path = data / "sample_submission.csv"
    if not path.is_file():
        raise InputError(
            f"{display_path(path)}: no such file; it gives the test samples; get it with the official files"
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
    faults += id_faults([row[0].strip() for row in rows], official_test_ids(data))
    quantities = [(row[0], value) for row in rows if (value := _number(row[1])) is not None]
    no_number = [f"{row[1]!r} (sample {row[0]})" for row in rows if _number(row[1]) is None]
    not_finite = [name for name, value in quantities if not math.isfinite(value)]
    outside = [
        f"{value:g} (sample {name})"
        for name, value in quantities
        if math.isfinite(value) and not 0 <= value <= 1
    ]
    no_minute = [f"{row[2]!r} (sample {row[0]})" for row in rows if _integer(row[2]) is None]
    late = [
        f"{row[2]} (sample {row[0]})"
        for row in rows
        if (minute := _integer(row[2])) is not None and not 0 <= minute < FUTURE_MINUTES
    ]
    checks = (
        (no_number, "buy_quantity is no number"),
        (not_finite, "buy_quantity is NaN or infinite for samples"),
        (outside, "buy_quantity is not within 0 and 1"),
        (no_minute, "sell_time is no integer"),
        (late, f"sell_time is not within 0 and {FUTURE_MINUTES - 1}"),
    )
    return faults + [f"{len(found)} rows: {what}: {examples(found)}" for found, what in checks if found]


def read_submission(submission: Path, sample_id: IntArray) -> Orders:
    """The orders of a submission for the samples `sample_id`; InputError when it does not fit them."""
    rows, faults = read_submission_table(submission, HEADER)
    faults += id_faults([row[0].strip() for row in rows], [str(sample) for sample in sample_id])
    if faults:
        raise InputError(f"{display_path(submission)}: {faults[0]}")
    quantity = [_number(row[1]) for row in rows]
    minute = [_integer(row[2]) for row in rows]
    valid = all(value is not None and 0 <= value <= 1 for value in quantity) and all(
        value is not None and 0 <= value < FUTURE_MINUTES for value in minute
    )
    if not valid:
        raise InputError(
            f"{display_path(submission)}: a buy_quantity or sell_time is out of range; "
            "`python -m competitions validate bit_trader` lists all faults"
        )
    return Orders(np.asarray(quantity, np.float64), np.asarray(minute, np.int64))


def _number(cell: str) -> float | None:
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _integer(cell: str) -> int | None:
    text = cell.strip()
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else None
