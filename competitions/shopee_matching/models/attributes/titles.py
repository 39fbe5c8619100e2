"""What a title says of a product beyond its words: amounts, model numbers, colour, size, variant, accessory.

`read_attributes` reads one title. `AttributeTable` reads all titles of a gallery once and compares pairs:
1 where both name the same value, -1 where they contradict each other, 0 where one of them is silent.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from common.learn.arrays import AnyArray, Bools, Int32
from competitions.shopee_matching.models.attributes.amounts import Amount, amounts, amounts_agree, prepared
from competitions.shopee_matching.models.attributes.words import (
    ACCESSORIES,
    COLOURS,
    DEVICES,
    NUMBERED_STOP,
    OF_A_DEVICE,
    SHOE_WORDS,
    SIZE_WORDS,
    VARIANTS,
)

DIMENSIONS = ("volume", "weight", "length", "sides", "storage", "charge", "power", "voltage", "resolution",
              "sheets", "count")  # fmt: skip
WORD = re.compile(r"[a-z0-9]+(?:['’][a-z]+)?", re.IGNORECASE)
CODE = re.compile(
    r"(?<![a-z0-9])(?=[a-z0-9/.-]*\d)(?=[a-z0-9/.-]*[a-z])[a-z0-9]+(?:[-/.][a-z0-9]+)*(?![a-z0-9])"
)
"""A token of letters and digits, perhaps with hyphens: `f-91w`, `kx-tg6700b`, `a5s`."""
LETTERS_DIGITS = re.compile(r"([a-z]+)(\d.*)")
NUMBER_ENDING = re.compile(r"(\d+)(.*)")
SIZE = r"(?:xs|s|m|l|x{1,4}l|[2-6]xl|\d{1,3})(?![a-z0-9])"
LETTER_ORDER = ["xs", "s", "m", "l", "xl", "2xl", "3xl", "4xl", "5xl", "6xl"]
LETTER_SIZES = re.compile(r"(?<![\w'’&])(xs|s|m|l|x{1,4}l|[2-6]xl)(?![\w'’&])|[-–]", re.IGNORECASE)
SIZED = re.compile(
    rf"(?<![a-z])(?:{'|'.join(SIZE_WORDS)})\s?[:.]?\s?({SIZE}(?:\s?(?:[-–/,&]|dan|sampai|sd|\s)\s?{SIZE})*)"
)
SHOE = re.compile(r"(?<![\d.,a-z-])(?:3[4-9]|4[0-7])(?:\s?[-–/]\s?(?:3[4-9]|4[0-7]))*(?![\d.,a-z%])")
FOR_WORDS = frozenset({"for", "untuk", "utk", "buat"})
FOR = re.compile(r"(?<![a-z])(?:for|untuk|utk|buat)\s([^,|]*?)(?=\s-\s|$|,|\|)")
"""What follows `for`, up to the next separator."""
PACKED = re.compile(r"(?<![a-z])(?:karton|carton|ctn|dus|kardus|box|pak|paket|bundle|bundling|bal)\s?$")
"""Right before a count it makes a whole pack: `karton isi 40`."""
HEAD_WORDS = 3
MIN_RARE_CODE = 4
MIN_CODE, MIN_CONTAINED = 3, 5
"""Characters of a model number, and of one that may be a part of a longer one (`tg6700b` of `kxtg6700b`)."""


@dataclass(frozen=True)
class Attributes:
    """Attributes of one title; an empty set is silence."""

    values: dict[str, frozenset[float]] = field(default_factory=dict)
    """Dimension -> amounts in its base unit."""
    codes: frozenset[str] = frozenset()
    """Model numbers without hyphens."""
    numbered: dict[str, frozenset[str]] = field(default_factory=dict)
    """Letters or word -> what follows them: `{"iphone": {"12"}, "a": {"5s"}}`."""
    colour: frozenset[str] = frozenset()
    variants: frozenset[str] = frozenset()
    letter_sizes: frozenset[str] = frozenset()
    number_sizes: frozenset[str] = frozenset()
    accessories: frozenset[str] = frozenset()
    for_codes: frozenset[str] = frozenset()
    """Model numbers of the device that it is for: `battery for KX-TG6700B`."""
    devices: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    """Accessories that the title is about: among its first words, or before `for`."""
    packs: frozenset[float] = frozenset()
    """Counts of whole packs: `pack of 2`, `24 x 200 ml`."""


@lru_cache(maxsize=50_000)
def read_attributes(title: str) -> Attributes:
    """The attributes that a title names."""
    text = prepared(title)
    found = amounts(title)
    values: dict[str, set[float]] = {}
    for each in found:
        values.setdefault(each.dimension, set()).add(round(each.value, 6))
    rest = _without(text, found)
    words = [(match[0].lower(), match.start()) for match in WORD.finditer(rest)]
    names = [word for word, _ in words]
    letters, numbers = _sizes(title, rest)
    if SHOE_WORDS & set(names):
        for run in SHOE.findall(rest):
            numbers |= set(_with_ranges(re.findall(r"\d+|[-–]", run)))
    for_codes = frozenset(code for clause in FOR.findall(rest) for code in _models(clause, [], set())[0])
    codes, numbered = _models(rest, words, numbers)
    codes -= for_codes
    pairs = set(itertools.pairwise(names))
    return Attributes(
        values={dimension: frozenset(each) for dimension, each in values.items()},
        codes=frozenset(codes),
        numbered={word: frozenset(each) for word, each in numbered.items()},
        colour=_named(names, pairs, COLOURS),
        variants=_named(names, pairs, VARIANTS),
        letter_sizes=frozenset(letters),
        number_sizes=frozenset(numbers),
        accessories=_named(names, pairs, ACCESSORIES),
        for_codes=for_codes,
        devices=DEVICES & set(names),
        heads=_heads(names),
        packs=frozenset(each.value for each in found if each.dimension == "count" and _is_pack(text, each)),
    )


@lru_cache(maxsize=50_000)
def canonical_title(title: str) -> str:
    """The title in lower case with one spelling of amounts, model numbers, colours and variants.

    `60-ml`, `60 ml` and `0,06 L` become one word, `F-91W` and `F91W`, `hitam` and `black` as well.
    """
    text, parts, place = prepared(title), [], 0
    for each in amounts(title):
        if each.start >= place and each.end > each.start:
            parts += [text[place : each.start], f" {each.dimension}{_rounded(each.value)} "]
            place = each.end
    text = "".join([*parts, text[place:]])
    text = CODE.sub(lambda found: re.sub(r"[-.]", "", found[0]), text)
    return WORD.sub(lambda found: COLOURS.get(found[0], VARIANTS.get(found[0], found[0])), text)


def _rounded(value: float) -> str:
    """16 oz and 473 ml become one word."""
    return f"{value:.0f}" if value >= 10 else f"{value:g}"


def _is_pack(text: str, amount: Amount) -> bool:
    """Whether a count multiplies a whole pack: `pack of 2`, `2-pack`, `2 x 500 ml`, `1 lusin`."""
    written = text[amount.start : amount.end]
    if PACKED.search(text, max(0, amount.start - 12), amount.start):
        return True
    return (
        "x" in written
        or amount.unit in ("pack", "packs", "pak", "pk", "lusin", "dozen")
        or (amount.unit == "" and "pack" in written)
    )


def _without(text: str, found: Sequence[Amount]) -> str:
    """The text with spaces in place of its amounts."""
    letters = list(text)
    for each in found:
        letters[each.start : each.end] = " " * (each.end - each.start)
    return "".join(letters)


def _named(names: Sequence[str], pairs: set[tuple[str, str]], lexicon: dict[str, str]) -> frozenset[str]:
    """Canonical names of the lexicon's words, and of its entries of two words, in a title."""
    found = {lexicon[name] for name in names if name in lexicon}
    return frozenset(found | {lexicon[joined] for pair in pairs if (joined := " ".join(pair)) in lexicon})


