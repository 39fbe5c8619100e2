"""Synthetic products, and photos of them by different sellers."""

import colorsys
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from common.learn.arrays import Bools, Integers

Colour = tuple[int, int, int]

KINDS = ("bottle", "box", "pouch", "shirt", "phone")
PATTERNS = ("plain", "stripes", "bands", "dots", "checks", "diagonal")
BRANDS = (
    "Wardani", "Kopikita", "Lumina", "Sariayam", "Nutrifit", "Bintang", "Glowderm", "Mamaku", "Tropika",
    "Zenwear", "Ecolife", "Mataram", "Pixelon", "Havana", "Softia", "Rajawali",
)  # fmt: skip
VARIANTS = (
    "vanilla", "coklat", "mawar", "jeruk", "hitam", "putih", "melati", "lemon", "aloe", "mint", "susu",
    "madu", "classic", "premium", "sport", "natural", "kids", "fresh",
)  # fmt: skip
SYLLABLES = ("ve", "lo", "ra", "mi", "ko", "ta", "su", "ne", "bi", "da", "fi", "gu", "zo", "pe", "ya", "lu")
AMOUNTS = {
    "bottle": ("100 ml", "250 ml", "500 ml", "1 l", "2 l"),
    "box": ("isi 6", "isi 12", "isi 24", "isi 50"),
    "pouch": ("50 gr", "200 gr", "500 gr", "1 kg"),
    "shirt": ("S", "M", "L", "XL"),
    "phone": ("32 gb", "64 gb", "128 gb", "256 gb"),
}
CANVAS = 300
"""Products are drawn on a square of this side, then placed on a photo."""


@dataclass(frozen=True)
class Product:
    """The appearance that all listings of one label group share."""

    kind: str
    brand: str
    variant: str
    model: str
    """Name or number that few other products have."""
    amount: str
    other_amount: str
    main: Colour
    second: Colour
    pattern: str
    pattern_step: int
    slimness: float
    """Width in relation to height."""


def draw_product(random: np.random.Generator) -> Product:
    """A random product; brands, variants and kinds repeat with other colours and patterns."""
    kind = str(random.choice(KINDS))
    amount, other = random.choice(AMOUNTS[kind], size=2, replace=False)
    hue = random.random()
    return Product(
        kind=kind,
        brand=str(random.choice(BRANDS)),
        variant=str(random.choice(VARIANTS)),
        model=_model_name(random),
        amount=str(amount),
        other_amount=str(other),
        main=_colour(hue, random.uniform(0.35, 0.95), random.uniform(0.45, 0.95)),
        second=_colour(hue + random.uniform(0.15, 0.85), random.uniform(0.2, 0.95), random.uniform(0.3, 1.0)),
        pattern=str(random.choice(PATTERNS)),
        pattern_step=int(random.integers(16, 44)),
        slimness=float(random.uniform(0.75, 1.25)),
    )


def draw_photo(product: Product, random: np.random.Generator) -> Image.Image:
    """A seller's own photo: random background, size, position, rotation and light."""
    width, height = (int(side) for side in random.integers(160, 225, size=2))
    photo = _background(width, height, random)
    cut = _cut_out(product)
    side = int(min(width, height) * random.uniform(0.78, 1.12))
    cut = cut.resize((side, side), Image.Resampling.LANCZOS).rotate(
        random.normal(0, 7), Image.Resampling.BICUBIC
    )
    x, y = ((np.array([width, height]) - side) / 2 + random.normal(0, 0.05, 2) * side).astype(int).tolist()
    shadow = Image.new("RGBA", cut.size, (0, 0, 0, 0))
    shadow.putalpha(cut.getchannel("A").filter(ImageFilter.GaussianBlur(5)).point(lambda value: value * 0.45))
    photo.paste(shadow, (x + 6, y + 7), shadow)
    photo.paste(cut, (x, y), cut)
    if random.random() < 0.4:
        _seller_logo(photo, random)
    photo = ImageEnhance.Brightness(photo).enhance(random.uniform(0.75, 1.2))
    photo = ImageEnhance.Color(photo).enhance(random.uniform(0.75, 1.2))
    grain = random.normal(0, 3, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8))


