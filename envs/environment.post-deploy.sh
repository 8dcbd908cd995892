#!/usr/bin/env bash
# Snakemake runs this after it made the conda environment (--software-deployment-method conda).
set -euo pipefail
pip install --quiet --no-deps --editable .
