"""Test listings and their matches as a gallery of photos."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from common.base.atomic import atomic_write
from common.files.pictures import UnreadablePictureError, open_rgb
from common.learn.arrays import Int64
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.data.listings import Listings, picture_path
from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches

ROWS, COLUMNS = 5, 5
PHOTO, MARGIN, HEAD, CAPTION = 132, 14, 40, 62
CHARACTERS = 19
"""Characters that fit below a photo in one line, even in capitals."""
INK, SOFT, PAPER = "#1f2328", "#6b7280", "#ffffff"
RIGHT, WRONG, UNLABELLED, QUERY = "#1a9c5b", "#d64545", "#9aa3ad", "#3b6fb6"
QUALITY = 78


@dataclass(frozen=True)
class GalleryRow:
    """One listing, its matches (best first), and how many it should have."""

    query: int
    matches: list[int]
    others: int | None


def draw_gallery(
    path: Path,
    listings: Listings,
    folder: Path,
    pairs: CandidatePairs,
    rule: MatchRule,
    label_group: Int64 | None,
    mistakes: bool = False,
) -> None:
    """Draw five listings with up to four matches each; frames tell right from wrong if labels are known.

    Parameters
    ----------
    mistakes : whether only listings with a wrong match are shown.
    """
    rows = gallery_rows(pairs, rule, listings, label_group, mistakes)
    cell = PHOTO + MARGIN
    height = HEAD + max(1, len(rows)) * (PHOTO + CAPTION) + MARGIN
    canvas = Image.new("RGB", (2 * MARGIN + COLUMNS * cell + MARGIN, height), PAPER)
    drawing = ImageDraw.Draw(canvas)
    drawing.text((MARGIN, 12), "listing", fill=QUERY, font=_font(15, bold=True))
    drawing.text((2 * MARGIN + cell, 12), "matched listings", fill=INK, font=_font(15, bold=True))
    drawing.text((2 * MARGIN + cell + 156, 17), "below each: retriever", fill=SOFT, font=_font(11))
    if label_group is not None:
        drawing.text((2 * MARGIN + cell + 330, 16), "right", fill=RIGHT, font=_font(12, bold=True))
        drawing.text((2 * MARGIN + cell + 378, 16), "wrong", fill=WRONG, font=_font(12, bold=True))
    if not rows:
        drawing.text((MARGIN, HEAD + 20), "no listing has a match", fill=SOFT, font=_font(13))
    reasons = _reasons(pairs, rule)
    for number, row in enumerate(rows):
        top = HEAD + number * (PHOTO + CAPTION)
        _card(canvas, MARGIN, top, listings, folder, row.query, QUERY, _found(row, label_group))
        drawing.line((MARGIN + cell, top, MARGIN + cell, top + PHOTO), fill="#d5d9de", width=2)
        for place, match in enumerate(row.matches[: COLUMNS - 1]):
            colour = UNLABELLED
            if label_group is not None:
                colour = RIGHT if label_group[match] == label_group[row.query] else WRONG
            left = 2 * MARGIN + (place + 1) * cell
            _card(canvas, left, top, listings, folder, match, colour, reasons.get((row.query, match), ""))
    with atomic_write(path) as partial:
        canvas.save(partial, quality=QUALITY)


def gallery_rows(
    pairs: CandidatePairs,
    rule: MatchRule,
    listings: Listings,
    label_group: Int64 | None,
    mistakes: bool = False,
) -> list[GalleryRow]:
    """Listings of different products with two to four matches, found by as many retrievers as possible.

    Where labels are known, the last one has a wrong match: a gallery of successes alone would mislead.
    """
    query, match = select_matches(pairs, rule, len(listings))
    found: dict[int, list[int]] = {}
    for row, other in zip(query.tolist(), match.tolist(), strict=True):
        found.setdefault(row, []).append(other)
    reasons = _reasons(pairs, rule)

    def interest(row: int) -> tuple[bool, int, int, int]:
        ways = {reasons.get((row, other), "") for other in found[row]}
        photos = {listings.image[other] for other in [row, *found[row]]}
        return 2 <= len(found[row]) < COLUMNS, len(ways), len(photos), -row

    ordered = sorted(found, key=interest, reverse=True)
    if label_group is None:
        return [GalleryRow(row, found[row], None) for row in _different(ordered, found, None, ROWS)]
    size = dict(zip(*(values.tolist() for values in np.unique(label_group, return_counts=True)), strict=True))
    mistaken = {row for row in ordered if (label_group[found[row]] != label_group[row]).any()}
    good = _different([row for row in ordered if row not in mistaken], found, label_group, ROWS - 1)
    most = ROWS if mistakes else ROWS - len(good)
    bad = _different([row for row in ordered if row in mistaken], found, label_group, most)
    chosen = bad if mistakes else good + bad[:1]
    return [GalleryRow(row, found[row], size[int(label_group[row])] - 1) for row in chosen]


def _different(
    rows: list[int], found: dict[int, list[int]], label_group: Int64 | None, most: int
) -> list[int]:
    """The first `most` rows that share neither a match nor a product."""
    kept: list[int] = []
    shown: set[int] = set()
    products: set[int] = set()
    for row in rows:
        product = row if label_group is None else int(label_group[row])
        if len(kept) < most and product not in products and not shown & {row, *found[row]}:
            kept.append(row)
            shown |= {row, *found[row]}
            products.add(product)
    return kept


def _found(row: GalleryRow, label_group: Int64 | None) -> str:
    if label_group is None or row.others is None:
        return f"{len(row.matches)} matched"
    right = int((label_group[row.matches] == label_group[row.query]).sum())
    return f"{right} of {row.others} found"


def _reasons(pairs: CandidatePairs, rule: MatchRule) -> dict[tuple[int, int], str]:
    """(query, match) -> the experiments whose threshold the pair reaches; of a single one, the score."""
    query, match = pairs.query.tolist(), pairs.match.tolist()
    if len(rule.thresholds) == 1:
        ((name, _),) = rule.thresholds.items()
        scores = pairs.scores[name].tolist()
        return {
            (one, other): f"{name} {score:.2f}"
            for one, other, score in zip(query, match, scores, strict=True)
        }
    reached = {name: pairs.scores[name] >= threshold for name, threshold in rule.thresholds.items()}
    reasons: dict[tuple[int, int], str] = {}
    for row in np.flatnonzero(np.any(list(reached.values()), axis=0)) if reached else []:
        reasons[query[row], match[row]] = " + ".join(name for name in reached if reached[name][row])
    return reasons


def _card(
    canvas: Image.Image,
    left: int,
    top: int,
    listings: Listings,
    folder: Path,
    row: int,
    frame: str,
    note: str,
) -> None:
    """One framed photo with its title in two lines and a note."""
    drawing = ImageDraw.Draw(canvas)
    try:
        photo = open_rgb(picture_path(folder, listings.image[row], folder.name))
        photo = ImageOps.fit(photo, (PHOTO, PHOTO), Image.Resampling.LANCZOS)
        canvas.paste(photo, (left, top))
    except UnreadablePictureError:
        drawing.rectangle((left, top, left + PHOTO, top + PHOTO), fill="#eef0f2")
        drawing.text(
            (left + PHOTO / 2, top + PHOTO / 2), "no picture", fill=SOFT, font=_font(12), anchor="mm"
        )
    drawing.rectangle((left - 1, top - 1, left + PHOTO, top + PHOTO), outline=frame, width=4)
    lines = textwrap.wrap(_drawable(listings.title[row]), CHARACTERS)[:2]
    for number, line in enumerate(lines):
        drawing.text((left, top + PHOTO + 4 + 13 * number), line, fill=INK, font=_font(10))
    drawing.text(
        (left, top + PHOTO + 31), textwrap.shorten(note, 26, placeholder=" ..."), fill=frame, font=_font(9)
    )


def _drawable(title: str) -> str:
    """The title without signs that the font lacks, emoji above all."""
    return " ".join("".join(sign for sign in title if ord(sign) < 0x2000).split())


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
