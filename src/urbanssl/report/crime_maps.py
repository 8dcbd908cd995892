"""Maps of areas: the recorded rate, the prediction, and how far each can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from urbanssl.report.blocks import Block, Figure, FigureRow, Note
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results
from urbanssl.report.maps import DIVERGING, MOST_REGIONS, area_map
from urbanssl.report.wording import counted


def area_maps(results: Results, album: Album, features: str | None) -> Iterator[Block]:
    """Yield maps of areas; without `features` (nothing was scored) of the recorded rate alone."""
    areas = results.table("crime", "table.parquet")
    if areas is None or "geometry" not in areas or areas.geometry.isna().all():
        yield Note("There are no polygons of areas to map.", "missing")
        return
    areas = areas[~areas.geometry.isna()].reset_index(drop=True)
    figures = [_recorded(areas, album, hatch=features is not None)]
    predicted = None if features is None else predictions_by_area(results, features)
    if predicted is not None:
        areas = areas.merge(predicted, on="area_id", how="left")
        figures += [_predicted(areas, album, str(features)), _uncertainty(areas, album)]
    yield FigureRow(figures)
    if features is not None and predicted is None:
        yield Note("No out-of-fold predictions were written, so none are mapped.", "missing")


def _recorded(areas: Any, album: Album, hatch: bool) -> Figure:
    reported = areas["reported"].astype(bool)
    shown = areas.assign(shown=areas["rate"].where(reported))
    unsure = rate_straddles_median(areas) & reported.to_numpy() if hatch else None
    caption = (
        "Recorded rate. Blank, dotted: not reported." if not reported.all() else "Recorded rate."
    )
    if unsure is not None and unsure.any():
        caption += (
            f" Hatched: {counted(int(unsure.sum()), 'area')} whose count is too small to tell "
            "whether the rate is above or below the median (95 % Poisson interval)."
        )
    return album.plot(
        "map-recorded",
        area_map(shown, "shown", "recorded crimes per 100,000 a year", hatched=unsure),
        f"Maps of {_extent(areas)} shaded by recorded rate.",
        caption + _left_out(areas),
    )


def _predicted(areas: Any, album: Album, features: str) -> Figure:
    return album.plot(
        "map-predicted",
        area_map(areas, "probability", "probability of high crime", DIVERGING, (0, 1)),
        f"Maps of {_extent(areas)} shaded by predicted probability of high crime.",
        f"Predicted from {features} by models that never saw the region. Grey: the model cannot "
        "tell high from low. Blank, dotted: not judged, for want of a rate or of imagery.",
    )


def _uncertainty(areas: Any, album: Album) -> Figure:
    sure = areas.assign(doubt=1 - (2 * areas["probability"] - 1).abs())
    wrong = ((areas["probability"] > 0.5) != (areas["observed"] > 0.5)) & areas[
        "probability"
    ].notna()
    return album.plot(
        "map-uncertainty",
        area_map(
            sure, "doubt", "doubt (0: sure; 1: coin toss)", "Greys", (0, 1.3), wrong.to_numpy()
        ),
        f"Maps of {_extent(areas)} shaded by doubt; {int(wrong.sum())} areas where the prediction "
        "was wrong are hatched.",
        f"Doubt in the prediction: one minus twice its distance from 0.5. Hatched: "
        f"{counted(int(wrong.sum()), 'area')} predicted on the wrong side.",
    )


def predictions_by_area(results: Results, features: str) -> pd.DataFrame | None:
    """Return the out-of-fold probability of each area with whole regions held out."""
    table = results.table("crime", "predictions.parquet")
    if table is None:
        return None
    own = table[(table["features"] == features) & (table["scheme"] == "region")]
    own = own[(own["model"] == "logistic") & (own["target"] == "high")]
    if own.empty:
        return None
    grouped = own.groupby("area_id", as_index=False)[["predicted", "observed"]].mean()
    return grouped.rename(columns={"predicted": "probability"})


def rate_straddles_median(areas: pd.DataFrame) -> np.ndarray:
    """Return where the 95 % Poisson interval of the count leaves open if the rate is high, `(N,)`.

    The exact interval of Garwood (1936), on the counts and populations of the areas.
    """
    if not {"count", "population"} <= set(areas.columns):
        return np.zeros(len(areas), bool)
    count = areas["count"].to_numpy(dtype=float)
    per = 1e5 / areas["population"].to_numpy(dtype=float)
    low = np.where(count > 0, chi2.ppf(0.025, 2 * np.maximum(count, 1)) / 2, 0.0) * per
    high = chi2.ppf(0.975, 2 * (count + 1)) / 2 * per
    median = float(areas["rate"].median())
    return np.asarray((low < median) & (median < high))


def _extent(areas: Any) -> str:
    return f"{counted(len(areas), 'area')} in {counted(areas['region'].nunique(), 'region')}"


def _left_out(areas: Any) -> str:
    more = areas["region"].nunique() - MOST_REGIONS
    return f" {counted(more, 'more region is', 'more regions are')} not drawn." if more > 0 else ""
