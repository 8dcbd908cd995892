import hashlib
import json

import numpy as np
import pytest
import rasterio

from urbanssl.classes import CLASSES
from urbanssl.settings import CitySettings
from urbanssl.synthetic import layout
from urbanssl.synthetic.city import draw_city

TINY = CitySettings(regions=3, labelled_regions=1, areas_per_side=1, area_px=256)


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_labels(path):
    boxes = []
    for line in path.read_text().splitlines()[2:]:
        *numbers, name, difficult = line.split()
        assert difficult == "0"
        boxes.append((name, np.array(numbers, float).reshape(4, 2)))
    return boxes


def all_labels(folder, city):
    return {
        region.name: read_labels(layout.labels_path(region, folder))
        for region in layout.regions(city)
    }


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(tmp_path):
    draw_city(TINY, 3, tmp_path / "one", processes=1)
    draw_city(TINY, 3, tmp_path / "two", processes=2)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert len(hashes(tmp_path / "one")) == 3 + 3 + 3


def test_another_seed_gives_other_scenes(tmp_path):
    draw_city(TINY, 3, tmp_path / "three", processes=1)
    draw_city(TINY, 4, tmp_path / "four", processes=1)
    three, four = hashes(tmp_path / "three"), hashes(tmp_path / "four")
    # Areas lie where they lie, whatever the seed.
    assert {name for name in three if three[name] == four[name]} == {"areas.gpkg"}


def test_nothing_but_the_declared_files_is_left_behind(city_folder, small):
    regions = layout.regions(small)
    expected = {"areas.gpkg", "crime.csv", "truth.json"}
    expected |= {f"scenes/{region.name}.tif" for region in regions}
    expected |= {f"labels/{region.name}.txt" for region in regions}
    assert set(hashes(city_folder)) == expected


def test_a_scene_that_fails_to_be_written_leaves_no_file(tmp_path, monkeypatch):
    from urbanssl.synthetic import city as module

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(rasterio.io.DatasetWriter, "write", fail)
    region = layout.regions(TINY)[0]
    with pytest.raises(OSError, match="disk full"):
        module.write_scene(np.zeros((64, 64, 3), np.uint8), region, tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_scenes_are_tiled_rgb_geotiffs_at_30_cm_in_their_zone(city_folder, small):
    for region in layout.regions(small):
        with rasterio.open(layout.scene_path(region, city_folder)) as scene:
            assert (scene.width, scene.height, scene.count) == (1152, 1152, 3)
            assert scene.dtypes == ("uint8",) * 3
            assert scene.crs.to_epsg() == region.epsg
            assert scene.crs.linear_units == "metre"
            assert scene.res == pytest.approx((0.3, 0.3))
            assert tuple(scene.bounds)[0::3] == pytest.approx((region.west, region.north))
            assert scene.block_shapes[0] == (256, 256)
            picture = scene.read()
        assert 40 < picture.mean() < 200
        assert picture.std() > 20


def test_labels_are_dota_text_within_the_scene(city_folder, small):
    for region in layout.regions(small):
        path = layout.labels_path(region, city_folder)
        assert path.read_text().splitlines()[:2] == [
            f"imagesource:synthetic {region.name}",
            "gsd:0.3",
        ]
        boxes = read_labels(path)
        assert len(boxes) > 150
        for name, corners in boxes:
            assert name in CLASSES
            assert corners.min() >= 0
            assert corners.max() <= region.side_px


def test_every_class_is_drawn(city_folder, small):
    seen = {name for boxes in all_labels(city_folder, small).values() for name, _ in boxes}
    assert seen == set(CLASSES)


def test_most_objects_of_every_class_fit_a_tile_of_192_pixels(city_folder, small):
    sides = {name: [] for name in CLASSES}
    for boxes in all_labels(city_folder, small).values():
        for name, corners in boxes:
            sides[name].append(np.ptp(corners, axis=0).max())
    too_large = {name: np.mean(np.array(found) > 192) for name, found in sides.items()}
    assert max(too_large.values()) < 0.5, too_large


#: Plausible lengths (the longer side of the oriented box), metres.
LENGTHS = {
    "small-vehicle": (4, 5),
    "large-vehicle": (9, 14.5),
    "plane": (8, 45),
    "helicopter": (11, 16),
    "swimming-pool": (3.5, 14),
    "storage-tank": (7, 31),
    "ship": (7, 41),
    "container-crane": (19, 46),
    "roundabout": (24, 46),
    "bridge": (20, 60),
    "tennis-court": (20, 24),
    "basketball-court": (18, 28.1),
}


@pytest.mark.parametrize("name", sorted(LENGTHS))
def test_objects_have_a_plausible_size(city_folder, small, name):
    low, high = LENGTHS[name]
    lengths = [
        0.3 * max(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1]))
        for boxes in all_labels(city_folder, small).values()
        for found, corners in boxes
        # Boxes cut at the scene's edge are shorter.
        if found == name and corners.min() > 0 and corners.max() < 1152
    ]
    assert low <= min(lengths)
    assert max(lengths) <= high


