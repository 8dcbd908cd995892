"""Polygons on the map (GeoJSON, GeoPackage, shapefile, FlatGeobuf), brought to image pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from pyogrio.errors import DataSourceError

from urbanssl.classes import find_class
from urbanssl.labels.boxes import Box, Image, Notes

_CLASS = ("class", "class_name", "label", "category", "type", "object", "name")


def read_vector(files: Sequence[Path], images: Mapping[str, Image], notes: Notes) -> list[Box]:
    """Return the polygons that lie on the images, as upright boxes in image pixels.

    A polygon on several images is an object of each. Points and lines have no extent and are
    counted.
    """
    boxes: list[Box] = []
    for image in images.values():
        if image.crs is None:
            notes.broken(
                f"image {image.stem}",
                "it has no georeference, so polygons on the map have no place in it",
                "give its labels in pixels, or georeference the image",
            )
    placed = [image for image in images.values() if image.crs is not None]
    for path in files:
        features = _features(path, notes)
        if features is None:
            continue
        names = _names(path, features, notes)
        if names is None:
            continue
        flat = shapely.area(features.geometry.to_numpy()) <= 0
        notes.counts["without an extent (points, lines, empty)"] += int(flat.sum())
        features, names = features[~flat], names[~flat]
        for image in placed:
            boxes.extend(_on_image(path, features, names, image))
    return boxes


def _features(path: Path, notes: Notes) -> gpd.GeoDataFrame | None:
    try:
        features = gpd.read_file(path)
    except DataSourceError as error:
        notes.broken(str(path), f"cannot be read: {error}", "correct the file")
        return None
    if features.crs is None:
        notes.broken(str(path), "it has no CRS", "write its CRS into the file")
        return None
    features = features[~(features.geometry.isna() | features.geometry.is_empty)]
    invalid = ~features.geometry.is_valid
    if invalid.any():
        notes.counts["invalid polygons repaired"] += int(invalid.sum())
        features.geometry = features.geometry.make_valid()
    return features


def _names(path: Path, features: gpd.GeoDataFrame, notes: Notes) -> np.ndarray | None:
    """Return the class of each feature, from the column that holds most classes."""
    known = {column.lower(): column for column in features.columns}
    candidates = [known[name] for name in _CLASS if name in known]
    columns = {column: features[column].fillna("").astype(str) for column in candidates}
    filled = {column: int((text.str.strip() != "").sum()) for column, text in columns.items()}
    hits = {
        column: sum(find_class(value) is not None for value in text)
        for column, text in columns.items()
    }
    best = max(candidates, key=lambda column: (hits[column], filled[column]), default=None)
    if best is not None and (hits[best] or filled[best] == len(features) > 0):
        notes.remarks.append(f"class from column {best!r} of {path.name}")
        return columns[best].to_numpy(object)
    if find_class(path.stem) is not None:
        return np.full(len(features), path.stem, dtype=object)
    have = [column for column in features.columns if column != features.geometry.name]
    shown = f"{have[:12]}{' and more' if len(have) > 12 else ''}"
    notes.broken(
        str(path),
        f"no column tells the class of its features; it has {shown}",
        f"add a column `class`, or name the file after the class ({', '.join(_CLASS)} are read)",
    )
    return None


def _on_image(path: Path, features: gpd.GeoDataFrame, names: np.ndarray, image: Image) -> list[Box]:
    local = features.geometry.to_crs(image.crs)
    a, b, c, d, e, f = tuple(~image.affine)[:6]
    turn = np.array([[a, b], [d, e]])
    shapes = shapely.transform(
        shapely.force_2d(local.to_numpy()), lambda xy: xy @ turn.T + np.array([c, f])
    )
    frame = shapely.box(0, 0, image.width, image.height)
    shapely.prepare(frame)
    boxes = []
    for row in np.flatnonzero(shapely.intersects(frame, shapes)).tolist():
        shape = shapes[row]
        if shape.intersection(frame).area <= 0:
            continue
        where = f"{path}:feature {features.index[row]}"
        boxes.append(Box(image.stem, str(names[row]), shape.bounds, where, _four_corners(shape)))
    return boxes


def _four_corners(shape: Any) -> tuple[float, ...] | None:
    if shape.geom_type != "Polygon" or len(shape.exterior.coords) != 5:
        return None
    return tuple(float(v) for point in shape.exterior.coords[:4] for v in point[:2])
