"""experiments.toml as it is written: tables checked, `extends` resolved, grids expanded."""

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

from common.base.errors import InputError

IDENTITY = frozenset({"about", "paper", "reported", "reported_metric", "ablation"})
"""Keys that say which row an entry is; `extends` does not take them over."""
TABLES = ("defaults", "profiles", "base", "experiments", "grid")
GRID_KEYS = frozenset({"extends", "name", "about", "paper", "reported", "axes"})
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def read_tables(file: Path) -> dict[str, Any]:
    """The tables of the file; InputError when it is missing or malformed, or has a bad table or name."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: the experiments file is missing") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InputError(f"{file}: not valid TOML: {fault}") from None
    unknown = set(tables) - set(TABLES)
    if unknown:
        raise InputError(f"{file}: unknown table {sorted(unknown)[0]!r}; expected {', '.join(TABLES)}")
    for table in TABLES:
        if not isinstance(tables.get(table, {}), dict):
            raise InputError(f"{file}: {table} must be a table")
    _check_profiles(f"{file}: profiles", tables.get("profiles", {}))
    for table in ("base", "experiments", "grid"):
        for name, entry in tables.get(table, {}).items():
            if not isinstance(entry, dict):
                raise InputError(f"{file}: {table}.{name} must be a table")
            if not NAME.fullmatch(name):
                raise InputError(
                    f"{file}: {table} {name[:60]!r}: a name has lower-case letters, digits and underscores"
                )
            if not isinstance(entry.get("extends", ""), str):
                raise InputError(f"{file}: {table}.{name}.extends must be the name of an entry")
            _check_profiles(f"{file}: {table}.{name}.profiles", entry.get("profiles", {}))
    return tables


def _check_profiles(where: str, profiles: object) -> None:
    if not isinstance(profiles, dict) or not all(isinstance(layer, dict) for layer in profiles.values()):
        raise InputError(f"{where} must be a table of the tables sample and full")
    unknown = set(profiles) - {"sample", "full"}
    if unknown:
        raise InputError(f"{where}: unknown profile {sorted(unknown)[0]!r}; expected sample, full")


def resolve_entries(file: Path, tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All experiments by name, `extends` resolved and grids expanded."""
    written = tables.get("experiments", {}) | tables.get("base", {})
    both = set(tables.get("base", {})) & set(tables.get("experiments", {}))
    if both:
        raise InputError(f"{file}: {sorted(both)[0]!r} is a base and an experiment; choose another name")
    grids: dict[str, list[dict[str, Any]]] = {}
    for name, grid in tables.get("grid", {}).items():
        grids.setdefault(grid.get("extends", ""), []).append(grid | {"grid": name})
    entries: dict[str, dict[str, Any]] = {}
    for name in written:
        if name in tables.get("experiments", {}):
            entries[name] = _extended(file, written, name)
        for grid in grids.pop(name, []):
            for made, entry in _expanded(file, grid):
                if made in written or made in entries:
                    raise InputError(f"{file}, grid {grid['grid']!r}: {made!r} exists already")
                entries[made] = _without_extends(merged(_inherited(_extended(file, written, name)), entry))
    for base, left in grids.items():
        raise InputError(f"{file}, grid {left[0]['grid']!r}: extends {base!r}, which is no entry")
    return entries


def _extended(file: Path, written: dict[str, Any], name: str) -> dict[str, Any]:
    chain = [name]
    while (base := written[chain[-1]].get("extends")) is not None:
        if base not in written:
            raise InputError(f"{file}, {chain[-1]!r}: extends {base!r}, which is no entry")
        if base in chain:
            raise InputError(f"{file}: {' extends '.join([*chain, base])}: a circle")
        chain.append(base)
    entry: dict[str, Any] = {}
    for link in reversed(chain):
        entry = merged(_inherited(entry), written[link])
    return _without_extends(entry)


def _inherited(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in IDENTITY}


def _without_extends(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "extends"}


def _expanded(file: Path, grid: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, entry) of each combination of a grid's axes, the first axis fastest."""
    where = f"{file}, grid {grid['grid']!r}"
    axes, template = grid.get("axes"), grid.get("name")
    unknown = set(grid) - GRID_KEYS - {"grid"}
    if unknown:
        raise InputError(
            f"{where}: unknown key {sorted(unknown)[0]!r}; expected {', '.join(sorted(GRID_KEYS))}"
        )
    if not isinstance(template, str) or not isinstance(axes, dict) or not axes:
        raise InputError(
            f'{where}: needs name = "..{{axis}}.." and axes.<axis> = {{ key = .., values = [..] }}'
        )
    for axis, rule in axes.items():
        values = rule.get("values") if isinstance(rule, dict) else None
        if not isinstance(values, list) or not values or not isinstance(rule.get("key"), str):
            raise InputError(f'{where}, axis {axis!r}: expected {{ key = "table.key", values = [...] }}')
    count = 1
    for rule in axes.values():
        count *= len(rule["values"])
    reported = grid.get("reported", [])
    if count > 1000 or (reported and (not isinstance(reported, list) or len(reported) != count)):
        raise InputError(
            f"{where}: {count} combinations; expected at most 1,000 and one reported figure for each"
        )
    made = []
    slowest_first = reversed(list(axes.items()))
    choices = [[(axis, rule["key"], value) for value in rule["values"]] for axis, rule in slowest_first]
    for row, combination in enumerate(itertools.product(*choices)):
        words = {axis: value for axis, _, value in combination} | {"row": row + 1}
        entry: dict[str, Any] = {}
        for _, key, value in combination:
            entry = merged(entry, nested(key, value))
        for key in ("about", "paper"):
            if key in grid:
                entry[key] = _filled(where, str(grid[key]), words)
        name = _filled(where, template, words)
        if not NAME.fullmatch(name):
            raise InputError(f"{where}: makes the name {name[:60]!r}; expected lower-case letters, digits, _")
        if reported:
            entry["reported"] = reported[row]
        made.append((name, entry))
    return made


def _filled(where: str, template: str, words: dict[str, Any]) -> str:
    """The template with every `{axis}` replaced; other uses of braces are refused."""
    unknown = [word for word in re.findall(r"\{([^{}]*)\}", template) if word not in words]
    if unknown or "{" in re.sub(r"\{[^{}]*\}", "", template):
        raise InputError(
            f"{where}: {unknown[0] if unknown else template[:60]!r} is no axis; there are {', '.join(words)}"
        )
    return re.sub(r"\{([^{}]*)\}", lambda match: str(words[match[1]]), template)


def nested(key: str, value: Any) -> dict[str, Any]:
    """`a.b` and 3 -> {"a": {"b": 3}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, tables merged key by key."""
    result = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both_tables else value
    return result
