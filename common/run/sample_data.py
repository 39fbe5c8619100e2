"""The command line of every sample_data.py, and sample data made on first use."""

import argparse
import json
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from common.base.atomic import atomic_folder
from common.base.console import log
from common.base.errors import InputError
from common.base.paths import SAMPLE_MARKER, display_path, is_sample_data
from common.run.command import run_command
from common.run.competition import Competition

DEFAULT_SEED = 2021


def make_sample_data(
    competition: Competition, out: Path, seed: int = DEFAULT_SEED, scale: float = 1.0
) -> None:
    """Draw a small synthetic competition into `out`, which appears whole or not at all.

    Does nothing when `out` holds the same sample already; InputError when it holds something else. Two
    processes make one sample: the second waits for the first.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out.parent / f".{out.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log(f"{competition.slug}: another process is making the sample data; waiting for it")
        lock.acquire()
    try:
        _make_sample_data(competition, out, seed, scale)
    finally:
        lock.release()


def _make_sample_data(competition: Competition[Any], out: Path, seed: int, scale: float) -> None:
    marker = {"competition": competition.slug, "seed": seed, "scale": scale}
    if is_sample_data(out):
        if _marker_of(out) == marker:
            log(f"{competition.slug}: the sample data in {display_path(out)} are made already")
            return
        raise InputError(
            f"{display_path(out)}: holds another sample; delete it or choose another folder with --out"
        )
    if out.exists() and any(out.iterdir()):
        raise InputError(
            f"{display_path(out)}: not empty and no sample data; choose another folder with --out"
        )
    log(f"{competition.slug}: making sample data in {display_path(out)} (seed {seed})")
    with atomic_folder(out) as folder:
        competition.write_sample_data(folder, seed, scale)
        (folder / SAMPLE_MARKER).write_text(json.dumps(marker) + "\n")


def _marker_of(folder: Path) -> object:
    try:
        return json.loads((folder / SAMPLE_MARKER).read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(
            f"{display_path(folder / SAMPLE_MARKER)}: cut short or damaged; delete the folder and run again"
        ) from None


def sample_data_command(competition: Competition, description: str | None) -> None:
    """Run `python -m competitions.<slug>.sample.sample_data`; leaves the process with 0 or 2."""
    parser = argparse.ArgumentParser(
        prog=f"python -m competitions.{competition.slug}.sample.sample_data",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to make; must be new or empty"
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="same seed, same files (default %(default)s)"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="size of the sample, 1 is the usual one")
    flags = parser.parse_args()
    if not 0.05 <= flags.scale <= 100:
        parser.error(f"--scale {flags.scale}: expected a number from 0.05 to 100")
    code = run_command(lambda: make_sample_data(competition, flags.out, flags.seed, flags.scale))
    if code:
        raise SystemExit(code)
