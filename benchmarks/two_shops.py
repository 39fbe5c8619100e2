"""F1 of matching the products of two shops, by a trained experiment at its own threshold and by plain TF-IDF.

    python -m benchmarks.two_shops --work DIR [--experiment NAME] [--seed N ...]
    python -m benchmarks.two_shops --work DIR --files LEFT.csv RIGHT.csv MAPPING.csv

By default the two shops are drawn: about 2,600 listings of electronics, of the kind of the public set
Abt-Buy. One shop writes short names that end in a model code, the other longer ones with features, often
without the code or with another spelling of it. Both sell accessories and variants of one product; most
listings have one twin in the other shop, some have none. TF-IDF gets the threshold that is best on the
truth, the experiment does not see the truth.

--files measures on a public set that you have downloaded, for instance Abt-Buy or Amazon-Google from
https://dbs.uni-leipzig.de/research/projects/benchmark-datasets-for-entity-resolution: two tables with the
columns id and name (or title), and the mapping, whose two columns are ids of the first and of the second
table. The set is only measured, never learned from.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.console import log
from common.base.errors import InputError

BRANDS = ("Sonatel", "Panora", "Denara", "Kenwell", "Bosco", "Yamura", "Tosheba", "Samtec",
    "Linkwell", "Netgrade", "Canvue", "Nikora", "Olympia", "Garwin", "Belkor", "Logix", "Sharpe",
    "Whirlwell", "Frigida", "Maytek", "Cuisina", "Delongo", "Sanusi", "Omnifix", "Peerlo", "Onkyra",
    "Piona", "Escorta", "Uniden X", "Monstera")  # fmt: skip
# type -> (words of the first shop, words of the second shop, features, prefix letters of codes)
TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = { "tv":
    (("{inch}' LCD HDTV", "{inch}' Flat Panel LCD HDTV"), ("{inch}\" LCD TV",
    "{inch} inch Widescreen 1080p LCD HDTV"), ("16:9", "1920 x 1080", "HDTV", "ATSC", "Widescreen",
    "178 Degree Viewing Angle", "HDMI")), "camera": (("{mp} Megapixel Digital Camera",
    "{mp}MP Digital Camera"), ("Digital Camera", "{mp} Megapixel Compact Digital Still Camera"),
    ("3x Optical Zoom", "2.5' LCD", "Image Stabilization", "PictBridge", "Face Detection")),
    "phone": (("Cordless Telephone", "Expandable Cordless Phone System", "2-Line Corded Telephone"),
    ("Cordless Phone", "Digital Expandable Cordless Phone", "Corded Phone"), ("DECT 6.0",
    "Answering System", "Caller ID", "Speakerphone", "1 x Phone Line(s)", "Headset")), "receiver":
    (("Home Theater Receiver", "A/V Receiver", "Stereo Audio Receiver"), ("A/V Receiver",
    "7.1-Channel Audio/Video Receiver", "Stereo Receiver"), ("Dolby Digital", "DTS", "FM, AM",
    "110 Watts", "HDMI Repeater")), "speaker": (("Bookshelf Speaker", "Center Channel Speaker",
    "Powered Subwoofer", "Floor Standing Speaker"), ("Bookshelf Speakers", "Center Speaker",
    "Subwoofer System", "Floorstanding Loudspeaker"), ("2-way Speaker", "Cable", "8 Ohm",
    "Magnetically Shielded", "100W (RMS)")), "washer": (("Front Load Washer", "Electric Dryer",
    "Built-In Dishwasher", "Over The Range Microwave Oven"), ("Front Loading Washing Machine",
    "Electric Clothes Dryer", "Full Console Dishwasher", "Microwave Oven"), ("Energy Star",
    "7 Cycles", "Stainless Steel Tub", "1.8 cu. ft.", "1100W")), "gps": (("Portable GPS Navigator",
    "GPS Receiver"), ("Automobile Navigator", "Handheld GPS Navigator"), ("4.3' Touchscreen",
    "Text-to-Speech", "Traffic Receiver", "microSD Card Slot")), "headphones":
    (("Noise Canceling Headphones", "In-Ear Headphones", "Stereo Headphones"),
    ("Noise Cancelling Headphone", "Earbuds", "Stereo Headphone"), ("Over-the-head",
    "Connectivity: Wired", "Foldable", "Ear-cup")), "switch": (("8-Port Gigabit Switch",
    "Wireless-N Broadband Router", "5-Port 10/100 Switch"), ("Ethernet Switch", "Wireless Router",
    "Desktop Switch 5 Port"), ("8 x 10/100/1000Base-T LAN", "54Mbps", "1 x 10/100Base-TX WAN",
    "IEEE 802.11n (draft)")), "mount": (("Flat Panel TV Wall Mount",
    "Tilting Wall Mount For 23' - 40' TVs", "Speaker Stand"), ("Universal Tilt Wall Mount",
    "Flat Panel Wall Arm", "Steel Speaker Stand"), ("Steel", "80 lb", "200 lb",
    "Up to 40\" Flat Panel Display")), "printer": (("All-In-One Photo Inkjet Printer",
    "Color Laser Printer"), ("Multifunction Photo Printer", "Laser Printer"), ("Color Inkjet",
    "20 ppm Mono", "4800 x 1200 dpi", "USB - PC, Mac")), "car": (("In-Dash CD Receiver",
    "6.5' Coaxial Car Speakers", "12' Car Subwoofer"), ("Car Audio Player", "Coaxial Car Speaker",
    "Subwoofer"), ("iPod/iPhone Compatible", "200 Watts", "CD-R, CD-RW", "LCD", "4 Channels")),
    "coffee": (("12-Cup Coffeemaker", "Espresso Maker", "Convection Toaster Oven",
    "Cordless Electric Kettle"), ("Coffee Maker", "Espresso Machine", "Toaster Oven Broiler",
    "Electric Kettle"), ("12 Cup(s)", "Stainless Steel", "15 Bar", "1500W", "Programmable")), }  # fmt: skip
SERIES = ("Acoustica", "Bravo", "Cyber-shot", "Easy Touch", "Viewline", "Prestige", "Pro Series",
    "Diamond", "Signature", "Smart Zone", "Twenty Four Seven", "VisionMount", "Xplod", "ProSafe",
    "Freedom", "Street Guide", "Genius")  # fmt: skip
ACCESSORIES = (("Replacement Battery", "Lithium Ion Rechargeable Camera Battery"), ("Carrying Case",
    "Case"), ("AC Adapter", "Power Adapter"), ("Remote Control", "Remote"), ("Ink Cartridge",
    "Inkjet Cartridge"), ("Water Filter", "Replacement Filter"))  # fmt: skip
COLOURS = (
    ("Black", "BK", "B"),
    ("White", "WH", "W"),
    ("Silver", "SL", "S"),
    ("Red", "RD", "R"),
    ("Stainless Steel", "SS", "SS"),
)
LETTERS = "ABCDEFGHKLMNPRSTVWX"


@dataclass(frozen=True)
class Thing:
    """One product for sale."""

    brand: str
    kind: str
    words: tuple[str, str]
    """How each shop calls its kind."""
    series: str
    code: str
    colour: tuple[str, str, str] | None
    features: tuple[str, ...]
    accessory_for: str = ""


@dataclass(frozen=True)
class TwoShops:
    """Listings of two shops and the pairs that are one product."""

    ids: list[str]
    titles: list[str]
    left: int
    """So many of the first listings are of the first shop."""
    matches: set[tuple[int, int]]
    """Row of the first shop, row of the second."""


def draw_things(products: int, random: np.random.Generator) -> list[Thing]:
    """Products in families: variants by number or colour of one model, and accessories of some."""
    found: list[Thing] = []
    while len(found) < products:
        kind = str(random.choice(list(TYPES)))
        first, second, features = TYPES[kind]
        place = int(random.integers(len(first)))
        inch, mp = int(random.integers(19, 65)), int(random.integers(5, 15))
        words = tuple(
            text.format(inch=inch, mp=mp) for text in (first[place], second[min(place, len(second) - 1)])
        )
        brand = str(random.choice(BRANDS))
        letters = "".join(random.choice(list(LETTERS), size=int(random.integers(1, 5))))
        number = int(random.integers(10, 9999))
        ending = str(random.choice(["", "", "A", "B", "U", "X1"]))
        series = str(random.choice(SERIES)) if random.random() < 0.35 else ""
        size = int(random.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1]))
        by_colour = random.random() < 0.4
        colours = random.permutation(len(COLOURS))
        own = tuple(
            str(each) for each in random.choice(features, size=int(random.integers(1, 4)), replace=False)
        )
        between = int(random.choice([1, 2, 5, 10, 100]))
        for member in range(size):
            colour = COLOURS[colours[member]] if by_colour or random.random() < 0.3 else None
            step = 0 if by_colour else member * between
            code = f"{letters}{number + step}{ending}" + (
                colour[1 + int(random.random() < 0.5)] if colour else ""
            )
            found.append(Thing(brand, kind, (words[0], words[1]), series, code, colour, own))
        if random.random() < 0.25:
            what = ACCESSORIES[int(random.integers(len(ACCESSORIES)))]
            own_code = "".join(random.choice(list(LETTERS), size=2)) + str(random.integers(10, 999))
            found.append(Thing(brand, "accessory", what, "", own_code, None, (), found[-1].code))
    return found[:products]


def short_name(thing: Thing, random: np.random.Generator) -> str:
    """The first shop: `Panora Cordless Telephone In Black - KXTG6700B`."""
    words = [thing.brand, thing.series, thing.words[0]]
    if thing.accessory_for and random.random() < 0.5:
        words.append(f"For {thing.accessory_for}")
    if thing.colour and random.random() < 0.45:
        words.append(f"In {thing.colour[0]}")
    name = " ".join(word for word in words if word)
    return f"{name} - {thing.code}"


def long_name(thing: Thing, random: np.random.Generator) -> str:
    """The second shop: other words, features, the code in another spelling, shorter, or not at all."""
    words = [thing.brand if random.random() < 0.95 else thing.brand.upper()]
    code = _respelled(thing, random)
    if thing.series and random.random() < 0.75:
        words.append(thing.series)
    early = random.random() < 0.5
    if code and early:
        words.append(code)
    words.append(thing.words[1] if random.random() < 0.8 else thing.words[0])
    if thing.accessory_for and random.random() < 0.4:
        words.append(f"for {thing.accessory_for}")
    taken = int(random.integers(0, len(thing.features) + 1))
    name = " ".join(words)
    if code and not early:
        name += f" - {code}"
    for feature in thing.features[:taken]:
        name += f" - {feature}"
    if thing.colour and random.random() < 0.55:
        name += f" - {thing.colour[0]}" if random.random() < 0.5 else f" ({thing.colour[0]})"
    return name


def _respelled(thing: Thing, random: np.random.Generator) -> str:
    draw, code = random.random(), thing.code
    if draw < 0.17:
        return ""
    letters = len(code) - len(code.lstrip(LETTERS))
    if draw < 0.36 and letters:
        return f"{code[:letters]}-{code[letters:]}"
    if draw < 0.52 and thing.colour and code.endswith((thing.colour[1], thing.colour[2])):
        return (
            code[: -len(thing.colour[1])] if code.endswith(thing.colour[1]) else code[: -len(thing.colour[2])]
        )
    if draw < 0.6 and letters > 2:
        return code[letters - 2 :]
    return code


def draw_shops(seed: int, products: int = 1_450) -> TwoShops:
    """Two shops with about 2,600 listings, nine of ten products in both, no price."""
    random = np.random.default_rng(seed)
    things = draw_things(products, random)
    draws = random.random(len(things))
    here = np.flatnonzero(draws < 0.92)
    there = np.flatnonzero(draws > 0.1)
    random.shuffle(there)
    titles = [short_name(things[row], random) for row in here] + [
        long_name(things[row], random) for row in there
    ]
    place = {int(row): number for number, row in enumerate(here)}
    matches = {(place[int(row)], len(here) + number) for number, row in enumerate(there) if int(row) in place}
    ids = [f"left{row}" for row in range(len(here))] + [f"right{row}" for row in range(len(there))]
    return TwoShops(ids, titles, len(here), matches)


def read_shops(left: Path, right: Path, mapping: Path) -> TwoShops:
    """Two tables and their mapping; InputError when a column or an id is not there."""
    tables = [_read(left), _read(right)]
    rows = [{name: row for row, name in enumerate(table[0])} for table in tables]
    matches = set()
    with mapping.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for one, other in list(csv.reader(file))[1:]:
            if one not in rows[0] or other not in rows[1]:
                raise InputError(f"{mapping}: {one!r},{other!r} are no ids of {left.name} and {right.name}")
            matches.add((rows[0][one], len(rows[0]) + rows[1][other]))
    ids = [f"left {name}".replace(" ", "_") for name in tables[0][0]] + [
        f"right {name}".replace(" ", "_") for name in tables[1][0]
    ]
    return TwoShops(ids, [*tables[0][1], *tables[1][1]], len(tables[0][0]), matches)


def _read(path: Path) -> tuple[list[str], list[str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.DictReader(file))
    named = [
        {(key or "").strip().strip('"').lower().lstrip("\ufeff"): cell for key, cell in row.items()}
        for row in rows
    ]
    title = next((name for name in ("name", "title") if named and name in named[0]), None)
    if title is None or "id" not in named[0]:
        raise InputError(f"{path}: expected the columns id and name (or title)")
    return [row["id"] for row in named], [row[title] or "" for row in named]


def cross_f1(shops: TwoShops, pairs: set[tuple[int, int]]) -> tuple[float, float, float]:
    """F1, precision and recall of the pairs between the two shops."""
    across = {(min(pair), max(pair)) for pair in pairs if (pair[0] < shops.left) != (pair[1] < shops.left)}
    right = len(across & shops.matches)
    precision = right / len(across) if across else 0.0
    recall = right / len(shops.matches)
    return 2 * right / (len(across) + len(shops.matches)), precision, recall


def tfidf_best(shops: TwoShops) -> tuple[float, float]:
    """Best F1 over all thresholds of the cosine of plain TF-IDF, and that threshold."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = TfidfVectorizer().fit_transform(shops.titles)
    cosine = (rows[: shops.left] @ rows[shops.left :].T).tocoo()
    order = np.argsort(-cosine.data, kind="stable")
    left, right = cosine.row[order], cosine.col[order] + shops.left
    correct = np.cumsum(
        [(int(a), int(b)) in shops.matches for a, b in zip(left[:200_000], right[:200_000], strict=True)]
    )
    f1 = 2 * correct / (np.arange(1, len(correct) + 1) + len(shops.matches))
    # A threshold keeps all pairs of the same cosine.
    last = np.r_[np.diff(cosine.data[order][: len(correct)]) != 0, True]
    best = int(np.argmax(np.where(last, f1, 0)))
    return float(f1[best]), float(cosine.data[order][best])


