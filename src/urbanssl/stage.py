"""What every script of the workflow does around its one call: log, provenance, clear errors."""

from __future__ import annotations

import platform
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from urbanssl.artifacts import provenance, settings_hash
from urbanssl.errors import UrbansslError

#: Packages whose versions decide results; each log names them.
_PACKAGES = ("urbanssl", "torch", "mmdet", "numpy", "rasterio", "geopandas")


@contextmanager
def stage(job: Any) -> Iterator[dict[str, Any]]:
    """Run the body of a workflow script; yields the provenance that its outputs carry.

    Everything printed goes to the job's log, between a line that says what began when and with
    which versions, and one that says how long it took and how much memory. An error the user can
    do something about ends the job with its message alone; any other error keeps its traceback.

    Args:
        job: the `snakemake` object of a script.
    """
    parameters = dict(job.params.items())
    about = provenance(parameters, int(parameters.get("seed", 0)))
    about["stage"] = job.rule
    with open(job.log[0], "w", buffering=1) as log:
        console = sys.stderr
        began = time.perf_counter()
        outcome = "failed"
        print(_heading(job), file=log)
        sys.stdout = sys.stderr = log
        try:
            yield about
            outcome = "done"
        except UrbansslError as error:
            print(f"{type(error).__name__}: {error}", file=console)
            print(f"{type(error).__name__}: {error}", file=log)
            raise SystemExit(1) from None
        except BaseException:
            traceback.print_exc(file=log)
            raise
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, console
            seconds = time.perf_counter() - began
            print(f"{job.rule} {outcome}: {seconds:.1f} s, {_peak_memory()}", file=log)


def _heading(job: Any) -> str:
    """Return the first line of a log: rule, wildcards, time and versions."""
    wildcards = ", ".join(f"{name} {value}" for name, value in job.wildcards.items())
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{job.rule}{f' ({wildcards})' if wildcards else ''}, "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, "
        f"Python {platform.python_version()}, {versions}"
    )


def _peak_memory() -> str:
    """Return the largest memory of this process, and of one it started where that was larger."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own, child = (
        resource.getrusage(who).ru_maxrss / unit
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    inner = f", {child:.0f} MB in a process it started" if child > own else ""
    return f"peak memory {own:.0f} MB{inner}"


def paths(files: Any) -> list[Path]:
    """Return the files of a named input as paths."""
    return [Path(file) for file in ([files] if isinstance(files, str) else files)]


def optional_path(files: Any) -> Path | None:
    """Return the one file of a named input, None where it is empty."""
    found = paths(files)
    return found[0] if found else None


def work_folder(root: Path, name: str, parameters: Any, digests: list[str]) -> Path:
    """Return the folder of a training's checkpoints, named by the hash of all that shapes it.

    Args:
        root: the run's results folder.
        name: the training stage.
        parameters: the plain settings of the training.
        digests: digests of what it reads (tile tables, labels, initial weights), so that a
            training never resumes on other data.
    """
    return root / "work" / name / settings_hash([parameters, digests])
