"""What every reader of annotations returns, and what it notes on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affine import Affine

from urbanssl.errors import Problem


@dataclass(frozen=True)
class Box:
    """One annotated object, as its file has it.

    Attributes:
        image: stem of the image's file.
        name: class as written.
        corners: x1, y1, x2, y2 in image pixels, not yet clipped to the image.
        source: file and line (or feature, or annotation).
        polygon: four corners x, y of an oriented box; None for upright boxes.
        difficult: marked as hard to tell, or as a group.
    """

    image: str
    name: str
    corners: tuple[float, float, float, float]
    source: str
    polygon: tuple[float, ...] | None = None
    difficult: bool = False


@dataclass(frozen=True)
class Image:
    """What a reader needs to know of an image."""

    stem: str
    width: int
    height: int
    crs: str | None
    affine: Affine


@dataclass
class Notes:
    """What a reader found besides boxes.

    Attributes:
        problems: lines that cannot be read.
        counts: what was left out or changed, by reason.
        remarks: conventions that were assumed.
    """

    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    def broken(self, where: str, what: str, remedy: str) -> None:
        """Note a line that cannot be read."""
        self.problems.append(Problem(where, what, remedy))


def upright(polygon: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the upright box round a polygon x, y, x, y, ..."""
    xs, ys = polygon[0::2], polygon[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def numbers(words: Sequence[str]) -> list[float] | None:
    """Return words as finite numbers, None where one is not."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    return values if all(value - value == 0 for value in values) else None


def files_by_image(
    files: Sequence[Path], images: Mapping[str, Image], notes: Notes
) -> list[tuple[Path, Image]]:
    """Return each label file with the image of the same stem, and count those without partner.

    One file goes with one image whatever they are called.
    """
    if len(files) == 1 and len(images) == 1:
        return [(files[0], next(iter(images.values())))]
    pairs = [(path, images[path.stem]) for path in files if path.stem in images]
    notes.counts["label files without an image"] += len(files) - len(pairs)
    with_labels = {image.stem for _, image in pairs}
    notes.counts["images without a label file (no objects)"] += len(set(images) - with_labels)
    return pairs


def text_lines(path: Path, notes: Notes) -> list[tuple[str, str]]:
    """Return the lines of a text file that are not empty, each with its `file:line`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        notes.broken(str(path), f"not UTF-8: byte at {error.start}", "save it as UTF-8")
        return []
    lines = enumerate(text.splitlines(), 1)
    return [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]
