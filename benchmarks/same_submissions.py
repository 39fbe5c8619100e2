"""Compare the submissions of two work folders byte for byte: did a change of the code change results?

    git worktree add ../before COMMIT && (cd ../before && ./run_all.sh)
    ./run_all.sh
    python -m benchmarks.same_submissions ../before/work work [--renamed OLD=NEW ...]

Both must come from one machine and the same number of threads: others sum in another order.
Exit code 0: all submissions that both folders hold are equal; 1: one differs, or there is none.
"""

import argparse
import sys
from pathlib import Path

from common.base.console import log
from common.run.run_record import file_sha256


def submissions(work: Path) -> dict[tuple[str, str], Path]:
    """(slug, experiment) -> submission file, of all below `work`."""
    files = [path for path in work.glob("*/*/submission.*") if not path.name.endswith(".run.json")]
    return {(path.parent.parent.name, path.parent.name): path for path in sorted(files)}


def compare(before: Path, after: Path, renamed: dict[str, str]) -> bool:
    """Log a line for each submission of `before`; whether all that `after` holds are equal."""
    old = {(slug, renamed.get(name, name)): path for (slug, name), path in submissions(before).items()}
    new = submissions(after)
    both = sorted(old.keys() & new.keys())
    equal = True
    for key in both:
        hashes = [file_sha256(old[key]), file_sha256(new[key])]
        same = hashes[0] == hashes[1]
        equal &= same
        verdict = "equal  " if same else "DIFFERS"
        log(f"{verdict}  {' '.join(key):<44} {hashes[0][:12]} {hashes[1][:12]}")
    only_before, only_after = len(old) - len(both), len(new) - len(both)
    log(f"{len(both)} submissions compared; only before: {only_before}, only after: {only_after}")
    return equal and bool(both)


def main() -> int:
    """Parse the command line and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="work folder of the older code")
    parser.add_argument("after", type=Path, help="work folder of the newer code")
    parser.add_argument(
        "--renamed", nargs="*", default=[], metavar="OLD=NEW", help="experiments that have another name now"
    )
    flags = parser.parse_args()
    renamed = dict(pair.split("=", 1) for pair in flags.renamed if "=" in pair)
    return 0 if compare(flags.before, flags.after, renamed) else 1


if __name__ == "__main__":
    sys.exit(main())
