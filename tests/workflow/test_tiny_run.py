"""The stages before training, for real, on a city of three small regions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from urbanssl.artifacts import read_json, table_about

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "results": "run",
    "city": {"regions": 3, "labelled_regions": 1, "areas_per_side": 2, "area_px": 256},
    "tiles": {"size": 128, "overlap": 32},
    "splits": {"block": 60.0, "buffer": 0.0},
}


@pytest.mark.slow
def test_the_front_half_runs_on_a_tiny_city(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(SETTINGS))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "tiles", "run/crime/table.parquet", "--nocolor"),
            *("--cores", "2", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", "settings.yaml"),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stdout
    tables = sorted((tmp_path / "run" / "tiles").glob("*/tiles.parquet"))
    assert len(tables) == 3
    for table in tables:
        tiles = np.load(table.with_name("tiles.npy"), mmap_mode="r")
        assert tiles.shape == (len(pd.read_parquet(table)), 128, 128, 3)
        assert tiles.std() > 5
        assert {"settings_hash", "urbanssl_version", "seed"} <= set(table_about(table))
    splits = pd.read_parquet(tmp_path / "run" / "splits.parquet")
    assert set(splits["split"]) >= {"train", "test"}
    coco = read_json(tmp_path / "run" / "labels" / "coco_train.json")
    assert coco["images"]
    assert len(pd.read_parquet(tmp_path / "run" / "crime" / "table.parquet")) == 8
    leftovers = [path for path in (tmp_path / "run").rglob(".*") if path.is_file()]
    assert leftovers == []
