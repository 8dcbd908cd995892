"""Boxes of tiles merged into boxes of scenes, and put back on Earth."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import shapely
from numpy.typing import NDArray

from urbanssl.artifacts import write_table, written_whole
from urbanssl.classes import CLASSES
from urbanssl.detect.fuse import Fused, fuse
from urbanssl.errors import SceneError
from urbanssl.settings import PredictSettings

_BOX = ["x1", "y1", "x2", "y2"]
_TILE = ["tile_id", "scene", "image", "x_off", "y_off", "width", "height", "to_image"]


def merge_scene(
    tile_boxes: Path,
    table: Path,
    survey: Path,
    arm: str,
    predict: PredictSettings,
    parquet: Path,
    gpkg: Path,
    about: Mapping[str, Any],
) -> None:
    """Merge the boxes of a scene's tiles, image by image, and write them with their place on Earth.

    Geometry is in the CRS of the images; where they differ, in EPSG:4326. Boxes of an image without
    georeference have no geometry in the Parquet file; if none of the scene has a place, the
    GeoPackage has no CRS and holds them in pixels, y upwards and negative, which is where GIS
    programs draw such an image.

    Args:
        tile_boxes: boxes in tile pixels, of `predict_scene`.
        table: the scene's tile table.
        survey: written by `survey_scene`, for size, CRS and affine of the images.
        arm: name of the arm, kept in the column `arm`.
        predict: `merge`, `merge_iou`.
        parquet: GeoParquet to write: `scene, image, arm, class_name, score, x1, y1, x2, y2` (image
            pixels), `tiles` (tiles it was seen on, joined by `;`), `area_m2, geometry`. Its
            metadata carry `scene` and `images`: width, height (pixels), gsd_x, gsd_y (m) of each.
        gpkg: GeoPackage to write, layer `boxes`.
        about: provenance.

    Raises:
        SceneError: boxes of tiles that the table does not have, or images that the survey lacks.
    """
    tiles = pq.read_table(table, columns=_TILE).to_pandas()
    found = pq.read_table(tile_boxes).to_pandas()
    rows = pd.Index(tiles["tile_id"]).get_indexer(found["tile_id"].astype(object))
    if (rows < 0).any():
        unknown = found["tile_id"][rows < 0].iloc[0]
        raise SceneError.at(
            tile_boxes, f"tile {unknown!r} is not in {table}", "predict again on these tiles"
        )
    images = _images(survey, tiles)
    parts = []
    image_of_row = tiles["image"].to_numpy()[rows]
    for image in images.index:
        chosen = image_of_row == image
        merged = _merge_image(found[chosen], rows[chosen], tiles, images.loc[image], predict)
        merged.insert(0, "image", image)
        parts.append(merged)
    boxes = pd.concat(parts, ignore_index=True)
    scene = str(tiles["scene"].iloc[0])
    boxes.insert(0, "scene", scene)
    boxes.insert(2, "arm", arm)
    placed = _placed(boxes, images)
    sizes = images[["width", "height", "gsd_x", "gsd_y"]].astype(float)
    write_table(parquet, placed, {**about, "scene": scene, "images": sizes.to_dict("index")})
    _write_gpkg(placed, gpkg)


def _images(survey: Path, tiles: pd.DataFrame) -> pd.DataFrame:
    """Return the survey's rows of the images that have tiles, by image."""
    known = pq.read_table(survey).to_pandas()
    known = known[known["scene"].isin(tiles["scene"].unique())].set_index("image")
    lacking = sorted(set(tiles["image"]) - set(known.index))
    if lacking or not len(tiles):
        what = f"lacks the images {', '.join(lacking)}" if lacking else "has no tiles to merge"
        raise SceneError.at(survey, what, "check and cut the scene again")
    return known.loc[sorted(set(tiles["image"]))]


