"""Snakemake's lock on a folder, and whether the run that took it is still alive.

Snakemake leaves its lock behind when it is killed, and cannot tell such a lock from that of a run
at work. Here a run notes which lock files are its own and which processes it consists of; only
files that still are the very same, of processes of this machine that are all gone, are removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from urbanssl.artifacts import write_json

_LOCKS = Path(".snakemake") / "locks"
_RECORD = Path(".snakemake") / "run_of_demo.json"


def note_run(group: int) -> None:
    """Note that the lock in the working directory belongs to a group of processes.

    Args:
        group: process group of a Snakemake that has begun its first job, and so has the lock.
    """
    record = {"machine": _machine(), "group": group, "locks": _lock_files()}
    write_json(_RECORD, record)


def release_if_dead() -> bool:
    """Remove the lock of a noted run if no process of it is left; return whether that was so."""
    if not _RECORD.is_file():
        return False
    with open(_RECORD) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # of two that start at once, one removes
        record: dict[str, Any] = json.load(stream)
        if (
            record["machine"] != _machine()
            or not record["locks"]
            or record["locks"] != _lock_files()
            or alive(record["group"])
        ):
            return False
        shutil.rmtree(_LOCKS)
    return True


def _lock_files() -> dict[str, list[int]]:
    """Return the lock files by name, each with what tells it from a later one of that name."""
    found = {}
    for path in sorted(_LOCKS.glob("*.lock")):
        status = path.stat()
        found[path.name] = [status.st_ino, status.st_mtime_ns]
    return found


def alive(group: int) -> bool:
    """Whether a process of the group is left; one that has ended and waits for its parent is not.

    A number given anew to others counts as alive.
    """
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return False


def _machine() -> str:
    """Return what tells this machine, since it was switched on, and its processes from others."""
    known = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        if os.path.islink(path):
            known.append(os.readlink(path))
        elif os.path.isfile(path):
            known.append(Path(path).read_text().strip())
    return " ".join(known)
