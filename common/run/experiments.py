"""experiments.toml: every run of a competition as one entry, loaded into one typed model.

Layers, later ones win, tables are merged key by key:

    [defaults]                            what all runs share
    [base.<name>]                         settings that several runs extend; not a run itself
    [experiments.<name>]                  one run; reads like a row of the paper's table
    [profiles.sample], [profiles.full]    the cut that makes any run fit a laptop; usually nothing
    [experiments.<name>.profiles.sample]  the same for one run alone
    --set key=value                       on the command line; the run then has a folder of its own

`extends = "NAME"` starts an entry from another one: all its settings but its identity (about, paper,
reported, ablation). A grid makes one entry per combination of its axes, the first axis fastest:

    [grid.table1]
    extends = "yolov5_base"                                   # a base's grids come last
    name = "yolov5{size}_{preprocessing}_batch{batch}"
    paper = "Table 1, row {row}"                              # row counts from 1
    reported = [0.88, 0.84, 0.94]                             # one figure per combination
    axes.size = { key = "detector.size", values = ["s", "m", "l", "x"] }
    axes.batch = { key = "training.batch_size", values = [2, 4, 8] }

An unknown key or a wrong type is an InputError that names the key.
"""

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.base.errors import InputError

Profile = Literal["sample", "full"]
Overrides = Mapping[str, Any]
"""What --set changed: dotted key -> value."""

IDENTITY = frozenset({"about", "paper", "reported", "reported_metric", "ablation"})
"""Keys that say which row an entry is; `extends` does not take them over."""
NOT_SETTABLE = IDENTITY | {"name", "not_in_paper", "needs_gpu", "overrides", "processed_suffix"}
TABLES = ("defaults", "profiles", "base", "experiments", "grid")
GRID_KEYS = frozenset({"extends", "name", "about", "paper", "reported", "axes"})
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


class Settings(BaseModel):
    """Base of every table of settings: immutable, unknown keys refused, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoOptions(Settings):
    """Options of a part that has none: a table `options` is refused."""


class Experiment(Settings):
    """What every experiment has; each competition adds its own tables."""

    name: str
    """The key in experiments.toml; with --set also `+` and a hash of what was set."""
    about: str = ""
    """One line on the idea."""
    paper: str | None = None
    """The row of the paper that it reproduces, `Table 2, row 3`."""
    reported: float | None = None
    """The score printed there."""
    reported_metric: str | None = None
    """What the paper measured, where it is not the official metric."""
    not_in_paper: list[str] = []
    """Settings that the paper does not print, and that are our choice."""
    parents: list[str] = []
    """Experiments whose predictions this one combines."""
    folds: int = Field(default=5, ge=1, le=100)
    """How many folds the labelled data are cut into."""
    needs_gpu: bool = False
    """Whether the full profile takes hours to days without a GPU."""
    overrides: dict[str, Any] = {}
    """What --set changed, by dotted key."""
    processed_suffix: str = ""
    """Ends the name of the folder of processed data where --set changed what 1_preprocess depends on."""

    DESCRIPTIVE: ClassVar[frozenset[str]] = IDENTITY | {"not_in_paper", "needs_gpu", "overrides"}
    """Fields that decide no result."""

    def preprocessing(self) -> dict[str, Any]:
        """The settings that 1_preprocess depends on; a change of others leaves its results valid."""
        return {"folds": self.folds}

    def processed_variant(self) -> str:
        """Sub-folder of processed/ for settings that lead to other processed data; `` if all share one."""
        return ""

    def processed_folder(self) -> str:
        """Sub-folder of processed/ that this run uses."""
        return self.processed_variant() + self.processed_suffix

    def weights_needed(self) -> list[str]:
        """Names of the given weights that the full profile starts from."""
        return []


AnyExperiment = TypeVar("AnyExperiment", bound=Experiment)
AnySettings = TypeVar("AnySettings", bound=Settings)


def read_experiments(file: Path) -> dict[str, dict[str, Any]]:
    """Name -> entry of an experiments.toml, `extends` and grids resolved, defaults and profiles not applied.

    Raises
    ------
    InputError : the file is missing or malformed, or has an unknown table, a bad name, or an unknown or
        circular `extends`.
    """
    return _entries(file, _read_tables(file))


def experiment_names(file: Path) -> list[str]:
    """Names of all experiments, in the file's order; a grid follows its entry, that of a base comes last."""
    return list(read_experiments(file))


def load_experiment(
    file: Path,
    model: type[AnyExperiment],
    name: str,
    profile: Profile,
    overrides: Overrides | None = None,
) -> AnyExperiment:
    """Resolve experiment `name` of `file` for `profile`; InputError names what is wrong.

    Parameters
    ----------
    overrides : from --set; the run is then called `<name>+<hash>`, and has processed data of its own where
        they depend on what was set.
    """
    tables = _read_tables(file)
    entries = _entries(file, tables)
    if name not in entries:
        raise InputError(f"unknown experiment {name!r}; {file} has: {', '.join(entries)}")
    _check_parents(file, entries, name)
    own = {key: value for key, value in entries[name].items() if key != "profiles"}
    resolved: dict[str, Any] = {"name": name}
    for layer in (
        tables.get("defaults", {}),
        own,
        tables.get("profiles", {}).get(profile, {}),
        entries[name].get("profiles", {}).get(profile, {}),
    ):
        resolved = _merged(resolved, layer)
    settings = _validated(model, resolved, f"{file}, experiment {name!r}")
    if not overrides:
        return settings
    for key, value in overrides.items():
        resolved = _merged(resolved, _nested(key, value))
    resolved |= {"name": run_name(name, overrides), "overrides": dict(overrides)}
    changed = _validated(model, resolved, f"--set, experiment {name!r}")
    wanted = changed.preprocessing()
    if wanted == settings.preprocessing():
        return changed
    if changed.parents:
        raise InputError(
            f"--set {' '.join(overrides)}: {name} combines {', '.join(changed.parents)} "
            "and needs their folds; set it on them"
        )
    return _validated(model, resolved | {"processed_suffix": f"+{_hash(wanted)}"}, "--set")


