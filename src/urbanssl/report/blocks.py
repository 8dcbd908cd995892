"""The pieces a report page is made of; the template knows how each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

Cell = str | Markup


@dataclass(frozen=True)
class Prose:
    """A paragraph. Plain text is escaped; `Markup` is taken as it is."""

    text: Cell
    kind: str = "prose"


@dataclass(frozen=True)
class Note:
    """A paragraph set apart: `missing` (what is not there), `caution` or `plain`."""

    text: Cell
    tone: str = "plain"
    kind: str = "note"


@dataclass(frozen=True)
class Items:
    """A bulleted list."""

    entries: Sequence[Cell]
    kind: str = "items"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of each row names the row.

    Attributes:
        caption: what the table shows and how to read it.
        header: the names of the columns.
        rows: cells, as many a row as there are columns.
        text_columns: places of the columns that hold words; the others are aligned as numbers.
        folded: whether the table is shown only when the reader opens it.
    """

    caption: Cell
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: frozenset[int] = frozenset({0})
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A picture with a text alternative and a caption.

    Attributes:
        image: an inline `<svg>` or an `<img>` whose source is a data URI.
        caption: what is shown and how to read it.
        width: the natural width in CSS pixels; the page never draws it larger.
    """

    image: Markup
    caption: Cell
    width: int
    kind: str = "figure"


@dataclass(frozen=True)
class FigureRow:
    """Figures that stand side by side where the page is wide enough."""

    figures: Sequence[Figure]
    kind: str = "row"


@dataclass(frozen=True)
class Listing:
    """A text set in a fixed-width face, folded until the reader opens it."""

    summary: str
    text: str
    kind: str = "listing"


@dataclass(frozen=True)
class Number:
    """A headline number: its name, its value, and a line that says what it means."""

    name: str
    value: Cell
    meaning: Cell


@dataclass(frozen=True)
class Numbers:
    """A row of headline numbers."""

    entries: Sequence[Number]
    kind: str = "numbers"


Block = Prose | Note | Items | Heading | Table | Figure | FigureRow | Listing | Numbers


@dataclass(frozen=True)
class Section:
    """A numbered section of the page."""

    anchor: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)
