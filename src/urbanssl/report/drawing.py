"""Matplotlib figures as part of the page: one palette, text as text, colours that follow the theme.

A figure is drawn once, in light colours, and written as SVG (or PNG) below the report's figures
folder. In the page its colours become CSS variables, so that it follows light, dark and print.
The palette is that of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from PIL import Image

from urbanssl.artifacts import written_whole
from urbanssl.report.blocks import Cell, Figure

INK, SOFT, RULE, PAPER = "#1c1e21", "#63676d", "#d5d7da", "#fffffe"
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, ORANGE, GREY = "#56b4e9", "#e69f00", "#8a8d92"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)

#: Named in the style sheet: colour of the drawing -> CSS variable of the page.
_THEMED = {
    INK: "--ink",
    SOFT: "--soft",
    RULE: "--rule",
    PAPER: "--paper",
    BLUE: "--blue",
    VERMILION: "--vermilion",
    GREEN: "--green",
    PURPLE: "--purple",
    SKY: "--sky",
    ORANGE: "--orange",
    GREY: "--grey",
}

_STYLE: Any = {
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.labelsize": 9,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": SOFT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.color": SOFT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.width": 0.7,
}

#: CSS pixels an inch of a drawing.
_PIXELS = 96


@contextmanager
def drawing(width: float, height: float) -> Iterator[Canvas]:
    """Yield an empty figure of `width` x `height` inches in the report's style."""
    with mpl.rc_context(_STYLE):
        yield Canvas(figsize=(width, height), layout="constrained")


@dataclass(frozen=True)
class Album:
    """Turns drawings into parts of the page and keeps a copy of each in a folder.

    Attributes:
        folder: where the files of the figures are written.
    """

    folder: Path

    def plot(self, name: str, canvas: Canvas, alt: str, caption: Cell) -> Figure:
        """Return a drawing as inline SVG; its copy is `{name}.svg`."""
        with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
            stream = io.StringIO()
            FigureCanvasSVG(canvas).print_svg(stream, metadata={"Date": None})
        svg = stream.getvalue()
        with written_whole(self.folder / f"{name}.svg") as temporary:
            temporary.write_text(svg)
        width = round(canvas.get_figwidth() * _PIXELS)
        return Figure(Markup(_inline(svg, name, alt)), caption, width)

    def picture(self, name: str, pixels: np.ndarray, alt: str, caption: Cell) -> Figure:
        """Return an image `(H, W, 3)` uint8 as a PNG in a data URI; its copy is `{name}.png`.

        Shown at half its size in pixels, so that it is sharp on dense screens.
        """
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
        with written_whole(self.folder / f"{name}.png") as temporary:
            temporary.write_bytes(stream.getvalue())
        data = base64.b64encode(stream.getvalue()).decode()
        height, width = pixels.shape[:2]
        tag = (
            f'<img alt="{escape(alt)}" width="{width // 2}" height="{height // 2}" '
            f'src="data:image/png;base64,{data}">'
        )
        return Figure(Markup(tag), caption, width // 2)


def rendered(canvas: Canvas, dpi: int = 192) -> np.ndarray:
    """Return a drawing as an image, `(H, W, 3)` uint8, on white."""
    with mpl.rc_context(_STYLE):
        stream = io.BytesIO()
        FigureCanvasAgg(canvas)
        canvas.savefig(stream, format="png", dpi=dpi, facecolor="white")
    stream.seek(0)
    return np.asarray(Image.open(stream).convert("RGB"))


def _inline(svg: str, name: str, alt: str) -> str:
    """Return an SVG file as an element of the page: names of its own, colours of the theme."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r"(font(?:-family)?: [^;\"]*?)'DejaVu Sans'", r"\1var(--sans)", body)
    for colour, variable in _THEMED.items():
        body = re.sub(re.escape(colour), f"var({variable},{colour})", body, flags=re.IGNORECASE)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    return body.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
