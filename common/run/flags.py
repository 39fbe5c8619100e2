"""The one command-line parser of all numbered stages."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.base.errors import InputError
from common.base.paths import display_path
from common.run.experiments import read_experiments
from common.run.overrides import parse_overrides
from common.run.run_record import hash_path

AddFlags = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True)
class StageFlags:
    """The common flags as given; None where the user said nothing."""

    experiment: str
    data: Path | None
    work: Path | None
    profile: str | None
    fold: int | None
    device: str
    seed: int | None
    overrides: dict[str, Any]
    """--set: dotted key -> value."""
    again: bool
    """Do what is done already once more."""
    stage_args: argparse.Namespace
    """Flags that this stage alone has."""


@dataclass(frozen=True)
class StageArgs:
    """Flags that a stage has besides the common ones."""

    add: AddFlags
    decisive: Callable[[argparse.Namespace], object] | None = None
    """What of them decides the results (the hash of --weights, say); None: nothing."""


def weights_flag(help_text: str) -> StageArgs:
    """`--weights DIR|FILE`: given weights to start from. Their content decides the results."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--weights", type=Path, metavar="DIR", help=help_text)

    def decisive(args: argparse.Namespace) -> str | None:
        if args.weights is None:
            return None
        weights = args.weights.expanduser().absolute()
        if not weights.exists():
            raise InputError(f"--weights {display_path(weights)}: no such file or folder")
        return hash_path(weights)

    return StageArgs(add, decisive)


def parse_stage_flags(
    doc: str, experiments_file: Path, slug: str, add_flags: AddFlags | None, argv: list[str] | None = None
) -> StageFlags:
    """Parse a stage's command line; `--help` shows the stage's docstring and the experiments there are."""
    parser = argparse.ArgumentParser(
        description=doc.strip(),
        epilog=_experiment_list(experiments_file),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = parser.add_argument_group("flags of every stage")
    common.add_argument(
        "--experiment", default="champion", metavar="NAME", help="entry of experiments.toml (champion)"
    )
    common.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"raw data in the official layout, only read (data/{slug}; without it, sample data are made)",
    )
    common.add_argument("--work", type=Path, metavar="DIR", help=f"where everything is written (work/{slug})")
    common.add_argument(
        "--profile",
        choices=("sample", "full"),
        help="full: the experiment's own settings; sample: a cut that runs in minutes on a laptop "
        "(default: sample on sample data, otherwise full)",
    )
    common.add_argument("--fold", type=int, metavar="K", help="train only fold K, counted from 0 (stage 2)")
    common.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (auto)"
    )
    common.add_argument("--seed", type=int, metavar="N", help="random seed (2021)")
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one setting, e.g. training.epochs=3; the run gets a folder of its own (repeatable; "
        "give it to every stage)",
    )
    common.add_argument("--again", action="store_true", help="do what is done already once more")
    own_group = parser.add_argument_group("flags of this stage") if add_flags else None
    if add_flags and own_group:
        add_flags(own_group)  # type: ignore[arg-type]
    parsed = parser.parse_args(argv)
    names = ("experiment", "data", "work", "profile", "fold", "device", "seed", "again")
    others = {key: value for key, value in vars(parsed).items() if key not in (*names, "set")}
    return StageFlags(
        **{name: getattr(parsed, name) for name in names},
        overrides=parse_overrides(parsed.set),
        stage_args=argparse.Namespace(**others),
    )


def _experiment_list(experiments_file: Path) -> str:
    entries = read_experiments(experiments_file)
    width = max((len(name) for name in entries), default=0)
    lines = [f"  {name:<{width}}  {entry.get('about', '')}" for name, entry in entries.items()]
    return "experiments:\n" + "\n".join(lines)
