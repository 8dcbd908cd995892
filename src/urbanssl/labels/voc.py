"""Pascal VOC XML: one file an image, one `object` with a `bndbox` a box.

VOC counts pixels from 1 and includes the last: `xmin 1, xmax 10` are the first ten pixels, here
x1 = 0, x2 = 10. Tools that write the format do not all keep to that; a set of files in which some
coordinate is 0 counts from 0, and is taken as it is.
Source: Everingham et al. 2010, "The Pascal Visual Object Classes Challenge", development kit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.parsers import expat

from urbanssl.labels.boxes import Box, Image, Notes, files_by_image, numbers

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(files: Sequence[Path], images: Mapping[str, Image], notes: Notes) -> list[Box]:
    """Return the objects of VOC files; each belongs to the image of the same stem."""
    found: list[tuple[str, str, list[float], str, bool]] = []
    for path, image in files_by_image(files, images, notes):
        for line, fields in _objects(path, notes):
            where = f"{path}:{line}"
            sides = numbers([fields.get(side, "") for side in _SIDES])
            if sides is None or not fields.get("name"):
                notes.broken(
                    where, f"an object without name or bndbox: {fields}", "complete or remove it"
                )
                continue
            hard = fields.get("difficult", "0") not in ("0", "")
            found.append((image.stem, fields["name"], sides, where, hard))
    from_zero = any(min(sides[0], sides[1]) < 1 for _, _, sides, _, _ in found)
    first = 0 if from_zero else 1
    if found:
        notes.remarks.append(f"VOC coordinates count from {first}")
    return [
        Box(stem, name, (left - first, top - first, right, bottom), where, None, hard)
        for stem, name, (left, top, right, bottom), where, hard in found
    ]


class _Reader:
    """Collects the objects of one file with the line they begin at."""

    def __init__(self) -> None:
        self.objects: list[tuple[int, dict[str, str]]] = []
        self._depth: list[str] = []
        self._text = ""
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data

    def _start(self, tag: str, _: dict[str, str]) -> None:
        self._depth.append(tag)
        self._text = ""
        if tag == "object":
            self.objects.append((self.parser.CurrentLineNumber, {}))

    def _end(self, tag: str) -> None:
        self._depth.pop()
        # Parts of objects (a person's head) have a box of their own: only the object's counts.
        path = self._depth[self._depth.index("object") + 1 :] if "object" in self._depth else None
        if path == [] or (path == ["bndbox"] and tag in _SIDES):
            self.objects[-1][1][tag] = self._text.strip()
        self._text = ""

    def _data(self, text: str) -> None:
        self._text += text


def _objects(path: Path, notes: Notes) -> list[tuple[int, dict[str, str]]]:
    reader = _Reader()
    try:
        reader.parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        notes.broken(f"{path}:{error.lineno}", f"not XML: {error}", "correct or remove the file")
    return reader.objects
