"""The scenes stage on rasters that nobody drew for it."""

import os
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from urbanssl.errors import SceneError
from urbanssl.scenes import mercator

pytestmark = pytest.mark.data

DEEP = {"mode": "training"}

#: What is refused, and a word of the reason.
REFUSED = {
    "rasterio/all-nodata.tif": "every pixel is missing",
    "rasterio/corrupt.tif": "download it again",
    "rio-cogeo/slc.tif": "complex",
    "solaris/sar_hh.tif": "complex",
}

#: What is accepted, and a word of what is said about it.
ACCEPTED = {
    "deepforest/OSBS_029.tif": "nodata 255",
    "detectree/1091-322_00.tif": "",
    "raster-vision/3857.tif": "uint16 scaled",
    "raster-vision/small-uint16-tile.tif": "uint16 scaled",
    "rasterio/RGB.byte.tif": "nodata 0",
    "rasterio/RGBA.uint16.tif": "bands [3, 2, 1] are its red, green, blue",
    "rasterio/alpha.tif": "alpha used as mask",
    "rasterio/cogeo.tif": "mask of the file",
    "rasterio/float_nan.tif": "no CRS",
    "rasterio/rotated.tif": "no CRS",
    "rasterio/world.rgb.tif": "",
    "rio-cogeo/image_2000px.tif": "",
    "rio-cogeo/image_colormap.tif": "palette turned into RGB",
    "rio-cogeo/image_rgb.tif": "",
    "rio-cogeo/image_rgb_mask.tif": "mask of the file",
    "rio-cogeo/image_rgba_nodata.tif": "alpha used as mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1.tif": "",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_alpha.tif": "alpha used as mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_nodata.tif": "nodata 0",
    "rio-tiler/cog_dateline.tif": "one band",
    "rio-tiler/cog_gcps.tif": "210 ground control points",
    "rio-tiler/cog_nodata_nan.tif": "float32 scaled",
    "rio-tiler/pix4d_alpha_nodata.tif": "alpha used as mask",
    "solaris/ms1.tif": "bands [1, 2, 3] of 4",
    "solaris/sample_geotiff.tif": "nodata 0",
}


def test_every_awkward_raster_is_named_here(real_data):
    folder = real_data / "geotiffs"
    found = {str(path.relative_to(folder)) for path in folder.glob("*/*.tif")}
    assert found == set(REFUSED) | set(ACCEPTED)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_raster_is_refused_with_the_reason(real_data, cut, name):
    with pytest.raises(SceneError) as caught:
        cut(real_data / "geotiffs" / name, scaling=DEEP)
    assert REFUSED[name] in str(caught.value)
    assert Path(name).name in str(caught.value)
    assert "->" in str(caught.value)


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_raster_is_cut_and_what_was_done_is_said(real_data, cut, name):
    found = cut(real_data / "geotiffs" / name, scaling=DEEP, size=128, min_valid=0.1)
    assert ACCEPTED[name] in found.catalogue.note[0]
    assert len(found.tiles) == len(found.table) >= 1
    placed = found.table[found.table.georeferenced]
    if len(placed):
        assert (placed.south < placed.north).all()
        assert placed[["west", "east"]].abs().le(180).all(axis=None)


def test_all_at_once_lists_the_refused_ones_alone(real_data, cut):
    with pytest.raises(SceneError) as caught:
        cut(*sorted((real_data / "geotiffs").glob("*/*.tif")), scaling=DEEP)
    text = str(caught.value)
    assert f"{len(REFUSED)} problems" in text
    assert all(Path(name).name in text for name in REFUSED)


def test_known_pixels_come_through(real_data, cut):
    """A raster that covers XYZ tiles exactly is the same on both grids, block by block."""
    path = real_data / "geotiffs" / "rasterio" / "cogeo.tif"
    plain = cut(path, size=256, overlap=0)
    xyz = cut(path, grid="xyz", zoom=18, size=256)
    assert len(plain.tiles) == len(xyz.tiles) == 16
    order = xyz.table.sort_values(["y", "x"]).index
    assert np.abs(plain.tiles.astype(int) - xyz.tiles[order].astype(int)).mean() < 1


@pytest.mark.parametrize("patch", ["0", "1"])
@pytest.mark.parametrize("grid", ["pixel", "xyz"])
def test_seed_tiles_come_back_to_their_place(real_data, cut, patch, grid):
    paths = sorted((real_data / "seed-tiles" / patch).glob("*.tif"))
    found = cut(*paths, grid=grid, zoom=19, size=256, overlap=0)
    assert len(found.tiles) == len(paths)
    for tile in found.table.itertuples():
        zoom, x, y = (int(part) for part in tile.image.split("_"))
        expected = mercator.bounds(x, y, zoom)
        pixel = (expected[2] - expected[0]) / 256
        ours = [tile.west, tile.south, tile.east, tile.north]
        assert ours == pytest.approx(expected.tolist(), abs=pixel / 10)
        if grid == "xyz":
            assert (tile.z, tile.x, tile.y) == (zoom, x, y)
            assert Affine(*tile.to_image) @ (0, 0) == pytest.approx((0, 0), abs=0.01)
    assert found.catalogue.gsd_x.mean() == pytest.approx(0.25, abs=0.01)


def test_palette_pngs_with_spaces_in_their_names_are_cut(real_data, cut):
    paths = sorted((real_data / "tennis" / "images").glob("*.png"))[:10]
    found = cut(*paths, size=320, overlap=0)
    assert len(found.tiles) == 40
    assert found.catalogue.note.str.contains("palette").all()
    assert found.tiles.std(axis=(1, 2, 3)).min() > 5


@pytest.mark.slow
def test_1680_jpegs_are_one_scene(real_data, cut):
    paths = sorted((real_data / "ucmerced" / "train").glob("*/*.jpg"))
    found = cut(*paths, size=256, overlap=0, sheet_gsd=0.3)
    assert len(found.catalogue) == len(paths) == 1680
    assert found.table.image.nunique() == 1680
    # Some are a pixel or two short of 256: padded, not lost.
    assert found.table.valid_share.min() > 0.9
    assert os.path.getsize(found.folder / "t.npy") == found.tiles.offset + found.tiles.nbytes
