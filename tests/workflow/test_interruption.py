"""Killed at any moment, a run goes on where it was, and nothing half-written is taken for whole."""

import copy
import time

from conftest import SETTINGS


def test_a_killed_run_goes_on_and_takes_nothing_half_written_for_finished(fresh):
    slow = copy.deepcopy(SETTINGS)
    slow["title"] = "sleep 3"
    fresh.write(slow, "slow.yaml")
    tiles = fresh.folder / "results/run/tiles"
    process = fresh.start("--cores", "2", "tiles", settings="slow.yaml")
    deadline = time.monotonic() + 120
    while not any(path.read_text() == "half" for path in tiles.glob("*/tiles.npy")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no tile was being written"
        time.sleep(0.1)
    fresh.kill(process)
    half = [path for path in tiles.glob("*/*") if path.read_text() == "half"]
    # What was being cut had been looked at before; other surveys may have been half-written too.
    folder = fresh.folder / "results/run/scenes/surveys"
    surveys = [folder / f"{path.parent.name}.parquet" for path in half]
    written = [path.stat().st_mtime_ns for path in surveys]
    assert surveys
    assert half

    locked = fresh.snakemake("--cores", "2", "tiles")
    assert locked.returncode != 0
    assert "--unlock" in locked.stdout
    assert fresh.snakemake("--unlock").returncode == 0

    ran = fresh.snakemake("--cores", "2", "tiles")
    assert ran.returncode == 0, ran.stdout
    assert {path.read_text() for path in tiles.glob("*/*")} == {"tile_scene"}
    assert len(list(tiles.glob("*/tiles.npy"))) == 5
    again = [path.stat().st_mtime_ns for path in surveys]
    assert again == written, "a finished stage was done again"
