"""Areas where there are no polygons: the sheet's column `area`, placed by the scenes' rasters."""

from __future__ import annotations

import geopandas as gpd
import rasterio
from rasterio.warp import transform_bounds
from shapely import box, union_all
from shapely.geometry.base import BaseGeometry

from urbanssl.errors import AreaError
from urbanssl.scenes.scene import Scene


def areas_of_scenes(scenes: list[Scene]) -> gpd.GeoDataFrame:
    """Return one row for each area that the study scenes name, with the ground they cover.

    Args:
        scenes: the study scenes; each must say its area.

    Returns:
        Columns `area_id, region, geometry` in EPSG:4326; the geometry is the union of the
        rasters' bounding boxes, None where no raster has a place on Earth.

    Raises:
        AreaError: no study scene, scenes without an area, or an area in two regions.
    """
    without = [scene.name for scene in scenes if scene.area is None]
    if without or not scenes:
        raise AreaError.at(
            "the sheet",
            f"study scenes without an area: {', '.join(without[:10]) or 'there is none at all'}",
            "fill the column `area` of every study scene, or give polygons in crime.areas",
        )
    regions: dict[str, str | None] = {}
    shapes: dict[str, list[BaseGeometry]] = {}
    for scene in scenes:
        area = str(scene.area)
        if regions.setdefault(area, scene.region) != scene.region:
            raise AreaError.at(
                "the sheet",
                f"area {area} is in region {regions[area]!r} and in {scene.region!r}",
                "give all scenes of an area the same region",
            )
        shapes.setdefault(area, []).extend(_footprints(scene))
    ids = list(regions)
    return gpd.GeoDataFrame(
        {"area_id": ids, "region": [regions[area] or area for area in ids]},
        geometry=[union_all(shapes[area]) if shapes[area] else None for area in ids],
        crs=4326,
    )


def _footprints(scene: Scene) -> list[BaseGeometry]:
    found = []
    for path in scene.paths:
        with rasterio.open(path) as raster:
            if raster.crs is not None:
                found.append(box(*transform_bounds(raster.crs, 4326, *raster.bounds)))
    return found
