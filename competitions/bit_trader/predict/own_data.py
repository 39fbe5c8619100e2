"""The flags of 3_infer that ask for klines of your own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--klines", type=Path, metavar="FILE", help="1-minute kline CSV to forecast and decide on"
    )
    parser.add_argument(
        "--every", type=int, default=120, metavar="MINUTES", help="minutes from one window to the next (120)"
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    if args.klines is None:
        return None
    file = args.klines.expanduser()
    if not file.is_file():
        raise InputError(
            f"--klines {display_path(file)}: no such file; expected a 1-minute kline CSV of an exchange"
        )
    if args.every < 1:
        raise InputError(f"--every {args.every}: expected a number of minutes, at least 1")
    return OwnData(
        name=f"klines_{file.stem}",
        files={"klines": file},
        options={"every": args.every},
        predict=lazy("competitions.bit_trader.predict.predictor:predict_klines"),
    )


OWN_DATA = OwnDataFlags(_add, _request)
