"""Flags of 3_infer.py for photos of the user's own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags, own_data_name
from common.run.run_record import hash_path, short_hash

find_photos = lazy("competitions.face_counting.predict.photos:find_photos")
photo_name = lazy("competitions.face_counting.predict.photos:photo_name")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="count the faces of the photos in DIR, or of one photo"
    )
    parser.add_argument("--save-pictures", action="store_true", help="with --images: also draw the boxes")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="with --images: pretrained weights (file or folder) instead of trained networks",
    )
    parser.add_argument(
        "--tiles",
        choices=("auto", "off"),
        default="auto",
        help="with --images: photos larger than 640 px are also seen in overlapping tiles at their own scale "
        "(auto, default), or whole only (off; faster, small faces are missed)",
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    if args.images is None:
        if args.save_pictures or args.weights is not None or args.tiles != "auto":
            raise InputError(
                "--save-pictures, --weights and --tiles need own photos: give their folder with --images"
            )
        return None
    found = find_photos(args.images)
    listing = []
    for path in found.files:
        status = path.stat()
        listing.append([photo_name(path, found.folder), status.st_size, status.st_mtime_ns])
    settings = {"tiles": args.tiles}
    if args.weights is not None:
        weights = args.weights.expanduser().absolute()
        if not weights.exists():
            raise InputError(f"--weights {display_path(args.weights)}: no such file or folder")
        settings["weights"] = hash_path(weights)
    return OwnData(
        # The folder holds counts.csv, its record and the drawn pictures.
        name=f"{own_data_name('images', args.images, settings)}/counts",
        files={},
        hashes={"--images": short_hash(listing)},
        source=args.images.expanduser().absolute(),
        options=settings | {"save_pictures": args.save_pictures},
        predict=lazy("competitions.face_counting.predict.predictor:predict_own_photos"),
        needs_training=args.weights is None,
    )


OWN_DATA = OwnDataFlags(_add, _request)
