"""`python -m urbanssl.check` says what a run needs and what is in its way, before it starts."""

import shutil
from collections import namedtuple
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import yaml
from shapely.geometry import box

from urbanssl import check
from urbanssl.check_cluster import gpu_problems, parse_partitions, partition_problems
from urbanssl.check_memory import FOOTPRINTS, gpu_gigabytes, memory_problems, trainings
from urbanssl.plan import Plan
from urbanssl.planned_jobs import read_plan
from urbanssl.settings import Settings

ROOT = Path(__file__).parents[2]

SINFO = "cpu*|(null)\ngpu|gpu:a100:4(S:0-1)\ngpu|gpu:v100:2\n"

DRY_RUN = """\
rule pretrain_swav:
    jobid: 3
    threads: 8
    resources: tmpdir=<TBD>, runtime=1440, gpu=2, mem_mb=32000, mem=32 GB
rule tile_scene:
    benchmark: run/benchmarks/tile_scene/a.tsv
    wildcards: scene=a
    resources: tmpdir=<TBD>, runtime=30, mem_mb=2000, mem=2 GB
rule tile_scene:
    benchmark: run/benchmarks/tile_scene/b.tsv
    wildcards: scene=b
    resources: tmpdir=<TBD>, runtime=30, mem_mb=2000, mem=2 GB
rule all:
    input: run/report/index.html
"""

SHEET = "scene,path,role,labels,labels_format,area,region,date,gsd\n"


def test_partitions_are_read_with_their_gpus():
    cpu, gpu = parse_partitions(SINFO)
    assert (cpu.name, cpu.default, cpu.gpus) == ("cpu", True, ())
    assert (gpu.name, gpu.default, gpu.gpus) == ("gpu", False, ("a100", "v100"))


def test_a_partition_that_is_not_there_is_named_with_those_that_are():
    profile = {
        "default-resources": {"slurm_partition": "cpu"},
        "set-resources": {"pretrain_swav": {"slurm_partition": "gpus"}},
    }
    (problem,) = partition_problems(profile, parse_partitions(SINFO))
    assert "'gpus'" in problem.what
    assert problem.remedy == "there are: cpu, gpu"


def test_gpus_are_missed_where_the_partition_has_none_or_another_model():
    settings = Settings.model_validate({"pretrain": {"swav": {"gpus": 1}, "mae": {"gpus": 1}}})
    profile = {"set-resources": {"pretrain_mae": {"slurm_partition": "gpu", "gpu_model": "'h100'"}}}
    swav, mae = gpu_problems(profile, settings, parse_partitions(SINFO))
    assert "partition cpu, which has none" in swav.what
    assert "'h100'" in mae.what
    assert mae.remedy == "there are: a100, v100"


def test_the_plan_tells_what_a_job_of_a_stage_asks_for():
    swav, tiles = read_plan(DRY_RUN)
    assert (swav.jobs, swav.cores, swav.memory_mb, swav.gpus) == (1, 8, 32000, 2)
    assert (swav.limit_hours, tiles.limit_hours) == (24.0, 0.5)
    assert [job.wildcards for job in tiles.planned] == [{"scene": "a"}, {"scene": "b"}]
    assert tiles.planned[0].record == Path("run/benchmarks/tile_scene/a.tsv")


def test_a_disk_too_small_is_told_with_both_sizes(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 9 * 10**8, 10**8))
    assert list(check.disk_problems(tmp_path / "run", {"tiles": 10**7})) == []
    (problem,) = check.disk_problems(tmp_path / "run", {"tiles": 10**9})
    assert problem.what == "1.2 GB needed, 100 MB free"


def test_tiles_are_counted_as_they_will_be_cut_and_broken_rasters_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((3, 300, 500), np.uint8)
    with rasterio.open("good.tif", "w", "GTiff", 500, 300, 3, dtype="uint8") as raster:
        raster.write(pixels)
    (tmp_path / "bad.tif").write_text("no raster")
    (tmp_path / "scenes.csv").write_text(
        SHEET + "good,good.tif,study,,,a,r,,0.3\nbad,bad.tif,study;unlabelled,,,b,r,,0.3\n"
    )
    settings = {
        "scenes": {"sheet": "scenes.csv"},
        "tiles": {"size": 128, "overlap": 28},
        "crime": {"areas": "sheet", "table": "crime.csv"},
        "features": {"sets": ["histogram"]},
    }
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    tiles, problems = check.count_tiles(Plan(Settings.model_validate(settings)))
    assert tiles == {"good": 5 * 3, "bad": 0}
    assert ["bad.tif" in problem.where for problem in problems] == [True]


