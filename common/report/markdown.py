"""Markdown tables and folded sections of the READMEs."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; pipes and line breaks within cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def folded(summary: str, text: str) -> str:
    """A section that opens on a click."""
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
