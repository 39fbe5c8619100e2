"""Titles of another product that differ in one attribute alone: hard negatives to learn from.

A listing of half a litre and one of a litre can have all other words in common; labelled data hold few such
pairs.
"""

import re
from collections.abc import Callable

import numpy as np

from competitions.shopee_matching.models.attributes.amounts import amounts, prepared
from competitions.shopee_matching.models.attributes.titles import CODE, AttributeTable
from competitions.shopee_matching.models.attributes.words import COLOURS, VARIANTS

FACTORS = (0.25, 0.5, 1.5, 2.0, 3.0, 4.0)
ADDED_PACKS = ("pack of 2", "isi 2 pack", "2 pack", "1 lusin", "3 x")
DEVICE_PREFIXES = ("Case", "Casing", "Tempered Glass", "Charger", "Kabel data", "Baterai")
SIZES = ("S", "M", "L", "XL", "XXL")
TRIES = 6
Change = Callable[[str, np.random.Generator], str | None]


def other_product(title: str, random: np.random.Generator) -> str | None:
    """The title with one attribute changed so that the two contradict each other; None if it names none."""
    changes = [_amount, _amount, _code, _code, _number, _colour, _variant, _size, _pack, _accessory]
    for place in random.permutation(len(changes))[:TRIES]:
        changed = changes[place](title, random)
        if changed is None or changed == title:
            continue
        pair = AttributeTable([title, changed])
        if pair.contradict(np.array([0], np.int32), np.array([1], np.int32))[0]:
            return changed
    return None


def _replaced(title: str, start: int, end: int, text: str) -> str:
    return title[:start] + text + title[end:]


def _amount(title: str, random: np.random.Generator) -> str | None:
    found = [each for each in amounts(title) if each.number[0] < each.number[1] and each.end <= len(title)]
    if not found:
        return None
    one = found[int(random.integers(len(found)))]
    written = title[one.number[0] : one.number[1]]
    digits = re.sub(r"[^\d]", "", written)
    if not digits:
        return None
    value = max(1, round(int(digits) * float(random.choice(FACTORS))))
    return _replaced(title, *one.number, str(value)) if value != int(digits) else None


def _code(title: str, random: np.random.Generator) -> str | None:
    """Another number in a model code: M170 becomes M185."""
    found = [match for match in CODE.finditer(prepared(title)) if re.search(r"\d", match[0])]
    if not found:
        return None
    one = found[int(random.integers(len(found)))]
    numbers = list(re.finditer(r"\d+", title[one.start() : one.end()]))
    if not numbers:
        return None
    number = numbers[int(random.integers(len(numbers)))]
    width = len(number[0])
    other = str(int(random.integers(10 ** (width - 1) if width > 1 else 1, 10**width)))
    return _replaced(title, one.start() + number.start(), one.start() + number.end(), other)


def _number(title: str, random: np.random.Generator) -> str | None:
    """Another bare number after a word: iPhone 12 becomes iPhone 13."""
    found = list(re.finditer(r"(?<=[A-Za-z] )\d{1,3}(?![\w.,/-])", title))
    if not found:
        return None
    one = found[int(random.integers(len(found)))]
    return _replaced(title, *one.span(), str(max(1, int(one[0]) + int(random.choice([-2, -1, 1, 2])))))


def _word_of(lexicon: dict[str, str]) -> Change:
    words = sorted(word for word in lexicon if " " not in word)

    def change(title: str, random: np.random.Generator) -> str | None:
        found = [match for match in re.finditer(r"[A-Za-z]+", title) if match[0].lower() in lexicon]
        if not found:
            return None
        one = found[int(random.integers(len(found)))]
        other = words[int(random.integers(len(words)))]
        if lexicon[other] == lexicon[one[0].lower()]:
            return None
        return _replaced(title, *one.span(), other.capitalize() if one[0][0].isupper() else other)

    return change


