"""Where a model looked: tiles of a few areas, by how much they move the area's prediction.

Tiles are shown inside their area's prediction and never with a rate or a label of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from urbanssl.report.blocks import Block, Heading, Note
from urbanssl.report.drawing import Album, drawing, rendered
from urbanssl.report.gather import Results
from urbanssl.report.maps import DIVERGING
from urbanssl.report.wording import counted, number

_PLACE = ["tile_id", "image", "x_off", "y_off", "width", "height"]


def driver_tiles(
    results: Results, album: Album, features: str | None, hedge: str
) -> Iterator[Block]:
    """Yield maps of a few areas with the tiles that move their predictions.

    Args:
        results: the results folder.
        album: where figures are kept.
        features: the headline's feature set.
        hedge: said in the caption where nothing was claimed.
    """
    found = results.table("crime", "drivers.parquet")
    yield Heading("Where the model looked")
    if found is None or found.empty:
        yield Note(
            "No tiles are shown: the headline's features are no features of tiles, or the stage "
            "that finds them has not run.",
            "missing",
        )
        return
    areas = [(str(name), own) for name, own in found.groupby("area_id", sort=False)]
    told = "; ".join(
        f"area {name}: predicted chance {number(float(own['probability'].iloc[0]), 2)}, tiles "
        f"move its log odds by {number(float(own['effect'].min()), 2)} to "
        f"{number(float(own['effect'].max()), 2)}"
        for name, own in areas
    )
    yield album.picture(
        "driver-tiles",
        rendered(_maps(results, areas), dpi=150),
        f"Imagery of {counted(len(areas), 'area')} with each tile framed by how much it moves the "
        f"area's prediction. {told}.",
        f"The area of each region whose prediction from {features} is farthest from a toss-up, by "
        "the model that never saw the region. Red frames: with this tile the area's predicted "
        "chance is higher than without it; blue: lower; wide frames: more so. It shows what the "
        "model leaned on, which is associated with the recorded rate of areas; it says nothing "
        f"about the places in a tile, and the prediction may be wrong (doubt: see below).{hedge}",
    )


def _maps(results: Results, areas: list[tuple[str, pd.DataFrame]]) -> Canvas:
    columns = 2 if len(areas) == 4 else min(3, len(areas))
    rows = -(-len(areas) // columns)
    most = max(float(own["effect"].abs().max()) for _, own in areas) or 1.0
    shade = ScalarMappable(Normalize(-most, most), DIVERGING)
    with drawing(2.3 * columns, 2.5 * rows + 0.7) as canvas:
        grid = canvas.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (name, own) in zip(grid.flat, areas, strict=False):
            _draw_area(axes, results, own, shade, most)
            chance = number(float(own["probability"].iloc[0]), 2)
            axes.set_title(
                f"{own['region'].iloc[0]}, area {name}\npredicted chance {chance}", fontsize=7.5
            )
        bar = canvas.colorbar(
            shade, ax=list(grid.flat), location="bottom", shrink=0.6, aspect=34, pad=0.03
        )
        bar.set_label("change of the area's log odds by the tile", fontsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return canvas


def _draw_area(
    axes: Axes, results: Results, own: pd.DataFrame, shade: ScalarMappable, most: float
) -> None:
    """Draw the tiles of one image of an area where they lie, those that move most on top."""
    scene = str(own["scene"].iloc[0])
    table = results.table("tiles", scene, "tiles.parquet", columns=_PLACE)
    array = results.root / "tiles" / scene / "tiles.npy"
    if table is None or not array.is_file():
        return
    tiles = own[own["scene"] == scene].merge(table, on="tile_id")
    tiles = tiles[tiles["image"] == tiles["image"].mode().iloc[0]]
    tiles = tiles.sort_values("effect", key=np.abs)
    pixels = np.load(array, mmap_mode="r")
    for tile in tiles.itertuples():
        right, low = tile.x_off + tile.width, tile.y_off + tile.height
        shown: Any = pixels[tile.shard_index]
        axes.imshow(shown, extent=(tile.x_off, right, low, tile.y_off), interpolation="nearest")
    for tile in tiles.itertuples():
        edge = 0.14
        axes.add_patch(
            Rectangle(
                (tile.x_off + edge * tile.width, tile.y_off + edge * tile.height),
                tile.width * (1 - 2 * edge),
                tile.height * (1 - 2 * edge),
                fc="none",
                ec=shade.to_rgba(tile.effect),
                lw=0.5 + 3 * abs(tile.effect) / most,
            )
        )
    axes.set_xlim(tiles["x_off"].min(), (tiles["x_off"] + tiles["width"]).max())
    axes.set_ylim((tiles["y_off"] + tiles["height"]).max(), tiles["y_off"].min())
    axes.set_aspect("equal")
