import errno
import json
import os
import shutil

import pandas as pd
import pytest

from urbanssl.artifacts import (
    provenance,
    read_json,
    settings_hash,
    table_about,
    write_json,
    write_table,
    written_whole,
)
from urbanssl.errors import DiskError


def test_a_file_that_fails_half_way_is_not_there(tmp_path):
    target = tmp_path / "out.txt"

    def fail_half_way():
        with written_whole(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with written_whole(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").write_text("")
    with written_whole(tmp_path / "ours") as temporary:
        temporary.write_text("")
    assert os.stat(tmp_path / "ours").st_mode == os.stat(tmp_path / "plain").st_mode


def test_not_a_number_becomes_null_in_json(tmp_path):
    write_json(tmp_path / "a.json", {"ap": float("nan"), "list": [float("inf"), 1.5]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"ap": None, "list": [None, 1.5]}
    assert read_json(tmp_path / "a.json")["list"][1] == 1.5


def test_a_table_carries_its_provenance(tmp_path):
    about = provenance({"size": 192}, seed=3)
    write_table(tmp_path / "t.parquet", pd.DataFrame({"x": [1, 2]}), about)
    assert table_about(tmp_path / "t.parquet") == about
    assert about["seed"] == 3
    assert pd.read_parquet(tmp_path / "t.parquet")["x"].tolist() == [1, 2]


def test_the_hash_of_settings_depends_on_values_and_not_on_order():
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1})
    assert settings_hash({"a": 1}) != settings_hash({"a": 2})


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_the_remedy_and_leaves_no_half_a_file(tmp_path, code):
    target = tmp_path / "tiles.npy"
    with pytest.raises(DiskError, match=r"tiles.npy: no room to write it"), written_whole(target):
        raise OSError(code, os.strerror(code))
    assert not any(tmp_path.iterdir())


def test_a_writer_that_does_not_say_why_it_failed_is_asked_for_the_room_left(tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=512)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(DiskError), written_whole(tmp_path / "step.pt"):
        raise RuntimeError("unexpected pos 576 vs 534")


def test_other_failures_of_a_writer_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), written_whole(tmp_path / "step.pt"):
        raise PermissionError(errno.EACCES, "denied")
