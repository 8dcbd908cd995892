"""What every script of the workflow does around its one call: log, provenance, clear errors."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from urbanssl.artifacts import provenance, settings_hash
from urbanssl.errors import UrbansslError


@contextmanager
def stage(job: Any) -> Iterator[dict[str, Any]]:
    """Run the body of a workflow script; yields the provenance that its outputs carry.

    Everything printed goes to the job's log. An error the user can do something about ends the job
    with its message alone; any other error keeps its traceback.

    Args:
        job: the `snakemake` object of a script.
    """
    parameters = dict(job.params.items())
    about = provenance(parameters, int(parameters.get("seed", 0)))
    about["stage"] = job.rule
    with open(job.log[0], "w", buffering=1) as log:
        console = sys.stderr
        sys.stdout = sys.stderr = log
        try:
            yield about
        except UrbansslError as error:
            print(f"{type(error).__name__}: {error}", file=log)
            print(f"{type(error).__name__}: {error}", file=console)
            raise SystemExit(1) from None
        except BaseException:
            traceback.print_exc(file=log)
            raise
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, console


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
