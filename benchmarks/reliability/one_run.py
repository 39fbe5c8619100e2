"""Run the four stages of a target in its own process: `python -m ...one_run TARGET_AS_JSON WORK DATA`."""

import json
import sys
from pathlib import Path

from benchmarks.reliability.runs import Target, run_stages

if __name__ == "__main__":
    described, work, data = sys.argv[1:]
    finished = run_stages(Target(**json.loads(described)), Path(work), Path(data))
    sys.stdout.write(finished.text)
    sys.exit(finished.code or 0)
