"""Amounts in titles: `10.000 mAh`, `1/2 kg`, `2x500ml`, `16 oz`, `60-ml`, `isi 12`, `pack of 2`.

A small grammar for Indonesian and English titles. quantulum3 and pint do not fit: the first reads English
prose (no `isi`, `lusin`, `gr`), the second converts units but finds none in a text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Values = dict[str, frozenset[float]]
"""Dimension -> values in its base unit."""

UNITS: dict[str, dict[str, float]] = {
    "volume": {
        "ml": 1, "mili": 1, "mililiter": 1, "cc": 1, "cl": 10, "dl": 100, "l": 1000, "lt": 1000, "ltr": 1000,
        "liter": 1000, "liters": 1000, "litre": 1000, "litres": 1000, "gallon": 3785.4, "gallons": 3785.4,
        "quart": 946.4, "pint": 473.2,
    },
    "weight": {
        "mg": 0.001, "g": 1, "gr": 1, "grm": 1, "gram": 1, "grams": 1, "gm": 1, "kg": 1000, "kgs": 1000,
        "kilo": 1000, "kilogram": 1000, "lb": 453.6, "lbs": 453.6, "pound": 453.6, "pounds": 453.6,
        "ons": 100,
    },
    "length": {
        "mm": 1, "cm": 10, "m": 1000, "mtr": 1000, "meter": 1000, "meters": 1000, "metre": 1000,
        "inch": 25.4, "inches": 25.4, "inci": 25.4, "in": 25.4, '"': 25.4, "”": 25.4, "''": 25.4,
        "ft": 304.8, "feet": 304.8, "foot": 304.8, "yard": 914.4,
    },
    "storage": {"mb": 1 / 1024, "gb": 1, "tb": 1024},
    "charge": {"mah": 1},
    "power": {"w": 1, "watt": 1, "watts": 1, "kw": 1000, "hp": 745.7, "pk": 735.5},
    "voltage": {"v": 1, "volt": 1, "volts": 1},
    "resolution": {"mp": 1, "megapixel": 1, "megapixels": 1},
    "sheets": dict.fromkeys(("lembar", "lbr", "sheet", "sheets", "ply"), 1),
    "count": {
        **dict.fromkeys(
            (
                "pcs", "pc", "pieces", "piece", "buah", "bh", "biji", "sachet", "sachets", "sct", "pack",
                "packs", "pak", "tablet", "tablets", "tab", "kapsul", "kaps", "capsule", "capsules", "butir",
                "strip", "roll", "rolls", "batang", "bungkus", "bks", "count", "ct", "botol", "kaleng",
                "pasang", "pairs", "set",
            ),
            1,
        ),
        "lusin": 12, "dozen": 12, "kodi": 20, "gross": 144,
    },
    "oz": {"oz": 1, "floz": 1, "ounce": 1, "ounces": 1},
}  # fmt: skip
LARGE = frozenset({"l", "lt", "ltr", "liter", "liters", "litre", "litres", "kg", "kgs", "kilo",
    "kilogram", "m", "mtr", "meter", "meters", "metre", "gb", "tb", "kw", "inch", "inci", "in"})  # fmt: skip
"""Units in which three digits after one point are decimals: `1,500 kg` is 1.5 kg, `1.500 ml` is 1500 ml."""
MILLILITRES_PER_OZ, GRAMS_PER_OZ = 29.574, 28.35
CONTAINERS = frozenset({"pack", "packs", "pak", "set", "roll", "strip", "botol", "kaleng",
    "pasang", "pcs", "pc", "buah", "bungkus", "bks", "piece", "box"})  # fmt: skip
"""`1 pak`, `1 pcs`: a count of one is no count of what is inside."""

FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
_NUMBER = (
    r"\d+\s\d/\d|\d{1,2}-\d/\d|\d{1,3}/\d{1,3}"  # 1 1/2, 1-1/2, 1/2
    r"|\d{1,3}(?:[.,]\d{3})+(?!\d)|\d{1,6}(?:[.,]\d{1,3})?|[.,]\d{1,2}"
)
_UNIT = "|".join(
    re.escape(unit) for unit in sorted({unit for units in UNITS.values() for unit in units}, key=len)[::-1]
)
_END = r"(?![a-z0-9])"
_START = r"(?:(?<![a-z0-9.,/])(?<!\b[a-z]-)(?<!\b[a-z]{2}-)(?<!\b[a-z]{3}-)|(?<=\dx)|(?<=[a-z]/))"
"""No amount starts within a word or a model number (`f-91w`), but after `2x`."""
AMOUNT = re.compile(rf"{_START}(?P<number>{_NUMBER})[\s-]?(?:fl\.?\s?)?(?P<unit>{_UNIT}){_END}")
"""`500 ml`, `60-ml`, `1/2 kg`, `12 fl oz`."""
TIMES = re.compile(rf"{_START}(?P<count>\d{{1,3}})\s?(?:[a-z]{{2,8}}\s)?[x×*@]\s?(?={_NUMBER})")
"""`24 x 200 ml`, `2x500ml`, `12 sachet x 15 ml`: the count before the x."""
TIMES_AFTER = re.compile(rf"[x×*@]\s?(?P<count>\d{{1,3}})(?:\s?(?:pcs|pc|pack|sachet|btl|botol|bks))?{_END}"
                         rf"(?![.,]\d|[\s-]?(?:{_UNIT}){_END})")  # fmt: skip
"""`200 ml x 24`."""
_SIDE = r"(\d{1,4}(?:[.,]\d)?)"
SIDES = re.compile(
    rf"{_START}{_SIDE}\s?[x×]\s?{_SIDE}(?:\s?[x×]\s?{_SIDE})?\s?(?P<unit>mm|cm|m|inch|inci|\")?{_END}"
)
"""`10 x 15 cm`, `60x90`."""
HOLDS = re.compile(
    rf"(?<![a-z])(?:isi|contains)\s?:?\s?(?P<count>\d{{1,4}})(?!\s?(?:ml|gr?|gram|kg|l|liter|x\d){_END})(?!\d|[.,]\d)"
)
PACK_OF = re.compile(
    rf"(?<![a-z])(?:pack|set|box|bundle|paket|lot|case)\s(?:of|isi)\s?(?P<count>\d{{1,3}}){_END}"
)
PARTS = frozenset({2, 3, 4, 5, 6, 8, 10, 16, 32})
"""Lower numbers of fractions."""
RANGE = re.compile(r"\d\s?[-–~]\s?$")
MEASURED = re.compile(rf"\d\s?(?:{_UNIT})\s?$")
TWIN = re.compile(r"(?<![a-z])(?:twin\s?pack|double\s?pack)(?![a-z])")


@dataclass(frozen=True)
class Amount:
    """One amount of a title and where it is written."""

    dimension: str
    value: float
    start: int
    end: int
    number: tuple[int, int]
    """Span of the number alone."""
    unit: str


def number_value(text: str, unit: str) -> float:
    """The value of a written number; `.` and `,` are thousands or decimals as the unit and the digits say."""
    text = text.strip()
    if "/" in text:
        whole, _, rest = text.replace("-", " ").rpartition(" ")
        above, _, below = rest.partition("/")
        return (float(whole) if whole else 0.0) + (float(above) / float(below) if float(below) else 0.0)
    parts = re.split(r"[.,]", text)
    grouped = len(parts) > 1 and parts[0] not in ("", "0") and all(len(part) == 3 for part in parts[1:])
    if grouped and (len(parts) > 2 or unit not in LARGE):
        return float("".join(parts))
    return float(f"{parts[0] or 0}.{parts[1]}") if len(parts) > 1 else float(parts[0])


def prepared(title: str) -> str:
    """Lower case of the same length, so that spans fit the title; fractions of one sign stay one sign."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in title)


