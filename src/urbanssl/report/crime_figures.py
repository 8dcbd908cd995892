"""Figures of the crime section: scores by feature set, leakage gap, reliability, importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from urbanssl.report.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALETTE,
    PAPER,
    SOFT,
    VERMILION,
    drawing,
)
from urbanssl.report.wording import bounds_of, is_number

#: One colour and one mark a scheme, the same in every figure.
_SCHEMES = {
    "region": (BLUE, "o"),
    "block": (GREEN, "s"),
    "random": (VERMILION, "D"),
    "distance": (ORANGE, "^"),
}


def look_of(scheme: str) -> tuple[str, str]:
    """Return colour and mark of a validation scheme."""
    for word, look in _SCHEMES.items():
        if word in scheme:
            return look
    return SOFT, "v"


def whiskers(scores: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Canvas:
    """Return AUC with intervals: one row a feature set, one mark a scheme.

    Args:
        scores: rows with `features`, `scheme`, `auc`, `auc_interval`.
        names: how each scheme is called in the legend, in the order drawn.
    """
    sets = list(dict.fromkeys(str(score["features"]) for score in scores))
    schemes = [name for name in names if any(score["scheme"] == name for score in scores)]
    with drawing(6.2, 1.1 + (0.12 + 0.2 * len(schemes)) * len(sets)) as canvas:
        axes = canvas.add_subplot()
        for score in scores:
            if score["scheme"] not in schemes or not is_number(score.get("auc")):
                continue
            shift = (schemes.index(score["scheme"]) - (len(schemes) - 1) / 2) * 0.62 / len(schemes)
            place = sets.index(str(score["features"])) + shift
            colour, mark = look_of(str(score["scheme"]))
            bounds = bounds_of(score.get("auc_interval"))
            if bounds is not None:
                axes.plot(bounds, (place, place), color=colour, lw=1.6, solid_capstyle="butt")
            axes.plot(score["auc"], place, mark, color=colour, ms=5.5, mec=PAPER, mew=0.7)
        for line in np.arange(len(sets) - 1) + 0.5:
            axes.axhline(line, color=SOFT, lw=0.3, alpha=0.5)
        axes.axvline(0.5, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.set_yticks(range(len(sets)), sets)
        axes.set_ylim(len(sets) - 0.45, -0.55)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("AUC (0.5: no better than a coin; 1: perfect)")
        handles = [
            axes.plot([], [], look_of(name)[1], color=look_of(name)[0], ms=5.5)[0]
            for name in schemes
        ]
        canvas.legend(handles, [names[name] for name in schemes], loc="outside upper left", ncols=3)
    return canvas


def leakage(rows: Sequence[tuple[str, float, float]]) -> Canvas:
    """Return the AUC of both schemes, joined, one row a feature set.

    Args:
        rows: feature set, AUC when whole regions are held out, AUC with random folds.
    """
    with drawing(4.7, 1.15 + 0.29 * len(rows)) as canvas:
        axes = canvas.add_subplot()
        for place, (_, honest, leaky) in enumerate(rows):
            axes.plot((honest, leaky), (place, place), color=SOFT, lw=1.2, zorder=1)
            axes.plot(honest, place, "o", color=BLUE, ms=6.5, mec=PAPER, mew=0.7)
            axes.plot(leaky, place, "D", color=VERMILION, ms=5.5, mec=PAPER, mew=0.7)
        axes.axvline(0.5, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("AUC")
        handles = [
            axes.plot([], [], "o", color=BLUE, ms=6)[0],
            axes.plot([], [], "D", color=VERMILION, ms=5.5)[0],
        ]
        canvas.legend(
            handles, ["whole regions held out", "random folds"], loc="outside upper left", ncols=2
        )
    return canvas


def reliability(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Canvas:
    """Return observed share against predicted probability, with the line of perfect calibration.

    Args:
        curves: by feature set, bins with `predicted`, `observed` and, where known, `areas`.
    """
    with drawing(4.7, 3.7) as canvas:
        axes = canvas.add_subplot()
        axes.plot((0, 1), (0, 1), color=INK, lw=0.9, ls=(0, (4, 3)))
        markers = "osD^vPX"
        for number, (name, bins) in enumerate(curves.items()):
            x = [entry["predicted"] for entry in bins]
            y = [entry["observed"] for entry in bins]
            sizes = [
                12 + 3 * float(entry.get("areas") or entry.get("count") or 0) ** 0.75
                for entry in bins
            ]
            colour = PALETTE[number % len(PALETTE)]
            axes.plot(x, y, color=colour, lw=1.2)
            axes.scatter(
                x,
                y,
                s=sizes,
                color=colour,
                marker=markers[number % 7],
                label=name,
                ec=PAPER,
                lw=0.6,
                zorder=3,
            )
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        axes.set_xlabel("predicted probability of high crime")
        axes.set_ylabel("share of areas with high crime")
        if len(curves) > 1:
            axes.legend(loc="upper left")
    return canvas


def curve(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    y_label: str,
    reference: tuple[float, str] | None = None,
) -> Canvas:
    """Return lines over training steps.

    Args:
        lines: by name, steps and values.
        y_label: title of the vertical axis.
        reference: a horizontal line and what it stands for.
    """
    with drawing(3.1, 2.5) as canvas:
        axes = canvas.add_subplot()
        for number, (name, (steps, values)) in enumerate(lines.items()):
            axes.plot(steps, values, color=PALETTE[number % len(PALETTE)], label=name)
        if reference is not None:
            axes.axhline(reference[0], color=INK, lw=0.9, ls=(0, (4, 3)), label=reference[1])
        axes.set_xlabel("training step")
        axes.set_ylabel(y_label)
        if len(lines) > 1:
            axes.legend()
    return canvas


def effects(rows: Sequence[Mapping[str, Any]]) -> Canvas:
    """Return accumulated local effects, one small panel a feature, on one scale.

    Args:
        rows: `feature`, `value` (edges) and `effect` at the edges.
    """
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    with drawing(6.6, 1.75 * lines + 0.35) as canvas:
        grid = canvas.subplots(lines, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(rows) :]:
            axes.set_axis_off()
        for axes, row in zip(grid.flat, rows, strict=False):
            axes.plot(row["value"], row["effect"], color=BLUE)
            axes.axhline(0, color=INK, lw=0.7, ls=(0, (4, 3)))
            axes.plot(row["value"], np.zeros(len(row["value"])), "|", color=SOFT, ms=5, mew=0.7)
            axes.set_title(str(row["feature"]).removesuffix("_mean"), fontsize=8.5)
        canvas.supylabel("change of the chance", fontsize=8.5)
        canvas.supxlabel("detected objects per km² (mean over the area's tiles)", fontsize=8.5)
    return canvas


def correlogram(
    distance: Sequence[float], correlation: Sequence[float], side: float | None
) -> Canvas:
    """Return Moran's I by distance.

    Args:
        distance: middle of each step, metres.
        correlation: Moran's I of the pairs in it.
        side: side of the blocks, metres.
    """
    far = max(distance) >= 5000
    unit, scale = ("km", 1000.0) if far else ("m", 1.0)
    with drawing(4.7, 2.7) as canvas:
        axes = canvas.add_subplot()
        axes.axhline(0, color=SOFT, lw=0.8)
        axes.plot(np.asarray(distance) / scale, correlation, "o-", color=BLUE, ms=4.5)
        if is_number(side):
            axes.axvline(float(side or 0) / scale, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.set_xlim(left=0)
        axes.set_xlabel(f"distance between areas ({unit})")
        axes.set_ylabel("Moran's I")
    return canvas
