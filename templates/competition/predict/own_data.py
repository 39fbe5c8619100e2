"""The flag of 3_infer that asks for a table of the user's own; light, as every script imports it.

Replace: the flag's name and what it takes.
"""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.run.competition import lazy
from common.run.own_data import OwnData, OwnDataFlags, own_data_name


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="predict this table (CSV, Excel, parquet) instead of the test split",
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    if args.table is None:
        return None
    file = args.table.expanduser().absolute()
    if not file.is_file():
        raise InputError(f"--table {display_path(file)}: no such file")
    args.table = file
    return OwnData(
        name=own_data_name("table", file),
        files={"--table": file},
        options={},
        predict=lazy("competitions.my_competition.predict.predictor:predict_own_table"),
    )


OWN_DATA = OwnDataFlags(_add, _request)
