"""Figures of the detection section: arms, precision and recall, label efficiency, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from urbanssl.report.comparison import Difference, Summary
from urbanssl.report.drawing import BLUE, INK, PALETTE, PAPER, RULE, SOFT, VERMILION, drawing
from urbanssl.report.wording import is_number


def dots(
    rows: Sequence[tuple[str, float, tuple[float, float] | None]],
    label: str,
    zero: float | None = None,
    colours: Sequence[str] | None = None,
    width: float = 4.7,
) -> Canvas:
    """Return values with their intervals, one a row from the top.

    Args:
        rows: name, value and interval.
        label: title of the axis, with unit.
        zero: place of a reference line.
        colours: one a row; blue where left out.
        width: width of the drawing in inches.
    """
    with drawing(width, 0.75 + 0.29 * len(rows)) as canvas:
        axes = canvas.add_subplot()
        for place, (_, value, interval) in enumerate(rows):
            colour = colours[place] if colours else BLUE
            if interval is not None:
                axes.plot(interval, (place, place), color=colour, lw=1.8, solid_capstyle="butt")
            axes.plot(value, place, "o", color=colour, ms=6, mec=PAPER, mew=0.8)
        if zero is not None:
            axes.axvline(zero, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
    return canvas


def arms(summaries: Sequence[Summary], label: str) -> Canvas:
    """Return a statistic by arm with intervals."""
    canvas = dots([(s.arm, s.value, s.interval) for s in summaries], label)
    axes = canvas.axes[0]
    highest = max((s.interval or (0, s.value))[1] for s in summaries)
    axes.set_xlim(0, max(0.1, highest * 1.08))
    return canvas


def against_random(found: Sequence[Difference], label: str) -> Canvas:
    """Return the differences between starts, with the line of no difference."""
    fractions, pairs = {d.fraction for d in found}, {(d.arm, d.baseline) for d in found}
    several = len(pairs) > len({d.arm for d in found})
    names = [
        d.arm
        + (f" − {d.baseline}" if several else "")
        + (f", {d.fraction:g} %" if len(fractions) > 1 else "")
        for d in found
    ]
    rows = [(name, d.value, d.interval) for name, d in zip(names, found, strict=True)]
    return dots(rows, label, zero=0.0)


def label_efficiency(summaries: Sequence[Summary], label: str) -> Canvas:
    """Return a statistic against the share of the training tiles, one line an arm."""
    with drawing(4.7, 3.3) as canvas:
        axes = canvas.add_subplot()
        names = list(dict.fromkeys(s.arm for s in summaries))
        markers = "osD^vPX"
        for number, name in enumerate(names):
            own = [s for s in summaries if s.arm == name]
            x = np.array([s.fraction for s in own]) * (1 + 0.03 * (number - len(names) / 2))
            y = np.array([s.value for s in own])
            ends = np.array([s.interval or (s.value, s.value) for s in own])
            colour = PALETTE[number % len(PALETTE)]
            axes.vlines(x, ends[:, 0], ends[:, 1], color=colour, lw=1.2)
            axes.plot(x, y, marker=markers[number % 7], color=colour, ms=5, label=name)
        axes.set_xscale("log")
        ticks = sorted({s.fraction for s in summaries})
        axes.set_xticks(ticks, [f"{tick:g} %" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("share of the labelled training tiles")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.legend()
    return canvas


def precision_recall(curves: Mapping[str, pd.DataFrame]) -> Canvas:
    """Return precision against recall at IoU 0.5, mean over the classes, one line an arm.

    Args:
        curves: by arm, a table with `recall` and `precision`, ascending in recall.
    """
    with drawing(4.7, 3.3) as canvas:
        axes = canvas.add_subplot()
        styles = ("-", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
        for number, (name, curve) in enumerate(curves.items()):
            colour = PALETTE[number % len(PALETTE)]
            axes.plot(
                curve["recall"],
                curve["precision"],
                color=colour,
                ls=styles[number % len(styles)],
                label=name,
            )
        axes.set(xlim=(0, 1.06), ylim=(0, 1.03), xlabel="recall", ylabel="precision at IoU 0.5")
        axes.legend(loc="upper right")
    return canvas


def confusion(names: Sequence[str], counts: np.ndarray) -> Canvas:
    """Return a confusion matrix, shaded by the share of each row.

    Args:
        names: names of rows and columns; the last column and row stand for the background.
        counts: truth in rows, prediction in columns, `(K, K)`.
    """
    side = 1.7 + 0.29 * len(names)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    with drawing(max(4.7, side), max(3.4, side - 0.3)) as canvas:
        axes = canvas.add_subplot()
        axes.grid(False)
        for row, column in np.argwhere(counts > 0):
            correct = row == column
            axes.add_patch(
                _cell(column, row, BLUE if correct else VERMILION, 0.12 + 0.88 * share[row, column])
            )
            dark = share[row, column] > 0.6
            axes.text(
                column,
                row,
                f"{counts[row, column]:,.0f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color=PAPER if dark else INK,
            )
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_color(RULE)
        axes.set_xlabel("predicted")
        axes.set_ylabel("labelled")
    return canvas


def _cell(column: float, row: float, colour: str, strength: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, fc=colour, alpha=strength, lw=0)


def error_breakdown(errors: Mapping[str, Mapping[str, float]], label: str) -> Canvas:
    """Return stacked bars: where each arm loses, by kind of error."""
    kinds = list(dict.fromkeys(kind for found in errors.values() for kind in found))
    with drawing(4.7, 1.2 + 0.36 * len(errors) + 0.18 * ((len(kinds) + 2) // 3)) as canvas:
        axes = canvas.add_subplot()
        left = np.zeros(len(errors))
        for number, kind in enumerate(kinds):
            values = np.array([max(0.0, _value(found.get(kind))) for found in errors.values()])
            axes.barh(
                range(len(errors)),
                values,
                left=left,
                height=0.62,
                color=PALETTE[number % len(PALETTE)],
                edgecolor=PAPER,
                lw=0.6,
                label=kind,
            )
            left += values
        axes.set_yticks(range(len(errors)), list(errors))
        axes.set_ylim(len(errors) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_color(SOFT)
        axes.set_xlabel(label)
        canvas.legend(loc="outside lower center", ncols=3)
    return canvas


def _value(value: Any) -> float:
    return float(value) if is_number(value) else 0.0