def product_pairs(shops: TwoShops, experiment: str, work: Path) -> tuple[set[tuple[int, int]], pd.DataFrame]:
    """Pairs of a trained experiment, as its users get them."""
    from competitions.shopee_matching import load

    frame = pd.DataFrame({"sku": shops.ids, "name": shops.titles})
    table = load(experiment, work=work).predict(frame, columns={"id": "sku", "title": "name"})
    row = {name: place for place, name in enumerate(shops.ids)}
    pairs = {
        (row[name], row[other])
        for name, matches in zip(table.posting_id, table.matches, strict=True)
        for other in matches
    }
    return pairs, table


def measure(shops: TwoShops, experiment: str, work: Path) -> dict[str, float]:
    """F1 of both; logged."""
    plain, threshold = tfidf_best(shops)
    f1, precision, recall = cross_f1(shops, product_pairs(shops, experiment, work)[0])
    log(
        f"{len(shops.titles):,} listings, {len(shops.matches):,} pairs: {experiment} F1 {f1:.4f} "
        f"(precision {precision:.3f}, recall {recall:.3f}); plain TF-IDF at its best threshold "
        f"{threshold:.2f}: F1 {plain:.4f}"
    )
    return {"f1": f1, "precision": precision, "recall": recall, "tfidf": plain}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="work folder of the trained experiment"
    )
    parser.add_argument("--experiment", default="champion", metavar="NAME")
    parser.add_argument(
        "--seed", type=int, nargs="+", default=[0, 1, 2], help="seeds of the drawn shops (%(default)s)"
    )
    parser.add_argument(
        "--files", type=Path, nargs=3, metavar=("LEFT", "RIGHT", "MAPPING"), help="a public set"
    )
    flags = parser.parse_args(arguments)
    if flags.files:
        measure(read_shops(*flags.files), flags.experiment, flags.work)
        return
    found = [measure(draw_shops(seed), flags.experiment, flags.work) for seed in flags.seed]
    ours, plain = (np.mean([each[key] for each in found]) for key in ("f1", "tfidf"))
    log(f"mean F1: {flags.experiment} {ours:.4f}, plain TF-IDF {plain:.4f}")


if __name__ == "__main__":
    main()
