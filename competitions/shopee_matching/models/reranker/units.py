"""Quantities with units in titles: 500 ml against 1 l, 12 pieces against 24."""

import re
from collections.abc import Sequence

import numpy as np

from common.learn.arrays import Int32, Integers

Quantities = dict[str, frozenset[float]]
"""Dimension -> quantities in a title, in that dimension's base unit."""

PIECES = ("pcs", "pc", "pieces", "piece", "buah", "lembar", "sachet", "pack", "tablet", "kapsul", "biji")
UNITS: dict[str, dict[str, float]] = {
    "volume": {"ml": 1, "cc": 1, "cl": 10, "l": 1000, "lt": 1000, "ltr": 1000, "liter": 1000, "litre": 1000},
    "weight": {"mg": 0.001, "g": 1, "gr": 1, "gram": 1, "grm": 1, "kg": 1000, "kilo": 1000},
    "length": {"mm": 1, "cm": 10, "m": 1000, "meter": 1000, "inch": 25.4, "inci": 25.4},
    "pieces": dict.fromkeys(PIECES, 1),
    "storage": {"mb": 1 / 1024, "gb": 1, "tb": 1024},
    "charge": {"mah": 1},
    "power": {"w": 1, "watt": 1},
}  # fmt: skip
NUMBER = r"(?<![\w.,])(\d{1,6}(?:[.,]\d{1,3})?)"
MEASURED = re.compile(
    rf"{NUMBER}\s?({'|'.join(sorted((unit for units in UNITS.values() for unit in units), reverse=True))})\b"
)
COUNTED = re.compile(r"\bisi\s?(\d{1,4})\b(?!\s?(?:ml|gr?|kg|l)\b)")
"""`isi 12`: holds twelve."""
DIMENSION = {unit: (dimension, size) for dimension, units in UNITS.items() for unit, size in units.items()}


def title_quantities(title: str) -> Quantities:
    """Quantities that a title names, `{"volume": {500.0}}`; decimals with a point or a comma."""
    text = title.lower()
    found: dict[str, set[float]] = {}
    for number, unit in MEASURED.findall(text):
        dimension, size = DIMENSION[unit]
        found.setdefault(dimension, set()).add(round(float(number.replace(",", ".")) * size, 6))
    for number in COUNTED.findall(text):
        found.setdefault("pieces", set()).add(float(number))
    return {dimension: frozenset(values) for dimension, values in found.items()}


def agreement(one: Quantities, other: Quantities) -> int:
    """-1 for a conflict in a shared dimension, 1 where all shared ones agree, 0 without a shared one."""
    shared = one.keys() & other.keys()
    if not shared:
        return 0
    return 1 if all(one[dimension] & other[dimension] for dimension in shared) else -1


def unit_agreement(titles: Sequence[str], query: Int32, match: Int32) -> Integers:
    """(pairs,) int8 `agreement` of the two titles of each pair."""
    quantities = [title_quantities(title) for title in titles]
    named = np.array([bool(each) for each in quantities], dtype=bool)
    found = np.zeros(len(query), dtype=np.int8)
    both = np.flatnonzero(named[query] & named[match]) if len(query) else np.empty(0, dtype=np.int64)
    found[both] = [
        agreement(quantities[one], quantities[other])
        for one, other in zip(query[both].tolist(), match[both].tolist(), strict=True)
    ]
    return found
