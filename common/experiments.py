"""experiments.toml: every run of a competition as one entry, loaded into one typed model.

Layers, later ones win, tables are merged key by key:

    [defaults]                            what all runs share
    [experiments.<name>]                  one run; reads like a row of the article's table
    [profiles.sample], [profiles.full]    the cut that makes any run fit a laptop; usually nothing
    [experiments.<name>.profiles.sample]  the same for one run alone

An unknown key or a wrong type is an InputError that names the key.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import InputError

Profile = Literal["sample", "full"]


class Settings(BaseModel):
    """Base of every table of settings: immutable, unknown keys refused, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Experiment(Settings):
    """What every experiment has; each competition adds its own tables."""

    name: str
    """The key in experiments.toml."""
    about: str = ""
    """One line on the idea."""
    paper: str | None = None
    """The row of the article that it reproduces, `Table 2, row 3`."""
    reported: float | None = None
    """The score printed there."""
    chosen: list[str] = []
    """Settings that the article does not print, and that are our choice."""
    parents: list[str] = []
    """Experiments whose predictions this one combines."""
    folds: int = 5
    """How many folds the labelled data are cut into."""

    def preprocessing(self) -> dict[str, Any]:
        """The settings that 1_preprocess depends on; a change of others leaves its results valid."""
        return {"folds": self.folds}

    def processed_variant(self) -> str:
        """Sub-folder of processed/ for settings that lead to other processed data; `` if all share one."""
        return ""


AnyExperiment = TypeVar("AnyExperiment", bound=Experiment)


def read_experiments(file: Path) -> dict[str, Any]:
    """The raw tables of an experiments.toml; InputError when missing, malformed or with unknown tables."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: the experiments file is missing") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InputError(f"{file}: not valid TOML: {fault}") from None
    unknown = set(tables) - {"defaults", "profiles", "experiments"}
    if unknown:
        raise InputError(
            f"{file}: unknown table {sorted(unknown)[0]!r}; expected defaults, profiles, experiments"
        )
    unknown = set(tables.get("profiles", {})) - {"sample", "full"}
    if unknown:
        raise InputError(f"{file}: unknown profile {sorted(unknown)[0]!r}; expected sample, full")
    return tables


def experiment_names(file: Path) -> list[str]:
    """Names of all experiments, in the file's order."""
    return list(read_experiments(file).get("experiments", {}))


def load_experiment(file: Path, model: type[AnyExperiment], name: str, profile: Profile) -> AnyExperiment:
    """Resolve experiment `name` of `file` for `profile`; InputError names what is wrong."""
    tables = read_experiments(file)
    experiments = tables.get("experiments", {})
    if name not in experiments:
        raise InputError(f"unknown experiment {name!r}; {file} has: {', '.join(experiments)}")
    own = {key: value for key, value in experiments[name].items() if key != "profiles"}
    resolved: dict[str, Any] = {"name": name}
    for layer in (
        tables.get("defaults", {}),
        own,
        tables.get("profiles", {}).get(profile, {}),
        experiments[name].get("profiles", {}).get(profile, {}),
    ):
        resolved = _merged(resolved, layer)
    try:
        return model.model_validate(resolved)
    except ValidationError as fault:
        raise InputError(f"{file}, experiment {name!r}: {_first_problem(fault)}") from None


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both_tables else value
    return result


def _first_problem(fault: ValidationError) -> str:
    problems = []
    for error in fault.errors():
        key = ".".join(str(part) for part in error["loc"])
        problem = "is no known key" if error["type"] == "extra_forbidden" else error["msg"]
        problems.append(f"{key!r}: {problem}")
    return "; ".join(problems)
