"""Draw docs/architecture.svg from the imports of the code: rooms as boxes, imports between them as arrows.

    python docs/draw_architecture.py            # writes the picture and the table in docs/architecture.md
    python docs/draw_architecture.py --check    # exit code 1 where the table is out of date; writes nothing

The rooms of the competitions are drawn once: an arrow's figure counts the imports in all of them.
"""

import argparse
import ast
import sys
from collections import Counter
from pathlib import Path

from common.base.paths import ROOT
from common.report.markdown import markdown_table
from common.report.results_table import fill_markers
from competitions.discovery import SLUGS

PICTURE = ROOT / "docs" / "architecture.svg"
PAGE = ROOT / "docs" / "architecture.md"
MARKERS = ("<!-- rooms -->", "<!-- /rooms -->")
SETTINGS = "experiment.py, competition.py"
SCRIPTS = "1_ 2_ 3_ 4_"
PLACES = {
    # room -> (column, row) of its box; row 0 is the top
    SCRIPTS: (2.0, 0),
    "pipeline.py": (2.0, 1),
    "predict": (0.3, 2),
    "report": (3.9, 2),
    "decision": (2.3, 2.5),
    "detection": (0.2, 3.5),
    "models": (1.4, 3.6),
    "candidates": (2.8, 3.6),
    "sample": (4.1, 3.6),
    "data": (1.3, 4.8),
    "rules": (3.2, 4.8),
    SETTINGS: (2.2, 5.8),
    "common/report": (3.4, 7),
    "common/run": (1.5, 7),
    "common/learn": (0.5, 8.1),
    "common/files": (2.7, 8.1),
    "common/base": (1.6, 9.2),
}
COLOURS = {"common": "#dfe7f5", "room": "#e9f3e4", "root": "#fbeed5"}


def room_of(parts: tuple[str, ...]) -> str:
    """The box of a module, from the parts of its path or dotted name below the project's root."""
    if parts[0] == "common":
        return f"common/{parts[1]}" if len(parts) > 1 else "common/base"
    inside = parts[2:]
    if not inside or inside[0] in ("__init__.py", "load"):
        return "predict"  # `load` of the package calls predict/
    name = inside[0].removesuffix(".py")
    if name[0].isdigit():
        return SCRIPTS
    if name in ("experiment", "competition"):
        return SETTINGS
    return "pipeline.py" if name == "pipeline" else name


def imports_between_rooms() -> Counter[tuple[str, str]]:
    """(importing room, imported room) -> number of import statements, those within functions included."""
    arrows: Counter[tuple[str, str]] = Counter()
    files = [*(ROOT / "common").rglob("*.py")]
    for slug in SLUGS:
        files += (ROOT / "competitions" / slug).rglob("*.py")
    for file in files:
        source = room_of(file.relative_to(ROOT).parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = tuple(node.module.split("."))
                if parts[0] == "competitions" and len(parts) == 2:
                    parts = (*parts, node.names[0].name)
                if parts[0] == "common" or (parts[0] == "competitions" and parts[1] in SLUGS):
                    target = room_of(parts)
                    if target != source:
                        arrows[source, target] += 1
    return arrows


def table(arrows: Counter[tuple[str, str]]) -> str:
    """Markdown: each room and the rooms that it imports, with the number of imports."""
    rooms = [room for room in PLACES if any(source == room for source, _ in arrows)]
    rows = []
    for room in rooms:
        targets = sorted((target for source, target in arrows if source == room), key=list(PLACES).index)
        rows.append([f"`{room}`", ", ".join(f"`{target}` {arrows[room, target]}" for target in targets)])
    return markdown_table(["room", "imports (statements in all competitions)"], rows)


def draw(arrows: Counter[tuple[str, str]], path: Path) -> None:
    """Write the picture as SVG, the same bytes for the same imports."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "architecture", "font.family": "DejaVu Sans"}
    from matplotlib import pyplot
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    figure, axes = pyplot.subplots(figsize=(9, 9.6))
    axes.set(xlim=(-0.5, 4.8), ylim=(9.8, -0.6))
    axes.axis("off")
    axes.axhspan(-0.5, 6.35, color="#f7f7f7", zorder=0)
    axes.axhspan(6.55, 9.7, color="#f1f4fa", zorder=0)
    axes.text(-0.45, -0.3, "competitions/<slug>/", fontsize=10, weight="bold")
    axes.text(-0.45, 6.75, "common/", fontsize=10, weight="bold")
    for (source, target), number in sorted(arrows.items()):
        (x0, y0), (x1, y1) = PLACES[source], PLACES[target]
        crosses = source.startswith("common") != target.startswith("common")
        arrow = FancyArrowPatch(
            (x0, y0 + 0.22 if y1 > y0 else y0 - 0.22),
            (x1, y1 - 0.24 if y1 > y0 else y1 + 0.24),
            arrowstyle="-|>",
            mutation_scale=9,
            connectionstyle=f"arc3,rad={0.08 if x1 >= x0 else -0.08}",
            linewidth=0.5 + min(number, 40) / 16,
            color="#9aa6bd" if crosses else "#56657f",
            alpha=0.3 if crosses else 0.85,
            zorder=1,
        )
        axes.add_patch(arrow)
    for room, (x, y) in PLACES.items():
        kind = (
            "common"
            if room.startswith("common")
            else "room"
            if room[0].islower() and "." not in room
            else "root"
        )
        label = room.removeprefix("common/") + ("/" if kind != "root" else "")
        width = 0.2 + 0.062 * len(label)
        box = FancyBboxPatch(
            (x - width / 2, y - 0.2),
            width,
            0.4,
            boxstyle="round,pad=0.02",
            facecolor=COLOURS[kind],
            edgecolor="#56657f",
            zorder=2,
        )
        axes.add_patch(box)
        axes.text(x, y, label, ha="center", va="center", fontsize=9, zorder=3)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def main() -> int:
    """Write or check picture and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; 1 where the table is out of date"
    )
    flags = parser.parse_args()
    arrows = imports_between_rooms()
    if flags.check:
        return 0 if table(arrows) in PAGE.read_text(encoding="utf-8") else 1
    draw(arrows, PICTURE)
    fill_markers(PAGE, table(arrows), MARKERS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
