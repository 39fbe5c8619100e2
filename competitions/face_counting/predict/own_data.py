"""Flags of 3_infer.py for photos of the user's own."""

import argparse
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.run import lazy
from common.run.own_data import OwnData, OwnDataFlags

photo_files = lazy("competitions.face_counting.predict.photos:photo_files")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, metavar="DIR", help="count the faces of the photos in DIR")
    parser.add_argument("--save-pictures", action="store_true", help="with --images: also draw the boxes")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="with --images: pretrained weights (file or folder) instead of trained networks",
    )


def _request(args: argparse.Namespace) -> OwnData | None:
    if args.images is None:
        if args.save_pictures or args.weights is not None:
            raise InputError("--save-pictures and --weights need own photos: give their folder with --images")
        return None
    photo_files(args.images)
    files = {"--images": args.images.expanduser().absolute()}
    if args.weights is not None:
        files["--weights"] = args.weights.expanduser().absolute()
        if not files["--weights"].exists():
            raise InputError(f"--weights {display_path(args.weights)}: no such file or folder")
    return OwnData(
        name="images/counts",
        files=files,
        options={"save_pictures": args.save_pictures},
        predict=lazy("competitions.face_counting.predict.predictor:predict_own_photos"),
        needs_training=args.weights is None,
    )


OWN_DATA = OwnDataFlags(_add, _request)
