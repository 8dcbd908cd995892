"""Maps: the spatial splits of the labelled scenes, and areas with their uncertainty.

Areas are the smallest unit that is ever shown with crime: never tiles, never addresses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline

from urbanssl.report.drawing import BLUE, GREY, ORANGE, PAPER, SOFT, VERMILION, drawing

_SPLITS = {"train": BLUE, "val": ORANGE, "test": VERMILION, "none": GREY}

#: Low to high, neutral in the middle: what cannot be told apart fades to grey.
DIVERGING = LinearSegmentedColormap.from_list(
    "low-high", ["#2166ac", "#92c5de", "#e9e9e7", "#f4a582", "#b2182b"]
)

#: More regions than this are not drawn: the caption says how many were left out.
MOST_REGIONS = 12


def split_map(scenes: Mapping[str, pd.DataFrame]) -> Canvas:
    """Return the labelled scenes with their tiles coloured by split.

    Args:
        scenes: by scene, the tiles with `x_off, y_off, width, height` (image pixels) and `split`.
    """
    columns = min(4, len(scenes))
    rows = -(-len(scenes) // columns)
    with drawing(max(4.7, 2.4 * columns), 2.5 * rows + 0.4) as canvas:
        grid = canvas.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (scene, tiles) in zip(grid.flat, scenes.items(), strict=False):
            for split, colour in _SPLITS.items():
                own = tiles[tiles["split"] == split]
                axes.add_collection(
                    PatchCollection(
                        [_inner(tile) for tile in own.itertuples()],
                        facecolor=colour,
                        edgecolor=PAPER,
                        lw=0.4,
                        alpha=0.35 if split == "none" else 0.8,
                    )
                )
            axes.set_xlim(tiles["x_off"].min(), (tiles["x_off"] + tiles["width"]).max())
            axes.set_ylim((tiles["y_off"] + tiles["height"]).max(), tiles["y_off"].min())
            axes.set_aspect("equal")
            axes.set_title(scene, fontsize=8.5)
        handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in _SPLITS.values()]
        names = ["train", "validation", "test", "left out (buffer)"]
        canvas.legend(handles, names, loc="outside lower center", ncols=4)
    return canvas


def _inner(tile: Any) -> Rectangle:
    """Return the middle of a tile: neighbours overlap, and the map should show each."""
    margin = 0.12
    return Rectangle(
        (tile.x_off + margin * tile.width, tile.y_off + margin * tile.height),
        tile.width * (1 - 2 * margin),
        tile.height * (1 - 2 * margin),
    )


def area_map(
    areas: Any,
    column: str,
    label: str,
    colours: Colormap | str = "PuBu",
    limits: tuple[float, float] | None = None,
    hatched: Sequence[bool] | None = None,
) -> Canvas:
    """Return areas shaded by a value, each region on its own scale of place.

    Args:
        areas: GeoDataFrame with `region`, `geometry` and `column`; missing values stay blank.
        column: the value shown.
        label: its name with unit, beside the colours.
        colours: colour map.
        limits: lowest and highest value of the colours; where left out, the 2nd and 98th
            percentile, so that a single outlier does not hide the others.
        hatched: areas drawn with a hatch, whatever their value.
    """
    regions = sorted(areas["region"].astype(str).unique())[:MOST_REGIONS]
    values = areas[column].astype(float)
    low, high = limits or tuple(values.quantile((0.02, 0.98)))
    shade = ScalarMappable(
        Normalize(low, high if high > low else low + 1),
        colormaps[colours] if isinstance(colours, str) else colours,
    )
    marks = np.zeros(len(areas), bool) if hatched is None else np.asarray(hatched, bool)
    columns = 2 if len(regions) == 4 else min(3, len(regions))
    rows = -(-len(regions) // columns)
    with drawing(4.7, 1.62 * rows * 3 / max(columns, 2) + 0.75) as canvas:
        grid = canvas.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, region in zip(grid.flat, regions, strict=False):
            own = (areas["region"].astype(str) == region).to_numpy()
            _draw_region(axes, areas[own], values[own], shade, marks[own])
            axes.set_title(region, fontsize=8.5)
        bar = canvas.colorbar(
            shade, ax=list(grid.flat), location="bottom", shrink=0.6, aspect=34, pad=0.04
        )
        bar.set_label(label, fontsize=8.5)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return canvas


def _draw_region(
    axes: Axes, areas: Any, values: pd.Series, shade: ScalarMappable, marks: np.ndarray
) -> None:
    for geometry, value, mark in zip(areas.geometry, values, marks, strict=True):
        if geometry is None or geometry.is_empty:
            continue
        known = value == value
        for part in getattr(geometry, "geoms", [geometry]):
            axes.add_patch(
                PathPatch(
                    _outline(part),
                    fc=shade.to_rgba(value) if known else "none",
                    ec=PAPER if known else SOFT,
                    lw=0.6,
                    ls="-" if known else ":",
                    zorder=1 if known else 2,
                )
            )
            if mark:
                axes.add_patch(
                    PathPatch(_outline(part), fc="none", ec="#33333399", lw=0, hatch="////")
                )
    west, south, east, north = areas.total_bounds
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    degrees = areas.crs is not None and areas.crs.is_geographic
    axes.set_aspect(1 / math.cos(math.radians((south + north) / 2)) if degrees else 1)


def _outline(polygon: Any) -> Outline:
    rings = [polygon.exterior, *polygon.interiors]
    return Outline.make_compound_path(
        *(Outline(np.asarray(ring.coords)[:, :2], closed=True) for ring in rings)
    )
