"""Tiles lie where their table says, hold the image's pixels, and nothing half-written is left."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from urbanssl.artifacts import table_about
from urbanssl.errors import SceneError
from urbanssl.scenes import mercator
from urbanssl.scenes.scene import Scene
from urbanssl.scenes.tiling import COLUMNS, tile_scene
from urbanssl.settings import TileSettings


def window(array, tile, size):
    x, y = int(tile.x_off), int(tile.y_off)
    return array[:, y : y + size, x : x + size].transpose(1, 2, 0)


@pytest.mark.parametrize("block", [16, 48, 112])
@pytest.mark.parametrize("overlap", [0, 16, 60])
def test_every_tile_is_its_window_of_the_image(draw, cut, noise, block, overlap):
    array = noise(301, 219)
    path = draw("a.tif", array, tiled=True, blockxsize=block, blockysize=block)
    found = cut(path, overlap=overlap)
    assert len(found.tiles) == len(found.table) > 12
    for tile, pixels in zip(found.table.itertuples(), found.tiles, strict=True):
        assert np.array_equal(pixels, window(array, tile, 64))
    covered = np.zeros((301, 219), bool)
    for tile in found.table.itertuples():
        covered[int(tile.y_off) : int(tile.y_off) + 64, int(tile.x_off) : int(tile.x_off) + 64] = 1
    assert covered.all()


def test_mask_follows_its_tile(draw, cut, noise):
    array = noise(300, 200)
    array[:, 100:, :70] = 0
    path = draw("a.tif", array, nodata=0, tiled=True, blockxsize=32, blockysize=32)
    found = cut(path, min_valid=0)
    for tile in found.table.itertuples():
        expected = window(array, tile, 64).any(axis=2).mean()
        assert tile.valid_share == pytest.approx(expected)


def test_table_has_the_columns_of_the_contract_and_unique_ids(draw, cut, noise):
    found = cut(draw("a.tif", noise(100, 100)), draw("b.tif", noise(64, 64, seed=1)))
    assert list(found.table.columns) == list(COLUMNS)
    assert found.table.tile_id.is_unique
    assert found.table.tile_id[0] == "here/a/0_0"
    assert found.table.image.tolist() == ["a"] * 4 + ["b"]
    assert found.table.sha256.nunique() == 5
    about = table_about(found.folder / "t.parquet")
    assert about["seed"] == 0
    assert about["counts"]["tiles"] == 5


def test_shard_is_a_plain_memory_mappable_npy(draw, cut, noise):
    found = cut(draw("a.tif", noise(100, 100)))
    assert isinstance(found.tiles, np.memmap)
    assert found.tiles.shape == (4, 64, 64, 3)
    assert found.tiles.dtype == np.uint8
    assert found.tiles.flags.c_contiguous
    size = (found.folder / "t.npy").stat().st_size
    assert size == found.tiles.offset + found.tiles.nbytes, "nothing after the last tile"


def test_tile_affine_and_bounds_say_where_it_is(draw, cut, noise):
    found = cut(draw("a.tif", noise(200, 200)))
    to_earth = Transformer.from_crs("EPSG:32616", "EPSG:4326", always_xy=True)
    for tile in found.table.itertuples():
        affine = Affine(*tile.affine)
        assert affine @ (0, 0) == pytest.approx((5e5 + 0.3 * tile.x_off, 3.6e6 - 0.3 * tile.y_off))
        assert Affine(*tile.to_image) @ (5, 7) == pytest.approx((tile.x_off + 5, tile.y_off + 7))
        lon, lat = to_earth.transform(*(affine @ (32, 32)))
        assert tile.west < lon < tile.east
        assert tile.south < lat < tile.north
        assert tile.east - tile.west == pytest.approx(19.2 / 96_000, rel=0.05)


def test_rotated_affine_keeps_its_place(draw, cut, noise):
    turned = Affine.translation(5e5, 3.6e6) @ Affine.rotation(30) @ Affine.scale(0.3, -0.3)
    found = cut(draw("a.tif", noise(128, 128), transform=turned))
    tile = found.table.iloc[-1]
    expected = turned @ (tile.x_off + 10, tile.y_off + 20)
    assert Affine(*tile.affine) @ (10, 20) == pytest.approx(expected)


def test_small_image_is_padded_and_says_so(draw, cut, noise):
    array = noise(40, 50)
    found = cut(draw("a.tif", array), min_valid=1)
    assert found.tiles.shape[0] == 1
    assert np.array_equal(found.tiles[0, :40, :50], array.transpose(1, 2, 0))
    assert not found.tiles[0, 40:].any()
    tile = found.table.iloc[0]
    assert tile.valid_share == pytest.approx(40 * 50 / 64**2)
    assert tile.width == 64, "the window is that of the whole tile"
    assert "padded" in found.catalogue.note[0]
    # Bounds are those of the imagery: 50 pixels of 0.3 m, not 64.
    assert (tile.east - tile.west) * 111_320 * np.cos(np.radians(tile.north)) == pytest.approx(
        15, rel=0.01
    )


def test_padding_is_empty_whatever_was_cut_before(draw, cut, noise):
    found = cut(draw("a.tif", noise(64, 64)), draw("b.tif", noise(40, 64, seed=1)), min_valid=0)
    assert found.tiles[0, 40:].any()
    assert found.tiles[1, :40].any()
    assert not found.tiles[1, 40:].any()


def test_tiles_with_too_little_imagery_go_and_are_counted(draw, cut, noise):
    array = noise(64, 256)
    array[:, :, :130] = 0
    found = cut(draw("a.tif", array, nodata=0), overlap=0, min_valid=0.5)
    assert found.table.col.tolist() == [2, 3]
    assert table_about(found.folder / "t.parquet")["counts"]["dropped"] == {"below min_valid": 2}


def test_scene_with_nothing_left_is_refused_and_leaves_no_file(draw, cut, noise, tmp_path):
    array = noise(200, 200)
    array[:, 8:] = 0
    with pytest.raises(SceneError, match="min_valid"):
        cut(draw("a.tif", array, nodata=0))
    assert [path.name for path in (tmp_path / "run").iterdir() if "t" in path.suffixes] == []
    assert not (tmp_path / "run" / "t.npy").exists()


def test_block_that_cannot_be_read_leaves_no_shard(draw, look_at, noise, tmp_path):
    path = draw("a.tif", noise(256, 256), tiled=True, blockxsize=64, blockysize=64)
    scene = Scene("x", (path,), frozenset({"unlabelled"}))
    tiles = TileSettings(size=64, overlap=0)
    catalogue, scaling = look_at([scene], tiles, tmp_path)
    outputs = [tmp_path / "out" / name for name in ("t.npy", "t.parquet")]
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(SceneError, match=r"a\.tif"):
        tile_scene(scene, catalogue, scaling, tiles, *outputs, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_resampling_to_a_coarser_gsd_averages_pixels(draw, cut):
    array = np.zeros((3, 256, 256), np.uint8)
    array[:, :, ::2] = 200
    path = draw("a.tif", array, transform=Affine(0.3, 0, 5e5, 0, -0.3, 3.6e6))
    found = cut(path, gsd=0.6, overlap=0)
    tile = found.table.iloc[0]
    assert tile.scale == pytest.approx(0.5, rel=1e-3)
    assert tile.width == pytest.approx(128, rel=1e-3)
    assert len(found.tiles) == 4
    assert abs(found.tiles[0].astype(int) - 100).mean() < 5
    assert Affine(*tile.affine).a == pytest.approx(0.6, rel=1e-3)


def test_resampling_keeps_things_in_their_place(draw, cut):
    rows, columns = np.mgrid[:400, :400]
    disc = ((columns - 300) ** 2 + (rows - 210) ** 2 < 30**2) * np.uint8(255)
    path = draw("a.tif", np.stack([disc] * 3), tiled=True, blockxsize=64, blockysize=64)
    found = cut(path, gsd=0.45, overlap=20, size=96)
    assert 0.6 < found.table.scale[0] < 0.7
    for tile, pixels in zip(found.table.itertuples(), found.tiles, strict=True):
        affine = Affine(*tile.to_image)
        ys, xs = np.nonzero(pixels[..., 0] > 200)
        for x, y in zip(xs[::25], ys[::25], strict=True):
            u, v = affine @ (x + 0.5, y + 0.5)
            assert np.hypot(u - 300, v - 210) < 31.5


@pytest.mark.parametrize("crs", ["EPSG:32616", "EPSG:3857", "EPSG:4326"])
def test_xyz_tile_shows_what_lies_in_its_bounds(draw, cut, crs):
    """A disc drawn at a known place is found there in every tile, by affine and by to_image."""
    lon, lat, step = -86.9, 33.5, 0.6
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    if crs == "EPSG:4326":
        step /= 100_000
    affine = Affine(step, 0, x - 150 * step, 0, -step, y + 130 * step)
    rows, columns = np.mgrid[:300, :300]
    disc = ((columns + 0.5 - 150) ** 2 + (rows + 0.5 - 130) ** 2 < 20**2) * np.uint8(255)
    path = draw("a.tif", np.stack([disc, 255 - disc, disc]), crs, affine)
    found = cut(path, grid="xyz", zoom=20, min_valid=0)
    inverse = Transformer.from_crs("EPSG:3857", crs, always_xy=True)
    seen = 0
    for tile, pixels in zip(found.table.itertuples(), found.tiles, strict=True):
        assert tile.tile_id == f"here/a/20_{tile.x}_{tile.y}"
        bounds = mercator.bounds(tile.x, tile.y, 20)
        assert [tile.west, tile.south, tile.east, tile.north] == pytest.approx(bounds.tolist())
        ys, xs = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 55))
        seen += len(xs)
        for column, row in zip(xs[::20] + 0.5, ys[::20] + 0.5, strict=True):
            by_map = ~affine @ inverse.transform(*(Affine(*tile.affine) @ (column, row)))
            by_image = Affine(*tile.to_image) @ (column, row)
            assert by_map == pytest.approx(by_image, abs=0.05)
            assert np.hypot(by_image[0] - 150, by_image[1] - 130) < 22
    assert seen > 500


def test_xyz_columns_beyond_the_date_line_are_those_of_the_other_side(draw, cut, noise):
    affine = Affine(100, 0, 690000, 0, -100, 5800000)
    found = cut(draw("a.tif", noise(200, 400), "EPSG:32660", affine), grid="xyz", zoom=11)
    assert found.table.x.min() == 0
    assert found.table.x.max() == 2**11 - 1
    assert (found.table.west < found.table.east).all()
    assert found.tiles.any(axis=(1, 2, 3)).all()


def test_bounds_over_the_date_line_have_west_beyond_east(draw, cut, noise):
    affine = Affine(100, 0, 690000, 0, -100, 5800000)
    found = cut(draw("a.tif", noise(64, 400), "EPSG:32660", affine), size=256, overlap=0)
    over = found.table[found.table.west > found.table.east]
    assert len(over) >= 1
    assert (over.west > 170).all()
    assert (over.east < -170).all()


def test_image_without_georeference_is_cut_by_pixels_on_any_grid(draw, cut, noise):
    path = draw("a.png", noise(100, 100), None, Affine.identity(), driver="PNG")
    found = cut(path, grid="xyz", zoom=18)
    assert found.table.z.isna().all()
    assert found.table.row.tolist() == [0, 0, 1, 1]
    assert found.table[["west", "north"]].isna().all(axis=None)
    assert found.table.crs.isna().all()
    assert not found.table.georeferenced.any()


def test_large_image_is_cut_in_bounded_memory(look_at, tmp_path, cut):
    """A 20,000-row image of 61 MB is cut while holding a few strips of it."""
    import tracemalloc

    path = tmp_path / "tall.tif"
    profile = {"driver": "GTiff", "width": 1024, "height": 20_000, "count": 3, "dtype": "uint8"}
    with rasterio.open(
        path, "w", tiled=True, blockxsize=256, blockysize=256, crs="EPSG:32616",
        transform=Affine(0.3, 0, 5e5, 0, -0.3, 3.6e6), **profile,
    ) as dataset:  # fmt: skip
        dataset.write(np.full((3, 256, 1024), 7, np.uint8), window=((0, 256), (0, 1024)))
    tiles = TileSettings(size=256, overlap=64)
    scene = Scene("x", (path,), frozenset({"unlabelled"}))
    catalogue, scaling = look_at([scene], tiles, tmp_path)
    tracemalloc.start()
    tile_scene(scene, catalogue, scaling, tiles, tmp_path / "t.npy", tmp_path / "t.parquet", {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 104 * 5
    assert peak < 12e6
