#!/usr/bin/env bash
# Makes .venv as run_all.sh does, then runs the linters and all tests. Flags go to pytest: tests/run.sh -k flood
set -euo pipefail

. "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/environment.sh"
cd "$project"
make_environment
if [ $# -eq 0 ]; then
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m mypy
fi
exec "$python" -m pytest "$@"
