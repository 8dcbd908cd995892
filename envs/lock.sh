#!/usr/bin/env bash
# Resolves pyproject.toml anew into envs/requirements.lock and envs/environment.yaml (`make lock`).
set -euo pipefail
cd "$(dirname "$0")/.."

tools=build/lock
lock=envs/requirements.lock
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/pip" install -q pip-tools
resolved=$tools/resolved.txt
rm -f "$resolved"
"$tools/bin/pip-compile" pyproject.toml -q -o "$resolved" --extra dev --all-build-deps \
    --allow-unsafe --strip-extras --annotation-style line --no-header \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
{
    echo "# Made by \`make lock\` from pyproject.toml, for Python 3.11 to 3.13 on Linux x86-64."
    echo "# Install with --no-deps: opencv-python-headless stands in for opencv-python (no libGL)."
    grep -E '^[a-z0-9]' "$resolved" | sed -E 's/^opencv-python==/opencv-python-headless==/'
} >"$lock"
{
    cat <<'HEAD'
# Made by `make lock`.
#   conda env create -f envs/environment.yaml && conda run -n urbanssl pip install --no-deps -e .
name: urbanssl
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.12
  - git
  - graphviz
  - libgl
  - pip
  - pip:
HEAD
    # pip resolves here, so the name that mmengine asks for is kept.
    sed -nE 's/^([a-z0-9.-]+==[^ ]+).*/      - \1/p' "$lock" |
        sed 's/opencv-python-headless/opencv-python/'
} >envs/environment.yaml
