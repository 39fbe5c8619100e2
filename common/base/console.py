"""What a command says while it works."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 20.0


def printable(text: str) -> str:
    """`text` with control characters, and what is no valid Unicode, as escapes.

    File names and cells of tables come from others; printed as they are they could steer the terminal.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def counted(number: float, what: str, plural: str = "") -> str:
    """`1 row`, `1,200 rows`; `plural` for words that take no plain s."""
    return f"{number:,.0f} {what if number == 1 else plural or f'{what}s'}"


def log(message: str, error: bool = False) -> None:
    """Print one line at once, to standard output or standard error; line breaks within it are escaped."""
    stream = sys.stderr if error else sys.stdout
    text = printable(message)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def progress(items: Iterable[Item], what: str, unit: str = "it", total: int | None = None) -> Iterator[Item]:
    """Iterate with a bar on a terminal, with a line now and then."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, unit=unit, total=total, leave=False, dynamic_ncols=True)
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            rate = done / (now - start)
            left = f" of {total} {unit}, {(total - done) / rate:.0f} s left" if total and rate else f" {unit}"
            log(f"  {what}: {done}{left}, {rate:.3g} {unit}/s")
            last = now
        yield item
