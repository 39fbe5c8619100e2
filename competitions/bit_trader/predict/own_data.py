"""The flags of 3_infer that ask for klines of your own."""

import argparse
import os
from pathlib import Path

from common.base.errors import InputError
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags, own_data_name
from competitions.bit_trader.predict.kline_files import kline_files

EVERY = 120


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--klines",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="1-minute klines of one coin to forecast and decide on: files or folders of months; CSV with "
        "any separator (also .gz, .zip), .xlsx, parquet or JSON; columns by name, or the 12 of an exchange",
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="MINUTES",
        help=f"with --klines: minutes from one window to the next ({EVERY})",
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    if args.klines is None:
        if args.every is not None:
            raise InputError("--every is for klines of your own; give them with --klines FILE")
        return None
    every = EVERY if args.every is None else args.every
    if every < 1:
        raise InputError(f"--every {every}: expected a number of minutes, at least 1")
    files, _ = kline_files(args.klines)
    args.every = every
    places = [path.expanduser().absolute() for path in args.klines]
    others = sorted(os.fsencode(place).hex() for place in places[1:])
    return OwnData(
        name=own_data_name("klines", places[0], {"every": every, "others": others}),
        files={f"klines {number}": file for number, file in enumerate(files)},
        options={"every": every},
        predict=lazy("competitions.bit_trader.predict.predictor:predict_klines"),
    )


OWN_DATA = OwnDataFlags(_add, _request)