_colour, _variant = _word_of(COLOURS), _word_of(VARIANTS)


def _size(title: str, random: np.random.Generator) -> str | None:
    found = list(re.finditer(r"(?<![\w'’&-])(S|M|L|XL|XXL|3[5-9]|4[0-5])(?![\w'’&])", title))
    if not found:
        return None
    one = found[int(random.integers(len(found)))]
    other = (
        str(int(one[0]) + int(random.choice([-2, -1, 1, 2])))
        if one[0].isdigit()
        else str(random.choice(SIZES))
    )
    return _replaced(title, *one.span(), other)


def _pack(title: str, random: np.random.Generator) -> str | None:
    found = [each for each in amounts(title) if each.dimension in ("volume", "weight", "sheets")]
    if not found or random.random() < 0.5:
        return None
    added = str(random.choice(ADDED_PACKS))
    return _replaced(title, found[0].start, found[0].start, "3 x ") if added == "3 x" else f"{title} {added}"


def _accessory(title: str, random: np.random.Generator) -> str | None:
    if not CODE.search(prepared(title)):
        return None
    return f"{random.choice(DEVICE_PREFIXES)} {title}"


def rewritten(title: str, random: np.random.Generator) -> str:
    """The same product in another order of words, some of them left out; what tells products apart stays."""
    words = title.split()
    if len(words) < 4:
        return title
    kept = [word for word in words if re.search(r"\d", word) or random.random() < 0.85]
    if len(kept) < 3:
        return title
    cut = int(random.integers(1, len(kept)))
    # Two parts change places, so that numbers stay next to their units and names.
    while 0 < cut < len(kept) and re.search(r"\d", kept[cut - 1] + kept[cut]):
        cut -= 1
    moved = [*kept[cut:], *kept[:cut]]
    changed = " ".join(moved)
    pair = AttributeTable([title, changed])
    clash = pair.contradict(np.array([0], np.int32), np.array([1], np.int32))[0]
    return title if clash else changed


CODE_LETTERS = "ABCDEFGHKLMNPRSTVWX"
FORGOTTEN, KEPT_WORDS = 0.15, (0.45, 1.0)


def random_code(random: np.random.Generator) -> str:
    """A model number: `KX6700B`, `M170`."""
    letters = "".join(random.choice(list(CODE_LETTERS), size=int(random.integers(1, 5))))
    return f"{letters}{random.integers(10, 9999)}{random.choice(['', '', 'A', 'B', 'BK', 'W'])}"


def sibling_code(code: str, random: np.random.Generator) -> str:
    """The code of another model of the family: other digits, or another ending."""
    digits = re.search(r"\d+", code)
    if digits is None or random.random() < 0.2:
        return code + str(random.choice(["C", "S", "X2"]))
    other = int(digits[0]) + int(random.choice([-100, -10, -5, 1, 2, 5, 10, 20, 100]))
    return code[: digits.start()] + str(abs(other) + 1) + code[digits.end() :]


def with_code(title: str, code: str, random: np.random.Generator) -> str:
    """A shop's title of a product with a model number: few or many of the words, the code in its spelling."""
    words = title.split()
    share = random.uniform(*KEPT_WORDS)
    kept = [word for place, word in enumerate(words) if place == 0 or random.random() < share]
    if random.random() < FORGOTTEN:
        return " ".join(kept)
    letters = len(code) - len(code.lstrip(CODE_LETTERS))
    draw = random.random()
    if draw < 0.2 and letters:
        code = f"{code[:letters]}-{code[letters:]}"
    elif draw < 0.35 and code[-1].isalpha() and len(code) > 4:
        code = code.rstrip(CODE_LETTERS)
    elif draw < 0.45 and letters > 2:
        code = code[letters - 2 :]
    if random.random() < 0.5:
        return f"{' '.join(kept)} - {code}"
    return " ".join([*kept[:1], code, *kept[1:]])
