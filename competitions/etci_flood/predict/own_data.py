"""The flags of 3_infer.py that map a raster of one's own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--geotiff", type=Path, metavar="FILE", help="map this raster of VV and VH instead of the test tiles"
    )
    parser.add_argument(
        "--water", type=Path, metavar="FILE", help="permanent water (not 0) on the same grid (none)"
    )
    parser.add_argument(
        "--units", choices=("auto", "db", "linear"), default="auto", help="units of the raster (auto)"
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    if args.geotiff is None:
        if args.water is not None:
            raise InputError("--water: is for --geotiff")
        return None
    given = {"--geotiff": args.geotiff, "--water": args.water}
    files = {flag: file.expanduser().absolute() for flag, file in given.items() if file is not None}
    for flag, file in files.items():
        if not file.is_file():
            raise InputError(f"{display_path(file)}: no such raster file; check {flag}")
    return OwnData(
        name=f"geotiff/{args.geotiff.stem}",
        files=files,
        options={"units": args.units},
        predict=lazy("competitions.etci_flood.predict.predictor:predict_own_raster"),
    )


OWN_DATA = OwnDataFlags(_add, _request)
