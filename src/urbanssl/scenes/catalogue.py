"""The catalogue: every image of every scene looked at, all problems listed at once."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from urbanssl.artifacts import file_sha256, write_json, write_table
from urbanssl.errors import Problem, SceneError
from urbanssl.scenes import mercator
from urbanssl.scenes.place import Place, ground_distance, place_of
from urbanssl.scenes.raster import BandPlan, is_8bit, opened, plan_bands
from urbanssl.scenes.scene import Scene
from urbanssl.scenes.survey import Survey, check_blocks_are_there, survey
from urbanssl.settings import TileSettings

#: An XYZ zoom that enlarges an image's pixels more than this is a mistake.
_MOST_ENLARGED = 8.0
#: The columns of the catalogue, see `docs/architecture.md`.
COLUMNS: tuple[str, ...] = (
    *("scene", "image", "path", "roles", "labels", "area", "region", "date", "driver"),
    *("width", "height", "bands", "dtype", "crs", "affine", "gsd_x", "gsd_y"),
    *("nodata_share", "sha256", "georeferenced", "note"),
)
#: What is noted of an image before all scenes are judged together.
NOTED: tuple[str, ...] = (*COLUMNS, "problems", "sample")
#: The percentiles that become 0 and 255 with scaling mode `training`.
_PERCENTILES = (2, 98)


@dataclass
class _Looked:
    """What was found in one image."""

    scene: Scene
    path: Path
    row: dict[str, Any] | None = None
    sample: NDArray[np.float32] | None = None  # of bands that are not 8-bit
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(f"scene {self.scene.name}: {self.path}", what, remedy))


def survey_scene(scene: Scene, tiles: TileSettings, output: Path, about: Mapping[str, Any]) -> None:
    """Look at every image of a scene and note what was found, also what is wrong.

    Nothing is refused here: `check_scenes` lists what is wrong with all scenes at once.

    Args:
        scene: a scene of the sheet.
        tiles: how it will be cut.
        output: Parquet to write: the catalogue's row of each image, `problems` (what and remedy,
            JSON) and `sample` (values of bands that are not 8-bit, flat).
        about: provenance.
    """
    with ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)))) as pool:
        looked = list(pool.map(lambda path: _look_at(scene, path, tiles), scene.paths))
    write_table(output, pd.DataFrame([_noted(image) for image in looked], columns=NOTED), about)


def _noted(image: _Looked) -> dict[str, Any]:
    row = image.row or {}
    named = {"scene": image.scene.name, "image": image.path.stem, "path": str(image.path)}
    problems = [[problem.what, problem.remedy] for problem in image.problems]
    sample = None if image.sample is None else image.sample.ravel()
    return {**row, **named, "problems": json.dumps(problems), "sample": sample}


def check_scenes(
    surveys: list[Path],
    tiles: TileSettings,
    catalogue: Path,
    scaling: Path,
    about: Mapping[str, Any],
) -> None:
    """Put what was found in every scene into one catalogue, or refuse what cannot be used.

    Args:
        surveys: what `survey_scene` wrote of each scene.
        tiles: how they will be cut.
        catalogue: Parquet to write, one row an image (`docs/architecture.md`).
        scaling: JSON to write, `low` and `high` for red, green, blue; empty where none is needed.
        about: provenance.

    Raises:
        SceneError: listing every image that cannot be used, with the reason and the remedy.
    """
    rows = pd.concat([pd.read_parquet(path) for path in surveys], ignore_index=True)
    problems = list(_problems(rows))
    deep = rows[rows["sample"].notna()]
    ranges = _ranges(deep, tiles, problems) if len(deep) else {}
    if problems:
        raise SceneError.listing(problems, "scenes that cannot be used")
    write_table(catalogue, rows[list(COLUMNS)], about)
    write_json(scaling, ranges)


def _problems(rows: pd.DataFrame) -> Iterable[Problem]:
    for scene, path, listed in zip(rows["scene"], rows["path"], rows["problems"], strict=True):
        for what, remedy in json.loads(listed):
            yield Problem(f"scene {scene}: {path}", what, remedy)


def _look_at(scene: Scene, path: Path, tiles: TileSettings) -> _Looked:
    image = _Looked(scene, path)
    try:
        with opened(path) as dataset:
            _examine(image, dataset, tiles)
    except SceneError as error:
        # `opened` has found the words; the scene is added.
        what, _, remedy = str(error).partition("\n    -> ")
        image.refuse(what.removeprefix(f"{path}: "), remedy)
    return image


def _examine(image: _Looked, dataset: DatasetReader, tiles: TileSettings) -> None:
    try:
        plan = plan_bands(dataset, tiles.bands)
    except ValueError as error:
        remedy = (
            "convert it to amplitude (real numbers)"
            if "complex" in str(error)
            else ("set tiles.bands to bands it has, or null")
        )
        image.refuse(str(error), remedy)
        return
    check_blocks_are_there(dataset, image.path)
    try:
        found = survey(dataset, plan)
    except RasterioError as error:
        image.refuse(f"its pixels cannot be read: {_cause(error)}", "download or convert it again")
        return
    if found.nodata_share == 1:
        image.refuse("every pixel is missing (nodata)", "take it out of the sheet")
    if not is_8bit(dataset) and found.nodata_share < 1:
        image.sample = found.sample
        _check_scaling(image, dataset, found, tiles)
    place = place_of(dataset)
    gsd = _gsd(image, place, dataset)
    _check_grid(image, place, gsd, tiles)
    image.row = _row(image, dataset, plan, found, place, gsd, tiles)


def _cause(error: BaseException) -> str:
    return str(error.__cause__ or error)


def _check_scaling(
    image: _Looked, dataset: DatasetReader, found: Survey, tiles: TileSettings
) -> None:
    if tiles.scaling.mode == "none":
        low, high = np.nanmin(found.sample), np.nanmax(found.sample)
        image.refuse(
            f"its pixels are {dataset.dtypes[0]} (values {low:g} to {high:g}), not 8-bit",
            "set tiles.scaling.mode to `training`, or to `range` with low and high",
        )


def _gsd(image: _Looked, place: Place, dataset: DatasetReader) -> tuple[float, float]:
    if not place.georeferenced:
        gsd = image.scene.gsd or math.nan
        return gsd, gsd
    measured = ground_distance(place, dataset.width, dataset.height)
    if not (measured[0] > 0 and measured[1] > 0):
        image.refuse(
            f"its centre has no place on Earth: affine {tuple(place.affine)[:6]} in {place.crs}",
            "correct its CRS or geotransform, or remove both",
        )
    return measured


def _check_grid(
    image: _Looked, place: Place, gsd: tuple[float, float], tiles: TileSettings
) -> None:
    mean = math.sqrt(gsd[0] * gsd[1])
    if tiles.grid == "pixel" and tiles.gsd is not None and not mean > 0:
        image.refuse(
            "its ground sample distance is unknown, but tiles.gsd asks for one",
            "give metres a pixel in the sheet's column `gsd`, or set tiles.gsd to null",
        )
    if tiles.grid == "xyz" and place.georeferenced and mean > 0:
        step = mercator.resolution(tiles.zoom, tiles.size)
        if mean / step > _MOST_ENLARGED:
            best = tiles.zoom - math.floor(math.log2(mean / step))
            image.refuse(
                f"its pixels are {mean:.3g} m; zoom {tiles.zoom} would enlarge them "
                f"{mean / step:.0f} times",
                f"set tiles.zoom to about {max(0, best)}",
            )


def _row(
    image: _Looked,
    dataset: DatasetReader,
    plan: BandPlan,
    found: Survey,
    place: Place,
    gsd: tuple[float, float],
    tiles: TileSettings,
) -> dict[str, Any]:
    scene = image.scene
    return {
        "scene": scene.name,
        "image": image.path.stem,
        "path": str(image.path),
        "roles": ";".join(sorted(scene.roles)),
        "labels": _labels_of(image),
        "area": scene.area,
        "region": scene.region,
        "date": scene.date,
        "driver": dataset.driver,
        "width": dataset.width,
        "height": dataset.height,
        "bands": dataset.count,
        "dtype": dataset.dtypes[0],
        "crs": place.crs,
        "affine": list(place.affine)[:6],
        "gsd_x": gsd[0],
        "gsd_y": gsd[1],
        "nodata_share": found.nodata_share,
        "sha256": file_sha256(image.path),
        "georeferenced": place.georeferenced,
        "note": "; ".join(_notes(dataset, plan, place, found, image.scene, gsd, tiles)),
    }


def _labels_of(image: _Looked) -> str | None:
    """Return the label file of an image, or the one that all images of the scene share."""
    files = image.scene.labels
    own = files if len(files) == 1 else [f for f in files if f.stem == image.path.stem]
    return ";".join(str(path) for path in own) or None


def _notes(
    dataset: DatasetReader,
    plan: BandPlan,
    place: Place,
    found: Survey,
    scene: Scene,
    gsd: tuple[float, float],
    tiles: TileSettings,
) -> Iterable[str]:
    """Yield what is assumed of an image or done to it, for the report."""
    yield from filter(None, (plan.note, place.note))
    if not is_8bit(dataset):
        yield f"{dataset.dtypes[0]} scaled to 8-bit ({tiles.scaling.mode})"
    if plan.alpha is not None:
        yield "alpha used as mask"
    if plan.nodata is not None:
        yield f"nodata {plan.nodata:g}"
    if plan.external:
        yield "mask of the file used"
    if found.nodata_share:
        yield f"{found.nodata_share:.1%} of its pixels are missing"
    if place.georeferenced and (place.affine.b or place.affine.d):
        yield "rotated"
    if not place.georeferenced and not place.note:
        yield "no georeference"
    if place.georeferenced and scene.gsd and not 0.8 < scene.gsd / gsd[0] < 1.25:
        yield f"gsd from the georeference ({gsd[0]:.3g} m), not the sheet ({scene.gsd:g} m)"
    if min(dataset.width, dataset.height) < tiles.size and tiles.gsd is None:
        yield "smaller than a tile: padded"


def _ranges(
    deep: pd.DataFrame, tiles: TileSettings, problems: list[Problem]
) -> dict[str, list[float]]:
    """Return the low and high of each colour of bands that are not 8-bit."""
    if tiles.scaling.mode != "training":
        return fixed_ranges(tiles)
    study = deep["roles"].fillna("").str.split(";").map(lambda roles: "study" in roles)
    if study.all():
        problems.append(
            Problem(
                "tiles.scaling.mode: training",
                "no labelled or unlabelled scene outside the study area has bands that are not "
                "8-bit, so there is nothing to take the percentiles from",
                "set tiles.scaling.mode to `range` with low and high",
            )
        )
        return {}
    values = np.concatenate(list(deep["sample"][~study])).reshape(-1, 3)
    low, high = np.nanpercentile(values, _PERCENTILES, axis=0)
    high = np.where(high > low, high, low + 1)
    return {"low": low.tolist(), "high": high.tolist()}


def fixed_ranges(tiles: TileSettings) -> dict[str, list[float]]:
    """Return the low and high of each colour that the settings fix; empty where they fix none."""
    scaling = tiles.scaling
    if scaling.mode == "range" and scaling.low is not None and scaling.high is not None:
        return {"low": [scaling.low] * 3, "high": [scaling.high] * 3}
    return {}


def read_images(survey: Path, scene: str) -> list[dict[str, Any]]:
    """Return the rows of one scene's images, their `affine` as an `Affine`.

    Args:
        survey: what `survey_scene` wrote of the scene, or the whole catalogue.
        scene: name of the scene.

    Raises:
        SceneError: the scene is not there, or an image of it cannot be used.
    """
    table = pd.read_parquet(survey, filters=[("scene", "==", scene)])
    if table.empty:
        raise SceneError.at(survey, f"no scene {scene!r}", "run check_scenes again")
    if "problems" in table and (problems := list(_problems(table))):
        raise SceneError.listing(problems, f"scene {scene} cannot be used")
    rows: list[dict[str, Any]] = table.drop(
        columns=["problems", "sample"], errors="ignore"
    ).to_dict("records")  # type: ignore[assignment]
    for row in rows:
        row["affine"] = Affine(*row["affine"])
        row["crs"] = row["crs"] if isinstance(row["crs"], str) else None
    return rows