def test_the_city_has_as_many_tiles_as_its_ground_gives_at_the_wanted_size_of_pixels():
    def tiles_at(gsd):
        tiles = {"size": 128, "overlap": 0, "gsd": gsd}
        counted, _ = check.count_tiles(Plan(Settings.model_validate({"tiles": tiles})))
        return set(counted.values())

    (fine,), (coarse,) = tiles_at(None), tiles_at(0.6)
    assert tiles_at(0.3) == {fine}
    assert 3 < fine / coarse <= 4


def test_a_crime_table_without_a_needed_column_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    square = gpd.GeoDataFrame({"area_id": ["1"], "region": ["r"]}, geometry=[box(0, 0, 1, 1)])
    square.set_crs("EPSG:4326").to_file("areas.geojson")
    (tmp_path / "scene.tif").write_text("")
    (tmp_path / "scenes.csv").write_text(SHEET + "s,scene.tif,study;unlabelled,,,,,,\n")
    settings = {
        "scenes": {"sheet": "scenes.csv"},
        "crime": {"areas": "areas.geojson", "table": "crime.csv"},
        "features": {"sets": ["histogram"]},
    }
    (tmp_path / "crime.csv").write_text("area_id,population\n1,1000\n")
    (problem,) = check.crime_problems(Plan(Settings.model_validate(settings)))
    assert "crimes" in problem.what
    (tmp_path / "crime.csv").write_text("area_id,population,crimes\n1,1000,3\n")
    assert list(check.crime_problems(Plan(Settings.model_validate(settings)))) == []


def on_gpus(**given):
    training = {"recipe": "config/models/detreg_r50.py", "gpus": 1, "batch_size": 32, **given}
    return Settings.model_validate({"pretrain": {"detreg": training}})


def needed(**given):
    ((rule, recipe, budget),) = trainings(on_gpus(**given))
    assert rule == "pretrain_detreg"
    return gpu_gigabytes(recipe, budget)


def test_gpu_memory_grows_with_the_images_of_a_gpu_and_falls_with_bf16():
    assert 50 < needed() < 70
    assert needed(batch_size=64) > 1.8 * needed()
    assert needed(gpus=2) == needed(batch_size=16)
    assert needed(precision="bf16") < 0.7 * needed()
    assert needed(recipe="config/own.py") is None


def test_a_training_too_large_for_its_gpu_is_named_with_what_to_change():
    profile = {"set-resources": {"pretrain_detreg": {"gpu_model": "'a40'"}}}
    (problem,) = memory_problems(profile, on_gpus())
    assert "'a40' has 48" in problem.what
    assert "bf16" in problem.remedy
    assert list(memory_problems(profile, on_gpus(batch_size=8))) == []
    assert list(memory_problems({}, on_gpus())) == []


def test_every_recipe_has_an_estimate_and_the_docs_show_it():
    recipes = {path.stem for path in (ROOT / "config" / "models").glob("*.py")}
    assert recipes == set(FOOTPRINTS)
    page = (ROOT / "docs" / "cluster.md").read_text()
    for name, footprint in FOOTPRINTS.items():
        row = f"| `{name}` | {footprint.side} | {footprint.millions:g} | {footprint.megabytes:g} |"
        assert row in page


def test_the_embedded_city_passes_and_its_plan_is_told(tmp_path, capsys):
    settings = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    settings["results"] = str(tmp_path / "results")  # elsewhere, a demo may have run
    (tmp_path / "city.yaml").write_text(yaml.safe_dump(settings))
    assert check.main(["--configfile", str(tmp_path / "city.yaml")]) == 0
    told = capsys.readouterr().out
    assert "train_detector" in told
    assert "?" not in told  # every job has an estimate
    assert "nothing is in the way" in told