def _merge_image(
    found: pd.DataFrame,
    rows: NDArray[np.int64],
    tiles: pd.DataFrame,
    image: pd.Series,
    predict: PredictSettings,
) -> pd.DataFrame:
    """Return the merged boxes of one image, in its pixels."""
    own = np.flatnonzero(tiles["image"].to_numpy() == image.name)
    windows = tiles.iloc[own]
    start = windows[["x_off", "y_off"]].to_numpy(float)
    window = np.hstack([start, start + windows[["width", "height"]].to_numpy(float)])
    row = np.searchsorted(own, rows)
    to_image = np.array(windows["to_image"].tolist(), float)
    boxes = _moved(found[_BOX].to_numpy(float), to_image[row])
    labels = found["class_name"].astype(pd.CategoricalDtype(CLASSES)).cat.codes.to_numpy(np.int64)
    extent = (float(image["width"]), float(image["height"]))
    boxes = np.clip(boxes, 0, [*extent, *extent])
    scores = found["score"].to_numpy(float)
    weighted = predict.merge == "fusion"
    fused = fuse(boxes, scores, labels, row, window, extent, predict.merge_iou, weighted)
    return _rows(fused, windows["tile_id"].to_numpy()[row], image)


def _moved(boxes: NDArray[np.float64], affines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upright boxes `(n, 4)` round boxes that affines `(n, 6)` have moved."""
    a, b, c, d, e, f = affines.T[:, :, None]
    x, y = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 1, 3, 3]]
    u, v = a * x + b * y + c, d * x + e * y + f
    return np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], axis=1)


def _rows(fused: Fused, tile_ids: NDArray[Any], image: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame(fused.boxes, columns=_BOX)
    frame.insert(0, "class_name", np.array(CLASSES, dtype=object)[fused.labels])
    frame.insert(1, "score", fused.scores)
    frame["tiles"] = [";".join(dict.fromkeys(tile_ids[each])) for each in fused.parts()]
    sides = fused.boxes[:, 2:] - fused.boxes[:, :2]
    frame["area_m2"] = sides.prod(1) * float(image["gsd_x"]) * float(image["gsd_y"])
    return frame


def _placed(boxes: pd.DataFrame, images: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return the boxes with polygons in the images' CRS (EPSG:4326 where they have several)."""
    geometry = np.full(len(boxes), None, dtype=object)
    crs_of = images["crs"].where(images["georeferenced"].astype(bool))
    several = crs_of.dropna().nunique() > 1
    crs = "EPSG:4326" if several else next(iter(crs_of.dropna()), None)
    for image, own_crs in crs_of.dropna().items():
        chosen = (boxes["image"] == image).to_numpy()
        polygons = _polygons(boxes[chosen][_BOX].to_numpy(), images.loc[image, "affine"])
        if several:
            polygons = gpd.GeoSeries(polygons, crs=own_crs).to_crs(crs).to_numpy()
        geometry[chosen] = polygons
    return gpd.GeoDataFrame(boxes, geometry=gpd.GeoSeries(geometry, crs=crs), crs=crs)


def _polygons(boxes: NDArray[np.float64], affine: Any) -> NDArray[Any]:
    """Return the outlines of pixel boxes through an affine (a, b, c, d, e, f), as polygons."""
    a, b, c, d, e, f = (float(number) for number in affine)
    x, y = boxes[:, [0, 2, 2, 0, 0]], boxes[:, [1, 1, 3, 3, 1]]
    outlines: NDArray[Any] = shapely.polygons(
        np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1)
    )
    return outlines


def _write_gpkg(boxes: gpd.GeoDataFrame, path: Path) -> None:
    if boxes.crs is None:
        pixels = _polygons(boxes[_BOX].to_numpy(float), (1, 0, 0, 0, -1, 0))
        boxes = boxes.set_geometry(gpd.GeoSeries(pixels, index=boxes.index))
    with written_whole(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        temporary.unlink()
        pyogrio.write_dataframe(
            boxes, temporary, layer="boxes", driver="GPKG", geometry_type="Polygon"
        )
