"""Any raster becomes red, green, blue 8-bit pixels with a mask, or is refused with the reason."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from urbanssl.artifacts import read_json
from urbanssl.errors import SceneError
from urbanssl.scenes.scene import Scene
from urbanssl.settings import TileSettings


def refusal(cut, *paths, **options):
    with pytest.raises(SceneError) as caught:
        cut(*paths, **options)
    return str(caught.value)


def test_catalogue_has_place_size_and_pixel_size_in_metres(draw, cut, noise):
    seen = cut(draw("a.tif", noise(70, 90))).catalogue.iloc[0]
    assert (seen.scene, seen.image, seen.width, seen.height, seen.bands) == ("here", "a", 90, 70, 3)
    assert seen.crs == "EPSG:32616"
    assert seen.gsd_x == pytest.approx(0.3, rel=1e-3)
    assert seen.georeferenced
    assert len(seen.sha256) == 64


@pytest.mark.parametrize(
    ("crs", "affine"),
    [
        ("EPSG:3857", Affine(0.6, 0, 0, 0, -0.6, 8399737)),  # 60 N: half of it on the ground
        ("EPSG:4326", Affine(5.3875e-06, 0, 0, 0, -2.6925e-06, 60)),
    ],
)
def test_pixel_size_is_measured_on_the_ground_whatever_the_crs(draw, cut, noise, crs, affine):
    seen = cut(draw("a.tif", noise(64, 64), crs, affine)).catalogue.iloc[0]
    assert seen.gsd_x == pytest.approx(0.3, rel=0.01)
    assert seen.gsd_y == pytest.approx(0.3, rel=0.01)


def test_pixels_are_kept_as_they_are(draw, cut, noise):
    array = noise(64, 64)
    assert np.array_equal(cut(draw("a.tif", array)).tiles[0], array.transpose(1, 2, 0))


def test_palette_becomes_its_colours(draw, cut):
    array = np.arange(64 * 64).reshape(1, 64, 64).astype(np.uint8) % 3
    colours = {0: (10, 20, 30, 255), 1: (40, 50, 60, 255), 2: (70, 80, 90, 255)}
    tile = cut(draw("a.tif", array, colormap=colours)).tiles[0]
    expected = np.array([colours[k][:3] for k in range(3)], np.uint8)[array[0]]
    assert np.array_equal(tile, expected)


def test_single_band_is_repeated(draw, cut, noise):
    array = noise(64, 64, bands=1)
    tile = cut(draw("a.tif", array)).tiles[0]
    assert all(np.array_equal(tile[..., colour], array[0]) for colour in range(3))


def test_colours_are_found_by_what_the_file_calls_them(draw, cut, noise):
    array = noise(64, 64)
    path = draw("a.tif", array)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    assert np.array_equal(cut(path).tiles[0], array[::-1].transpose(1, 2, 0))


def test_chosen_bands_are_read_and_missing_ones_refused(draw, cut, noise):
    array = noise(64, 64, bands=5)
    path = draw("a.tif", array)
    tile = cut(path, bands=(5, 3, 2)).tiles[0]
    assert np.array_equal(tile, array[[4, 2, 1]].transpose(1, 2, 0))
    assert "has 5 bands" in refusal(cut, path, bands=(6, 3, 2))


def test_nodata_alpha_and_nan_are_missing_pixels(draw, cut, noise):
    array = noise(64, 64)
    array[:, :16] = 0
    assert cut(draw("n.tif", array, nodata=0)).table.valid_share[0] == pytest.approx(0.75)
    alpha = np.concatenate([noise(64, 64), np.full((1, 64, 64), 255, np.uint8)])
    alpha[3, :32] = 0
    found = cut(draw("a.tif", alpha, photometric="RGB", alpha="YES"))
    assert found.table.valid_share[0] == pytest.approx(0.5)
    assert not found.tiles[0, :32].any()
    assert found.tiles[0, 32:].any()
    floats = noise(64, 64).astype(np.float32)
    floats[0, :, :16] = np.nan
    scaling = {"mode": "range", "low": 0, "high": 255}
    found = cut(draw("f.tif", floats), scaling=scaling)
    assert found.table.valid_share[0] == pytest.approx(0.75)
    assert found.catalogue.nodata_share[0] == pytest.approx(0.25)


def test_deep_pixels_without_scaling_are_refused_with_their_range(draw, cut):
    array = np.linspace(5, 4000, 3 * 64 * 64).reshape(3, 64, 64).astype(np.uint16)
    text = refusal(cut, draw("a.tif", array))
    assert "uint16 (values 5 to 4000)" in text
    assert "tiles.scaling.mode" in text


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_range_scaling_maps_low_to_0_and_high_to_255(draw, cut, dtype):
    array = np.zeros((3, 64, 64), dtype)
    array[:, 0, :4] = [0, 100, 200, 300]
    scaling = {"mode": "range", "low": 100, "high": 300}
    tile = cut(draw("a.tif", array), scaling=scaling).tiles[0]
    assert tile[0, :4, 0].tolist() == [0, 0, 128, 255]


def test_training_scaling_never_looks_at_the_study_area(draw, look_at, tmp_path):
    low = np.linspace(0, 100, 64 * 64).reshape(1, 64, 64).astype(np.uint16)
    paths = [draw("train.tif", low), draw("study.tif", low + 5000)]
    roles = [{"unlabelled"}, {"study", "unlabelled"}]
    scenes = [
        Scene(path.stem, (path,), frozenset(role)) for path, role in zip(paths, roles, strict=True)
    ]
    tiles = TileSettings(scaling={"mode": "training"})
    found = read_json(look_at(scenes, tiles, tmp_path)[1])
    assert found["high"] == pytest.approx([98] * 3, abs=1)
    assert found["low"] == pytest.approx([2] * 3, abs=1)
    with pytest.raises(SceneError, match="nothing to take the percentiles from"):
        look_at(scenes[1:], tiles, tmp_path)


def test_complex_pixels_are_refused(draw, cut):
    assert "complex" in refusal(cut, draw("a.tif", np.ones((1, 64, 64), np.complex64)))


def test_raster_of_nothing_but_nodata_is_refused(draw, cut):
    text = refusal(cut, draw("a.tif", np.zeros((3, 64, 64), np.uint8), nodata=0))
    assert "every pixel is missing" in text


def test_file_cut_off_in_the_middle_is_refused(draw, cut, noise):
    path = draw("a.tif", noise(256, 256), tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[:150_000])
    assert "download it again" in refusal(cut, path)


def test_file_with_spoilt_blocks_is_refused(draw, cut, noise):
    path = draw("a.tif", noise(256, 256), compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    assert "cannot be read" in refusal(cut, path)


def test_file_that_is_no_raster_is_refused(cut, tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("not a raster")
    assert str(path) in refusal(cut, path)


def test_all_refused_images_are_listed_at_once(draw, look_at, tmp_path, noise):
    paths = [
        draw("a.tif", np.zeros((3, 64, 64), np.uint8), nodata=0),
        draw("b.tif", noise(64, 64)),
        draw("c.tif", np.ones((1, 64, 64), np.complex64)),
        draw("d.tif", noise(64, 64).astype(np.uint16)),
    ]
    scenes = [Scene(p.stem, (p,), frozenset({"unlabelled"})) for p in paths]
    with pytest.raises(SceneError, match="3 problems") as caught:
        look_at(scenes, TileSettings(), tmp_path)
    text = str(caught.value)
    assert all(f"scene {name}" in text for name in "acd")
    assert "scene b" not in text
    assert not (tmp_path / "catalogue.parquet").exists()


def test_ground_control_points_place_an_image(draw, cut, noise):
    path = draw("a.tif", noise(64, 64), crs=None, transform=Affine.identity())
    corners = [(0, 0), (0, 64), (64, 0), (64, 64)]
    points = [
        rasterio.control.GroundControlPoint(row, col, -90 + col * 1e-5, 35 - row * 1e-5)
        for row, col in corners
    ]
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (points, "EPSG:4326")
    seen = cut(path)
    assert "4 ground control points" in seen.catalogue.note[0]
    assert seen.table[["west", "north"]].iloc[0].tolist() == pytest.approx([-90, 35], abs=1e-9)


def test_position_without_crs_is_no_georeference(draw, cut, noise):
    seen = cut(draw("a.tif", noise(64, 64), crs=None)).catalogue.iloc[0]
    assert not seen.georeferenced
    assert "no CRS" in seen.note


def test_image_without_georeference_takes_its_pixel_size_from_the_sheet(
    draw, cut, look_at, noise, tmp_path
):
    path = draw("a.png", noise(64, 64), None, Affine.identity(), driver="PNG")
    assert cut(path, sheet_gsd=0.3).catalogue.gsd_x[0] == 0.3
    assert pd.isna(cut(path).catalogue.gsd_x[0])
    scene = Scene("x", (path,), frozenset({"unlabelled"}))
    with pytest.raises(SceneError, match="column `gsd`"):
        look_at([scene], TileSettings(gsd=0.5), tmp_path)


def test_zoom_far_finer_than_the_imagery_is_refused(draw, cut, noise):
    coarse = Affine(30, 0, 500000, 0, -30, 3600000)
    text = refusal(cut, draw("a.tif", noise(64, 64), transform=coarse), grid="xyz", zoom=19)
    assert "set tiles.zoom to about" in text
