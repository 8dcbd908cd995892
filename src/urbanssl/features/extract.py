"""Stage extract_features: one feature set on the tiles of scenes, a float array each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from urbanssl.artifacts import write_json, written_whole
from urbanssl.errors import SceneError, SettingsError

Floats = NDArray[np.float32]

#: Tiles worked on together.
BATCH = 32


def extract(
    name: str,
    arrays: Sequence[Path],
    tables: Sequence[Path],
    outputs: Sequence[Path],
    columns: Sequence[Path],
    weights: Path | None,
    recipe: Path | None,
    boxes: Sequence[Path],
    calibration: Path | None,
    classes: Sequence[str],
    filters: Path | None,
    about: dict[str, Any],
) -> None:
    """Write the features of the tiles of one or more scenes; a network is built once.

    Args:
        name: the feature set.
        arrays: `tiles.npy` of each scene, (N, S, S, 3) uint8.
        tables: `tiles.parquet` of each scene.
        outputs: `.npy` of each, (N, D) float32 in the order of the tiles.
        columns: JSON beside each, naming the D columns.
        weights: of a network.
        recipe: of a network.
        boxes: predicted boxes of each scene (`objects`), empty for other sets.
        calibration: what their scores are worth (`objects`).
        classes: classes of the detector, in order.
        filters: random filters (`rcf`), written by `draw_filters`.
        about: provenance.

    Raises:
        SceneError: tiles and table do not belong together.
        SettingsError: a file that the set needs is missing.
    """
    of_pixels = None
    if name not in ("coordinates", "objects"):
        of_pixels = _of_pixels(name, weights, recipe, classes, filters)
    found: Sequence[Path | None] = boxes or [None] * len(arrays)
    for array, table, output, about_columns, seen in zip(
        arrays, tables, outputs, columns, found, strict=True
    ):
        tiles = np.load(array, mmap_mode="r")
        rows = pd.read_parquet(table)
        if len(tiles) != len(rows):
            raise SceneError.at(
                array, f"{len(tiles)} tiles, its table has {len(rows)}", "tile again"
            )
        if of_pixels is not None:
            values = in_batches(tiles, of_pixels[0])
            names = of_pixels[1] or [f"{name}{n}" for n in range(values.shape[1])]
        elif name == "coordinates":
            from urbanssl.features.coordinates import COLUMNS, coordinates

            values, names = coordinates(rows), list(COLUMNS)
        else:
            from urbanssl.features.objects import objects_of_scene

            known = _needed(calibration, name, "calibration")
            values = objects_of_scene(_needed(seen, name, "boxes"), known, rows, classes)
            names = list(classes)
        with written_whole(output) as temporary:
            np.save(temporary, values.astype(np.float32))
        write_json(about_columns, {"set": name, "columns": names, "provenance": about})


def _needed(path: Path | None, name: str, what: str) -> Path:
    if path is None:
        raise SettingsError.at(f"features {name}", f"no {what}", f"the set {name!r} needs {what}")
    return path


def _of_pixels(
    name: str,
    weights: Path | None,
    recipe: Path | None,
    classes: Sequence[str],
    filters: Path | None,
) -> tuple[Callable[[NDArray[np.uint8]], Floats], list[str] | None]:
    """Return the function from tiles to features of a set, and its column names if it has any."""
    if name == "histogram":
        from urbanssl.features.histogram import colour_histogram, histogram_columns

        return colour_histogram, histogram_columns()
    if name == "texture":
        from urbanssl.features.texture import texture, texture_columns

        return texture, texture_columns()
    if name == "rcf":
        from urbanssl.features.rcf import rcf

        drawn = np.load(_needed(filters, name, "filters"))
        return lambda tiles: rcf(tiles, drawn), None
    from urbanssl.features.networks import network_features

    function = network_features(
        name, _needed(recipe, name, "recipe"), _needed(weights, name, "weights"), len(classes)
    )
    return function, None


def in_batches(tiles: NDArray[np.uint8], function: Callable[[NDArray[np.uint8]], Floats]) -> Floats:
    """Return the features of all tiles, read and worked on a few at a time.

    Args:
        tiles: (N, S, S, 3) uint8, memory-mapped.
        function: (B, S, S, 3) to (B, D).
    """
    parts = [
        function(np.asarray(tiles[start : start + BATCH])) for start in range(0, len(tiles), BATCH)
    ]
    if not parts:
        width = function(np.zeros((1, *tiles.shape[1:]), np.uint8)).shape[1]
        return np.zeros((0, width), np.float32)
    return np.concatenate(parts)
