"""The flags of 3_infer that match a catalogue of one's own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path, readable_folder
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags

DEFAULT_COLUMNS = "id=posting_id,title=title,image=image"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--catalogue, --columns, --pictures, --index."""
    parser.add_argument(
        "--catalogue", type=Path, metavar="FILE", help="match this CSV instead of the test split"
    )
    parser.add_argument(
        "--columns",
        default=DEFAULT_COLUMNS,
        metavar="LIST",
        help="its columns: id=...,title=...,image=...[,phash=...] (%(default)s)",
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="folder of its pictures (default: the CSV's folder)"
    )
    parser.add_argument("--index", type=Path, metavar="DIR", help="also match against this index")


def requested(args: argparse.Namespace) -> OwnData | None:
    """The catalogue of --catalogue; InputError when the file or a folder does not exist."""
    if args.catalogue is None:
        return None
    table = args.catalogue.expanduser().absolute()
    if not table.is_file():
        raise InputError(f"{display_path(table)}: no such file; --catalogue takes a CSV file")
    files = {"catalogue": table}
    if "image=" in args.columns:
        files["pictures"] = readable_folder(args.pictures or table.parent, "the folder of the pictures")
    if args.index is not None:
        files["index"] = readable_folder(args.index, "the index")
    return OwnData(
        name=f"catalogue_{table.stem}",
        files=files,
        options={"columns": args.columns},
        predict=lazy("competitions.shopee_matching.predict.match_catalogue:match_catalogue"),
    )


OWN_DATA = OwnDataFlags(add_flags, requested)