def reuse_photo(photo: Image.Image, random: np.random.Generator) -> Image.Image:
    """Another seller's photo, slightly cropped, with other light and often a logo over it."""
    width, height = photo.size
    cut = random.uniform(0, 0.045, size=4) * (width, height, width, height)
    left, top, right, bottom = (int(value) for value in cut)
    taken = photo.crop((left, top, width - right, height - bottom)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    taken = ImageEnhance.Brightness(taken).enhance(random.uniform(0.9, 1.1))
    if random.random() < 0.6:
        _seller_logo(taken, random)
    return taken


def _model_name(random: np.random.Generator) -> str:
    if random.random() < 0.4:
        return f"{random.choice(list('ABCDEFGHJKMNPRSTX'))}{random.integers(10, 999)}"
    return "".join(str(random.choice(SYLLABLES)) for _ in range(2)).capitalize()


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)


def _background(width: int, height: int, random: np.random.Generator) -> Image.Image:
    """White studio, coloured gradient, or table and wall."""
    style = random.random()
    if style < 0.35:
        return Image.new("RGB", (width, height), (250, 250, 250))
    first, second = (
        np.array(_colour(random.random(), random.uniform(0.05, 0.5), random.uniform(0.55, 1)))
        for _ in range(2)
    )
    down = np.linspace(0, 1, height)[:, None, None]
    if style < 0.7:
        across = np.linspace(0, 1, width)[None, :, None]
        share = (down + across) / 2
    else:
        share = (down > random.uniform(0.55, 0.8)) * np.ones((1, width, 1))
    return Image.fromarray((first * (1 - share) + second * share).astype(np.uint8))


@lru_cache(maxsize=8)
def _cut_out(product: Product) -> Image.Image:
    """The product alone on a transparent square."""
    body = Image.new("L", (CANVAS, CANVAS), 0)
    outline = ImageDraw.Draw(body)
    half = 70 * product.slimness
    left, right, middle = CANVAS / 2 - half, CANVAS / 2 + half, CANVAS / 2
    label = (left, 140, right, 215)
    if product.kind == "bottle":
        outline.rounded_rectangle((left, 95, right, 285), 28, fill=255)
        outline.polygon([(left + 8, 112), (middle - 22, 60), (middle + 22, 60), (right - 8, 112)], fill=255)
        outline.rectangle((middle - 22, 20, middle + 22, 66), fill=255)
    elif product.kind == "box":
        outline.polygon([(left, 75), (left + 35, 40), (right + 35, 40), (right, 75)], fill=255)
        outline.polygon(
            [(left, 75), (right, 75), (right + 35, 40), (right + 35, 235), (right, 275), (left, 275)],
            fill=255,
        )
    elif product.kind == "pouch":
        outline.polygon(
            [
                (left + 12, 30),
                (right - 12, 30),
                (right + 8, 160),
                (right - 4, 280),
                (left + 4, 280),
                (left - 8, 160),
            ],
            fill=255,
        )
    elif product.kind == "shirt":
        sides = [(left, 60), (left - 45, 135), (left - 5, 155), (left, 275), (right, 275), (right + 5, 155)]
        outline.polygon(
            [*sides, (right + 45, 135), (right, 60), (middle + 25, 45), (middle - 25, 45)], fill=255
        )
        outline.ellipse((middle - 25, 28, middle + 25, 66), fill=0)
        label = (middle - 48, 125, middle + 48, 185)
    else:
        outline.rounded_rectangle((left + 5, 20, right - 5, 285), 22, fill=255)
        label = (left + 18, 165, right - 18, 225)
    cut = _patterned(product).convert("RGBA")
    drawing = ImageDraw.Draw(cut)
    if product.kind == "bottle":
        drawing.rectangle((0, 0, CANVAS, 62), fill=product.second)
    if product.kind == "box":
        drawing.polygon(
            [(right, 75), (right + 35, 40), (right + 35, 235), (right, 275)], fill=_darker(product.main)
        )
    if product.kind == "phone":
        drawing.rounded_rectangle((left + 20, 34, left + 78, 100), 14, fill=(25, 25, 30))
        for x, y in ((left + 28, 42), (left + 50, 64)):
            drawing.ellipse((x, y, x + 20, y + 20), fill=(90, 95, 110))
    drawing.rectangle(label, fill=(248, 246, 238), outline=product.second, width=4)
    _centred(drawing, label, product.brand, product.variant)
    cut.putalpha(body)
    return cut


