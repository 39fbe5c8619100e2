# Sourced by run_all.sh and tests/run.sh: makes .venv in this folder, installs requirements.txt into it, and sets
# $python to its interpreter. Does nothing when the same requirements are installed already.

project="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="$project/.venv/bin/python"

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3 python; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

make_environment() {
    local wanted found
    wanted="$project $(cat "$project/requirements.txt" "$project/constraints.txt" "$project/pyproject.toml" | cksum)"
    if [ -x "$python" ] && [ "$(cat "$project/.venv/installed" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    if ! "$python" -c '' 2>/dev/null; then
        found="$(find_python)"
        [ -n "$found" ] || fail "no Python 3.11 or newer with the venv module; install one (Debian: apt install python3-venv)"
        echo "making .venv with $found"
        rm -rf "$project/.venv"
        "$found" -m venv "$project/.venv" || fail "could not make $project/.venv; is the disk full or read-only?"
    fi
    echo "installing requirements.txt into .venv (some minutes and about 8 GB the first time)"
    rm -f "$project/.venv/installed"
    # From the project's root, because the last line of requirements.txt is `-e .`
    (cd "$project" && "$python" -m pip install --disable-pip-version-check --quiet -r requirements.txt) ||
        fail "the installation failed; the lines above say why. Check network and disk space, then run this again"
    # ultralytics brings the OpenCV build for desktops, which servers without libGL cannot load; the headless build
    # (albumentations brings it) has the same module.
    if ! "$python" -c 'import cv2' 2>/dev/null; then
        "$python" -m pip install --disable-pip-version-check --quiet --force-reinstall --no-deps \
            "$(grep '^opencv-python-headless==' "$project/constraints.txt")" && "$python" -c 'import cv2' ||
            fail "OpenCV does not load on this machine; 'import cv2' in .venv/bin/python says why"
    fi
    printf '%s\n' "$wanted" >"$project/.venv/installed"
}
