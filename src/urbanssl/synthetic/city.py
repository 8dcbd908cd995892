"""Draws the embedded city: scenes, labels, areas, crime and the truth behind them."""

from __future__ import annotations

import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import rasterio
import shapely
from rasterio import warp
from rasterio.crs import CRS
from rasterio.transform import Affine

from urbanssl.artifacts import provenance, write_json, written_whole
from urbanssl.opencv import one_opencv_thread
from urbanssl.settings import CitySettings
from urbanssl.synthetic import crime
from urbanssl.synthetic.latent import Tally, expected_build
from urbanssl.synthetic.layout import (
    GSD,
    Region,
    area_ids,
    area_window,
    labels_path,
    regions,
    scene_path,
)
from urbanssl.synthetic.pen import Label
from urbanssl.synthetic.scene import build_region, load_kernels, photograph


def draw_city(city: CitySettings, seed: int, folder: Path, processes: int) -> None:
    """Draw the embedded city into a folder.

    Writes `scenes/{scene}.tif`, `labels/{scene}.txt` (every region's, DOTA text), `areas.gpkg` and
    `crime.csv` (areas of the study regions) and `truth.json` (all regions). The same seed and
    settings give the same scenes, labels, table and truth, whatever the number of processes.

    Args:
        city: settings of the city.
        seed: seed of the run.
        folder: where to write.
        processes: how many processes draw regions side by side.
    """
    hidden = crime.draw_hidden(city, seed)
    places = regions(city)
    jobs = [(region, city, seed, folder, hidden.build[region.number]) for region in places]
    built = _draw_regions(jobs, min(processes, len(jobs)))
    drawn = crime.redraw_crime(hidden, city, seed)
    truth = _truth(city, seed, hidden, drawn, built)
    _write_areas(city, folder / "areas.gpkg")
    _write_crime(crime.redrawn_table(truth, city, seed), folder / "crime.csv")
    write_json(folder / "truth.json", truth)


_Job = tuple[Region, CitySettings, int, Path, np.ndarray]
_Built = tuple[list[Tally], list[dict[str, int]]]


@one_opencv_thread()  # its threads would not survive the fork
def _draw_regions(jobs: list[_Job], workers: int) -> list[_Built]:
    # What was loaded so far is left out of the search for garbage, also in the forked processes.
    gc.freeze()
    try:
        load_kernels()
        if workers <= 1:
            return [_draw_region(job) for job in jobs]
        # Forked where the system can: a fresh interpreter would import for longer than it draws.
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            return list(pool.map(_draw_region, jobs))
    finally:
        gc.unfreeze()


def _draw_region(job: _Job) -> _Built:
    region, city, seed, folder, build = job
    built = build_region(region, city, seed, build)
    write_scene(photograph(built, region, seed), region, scene_path(region, folder))
    write_labels(built.labels, region, labels_path(region, folder))
    return built.tallies, built.counts


def scene_affine(region: Region) -> Affine:
    """Return the affine of a region's scene, pixel to UTM metres."""
    return Affine(GSD, 0.0, region.west, 0.0, -GSD, region.north)


def write_scene(picture: np.ndarray, region: Region, path: Path) -> None:
    """Write a region's picture, `(H, W, 3)` uint8, as a tiled GeoTIFF in its UTM zone."""
    with (
        written_whole(path) as temporary,
        rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            width=picture.shape[1],
            height=picture.shape[0],
            count=3,
            dtype="uint8",
            crs=CRS.from_epsg(region.epsg),
            transform=scene_affine(region),
            tiled=True,
            blockxsize=256,
            blockysize=256,
            photometric="RGB",
            interleave="pixel",
            compress="ZSTD",
            zstd_level=1,
            predictor=2,
        ) as target,
    ):
        target.update_tags(TIFFTAG_DATETIME=f"{region.date.replace('-', ':')} 12:00:00")
        target.write(np.moveaxis(picture, 2, 0))