def _heads(names: Sequence[str]) -> frozenset[str]:
    """Accessories among the first words, and right before a word that means `for`."""
    heads = list(names[:HEAD_WORDS])
    for place, name in enumerate(names):
        if name in FOR_WORDS:
            heads += names[max(0, place - 2) : place]
    return _named(heads, set(itertools.pairwise(heads)), ACCESSORIES)


def _sizes(title: str, rest: str) -> tuple[set[str], set[str]]:
    """Letter sizes and number sizes; a range names all sizes within it."""
    letters: set[str] = set()
    numbers: set[str] = set()
    for listed in SIZED.findall(rest):
        for size in _with_ranges(re.findall(rf"{SIZE}|[-–]", listed)):
            (numbers if size.isdigit() else letters).add(size)
    found = [
        (match[0] if match[0] in "-–" else match[1], match.start(), match.end())
        for match in LETTER_SIZES.finditer(rest)
        # A single letter is a size only in capitals; `xl` always is one.
        if match[0] in "-–" or len(match[1]) > 1 or title[match.start() : match.end()].isupper()
    ]
    runs: list[list[str]] = [[]]
    for place, (size, start, _) in enumerate(found):
        if place and rest[found[place - 1][2] : start].strip():
            runs.append([])
        runs[-1].append(size)
    for run in runs:
        letters |= set(_with_ranges(run))
    return letters, numbers


