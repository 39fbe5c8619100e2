#!/usr/bin/env bash
# Makes .venv as run_all.sh does, then runs the linters and all tests, as many at a time as there are cores (each
# computes on one). Flags go to pytest: tests/run.sh -k flood, tests/run.sh -n 0 (one after the other)
set -euo pipefail

. "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/environment.sh"
cd "$project"
make_environment
if [ $# -eq 0 ]; then
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m mypy
fi
cores="$("$python" -c 'import os; print(len(os.sched_getaffinity(0)))')"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
exec "$python" -m pytest -n "$cores" --dist worksteal "$@"