def _patterned(product: Product) -> Image.Image:
    y, x = np.mgrid[0:CANVAS, 0:CANVAS]
    shade = 1 - 0.3 * np.abs((x - CANVAS / 2) / (CANVAS / 2)) ** 2  # rounder at the sides
    painted = _painted(product.pattern, x, y, product.pattern_step)
    picture = np.where(painted[..., None], product.second, product.main) * shade[..., None]
    return Image.fromarray(picture.astype(np.uint8))


def _painted(pattern: str, x: Integers, y: Integers, step: int) -> Bools:
    """Where a pattern has the second colour."""
    half = step / 2
    if pattern == "stripes":
        return x % step < half
    if pattern == "bands":
        return y % step < half
    if pattern == "dots":
        return (x % step - half) ** 2 + (y % step - half) ** 2 < (step / 3.2) ** 2
    if pattern == "checks":
        return (x % step < half) ^ (y % step < half)
    if pattern == "diagonal":
        return (x + y) % step < half
    return np.zeros(x.shape, dtype=bool)


def _centred(drawing: ImageDraw.ImageDraw, box: tuple[float, float, float, float], *lines: str) -> None:
    left, top, right, bottom = box
    height = (bottom - top) / (len(lines) + 0.4)
    for number, line in enumerate(lines):
        size = min(height * 0.75, 1.65 * (right - left) / max(1, len(line)))
        font = ImageFont.load_default(size)
        place = ((left + right) / 2, top + height * (number + 0.7))
        drawing.text(place, line, fill=(30, 30, 40), font=font, anchor="mm")


def _darker(colour: Colour) -> Colour:
    return colour[0] * 7 // 10, colour[1] * 7 // 10, colour[2] * 7 // 10


def _seller_logo(photo: Image.Image, random: np.random.Generator) -> None:
    """A banner below, or a round mark in a corner."""
    drawing = ImageDraw.Draw(photo)
    width, height = photo.size
    colour = _colour(random.random(), 0.8, 0.85)
    words = str(random.choice(["PROMO", "ORIGINAL", "COD", "READY STOCK", "GRATIS ONGKIR", "SALE 50%"]))
    if random.random() < 0.5:
        top = height - int(height * random.uniform(0.1, 0.16))
        drawing.rectangle((0, top, width, height), fill=colour)
        font = ImageFont.load_default(0.7 * (height - top))
        drawing.text((width / 2, (top + height) / 2), words, fill="white", font=font, anchor="mm")
        return
    radius = int(min(width, height) * random.uniform(0.09, 0.15))
    angle = random.integers(4) * math.pi / 2 + math.pi / 4
    x = width / 2 + np.sign(math.cos(angle)) * (width / 2 - radius - 3)
    y = height / 2 + np.sign(math.sin(angle)) * (height / 2 - radius - 3)
    drawing.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline="white", width=2)
    font = ImageFont.load_default(radius * 0.5)
    drawing.text((x, y), words[:4], fill="white", font=font, anchor="mm")