def colours_at_centres(folder, city, name):
    found = []
    for region in layout.regions(city):
        with rasterio.open(layout.scene_path(region, folder)) as scene:
            picture = scene.read().astype(float)
        for kind, corners in read_labels(layout.labels_path(region, folder)):
            if kind == name:
                x, y = corners.mean(axis=0).astype(int)
                found.append(picture[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean((1, 2)))
    return np.array(found)


def test_pools_are_blue_where_their_boxes_are(city_folder, small):
    red, _, blue = colours_at_centres(city_folder, small, "swimming-pool").T
    assert np.mean(blue > red + 25) > 0.9


def test_planes_are_brighter_than_the_ground_beside_them(city_folder, small):
    assert np.mean(colours_at_centres(city_folder, small, "plane").mean(axis=1) > 140) > 0.8


def test_truth_counts_the_objects_of_the_labels(city_folder, small, truth):
    for region, about in zip(layout.regions(small), truth["regions"], strict=True):
        boxes = read_labels(layout.labels_path(region, city_folder))
        for name in CLASSES:
            counted = sum(truth["areas"][area]["counts"][name] for area in about["areas"])
            assert counted == sum(found == name for found, _ in boxes)


def test_areas_tile_the_scene_in_longitude_and_latitude(city_folder, small):
    geopandas = pytest.importorskip("geopandas")
    areas = geopandas.read_file(city_folder / "areas.gpkg", layer="areas")
    assert areas.crs.to_epsg() == 4326
    assert set(areas["region"]) == {"birch", "cedar"}
    assert len(areas) == 18
    for region in layout.regions(small)[1:]:
        own = areas[areas["region"] == region.name].to_crs(region.epsg)
        assert own.area.to_numpy() == pytest.approx((384 * 0.3) ** 2, rel=1e-5)
        bounds = own.total_bounds
        assert bounds[0] == pytest.approx(region.west, abs=0.01)
        assert bounds[3] == pytest.approx(region.north, abs=0.01)
        first = own[own["area_id"] == layout.area_ids(region, small)[0]].iloc[0]
        assert first.geometry.centroid.x == pytest.approx(region.west + 57.6, abs=0.01)


def test_crime_table_keeps_leading_zeros_and_agrees_with_the_truth(city_folder, truth):
    lines = (city_folder / "crime.csv").read_text().splitlines()
    assert lines[0] == "area_id,region,year,population,crimes,coverage"
    assert lines[1].startswith("02001,birch,2023,")
    for line in lines[1:]:
        area, region, _, population, crimes, coverage = line.split(",")
        known = truth["areas"][area]
        assert known["region"] == region
        assert (int(population), int(crimes)) == (known["population"], known["crimes"])
        assert float(coverage) == 100.0


def test_truth_file_states_the_attainable_scores_and_how(truth):
    for scheme in ("leave_region_out", "random", "latent"):
        assert 0.5 < truth["attainable"][scheme]["auc"] < 1
        assert set(truth["attainable"][scheme]) == {"auc", "r2", "spearman"}
    assert "E[log rate" in truth["attainable_how"]
    assert truth["about"]["seed"] == 7


def test_smallest_areas_allowed_are_drawn(tmp_path):
    city = CitySettings(regions=2, labelled_regions=1, areas_per_side=2, area_px=128)
    draw_city(city, 0, tmp_path, processes=1)
    assert len(json.loads((tmp_path / "truth.json").read_text())["areas"]) == 8
