"""Objects of the embedded city that tile borders cut come back whole, in their place."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from urbanssl.classes import CLASSES
from urbanssl.detect.merge import merge_scene
from urbanssl.labels.clip import clip_boxes, map_boxes
from urbanssl.labels.convert import convert_labels
from urbanssl.scenes.sheet import read_sheet
from urbanssl.scenes.tiling import tile_scene
from urbanssl.settings import CitySettings, PredictSettings, Settings, TileSettings
from urbanssl.synthetic.city import draw_city

CORNERS = ["x1", "y1", "x2", "y2"]


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """The labelled scene of a small city, and its labelled boxes."""
    folder = tmp_path_factory.mktemp("city")
    drawn = CitySettings(regions=2, labelled_regions=1, areas_per_side=2)
    draw_city(drawn, 3, folder / "city", processes=1)
    scene = next(s for s in read_sheet(Settings(results=str(folder), city=drawn)) if s.labels)
    return folder, scene


def overlaps(boxes, others):
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (boxes, others)]
    return inter / (areas[0][:, None] + areas[1][None] - inter)


def found_by_a_perfect_detector(tiles, labels, size):
    """Every labelled box on every tile that shows a tenth of it, cut at the tile's border."""
    parts = []
    for tile in tiles.itertuples():
        inverse = np.linalg.inv(np.vstack([np.reshape(tile.to_image, (2, 3)), [0, 0, 1]]))
        boxes, share = clip_boxes(map_boxes(labels[CORNERS], inverse[:2].ravel()), size, size)
        seen = share > 0.1
        part = pd.DataFrame(boxes[seen], columns=CORNERS)
        part.insert(0, "tile_id", tile.tile_id)
        part.insert(1, "class_name", labels["class_name"].to_numpy()[seen])
        part.insert(2, "score", 0.5 + 0.4 * share[seen])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("merge", ["nms", "fusion"])
@pytest.mark.parametrize(("overlap", "least"), [(0, 0.85), (48, 1.0)])
def test_an_object_across_a_tile_border_comes_back_as_one_box(city, look_at, overlap, least, merge):
    """All of them with overlap; without it, objects that touch at the very border may be joined."""
    folder, scene = city
    cut = TileSettings(size=192, overlap=overlap)
    look_at([scene], cut, folder)
    survey = folder / "surveys" / f"{scene.name}.parquet"
    tile_scene(scene, survey, None, cut, folder / "t.npy", folder / "t.parquet", {})
    convert_labels(scene, survey, CLASSES, folder / "l.parquet", folder / "l.json", {})
    labels, tiles = pd.read_parquet(folder / "l.parquet"), pd.read_parquet(folder / "t.parquet")
    found_by_a_perfect_detector(tiles, labels, 192).to_parquet(folder / "found.parquet")
    merge_scene(
        folder / "found.parquet",
        folder / "t.parquet",
        survey,
        "arm",
        PredictSettings(merge=merge),
        folder / "m.parquet",
        folder / "m.gpkg",
        {},
    )
    merged = gpd.read_parquet(folder / "m.parquet")
    borders = tiles[["x_off", "y_off"]].drop_duplicates()
    across = np.zeros(len(labels), bool)
    for axis, offset in (("x", "x_off"), ("y", "y_off")):
        for place in borders[offset].unique():
            if place > 0:
                across |= (labels[f"{axis}1"] < place - 4) & (labels[f"{axis}2"] > place + 4)
    assert across.sum() >= 15
    same = labels["class_name"].to_numpy()[:, None] == merged["class_name"].to_numpy()[None]
    whole = (overlaps(labels[CORNERS].to_numpy(), merged[CORNERS].to_numpy()) > 0.9) & same
    assert (whole[across].sum(1) == 1).mean() >= least
    assert abs(len(merged) - len(labels)) <= 0.05 * len(labels)
