"""Drawn faces on cluttered backgrounds: the pictures of the sample data."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

SKINS = [(255, 224, 196), (241, 194, 154), (224, 172, 105), (198, 134, 82), (141, 85, 48), (88, 56, 38)]
HAIRS = [(32, 22, 16), (74, 46, 26), (120, 78, 40), (196, 152, 86), (150, 150, 150), (150, 62, 30)]
SUPERSAMPLING = 2
"""Faces are drawn larger by this factor and reduced, for smooth edges."""

Generator = np.random.Generator
Colour = tuple[int, int, int]


def background(generator: Generator, width: int, height: int) -> Image.Image:
    """A gradient with rectangles, blobs, stripes and discs that are no faces."""
    ends = generator.integers(20, 236, size=(2, 2, 3)).astype(np.float32)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    upper, lower = (row[0] * (1 - x) + row[1] * x for row in ends)
    field = upper * (1 - y) + lower * y
    picture = Image.fromarray(field.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(generator.integers(14, 34))):
        _clutter(draw, generator, width, height)
    return picture.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.4, 1.6))))


def add_grain(picture: Image.Image, generator: Generator) -> Image.Image:
    """The noise of a camera."""
    strength = np.float32(generator.uniform(1, 6))
    grain = generator.standard_normal((picture.height, picture.width, 1), dtype=np.float32) * strength
    noisy = np.asarray(picture, dtype=np.float32) + grain
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def draw_face(
    picture: Image.Image, generator: Generator, x: float, y: float, side: float
) -> tuple[float, float, float, float]:
    """Draw one face around (x, y) whose head is about `side` px high.

    Returns
    -------
    xmin, ymin, xmax, ymax of the head in px.
    """
    face = _Face(generator)
    size = int(side * 1.7) * SUPERSAMPLING
    layer = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    face.draw(ImageDraw.Draw(layer), size / 2, side * SUPERSAMPLING / 2)
    layer = layer.rotate(face.tilt, Image.Resampling.BILINEAR)
    layer = layer.resize((size // SUPERSAMPLING, size // SUPERSAMPLING), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    _shoulders(draw, generator, x, y, side)
    picture.paste(layer, (round(x - layer.width / 2), round(y - layer.height / 2)), layer)
    _occlusion(draw, generator, x, y, side)
    half_width, half_height = face.half_extent(side / 2)
    return x - half_width, y - half_height, x + half_width, y + half_height


class _Face:
    """Tone, pose and features of one face; lengths are shares of the head's half height."""

    def __init__(self, generator: Generator) -> None:
        light = generator.uniform(0.65, 1.12)
        self.generator = generator
        self.skin = _shade(SKINS[int(generator.integers(len(SKINS)))], light, generator)
        self.hair = _shade(HAIRS[int(generator.integers(len(HAIRS)))], light, generator)
        self.ratio = float(generator.uniform(0.66, 0.84))
        self.turn = float(generator.uniform(-0.32, 0.32))
        self.tilt = float(generator.normal(0, 11))
        self.bald, self.glasses, self.beard = generator.random(3) < (0.08, 0.18, 0.15)
        self.long_hair = generator.random() < 0.4

    def half_extent(self, radius: float) -> tuple[float, float]:
        """Half width and half height in px of the tilted head."""
        angle = math.radians(self.tilt)
        across, along = radius * self.ratio, radius
        return (
            math.hypot(across * math.cos(angle), along * math.sin(angle)),
            math.hypot(across * math.sin(angle), along * math.cos(angle)),
        )

    def draw(self, draw: ImageDraw.ImageDraw, middle: float, radius: float) -> None:
        """Paint the upright face into a layer."""

        def oval(
            x: float, y: float, half_width: float, half_height: float, fill: Colour, outline: Any = None
        ) -> None:
            box = [
                middle + (x - half_width) * radius,
                middle + (y - half_height) * radius,
                middle + (x + half_width) * radius,
                middle + (y + half_height) * radius,
            ]
            draw.ellipse(box, fill=fill, outline=outline, width=max(1, round(radius * 0.03)))

        dark = _shade(self.skin, 0.72)
        if not self.bald:
            oval(0, -0.1, self.ratio * 1.12, 1.02, self.hair)
            if self.long_hair:
                oval(0, 0.3, self.ratio * 1.16, 0.95, self.hair)
        for side in (-1, 1):
            oval(side * self.ratio * 0.98, 0.05, 0.1, 0.2, dark)
        oval(0, 0.06, self.ratio, 0.94, self.skin, dark)
        if self.beard:
            oval(self.turn * 0.5, 0.62, self.ratio * 0.7, 0.36, self.hair)
            oval(self.turn * 0.5, 0.42, self.ratio * 0.5, 0.22, self.skin)
        if not self.bald:
            oval(-self.turn * 0.4, -0.72, self.ratio * 0.86, 0.3, self.hair)
        self._features(oval, dark)

    def _features(self, oval: Any, dark: Colour) -> None:
        gap, gaze = self.ratio * 0.42, self.generator.uniform(-0.02, 0.02)
        for side in (-1, 1):
            x = side * gap * (1 - abs(self.turn) * 0.4) + self.turn
            oval(x, -0.26, 0.15, 0.035, self.hair if not self.bald else dark)
            if self.glasses:
                oval(x, -0.1, 0.22, 0.17, (40, 40, 46))
                oval(x, -0.1, 0.18, 0.13, self.skin)
            oval(x, -0.1, 0.13, 0.075, (245, 243, 240))
            oval(x + gaze, -0.1, 0.065, 0.07, (46, 34, 28))
        oval(self.turn * 1.3, 0.16, 0.075, 0.11, dark)
        lips = _shade((178, 74, 74), self.generator.uniform(0.7, 1.1))
        smile = self.generator.uniform(0.03, 0.1)
        oval(self.turn, 0.48, self.ratio * 0.34, smile, lips)
        if smile > 0.075:
            oval(self.turn, 0.47, self.ratio * 0.26, smile * 0.4, (245, 240, 235))


