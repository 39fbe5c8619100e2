"""Run the four stages of one target in a process of its own: `python -m ...one_run SLUG WORK DATA`."""

import sys
from pathlib import Path

from benchmarks.reliability.runs import TARGETS, run_stages

if __name__ == "__main__":
    slug, work, data = sys.argv[1:]
    target = next(target for target in TARGETS if target.slug == slug)
    finished = run_stages(target, Path(work), Path(data))
    sys.stdout.write(finished.text)
    sys.exit(finished.code or 0)
