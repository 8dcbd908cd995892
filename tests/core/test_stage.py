import re
from types import SimpleNamespace

import pytest

from urbanssl.errors import SceneError
from urbanssl.stage import stage


@pytest.fixture
def job(tmp_path):
    """What a script is told by Snakemake, as far as `stage` asks."""
    return SimpleNamespace(
        rule="tile_scene",
        wildcards={"scene": "north"},
        params={"seed": 3},
        log=[str(tmp_path / "job.log")],
    )


@pytest.fixture
def lines(job):
    def read():
        with open(job.log[0]) as log:
            return log.read().splitlines()

    return read


def test_log_begins_with_what_runs_and_ends_with_its_cost(job, lines):
    with stage(job) as about:
        print("in between")
    first, middle, last = lines()
    assert re.match(r"tile_scene \(scene north\), \d{4}-\d\d-\d\d .* UTC, Python 3", first)
    assert re.search(r"urbanssl \d.*torch \d.*mmdet \d", first)
    assert middle == "in between"
    assert re.match(r"tile_scene done: \d+\.\d s, peak memory \d+ MB", last)
    assert about["seed"] == 3
    assert about["stage"] == "tile_scene"


def test_error_the_user_can_mend_is_told_without_traceback(job, lines, capsys):
    with pytest.raises(SystemExit), stage(job):
        raise SceneError.at("north.tif", "no bands", "give another")
    text = "\n".join(lines())
    assert "SceneError" in text
    assert "Traceback" not in text
    assert lines()[-1].startswith("tile_scene failed: ")
    assert "no bands" in capsys.readouterr().err


def test_other_errors_keep_their_traceback_and_the_cost_comes_last(job, lines):
    with pytest.raises(ZeroDivisionError), stage(job):
        _ = 1 / 0
    assert "Traceback" in "\n".join(lines())
    assert lines()[-1].startswith("tile_scene failed: ")
