"""Tiny rasters made by code, and scenes run through the catalogue and the tiling."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine

from urbanssl.scenes.scene import Scene
from urbanssl.scenes.tiling import tile_scene
from urbanssl.settings import TileSettings

#: 0.3 m a pixel in UTM zone 16 N.
UTM = Affine(0.3, 0, 500000, 0, -0.3, 3600000)


@pytest.fixture
def draw(tmp_path):
    """Write an array (bands, rows, columns) as a GeoTIFF; return its path."""

    def drawn(name, array, crs="EPSG:32616", transform=UTM, colormap=None, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands, rows, columns = array.shape
        with rasterio.open(
            path,
            "w",
            driver=options.pop("driver", "GTiff"),
            width=columns,
            height=rows,
            count=bands,
            dtype=array.dtype,
            crs=crs,
            transform=transform,
            **options,
        ) as dataset:
            dataset.write(array)
            if colormap:
                dataset.write_colormap(1, colormap)
        return path

    return drawn


@pytest.fixture
def noise():
    """Random 8-bit pixels of a size."""

    def made(rows, columns, bands=3, seed=0):
        random = np.random.default_rng(seed)
        return random.integers(1, 255, (bands, rows, columns), dtype=np.uint8)

    return made


@pytest.fixture
def cut(look_at, tmp_path):
    """Run rasters as one scene through catalogue and tiling; return the tiles and tables."""

    def run(*paths, sheet_gsd=None, roles=("unlabelled",), **tiles):
        scene = Scene("here", tuple(paths), frozenset(roles), gsd=sheet_gsd)
        settings = TileSettings(**{"size": 64, "overlap": 16, **tiles})
        folder = tmp_path / "run"
        catalogue, scaling = look_at([scene], settings, folder)
        tile_scene(
            scene, catalogue, scaling, settings, folder / "t.npy", folder / "t.parquet", {"seed": 0}
        )
        return SimpleNamespace(
            tiles=np.load(folder / "t.npy", mmap_mode="r"),
            table=pd.read_parquet(folder / "t.parquet"),
            catalogue=pd.read_parquet(catalogue),
            folder=folder,
        )

    return run
