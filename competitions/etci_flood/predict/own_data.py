"""The flags of 3_infer.py that map a raster of one's own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags, own_data_name

UNITS = ("auto", "db", "linear", "amplitude")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--geotiff",
        nargs="+",
        metavar="FILE",
        help="map this raster instead of the test tiles: one file with VV and VH, or a file of each; bands "
        "are found by their names",
    )
    parser.add_argument("--bands", metavar="VV=2,VH=1", help="which bands are VV and VH, by number or name")
    parser.add_argument(
        "--units", choices=UNITS, help="of the raster's values (auto); linear is power, amplitude its root"
    )
    parser.add_argument(
        "--nodata",
        metavar="VALUE",
        help="no data where the file does not mark it (--nodata=-9999,0), or none (auto: 0, values that "
        "cannot be backscatter, constant areas)",
    )
    parser.add_argument(
        "--water",
        metavar="FILE",
        help="mask of permanent water, 0 and 1 or 0 and 255; another grid is resampled (none)",
    )
    parser.add_argument(
        "--water-value",
        metavar="VALUE",
        help="values of --water that are water, several with commas; for maps of classes, 80 of WorldCover",
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    given = {
        "--bands": args.bands,
        "--units": args.units,
        "--nodata": args.nodata,
        "--water": args.water,
        "--water-value": args.water_value,
    }
    if args.geotiff is None:
        unused = [flag for flag, value in given.items() if value is not None]
        if unused:
            raise InputError(f"{', '.join(unused)}: for --geotiff; the test tiles need no such flag")
        return None
    if args.water is None and args.water_value is not None:
        raise InputError("--water-value: is for --water")
    from competitions.etci_flood.predict.bands import parse_bands
    from competitions.etci_flood.predict.raster_files import absolute, files_of

    numbers("--nodata", args.nodata)
    numbers("--water-value", args.water_value)
    if args.bands is not None:
        parse_bands(args.bands)
    rasters = {f"--geotiff {number}": file for number, file in enumerate(args.geotiff, 1)}
    if args.water is not None:
        rasters["--water"] = args.water
    files: dict[str, Path] = {}
    for flag, text in rasters.items():
        first, *others = files_of(absolute(text, flag.split()[0]))
        files[flag] = first
        files |= {f"{flag}, read with it {number}": file for number, file in enumerate(others, 1)}
    options = {
        flag.lstrip("-").replace("-", "_"): value for flag, value in given.items() if value is not None
    }
    options["files"] = [str(files[flag]) for flag in rasters]
    return OwnData(
        name=own_data_name("geotiff", files["--geotiff 1"], options),
        files=files,
        options=options,
        predict=lazy("competitions.etci_flood.predict.predictor:predict_own_raster"),
    )


def numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    """`-9999,0` -> (-9999.0, 0.0), `none` -> (); None when the flag is not given."""
    if text is None:
        return None
    if flag == "--nodata" and text.strip().lower() == "none":
        return ()
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{flag} {text[:40]!r}: expected numbers, several with commas") from None
    return found


OWN_DATA = OwnDataFlags(_add, _request)
