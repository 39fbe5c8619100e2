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

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.base.errors import InputError
from common.run.entries import IDENTITY, merged, nested, read_tables, resolve_entries
from common.run.overrides import Overrides, run_name, settings_hash

Profile = Literal["sample", "full"]
MAX_NAMED = 12


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
    return resolve_entries(file, read_tables(file))


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
    tables = read_tables(file)
    entries = resolve_entries(file, tables)
    if name not in entries:
        raise InputError(unknown_experiment(file.parent.name, name, list(entries)))
    _check_parents(file, entries, name)
    own = {key: value for key, value in entries[name].items() if key != "profiles"}
    resolved: dict[str, Any] = {"name": name}
    for layer in (
        tables.get("defaults", {}),
        own,
        tables.get("profiles", {}).get(profile, {}),
        entries[name].get("profiles", {}).get(profile, {}),
    ):
        resolved = merged(resolved, layer)
    settings = _validated(model, resolved, f"{file}, experiment {name!r}")
    if not overrides:
        return settings
    for key, value in overrides.items():
        resolved = merged(resolved, nested(key, value))
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
    return _validated(model, resolved | {"processed_suffix": f"+{settings_hash(wanted)}"}, "--set")


def unknown_experiment(slug: str, name: str, names: list[str]) -> str:
    """The message for a name that is no experiment: all there are, or those that look like it."""
    if len(names) <= MAX_NAMED:
        return f"unknown experiment {name!r}; {slug} has: {', '.join(names)}"
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    command = f"`python -m competitions experiments {slug}`"
    return f"unknown experiment {name!r}; {guess}{command} lists all {len(names)}"


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
