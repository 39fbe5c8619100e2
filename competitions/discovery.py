"""The competitions there are: each folder of this package that holds a competition.py."""

from importlib import import_module
from pathlib import Path
from typing import Any

from common.base.errors import InputError
from common.run.competition import Competition


def find_slugs() -> tuple[str, ...]:
    """Names of all competitions, sorted."""
    folders = Path(__file__).resolve().parent.iterdir()
    return tuple(sorted(folder.name for folder in folders if (folder / "competition.py").is_file()))


SLUGS = find_slugs()


def competition_of(slug: str) -> Competition[Any]:
    """The competition of that name; InputError when there is none."""
    if slug not in SLUGS:
        raise InputError(f"unknown competition {slug!r}; expected: {', '.join(SLUGS)}")
    found: Competition[Any] = import_module(f"competitions.{slug}.competition").COMPETITION
    return found
