"""Synthetic titles, in the spelling of the official CSV files."""

import re

import numpy as np

from competitions.shopee_matching.sample.synthetic_products import Product

NAMES = {
    "bottle": (("Botol minum", "Drinking bottle"), ("Sabun cair", "Liquid soap"), ("Shampoo", "Sampo")),
    "box": (("Masker", "Face mask box"), ("Kotak bekal", "Lunch box"), ("Teh celup", "Tea bags")),
    "pouch": (
        ("Bubuk minuman", "Drink powder"),
        ("Keripik pisang", "Banana chips"),
        ("Kopi bubuk", "Ground coffee"),
    ),
    "shirt": (("Kaos pria", "T-shirt men"), ("Baju anak", "Kids shirt"), ("Atasan wanita", "Women top")),
    "phone": (("Hp android", "Smartphone"), ("Casing hp", "Phone case"), ("Handphone", "Cellphone")),
}
PRAISE = (
    "ORIGINAL", "murah", "READY STOCK", "COD", "promo", "termurah", "BPOM", "garansi resmi", "best seller",
    "new", "grosir", "bisa bayar di tempat", "import", "terlaris", "free ongkir", "ori 100%", "[SALE]",
    "(Beli 2 gratis 1)",
)  # fmt: skip
EMOJI = ("🔥", "⭐", "❤", "✅", "🎁")
ONLY_PRAISE, FORGOTTEN_BRAND, MODEL, TYPO, ESCAPED, WRAPPED = 0.12, 0.25, 0.7, 0.18, 0.06, 0.03


def write_title(product: Product, random: np.random.Generator) -> str:
    """One seller's title for a product: words in random order and language, left out or misspelt."""
    names = NAMES[product.kind][len(product.variant + product.brand) % 3]
    words = [names[int(random.integers(2))]]
    style = random.random()
    if style >= ONLY_PRAISE:
        words.append(product.variant)
        if style >= ONLY_PRAISE + FORGOTTEN_BRAND:
            words.insert(int(random.integers(len(words) + 1)), product.brand)
        if random.random() < MODEL:
            words.append(product.model)
        if random.random() < 0.75:
            words.append(_spelled(product.amount, random))
    for praise in random.choice(PRAISE, size=int(random.integers(0, 5)), replace=False):
        words.insert(int(random.choice([0, len(words)])), str(praise))
    title = " ".join(words)
    if random.random() < TYPO:
        title = _misspelled(title, random)
    if random.random() < 0.2:
        title = title.upper()
    if random.random() < ESCAPED:
        title = f"{title} {random.choice(EMOJI)}"
    return _official(title, wrapped=random.random() < WRAPPED)


def _spelled(amount: str, random: np.random.Generator) -> str:
    """`500 ml`, `500ml`, `500 ML`; `isi 12` also `12 pcs`."""
    draw = random.random()
    if draw < 0.3:
        return re.sub(r"(\d) (\w+)", r"\1\2", amount)
    if draw < 0.5:
        return re.sub(r"isi (\d+)", r"\1 pcs", amount)
    return amount.upper() if draw < 0.65 else amount


def _misspelled(title: str, random: np.random.Generator) -> str:
    place = int(random.integers(1, len(title) - 1))
    if random.random() < 0.5:
        return title[:place] + title[place + 1 :]
    return title[: place - 1] + title[place] + title[place - 1] + title[place + 1 :]


def _official(title: str, wrapped: bool) -> str:
    r"""The body of a Python byte string, as the official files hold it: non-ASCII characters as `\xNN`."""
    body = "".join(
        character if character.isascii() else "".join(f"\\x{byte:02x}" for byte in character.encode())
        for character in title
    )
    return f'b"{body}"' if wrapped else body
