import subprocess
import sys
from pathlib import Path

from urbanssl.settings import CitySettings
from urbanssl.synthetic import layout


def test_layout_imports_no_heavy_module():
    code = (
        "import sys, urbanssl.synthetic.layout\n"
        "heavy = {'numpy', 'torch', 'rasterio', 'geopandas', 'pandas', 'cv2', 'numba'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_sheet_has_one_row_a_region_and_names_labels_of_labelled_ones_only():
    rows = layout.sheet_rows(CitySettings(), Path("R/city"))
    assert [row["role"] for row in rows] == ["unlabelled;labelled"] * 2 + ["unlabelled;study"] * 4
    assert rows[0]["labels"] == "R/city/labels/alder.txt"
    assert rows[0]["path"] == "R/city/scenes/alder.tif"
    assert {row["labels"] for row in rows[2:]} == {""}
    assert list(rows[0]) == [
        "scene", "path", "role", "labels", "labels_format", "area", "region", "date", "gsd",
    ]  # fmt: skip


def test_every_region_of_the_default_city_has_its_own_utm_zone():
    assert len({region.epsg for region in layout.regions(CitySettings())}) == 6


def test_names_and_places_stay_unique_in_a_city_of_sixty_regions():
    many = layout.regions(CitySettings(regions=60))
    assert len({region.name for region in many}) == 60
    assert len({(region.epsg, region.west, region.north) for region in many}) == 60


def test_area_ids_are_five_digits_with_a_leading_zero_and_unique():
    city = CitySettings()
    ids = [area for region in layout.regions(city) for area in layout.area_ids(region, city)]
    assert ids[0] == "01001"
    assert len(set(ids)) == len(ids) == 6 * 36
    assert all(len(area) == 5 and area.startswith("0") for area in ids)


def test_area_windows_cover_the_scene_without_overlap():
    city = CitySettings(areas_per_side=3, area_px=128)
    windows = [layout.area_window(place, city) for place in range(9)]
    assert windows[0] == (0, 0, 128)
    assert windows[5] == (256, 128, 128)
    assert len(set(windows)) == 9