def _with_ranges(tokens: Sequence[str]) -> list[str]:
    """Sizes of a list like `s - xl`, `37-40`, `m l`, each by its canonical name."""
    sizes: list[str] = []
    for place, size in enumerate(tokens):
        if size not in "-–":
            sizes.append(_letter_size(size))
        elif sizes and place + 1 < len(tokens) and tokens[place + 1] not in "-–":
            first, last = sizes[-1], _letter_size(tokens[place + 1])
            if first.isdigit() and last.isdigit() and int(first) < int(last) < int(first) + 30:
                sizes += [str(size) for size in range(int(first) + 1, int(last))]
            elif first in LETTER_ORDER and last in LETTER_ORDER:
                sizes += LETTER_ORDER[LETTER_ORDER.index(first) + 1 : LETTER_ORDER.index(last)]
    return sizes


def _letter_size(size: str) -> str:
    size = size.lower()
    return (
        f"{size[0]}xl"
        if re.fullmatch(r"[2-6]xl", size)
        else f"{len(size) - 1}xl"
        if re.fullmatch(r"x{2,4}l", size)
        else size
    )


def _models(
    rest: str, words: Sequence[tuple[str, int]], sizes: set[str]
) -> tuple[set[str], dict[str, set[str]]]:
    """Model numbers, and what follows each word or group of letters."""
    codes: set[str] = set()
    numbered: dict[str, set[str]] = {}
    for written in CODE.findall(rest):
        # `kx-tg6700b` is named `tg6700b` as well.
        for part in {written, *written.split("/"), *re.split(r"[-/]", written)[-1:]}:
            code = re.sub(r"[^a-z0-9]", "", part)
            if len(code) >= MIN_CODE and not code.isalpha():
                codes.add(code)
            if match := LETTERS_DIGITS.fullmatch(code):
                numbered.setdefault(match[1], set()).add(match[2])
    for (word, place), (number, after) in itertools.pairwise(words):
        between = rest[place + len(word) : after]
        if number.isdigit() and len(number) <= 4 and word.isalpha() and between in (" ", "-", "  "):
            percent = rest[after + len(number) :].lstrip().startswith("%")
            if word not in NUMBERED_STOP | set(SIZE_WORDS) and number not in sizes and not percent:
                numbered.setdefault(word, set()).add(number)
                if len(word) <= 4:
                    codes.add(word + number)
    return {code for code in codes if len(code) >= MIN_CODE}, numbered


