"""The architecture page shows the imports as they are."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from common.base.paths import ROOT


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_of_these_imports(drawing: ModuleType) -> None:
    arrows = drawing.imports_between_rooms()
    assert {room for arrow in arrows for room in arrow} <= set(drawing.PLACES), "every room has a place"
    page = drawing.PAGE.read_text()
    assert drawing.table(arrows) in page, "run `python docs/draw_architecture.py`"
    named = set(re.findall(r"^\| `([\w.]+)/?` ", page.split("## Rooms of a competition")[1], re.MULTILINE))
    rooms = {room for room in drawing.PLACES if "/" not in room and room.islower() and "." not in room}
    assert rooms <= named, "every room is explained"


def test_no_room_of_common_imports_a_higher_one(drawing: ModuleType) -> None:
    arrows = drawing.imports_between_rooms()
    floors = {"base": 0, "files": 1, "learn": 1, "run": 2, "report": 3}
    for source, target in arrows:
        if source.startswith("common/"):
            assert target.startswith("common/")
            assert floors[target.split("/")[1]] < floors[source.split("/")[1]], f"{source} imports {target}"


def test_the_picture_is_the_same_for_the_same_imports(drawing: ModuleType, tmp_path: Path) -> None:
    arrows = drawing.imports_between_rooms()
    for name in ("one.svg", "two.svg"):
        drawing.draw(arrows, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
