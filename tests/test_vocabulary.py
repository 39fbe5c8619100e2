"""Retired names stay retired: the project uses the terms of its field."""

import re
from pathlib import Path

import pytest

from common.base.paths import ROOT
from competitions.discovery import SLUGS
from tests.test_house_rules import tracked_files

SUFFIXES = (".py", ".md", ".toml", ".csv", ".html", ".sh", ".txt")
LEFT_OUT = ("requirements.txt", "constraints.txt", "vocabulary.txt")


def retired(file: Path) -> list[re.Pattern[str]]:
    """The patterns of a list; blank lines and comments are skipped."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def texts() -> list[Path]:
    return [file for file in tracked_files() if file.suffix in SUFFIXES and file.name not in LEFT_OUT]


def belongs_to(file: Path, slug: str) -> bool:
    """Whether a file is of one competition."""
    parts = file.relative_to(ROOT).parts
    return slug in parts or parts[-1].startswith((f"{slug}.", f"{slug}_"))


def occurrences(files: list[Path], patterns: list[re.Pattern[str]]) -> list[str]:
    found = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            hits = [pattern.pattern for pattern in patterns if pattern.search(line)]
            found += [f"{file.relative_to(ROOT)}:{number}: {hit}: {line.strip()[:90]}" for hit in hits]
    return found


def test_retired_words_occur_nowhere() -> None:
    patterns = retired(ROOT / "tests" / "vocabulary.txt")
    assert len(patterns) > 15
    assert len(texts()) > 200
    found = occurrences(texts(), patterns)
    assert not found, "\n" + "\n".join(found[:60])


@pytest.mark.parametrize(
    "slug", [slug for slug in SLUGS if (ROOT / "tests" / slug / "vocabulary.txt").is_file()]
)
def test_retired_names_occur_nowhere_in_their_competition(slug: str) -> None:
    patterns = retired(ROOT / "tests" / slug / "vocabulary.txt")
    files = [file for file in texts() if belongs_to(file, slug)]
    assert len(patterns) > 15
    assert {"experiments.toml", "README.md", f"{slug}.csv"} <= {file.name for file in files}
    found = occurrences(files, patterns)
    assert not found, "\n" + "\n".join(found[:60])