def codes_agree(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether a model number of both is the same, or a long one is a part of the other's."""
    if one & other:
        return True
    return any(
        ((len(a) >= MIN_CONTAINED and b.startswith(a)) or (b.endswith(a) and len(a) >= MIN_CONTAINED))
        or (len(b) >= MIN_CONTAINED and (a.startswith(b) or a.endswith(b)))
        for a in one
        for b in other
    )


def _rarest(one: frozenset[str], other: frozenset[str], rarity: Mapping[str, float]) -> float:
    best = 0.0
    for a in one:
        for b in other:
            if a == b or codes_agree(frozenset({a}), frozenset({b})):
                best = max(best, min(rarity.get(a, 0.0), rarity.get(b, 0.0)))
    return best


def code_rarity(titles: Sequence[str]) -> dict[str, float]:
    """Model number of four characters or more -> negated logarithm of the share of titles that have it."""
    counts: dict[str, int] = {}
    for title in titles:
        rest = prepared(title)
        for code in {re.sub(r"[^a-z0-9]", "", written) for written in CODE.findall(rest)}:
            if len(code) >= MIN_RARE_CODE:
                counts[code] = counts.get(code, 0) + 1
    return {code: float(np.log(len(titles) / count)) for code, count in counts.items()}


def numbered_siblings(one: Attributes, other: Attributes) -> bool:
    """Whether one word or one group of letters is followed by other numbers: iphone 12 and iphone 13."""
    shared = one.numbered.keys() & other.numbered.keys()
    return any(not _numbers_agree(word, one.numbered[word], other.numbered[word]) for word in shared)


def _numbers_agree(word: str, one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether a number of both is the same; one of two long codes may lack its ending (`am53bk`, `am53`)."""
    if one & other:
        return True
    return any(_same_number(word, a, b) for a in one for b in other)


def _same_number(word: str, one: str, other: str) -> bool:
    first, second = NUMBER_ENDING.fullmatch(one), NUMBER_ENDING.fullmatch(other)
    if first is None or second is None or first[1].lstrip("0") != second[1].lstrip("0"):
        return False
    long = len(word) + min(len(one), len(other)) >= MIN_CONTAINED - 1
    ends = first[2], second[2]
    return ends[0] == ends[1] or (long and (ends[0].startswith(ends[1]) or ends[1].startswith(ends[0])))


Compare = Callable[[Attributes, Attributes], int]


def _of_sets(name: str) -> Compare:
    def compare(one: Attributes, other: Attributes) -> int:
        mine, theirs = getattr(one, name), getattr(other, name)
        return 0 if not mine or not theirs else 1 if mine & theirs else -1

    return compare


def _of_values(dimension: str) -> Compare:
    def compare(one: Attributes, other: Attributes) -> int:
        mine, theirs = one.values.get(dimension), other.values.get(dimension)
        return 0 if not mine or not theirs else 1 if amounts_agree(mine, theirs) else -1

    return compare


def _models_compared(one: Attributes, other: Attributes) -> int:
    if not one.codes or not other.codes:
        return 0
    return 1 if codes_agree(one.codes, other.codes) else -1


def _siblings(one: Attributes, other: Attributes) -> int:
    if not one.numbered.keys() & other.numbered.keys():
        return 0
    if not numbered_siblings(one, other):
        return 1
    return 0 if any(len(code) >= LONG_CODE for code in one.codes & other.codes) else -1


def _accessories(one: Attributes, other: Attributes) -> int:
    """-1 for accessories of two kinds, and for an accessory and the device that it is for: case and phone."""
    if one.accessories & other.accessories:
        return 1
    if one.heads and other.heads:
        return -1
    for mine, theirs in ((one, other), (other, one)):
        if mine.for_codes and not theirs.for_codes and codes_agree(mine.for_codes, theirs.codes):
            return -1
    part, whole = (one, other) if one.heads else (other, one)
    if whole.accessories or not (part.heads & OF_A_DEVICE or (part.heads and whole.devices)):
        return 0
    device = codes_agree(one.codes, other.codes) or any(
        one.numbered[word] & other.numbered[word] for word in one.numbered.keys() & other.numbered.keys()
    )
    return -1 if device else 0


def _packs(one: Attributes, other: Attributes) -> int:
    """-1 also where one is a pack of several and the other names no count at all."""
    if not one.packs and not other.packs:
        return 0
    mine, theirs = one.values.get("count", frozenset()), other.values.get("count", frozenset())
    return 1 if mine & theirs else -1


COMPARED: dict[str, Compare] = {
    **{dimension: _of_values(dimension) for dimension in DIMENSIONS},
    "colour": _of_sets("colour"),
    "variant": _of_sets("variants"),
    "letter size": _of_sets("letter_sizes"),
    "number size": _of_sets("number_sizes"),
    "model": _models_compared,
    "numbered": _siblings,
    "accessory": _accessories,
    "pack": _packs,
}
"""Attribute -> comparison of two titles."""
_PARTS: dict[str, Callable[[Attributes], object]] = {
    **{dimension: lambda each, key=dimension: each.values.get(key) for dimension in DIMENSIONS},  # type: ignore[misc]
    "colour": lambda each: each.colour,
    "variant": lambda each: each.variants,
    "letter size": lambda each: each.letter_sizes,
    "number size": lambda each: each.number_sizes,
    "model": lambda each: each.codes,
    "numbered": lambda each: tuple(sorted(each.numbered.items())),
    "accessory": lambda each: (
        each.accessories,
        each.heads,
        each.devices,
        each.codes,
        each.for_codes,
        tuple(sorted(each.numbered.items())),
    ),
    "pack": lambda each: (each.packs, each.values.get("count")),
}
"""Attribute -> what of a title decides its comparison; titles with the same share their results."""
SEPARATE = ("volume", "weight", "length", "storage", "charge", "power", "voltage", "sheets",
    "count", "colour", "variant", "letter size", "number size", "numbered", "accessory", "pack")  # fmt: skip
"""Attributes whose contradiction makes two products, whatever else is alike."""
LONG_CODE = 5
"""Characters of a common model number that outweighs another word's number (`series 2`)."""
MAY_BE_ONE_SIDED = frozenset({"accessory", "pack"})


class AttributeTable:
    """Attributes of all titles of a gallery, compared pair by pair.

    Parameters
    ----------
    titles : decoded titles.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        known: dict[str, Attributes] = {}
        for title in titles:
            if title not in known:
                known[title] = read_attributes(title)
        self.attributes = [known[title] for title in titles]
        self.numbers: dict[str, tuple[Int32, list[Attributes], Bools]] = {}
        for name, part in _PARTS.items():
            distinct: dict[object, int] = {}
            number = np.array(
                [distinct.setdefault(part(each), len(distinct)) for each in self.attributes], np.int32
            )
            first = np.full(len(distinct), -1, np.int64)
            first[number[::-1]] = np.arange(len(number))[::-1]
            examples = [self.attributes[row] for row in first]
            silent = np.array([not self._says(name, each) for each in examples], dtype=bool)
            self.numbers[name] = (number, examples, silent)

    @staticmethod
    def _says(name: str, each: Attributes) -> bool:
        part = _PARTS[name](each)
        if name == "accessory":
            return bool(each.accessories or each.for_codes)
        return bool(each.packs) if name == "pack" else bool(part)

    def compared(self, name: str, query: Int32, match: Int32) -> AnyArray:
        """(pairs,) 1 where the titles of a pair agree in an attribute, -1 where they contradict, else 0."""
        number, examples, silent = self.numbers[name]
        one, other = number[query].astype(np.int64), number[match].astype(np.int64)
        result = np.zeros(len(one), dtype=np.int8)
        if name in MAY_BE_ONE_SIDED:
            asked = np.flatnonzero(~silent[one] | ~silent[other]) if len(one) else np.empty(0, np.int64)
        else:
            asked = np.flatnonzero(~silent[one] & ~silent[other]) if len(one) else np.empty(0, np.int64)
        if not len(asked):
            return result
        key, back = np.unique(one[asked] * len(examples) + other[asked], return_inverse=True)
        compare = COMPARED[name]
        found = [
            compare(examples[a], examples[b]) for a, b in zip(*np.divmod(key, len(examples)), strict=True)
        ]
        result[asked] = np.array(found, dtype=np.int8)[back]
        return result

    def rarest_shared_code(self, query: Int32, match: Int32, rarity: Mapping[str, float]) -> AnyArray:
        """(pairs,) rarity of the rarest model number of both titles, in any spelling; 0 without one."""
        number, examples, silent = self.numbers["model"]
        one, other = number[query].astype(np.int64), number[match].astype(np.int64)
        result = np.zeros(len(one), dtype=np.float32)
        asked = np.flatnonzero(~silent[one] & ~silent[other]) if len(one) else np.empty(0, np.int64)
        if not len(asked):
            return result
        key, back = np.unique(one[asked] * len(examples) + other[asked], return_inverse=True)
        found = [
            _rarest(examples[a].codes, examples[b].codes, rarity)
            for a, b in zip(*np.divmod(key, len(examples)), strict=True)
        ]
        result[asked] = np.array(found, dtype=np.float32)[back]
        return result

    def contradict(self, query: Int32, match: Int32) -> Bools:
        """(pairs,) whether the titles of a pair name two products: another size, number, pack, colour, ..."""
        found = np.zeros(len(query), dtype=bool)
        for name in SEPARATE:
            found |= self.compared(name, query, match) < 0
        return found

    def table(self, query: Int32, match: Int32) -> dict[str, AnyArray]:
        """Attribute -> `compared`, of all attributes."""
        return {name: self.compared(name, query, match) for name in COMPARED}


def amounts_contradict(titles: Sequence[str], query: Int32, match: Int32) -> Bools:
    """(pairs,) whether the two titles name different amounts of one dimension: 500 ml and 1 l."""
    table = AttributeTable(titles)
    return np.any([table.compared(name, query, match) < 0 for name in DIMENSIONS], axis=0)
