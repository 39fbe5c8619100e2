"""Parts found by name: a new network, detector, forecaster or retriever is one module and one TOML entry.

A room has one registry. A module of the room registers its part:

    from competitions.etci_flood.models.registry import NETWORKS

    @NETWORKS.register("unet", "fpn")
    def build(name: str, ...) -> nn.Module: ...

The names are read from the source text, so that a settings check or `--help` imports neither torch nor
tensorflow; only the module of the part that is used gets imported.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from common.base.errors import InputError

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """The parts of one room.

    Parameters
    ----------
    room : dotted name of the package whose modules register parts.
    variable : the name under which modules import this registry, `NETWORKS`.
    what : for messages, `network`.
    """

    def __init__(self, room: str, variable: str, what: str) -> None:
        self.room, self.variable, self.what = room, variable, what
        self._parts: dict[str, Part] = {}

    def register(self, *names: str) -> Callable[[Part], Part]:
        """Decorate a part; `names` must be plain strings, because they are read from the source text."""

        def keep(part: Part) -> Part:
            for name in names:
                known = self._parts.get(name)
                if known is not None and _place(known) != _place(part):
                    raise ValueError(
                        f"{self.what} {name!r} is registered twice: {_place(known)}, {_place(part)}"
                    )
                self._parts[name] = part
            return part

        return keep

    def names(self) -> list[str]:
        """Names of all parts, sorted; nothing is imported but the room itself."""
        return sorted({*self._parts, *self._modules()})

    def __getitem__(self, name: str) -> Part:
        """The part of that name; InputError naming those there are."""
        if name not in self._parts:
            module = self._modules().get(name)
            if module is None:
                raise InputError(self._unknown(name))
            import_module(module)
        return self._parts[name]

    def check(self, name: str) -> str:
        """`name` itself, ValueError when no part has it; for pydantic's AfterValidator."""
        if name not in self._parts and name not in self._modules():
            raise ValueError(self._unknown(name))
        return name

    def _unknown(self, name: str) -> str:
        return f"unknown {self.what} {name!r}; expected one of: {', '.join(self.names())}"

    def _modules(self) -> dict[str, str]:
        """Name of a part -> dotted name of the module that registers it."""
        found: dict[str, str] = {}
        for folder in import_module(self.room).__path__:
            for file in sorted(Path(folder).glob("*.py")):
                for name in self._registered_in(file):
                    found[name] = f"{self.room}.{file.stem}"
        return found

    def _registered_in(self, file: Path) -> list[str]:
        text = file.read_text(encoding="utf-8")
        if f"@{self.variable}.register(" not in text:
            return []
        names: list[str] = []
        for node in ast.parse(text).body:
            for decorator in getattr(node, "decorator_list", []):
                if (
                    isinstance(decorator, ast.Call)
                    and ast.unparse(decorator.func) == f"{self.variable}.register"
                ):
                    names += [ast.literal_eval(argument) for argument in decorator.args]
        return names


def _place(part: Any) -> str:
    return f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', part)}"