def _clutter(draw: ImageDraw.ImageDraw, generator: Generator, width: int, height: int) -> None:
    """One rectangle, stripe, blob or bare disc."""
    x, y = generator.uniform(0, width), generator.uniform(0, height)
    size = float(generator.gamma(2.0, 34.0)) + 6
    tall = float(generator.uniform(0.3, 1.8)) * size
    bare = generator.random()
    colour = _shade(SKINS[int(generator.integers(len(SKINS)))], generator.uniform(0.6, 1.1))
    if bare > 0.35:
        red, green, blue = generator.integers(0, 256, size=3)
        colour = int(red), int(green), int(blue)
    kind = generator.random()
    if kind < 0.4:
        draw.rectangle([x, y, x + size, y + tall], fill=colour)
    elif kind < 0.55:
        draw.line([x, y, x + 3 * size, y + 2 * tall], fill=colour, width=int(generator.integers(2, 14)))
    elif kind < 0.75:
        corners = generator.normal((x, y), size, size=(6, 2))
        draw.polygon([(float(a), float(b)) for a, b in corners], fill=colour)
    else:
        draw.ellipse([x, y, x + size, y + tall], fill=colour, outline=_shade(colour, 0.7))


def _shoulders(draw: ImageDraw.ImageDraw, generator: Generator, x: float, y: float, side: float) -> None:
    red, green, blue = generator.integers(10, 240, size=3)
    wide, drop = side * float(generator.uniform(0.7, 0.95)), side * 0.5
    draw.ellipse(
        [x - wide, y + drop, x + wide, y + drop + side * 1.1], fill=(int(red), int(green), int(blue))
    )


def _occlusion(draw: ImageDraw.ImageDraw, generator: Generator, x: float, y: float, side: float) -> None:
    """Every eighth face is partly occluded: by a mask, a bar at one side or a cap."""
    if generator.random() > 0.125:
        return
    red, green, blue = generator.integers(0, 256, size=3)
    half = side / 2
    areas: list[npt.NDArray[np.float64]] = [
        np.array([x - half * 0.8, y + half * 0.15, x + half * 0.8, y + half * 0.85]),
        np.array([x - half * 1.3, y - half, x - half * 0.4, y + half * 1.4]),
        np.array([x - half * 0.9, y - half * 1.1, x + half * 0.9, y - half * 0.45]),
    ]
    area = areas[int(generator.integers(len(areas)))].tolist()
    draw.rounded_rectangle(area, radius=half * 0.2, fill=(int(red), int(green), int(blue)))


def _shade(colour: Colour, light: float, generator: Generator | None = None) -> Colour:
    """A colour at another brightness, with noise when a generator is given."""
    own = generator.normal(0, 6, size=3) if generator is not None else np.zeros(3)
    red, green, blue = (np.asarray(colour) * light + own).clip(0, 255).astype(int)
    return int(red), int(green), int(blue)
