"""A part is found by its name, without importing the others."""

import sys
from pathlib import Path

import pytest

from common.base.errors import InputError
from common.run.registry import Registry

TWO = """
from tests_room import PARTS

@PARTS.register("one", "two")
def build(name):
    return name.upper()
"""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    room = tmp_path / "tests_room"
    room.mkdir()
    (room / "__init__.py").write_text(
        "from common.run.registry import Registry\nPARTS = Registry('tests_room', 'PARTS', 'part')\n"
    )
    (room / "two.py").write_text(TWO)
    (room / "broken.py").write_text(
        "@PARTS.register('three')\ndef build(name): ...\nraise ImportError('heavy')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("tests_room")]:
        monkeypatch.delitem(sys.modules, name)
    import tests_room

    found: Registry = tests_room.PARTS
    return found


def test_names_are_known_before_anything_is_imported(parts: Registry) -> None:
    assert parts.names() == ["one", "three", "two"]
    assert parts.check("three") == "three"
    assert "tests_room.two" not in sys.modules
    assert parts["one"]("x") == "X"
    assert "tests_room.broken" not in sys.modules


def test_an_unknown_name_lists_those_there_are(parts: Registry) -> None:
    with pytest.raises(InputError, match="unknown part 'four'; expected one of: one, three, two"):
        parts["four"]
    with pytest.raises(ValueError, match="unknown part 'four'"):
        parts.check("four")


def test_a_module_added_later_is_found(parts: Registry, tmp_path: Path) -> None:
    (tmp_path / "tests_room" / "late.py").write_text(TWO.replace('"one", "two"', '"late"'))
    assert parts["late"]("y") == "Y"


def test_a_name_belongs_to_one_part(parts: Registry, tmp_path: Path) -> None:
    (tmp_path / "tests_room" / "other.py").write_text(TWO.replace('"one", "two"', '"five"'))
    assert parts["one"]
    with pytest.raises(ValueError, match="'one' is registered twice"):
        parts.register("one")(lambda name: name)
