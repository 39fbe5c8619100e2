"""The one command-line parser of all numbered stages."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.experiments import experiment_names, read_experiments

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
    own: argparse.Namespace
    """Flags that this stage alone has."""


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
        "(full, and sample on the sample data)",
    )
    common.add_argument("--fold", type=int, metavar="K", help="train only fold K, counted from 0 (stage 2)")
    common.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (auto)"
    )
    common.add_argument("--seed", type=int, metavar="N", help="seed of everything random (2021)")
    own_group = parser.add_argument_group("flags of this stage") if add_flags else None
    if add_flags and own_group:
        add_flags(own_group)  # type: ignore[arg-type]
    parsed = parser.parse_args(argv)
    names = ("experiment", "data", "work", "profile", "fold", "device", "seed")
    own = argparse.Namespace(**{key: value for key, value in vars(parsed).items() if key not in names})
    return StageFlags(**{name: getattr(parsed, name) for name in names}, own=own)


def _experiment_list(experiments_file: Path) -> str:
    tables = read_experiments(experiments_file).get("experiments", {})
    width = max((len(name) for name in tables), default=0)
    lines = [
        f"  {name:<{width}}  {tables[name].get('about', '')}" for name in experiment_names(experiments_file)
    ]
    return "experiments:\n" + "\n".join(lines)