def amounts(title: str) -> list[Amount]:
    """The amounts of a title, in its order."""
    text = prepared(title)
    for sign, written in FRACTIONS.items():
        if sign in text:
            text = re.sub(rf"(\d?)\s?{sign}", rf"\1 {written}", text)
    found: list[Amount] = []
    sides: list[tuple[int, int]] = []
    for match in SIDES.finditer(text):
        unit = match["unit"] or _unit_after(text, match.end())
        if unit in UNITS["length"] or (match["unit"] is None and not _measured_after(text, match)):
            size = UNITS["length"].get(unit or "", 0.0)
            for place in (1, 2, 3):
                if match[place]:
                    value = number_value(match[place], unit or "cm") * (size or 1)
                    found.append(
                        Amount(
                            "length" if size else "sides", value, *match.span(), match.span(place), unit or ""
                        )
                    )
            sides.append(match.span())
    for match in AMOUNT.finditer(text):
        if any(start <= match.start("number") < end for start, end in sides):
            continue
        number, unit = match["number"], match["unit"]
        if _is_no_amount(title, match):
            continue
        for value in _values(number, unit):
            for dimension, size in _dimensions(unit):
                if dimension == "count" and value <= 1 and unit in CONTAINERS:
                    continue
                found.append(Amount(dimension, value * size, *match.span(), match.span("number"), unit))
    found += _counts(text, sides)
    return sorted(found, key=lambda each: each.start)


