# urbanssl from the command line; `make help` lists what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-cluster lint clean lock schema rulegraph

BIN := .venv/bin
READY := .venv/.ready
SMK := Snakefile $(wildcard workflow/rules/*.smk)

help:  ## list the targets
	@echo "urbanssl: from raw GeoTIFFs to a report"
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/' \
		| while IFS='|' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

setup: $(READY)  ## create .venv from the lock (once, 2 to 4 minutes)

$(READY): envs/requirements.lock pyproject.toml envs/setup.sh
	@envs/setup.sh

demo: $(READY)  ## run everything on the embedded city (about 12 minutes on 2 cores)
	@$(BIN)/python -m urbanssl.demo

test: $(READY)  ## run the tests, but for the slow ones
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not cluster" --ignore tests/golden
	$(BIN)/pytest tests/golden -m "not slow"

test-all: $(READY)  ## run every test, the slow ones too
	$(BIN)/pytest -n 2 --dist loadfile -m "not cluster" --ignore tests/golden
	$(BIN)/pytest tests/golden

test-cluster: $(READY)  ## run the workflow through a SLURM of two nodes that this starts and stops
	tests/cluster/install.sh
	$(BIN)/python tests/cluster/slurm_on_loopback.py \
		$(BIN)/pytest tests/cluster -m cluster -n 3 --maxschedchunk 1 -v --durations=0

.PHONY: validate-crime
validate-crime: $(READY)  ## prove on known cities that the verdict is right (about 15 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m urbanssl.crime.validation $(VALIDATE)

lint: $(READY)  ## check format, style, types and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check $(SMK)
	$(BIN)/mypy
	$(BIN)/snakemake --lint

lock:  ## pin anew everything that pyproject.toml asks for
	@envs/lock.sh

schema: $(READY)  ## write config/schema.json (for editors) and config/README.md anew
	$(BIN)/python -m urbanssl.settings_schema > config/schema.json
	$(BIN)/python -m urbanssl.settings_docs

rulegraph: $(READY)  ## draw docs/images/rulegraph.svg anew (needs graphviz)
	$(BIN)/snakemake --rulegraph > docs/images/rulegraph.dot
	dot -Tsvg -o docs/images/rulegraph.svg docs/images/rulegraph.dot

clean:  ## remove what runs and tests leave behind; .venv and results stay
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis build logs slurm_logs
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
