#!/usr/bin/env bash
# Creates .venv from envs/requirements.lock; called by `make setup`. PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

free_gb_needed=12

refuse() {
    printf 'make setup: %s\n' "$@" >&2
    exit 1
}

python=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    refuse "no Python of 3.11 to 3.13 with its venv module was found; seen: $(
        python3 --version 2>&1 || true
    )" "install one (Debian, Ubuntu: apt install python3 python3-venv) or name it: make setup PYTHON=/path/to/python3.12"
fi
[[ "$(uname -sm)" == "Linux x86_64" ]] ||
    refuse "the lock pins packages for Linux on x86-64, this is $(uname -sm)" \
        "use the container (envs/urbanssl.def), or try: $python -m venv .venv && .venv/bin/pip install -e '.[dev]'"
command -v git >/dev/null || refuse "git was not found" "install it (Debian, Ubuntu: apt install git)"

used_gb=$(du -s --block-size=1G .venv 2>/dev/null | cut -f1 || true)
free_gb=$(df --output=avail --block-size=1G . | tail -n 1 | tr -d ' ')
((free_gb + ${used_gb:-0} >= free_gb_needed)) ||
    refuse "${free_gb} GB are free in $PWD, setting up needs ${free_gb_needed} GB (half of it stays in use)" \
        "free some space, or clone urbanssl to a larger disk"

started=$SECONDS
echo "make setup: filling .venv from the lock with $("$python" --version) (at first about 4 minutes, 3 GB to download)"
wanted=$("$python" -c 'import sys; print(*sys.version_info[:2])')
found=$(.venv/bin/python -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null || true)
[[ $wanted == "$found" ]] || "$python" -m venv --clear .venv

pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input)
# The lock has opencv-python-headless, which needs no libGL; both fill the folder cv2.
if "${pip[@]}" show -q opencv-python 2>/dev/null; then
    "${pip[@]}" uninstall -q -y opencv-python opencv-python-headless
fi
# The lock is complete, so nothing is resolved; bytecode is made at the first import, torch's included.
"${pip[@]}" install -q --no-deps --no-compile -r envs/requirements.lock
"${pip[@]}" install -q --no-deps --no-build-isolation --editable .
# What every call of snakemake imports is compiled now, so that wrong settings are refused at once.
.venv/bin/snakemake --dry-run --quiet >/dev/null
touch .venv/.ready
echo "make setup: done in $((SECONDS - started)) s"