def _values(number: str, unit: str) -> list[float]:
    """The value of a number; both of `3/32` (GB) and of `250/500` (ml), which are no fractions."""
    above, sign, below = number.partition("/")
    if (
        sign
        and above.isdigit()
        and (unit in UNITS["storage"] or int(below) not in PARTS or int(above) > int(below))
    ):
        return [number_value(above, unit), number_value(below, unit)]
    return [number_value(number, unit)]


def _counts(text: str, sides: list[tuple[int, int]]) -> Iterator[Amount]:
    """Counts without a unit of their own: `isi 12`, `pack of 2`, `24 x 200 ml`, `twin pack`."""
    for pattern in (HOLDS, PACK_OF, TIMES, TIMES_AFTER):
        for match in pattern.finditer(text):
            if any(start < match.end() and match.start() < end for start, end in sides):
                continue
            count = float(match["count"])
            if pattern is TIMES and not AMOUNT.match(text, match.end()):
                continue
            if (
                pattern is TIMES
                and (after := AMOUNT.match(text, match.end()))
                and (after["unit"] in UNITS["length"])
            ):
                continue  # 12 x 4 cm, sides of a thing
            if pattern is TIMES_AFTER and not MEASURED.search(
                text, max(0, match.start() - 16), match.start()
            ):
                continue
            if count > 1:
                yield Amount("count", count, *match.span(), match.span("count"), "")
    for match in TWIN.finditer(text):
        yield Amount("count", 2.0, *match.span(), match.span(), "")


def _dimensions(unit: str) -> Iterator[tuple[str, float]]:
    if unit in UNITS["oz"]:  # ounces of a fluid or of weight: compared with whatever the other title has
        yield "volume", MILLILITRES_PER_OZ
        yield "weight", GRAMS_PER_OZ
        return
    for dimension, units in UNITS.items():
        if unit in units:
            yield dimension, units[unit]
            return


def _is_no_amount(title: str, match: re.Match[str]) -> bool:
    """`3M` is a brand, `4G` a network, `2 in 1` no length, `45-60 kg` no single weight."""
    unit, number = match["unit"], match["number"]
    written = title[match.start() : match.end()]
    if unit == "m" and written == "3M":
        return True
    if RANGE.search(title, 0, match.start()):
        return True
    if unit == "g" and number in ("2", "3", "4", "5") and written.endswith("G"):
        return True
    if unit == "in" and not re.fullmatch(r"[\d.,]+in", written):
        return True
    if unit == "v" and " " in written:
        return True
    return unit in ("l", "m") and written[-1:].isupper() and " " in written and float_like(number) > 30


def float_like(number: str) -> float:
    """A number's value without regard of units, 0 for a fraction."""
    return number_value(number, "l") if "/" not in number else 0.0


def _unit_after(text: str, place: int) -> str | None:
    match = re.compile(rf"\s?({_UNIT}){_END}").match(text, place)
    return match[1] if match else None


def _measured_after(text: str, match: re.Match[str]) -> bool:
    """Whether the last number has a unit: `24 x 200 ml` are 24 pieces, not two sides."""
    return _unit_after(text, match.end()) is not None


def values_of(found: list[Amount]) -> Values:
    """Values by dimension."""
    grouped: dict[str, set[float]] = {}
    for each in found:
        grouped.setdefault(each.dimension, set()).add(round(each.value, 6))
    return {dimension: frozenset(values) for dimension, values in grouped.items()}


def amounts_agree(one: frozenset[float], other: frozenset[float], tolerance: float = 0.02) -> bool:
    """Whether a value of both is the same within a share of `tolerance`: 16 oz are 473 ml."""
    return any(abs(a - b) <= tolerance * max(a, b) for a in one for b in other)


def quantities(title: str) -> Mapping[str, frozenset[float]]:
    """Amounts of a title by dimension."""
    return values_of(amounts(title))
