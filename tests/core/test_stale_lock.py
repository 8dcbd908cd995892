"""A lock is removed only where it is certain that nobody holds it."""

import json
import os
import subprocess
import sys

import pytest

from urbanssl.stale_lock import note_run, release_if_dead


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """The lock of a run that was at work in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".snakemake" / "locks" / "0.input.lock"
    path.parent.mkdir(parents=True)
    path.write_text("a.txt\n")
    return path


@pytest.fixture
def dead():
    """The process group of a run that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    return process.pid


def test_the_lock_of_a_dead_run_is_removed_once(lock, dead):
    note_run(dead)
    assert release_if_dead()
    assert not lock.exists()
    assert not release_if_dead()


def test_the_lock_of_a_living_run_stays(lock):
    note_run(os.getpgrp())
    assert not release_if_dead()
    assert lock.exists()


def test_a_lock_that_was_not_noted_stays(lock):
    assert not release_if_dead()
    assert lock.exists()


def test_the_lock_of_a_later_run_stays(lock, dead):
    note_run(dead)
    lock.unlink()
    lock.write_text("b.txt\n")
    assert not release_if_dead()
    assert lock.exists()


def test_the_lock_of_another_machine_stays(lock, dead, tmp_path):
    note_run(dead)
    record = tmp_path / ".snakemake" / "run_of_demo.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "machine": "another"}))
    assert not release_if_dead()
    assert lock.exists()