def write_labels(labels: list[Label], region: Region, path: Path) -> None:
    """Write boxes as DOTA text: eight coordinates in pixels, class, difficult."""
    lines = [f"imagesource:synthetic {region.name}", f"gsd:{GSD}"]
    for label in labels:
        corners = " ".join(f"{value:.1f}" for corner in label.corners for value in corner)
        lines.append(f"{corners} {label.name} 0")
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _write_areas(city: CitySettings, path: Path) -> None:
    """Write the polygons of the study regions in longitude and latitude."""
    ids, names, polygons = [], [], []
    for region in regions(city):
        if region.labelled:
            continue
        for place, area in enumerate(area_ids(region, city)):
            ids.append(area)
            names.append(region.name)
            polygons.append(_area_polygon(region, area_window(place, city)))
    # GeoPackages carry the time of writing: the day of the first scene keeps the bytes the same.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{regions(city)[0].date}T12:00:00Z"})
    try:
        with written_whole(path) as temporary:
            # GDAL would try to add to the empty file that holds the name.
            temporary.unlink()
            pyogrio.raw.write(
                temporary,
                geometry=shapely.to_wkb(np.array(polygons)),
                field_data=[np.array(ids, dtype=object), np.array(names, dtype=object)],
                fields=["area_id", "region"],
                crs="EPSG:4326",
                geometry_type="Polygon",
                layer="areas",
                driver="GPKG",
            )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _area_polygon(region: Region, window: tuple[int, int, int]) -> shapely.Polygon:
    left, top, side = (GSD * value for value in window)
    west, north = region.west + left, region.north - top
    # Points along the sides: a straight line in UTM is not one in degrees.
    square = shapely.box(west, north - side, west + side, north).segmentize(side / 4)
    eastings, northings = zip(*square.exterior.coords, strict=True)
    longitudes, latitudes = warp.transform(
        CRS.from_epsg(region.epsg), CRS.from_epsg(4326), eastings, northings
    )
    return shapely.Polygon(zip(longitudes, latitudes, strict=True))


def _write_crime(table: dict[str, list[Any]], path: Path) -> None:
    rows = zip(*table.values(), strict=True)
    lines = [",".join(table), *(",".join(map(str, row)) for row in rows)]
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _truth(
    city: CitySettings,
    seed: int,
    hidden: crime.Hidden,
    drawn: crime.CrimeDraw,
    built: list[_Built],
) -> dict[str, Any]:
    prior = float(np.hypot(1.0, city.confounding))
    expected = np.exp(crime.log_rates(hidden, city, None))
    means = np.zeros_like(hidden.build)
    areas: dict[str, Any] = {}
    about_regions = []
    for region, (tallies, counts) in zip(regions(city), built, strict=True):
        number, ids = region.number, area_ids(region, city)
        for place, area in enumerate(ids):
            mean, spread = expected_build(tallies[place], prior)
            means[number, place] = mean
            areas[area] = {
                "region": region.name,
                "theme": tallies[place].theme,
                "latent": float(hidden.latent[number, place]),
                "build": float(hidden.build[number, place]),
                "build_given_built": mean,
                "build_given_built_sd": spread,
                "expected_rate": float(expected[number, place]),
                "rate": float(drawn.rate[number, place]),
                "population": int(drawn.population[number, place]),
                "crimes": int(drawn.crimes[number, place]),
                "counts": counts[place],
                "trials": tallies[place].trials,
                "built": tallies[place].built,
            }
        about_regions.append(
            {
                "name": region.name,
                "epsg": region.epsg,
                "labelled": region.labelled,
                "effect": float(hidden.effect[number]),
                "areas": ids,
            }
        )
    studied = slice(city.labelled_regions, None)
    return {
        "about": provenance(city.model_dump(mode="json"), seed),
        "settings": city.model_dump(mode="json"),
        "regions": about_regions,
        "areas": areas,
        "attainable": crime.attainable(hidden, means, city, studied, seed),
        "attainable_how": " ".join((crime.attainable.__doc__ or "").split("Args:")[0].split()),
    }
