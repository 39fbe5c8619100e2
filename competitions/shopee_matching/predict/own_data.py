"""The flags of 3_infer that match a catalogue of one's own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path, readable_folder
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags, own_data_name

OWN_FLAGS = ("columns", "pictures", "index", "encoding")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--catalogue, and the flags that belong to it."""
    parser.add_argument(
        "--catalogue",
        type=Path,
        metavar="FILE",
        help="match this table instead of the test split: CSV (comma, semicolon, tab or bar; .gz, .zip), "
        ".xlsx or .parquet",
    )
    parser.add_argument(
        "--columns",
        metavar="LIST",
        help="its columns: id=...,title=...,image=...[,phash=...]; one with a comma in quotes: "
        "'id=sku,\"title=Name, long\"' (default: posting_id, title, image)",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="folder of its pictures, which the image column names (default: the table's folder)",
    )
    parser.add_argument(
        "--index", type=Path, metavar="DIR", help="add the listings to this index, and match all of them"
    )
    parser.add_argument("--encoding", metavar="NAME", help="of a CSV that is not UTF-8: cp1252, gb18030, ...")


def requested(args: argparse.Namespace) -> OwnData | None:
    """The catalogue of --catalogue.

    Raises
    ------
    InputError : flags that belong to --catalogue without it, or a table that cannot be read.
    """
    given = [f"--{name}" for name in OWN_FLAGS if getattr(args, name) is not None]
    if args.catalogue is None:
        if given:
            raise InputError(f"{' and '.join(given)}: only with --catalogue FILE; give the table as well")
        return None
    if getattr(args, "weights", None) is not None:
        raise InputError("--weights: not with --catalogue; the networks are those of the trained experiment")
    table = args.catalogue.expanduser().absolute()
    if not table.is_file():
        what = "a folder" if table.is_dir() else "no such file"
        raise InputError(f"{display_path(table)}: {what}; --catalogue takes a table")
    files = {"catalogue": table}
    options = {name: str(getattr(args, name)) for name in OWN_FLAGS if getattr(args, name) is not None}
    if args.pictures is not None:
        options["pictures"] = str(readable_folder(args.pictures, "the folder of --pictures"))
    if args.index is not None:
        index = readable_folder(args.index, "the folder of --index")
        options["index"] = str(index)
        # It holds the hashes of all other files of the index.
        if (index / "index.json").is_file():
            files["index"] = index / "index.json"
    # Names of folders may be no UTF-8.
    options = {name: text.encode("utf-8", "surrogateescape").hex() for name, text in options.items()}
    named = own_data_name("catalogue", table, options)
    return OwnData(
        name=named,
        files=files,
        options=options | {"files": _pictures_read(args, table)},
        predict=lazy("competitions.shopee_matching.predict.match_catalogue:match_catalogue"),
    )


def _pictures_read(args: argparse.Namespace, table: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of modification of the pictures that the table names; no folder is walked."""
    from competitions.shopee_matching.predict.catalogue import catalogue_of

    files = catalogue_of(args, table).pictures.files
    states = {name: file.stat() for name, file in sorted(files.items())}
    return [(name, state.st_size, state.st_mtime_ns) for name, state in states.items()]


OWN_DATA = OwnDataFlags(add_flags, requested)
