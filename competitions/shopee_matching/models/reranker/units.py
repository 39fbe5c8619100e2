"""Amounts in titles: 500 ml against 1 l, 12 pieces against 24; two listings that contradict are no match."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Amounts = dict[str, frozenset[float]]
"""Dimension -> the amounts that a title names, in that dimension's smallest unit."""

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


def title_amounts(title: str) -> Amounts:
    """Amounts that a title names, `{"volume": {500.0}}`; decimals with a point or a comma."""
    text = title.lower()
    found: dict[str, set[float]] = {}
    for number, unit in MEASURED.findall(text):
        dimension, size = DIMENSION[unit]
        found.setdefault(dimension, set()).add(round(float(number.replace(",", ".")) * size, 6))
    for number in COUNTED.findall(text):
        found.setdefault("pieces", set()).add(float(number))
    return {dimension: frozenset(amounts) for dimension, amounts in found.items()}


def agreement(one: Amounts, other: Amounts) -> int:
    """-1 where a dimension that both name has no common amount, 1 where all agree, 0 without any shared."""
    shared = one.keys() & other.keys()
    if not shared:
        return 0
    return 1 if all(one[dimension] & other[dimension] for dimension in shared) else -1


def pair_agreement(
    titles: Sequence[str], query: npt.NDArray[np.int32], match: npt.NDArray[np.int32]
) -> npt.NDArray[np.int8]:
    """(pairs,) `agreement` of the two titles of each pair."""
    amounts = [title_amounts(title) for title in titles]
    named = np.array([bool(each) for each in amounts], dtype=bool)
    found = np.zeros(len(query), dtype=np.int8)
    both = np.flatnonzero(named[query] & named[match]) if len(query) else np.empty(0, dtype=np.int64)
    found[both] = [
        agreement(amounts[one], amounts[other])
        for one, other in zip(query[both].tolist(), match[both].tolist(), strict=True)
    ]
    return found