def read_options(model: type[AnySettings], options: Mapping[str, Any], where: str) -> AnySettings:
    """The table `options` of an experiment as the own settings of a registered part.

    Raises
    ------
    InputError : an unknown key or a wrong type; the message begins with `where` and names the key.
    """
    unknown = [key for key in options if key not in model.model_fields]
    if unknown:
        known = ", ".join(model.model_fields) or "no options"
        raise InputError(f"{where}.{unknown[0]}: is no known key; expected {known}")
    try:
        return model.model_validate(dict(options))
    except ValidationError as fault:
        problem = fault.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"{where}.{key}: {problem['msg']}") from None


def run_name(name: str, overrides: Overrides | None) -> str:
    """Name of a run and of its folder: the experiment's, and a hash of what --set changed."""
    return f"{name}+{_hash(dict(overrides))}" if overrides else name


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """`key=value` of each --set -> dotted key and typed value.

    The value is TOML (3, 0.5, true, [1, 2], "text"); what is no TOML is text. InputError names what is wrong.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", key):
            raise InputError(f"--set {text[:80]!r}: expected key=value, for instance training.epochs=3")
        if key in NOT_SETTABLE:
            raise InputError(f"--set {key}: says what a run is, and cannot be set")
        if key in found:
            raise InputError(f"--set {key}: given twice")
        found[key] = _toml_value(value.strip())
    for key in found:
        for other in found:
            if other.startswith(f"{key}."):
                raise InputError(f"--set {key} and --set {other}: one contains the other")
    return dict(sorted(found.items()))


def _toml_value(text: str) -> Any:
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return tables["value"] if set(tables) == {"value"} else text


def _hash(content: object) -> str:
    import hashlib
    import json

    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _read_tables(file: Path) -> dict[str, Any]:
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
    unknown = set(tables.get("profiles", {})) - {"sample", "full"}
    if unknown:
        raise InputError(f"{file}: unknown profile {sorted(unknown)[0]!r}; expected sample, full")
    for table in ("base", "experiments", "grid"):
        for name, entry in tables.get(table, {}).items():
            if not isinstance(entry, dict):
                raise InputError(f"{file}: {table}.{name} must be a table")
            if not NAME.fullmatch(name):
                raise InputError(
                    f"{file}: {table} {name[:60]!r}: a name has lower-case letters, digits and underscores"
                )
    return tables


def _entries(file: Path, tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
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
                entries[made] = _without_extends(_merged(_inherited(_extended(file, written, name)), entry))
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
        entry = _merged(_inherited(entry), written[link])
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
            entry = _merged(entry, _nested(key, value))
        try:
            for key in ("about", "paper"):
                if key in grid:
                    entry[key] = str(grid[key]).format(**words)
            name = template.format(**words)
        except (KeyError, IndexError, ValueError) as fault:
            raise InputError(f"{where}: {fault} is no axis; there are {', '.join(axes)} and row") from None
        if not NAME.fullmatch(name):
            raise InputError(f"{where}: makes the name {name[:60]!r}; expected lower-case letters, digits, _")
        if reported:
            entry["reported"] = reported[row]
        made.append((name, entry))
    return made


def _check_parents(file: Path, entries: dict[str, dict[str, Any]], name: str) -> None:
    """InputError when an ensemble combines itself, directly or through others, or an unknown experiment."""

    def visit(current: str, chain: tuple[str, ...]) -> None:
        if current in chain:
            raise InputError(f"{file}: {' combines '.join([*chain, current])}: a circle")
        parents = entries[current].get("parents", [])
        for parent in parents if isinstance(parents, list) else []:
            base = str(parent).partition("+")[0]
            if base not in entries:
                raise InputError(f"{file}, experiment {current!r}: its parent {parent!r} is no experiment")
            visit(base, (*chain, current))

    visit(name, ())


def _nested(key: str, value: Any) -> dict[str, Any]:
    """`a.b` and 3 -> {"a": {"b": 3}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both_tables else value
    return result


def _validated(model: type[AnySettings], resolved: dict[str, Any], where: str) -> AnySettings:
    try:
        return model.model_validate(resolved)
    except ValidationError as fault:
        raise InputError(f"{where}: {_first_problem(fault)}") from None


def _first_problem(fault: ValidationError) -> str:
    problems = []
    for error in fault.errors():
        key = ".".join(str(part) for part in error["loc"])
        problem = "is no known key" if error["type"] == "extra_forbidden" else error["msg"]
        problems.append(f"{key!r}: {problem}")
    return "; ".join(problems)
