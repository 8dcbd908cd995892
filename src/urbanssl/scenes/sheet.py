"""The sample sheet: a CSV with one row a scene, read and checked all at once.

Read whenever Snakemake starts, so nothing heavy is imported here.
"""

from __future__ import annotations

import csv
import difflib
import glob
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from urbanssl.errors import Problem, SceneError
from urbanssl.scenes.scene import LABEL_FORMATS, LABEL_SUFFIXES, RASTER_SUFFIXES, Scene
from urbanssl.settings import Settings
from urbanssl.settings_training import Role

__all__ = ["COLUMNS", "Scene", "read_sheet"]

#: The columns of the sheet; the first three are required.
COLUMNS: tuple[str, ...] = (
    "scene",
    "path",
    "role",
    "labels",
    "labels_format",
    "area",
    "region",
    "date",
    "gsd",
)
_REQUIRED = COLUMNS[:3]
_ROLES: tuple[str, ...] = get_args(Role)
#: Names that would collide with other files of the folders that scenes are written to.
_RESERVED = frozenset({"scene_boxes", "coco_train", "coco_val", "coco_test"})
_ALL_LABEL_SUFFIXES = frozenset(ending for kind in LABEL_SUFFIXES.values() for ending in kind)

Row = tuple[str, dict[str, str]]  # where it stands, its cells


def read_sheet(settings: Settings) -> list[Scene]:
    """Return the scenes of a run, in the order of the sheet.

    Paths are files, folders or globs, relative to the working directory or, failing that, to the
    sheet's folder; `$VARIABLES` and `~` are replaced. For the embedded city the rows come from
    its layout, before anything is drawn.

    Raises:
        SceneError: listing every problem of the sheet with its line.
    """
    if settings.embedded:
        from urbanssl.synthetic.layout import sheet_rows

        folder = settings.root / "city"
        return [_scene_of_city(row) for row in sheet_rows(settings.city, folder)]
    sheet = Path(settings.scenes.sheet)
    rows = _read_rows(sheet)
    problems: list[Problem] = []
    scenes = [_Reader(where, row, sheet.parent, problems).scene() for where, row in rows]
    problems.extend(_duplicates([(where, row["scene"]) for where, row in rows]))
    if not rows:
        problems.append(Problem(str(sheet), "no row below the header", "add one row a scene"))
    if problems:
        raise SceneError.listing(problems, f"the sample sheet {sheet} cannot be used")
    return scenes


def _scene_of_city(row: Mapping[str, object]) -> Scene:
    cells = {key: "" if value is None else str(value) for key, value in row.items()}
    return Scene(
        name=cells["scene"],
        paths=(Path(cells["path"]),),
        roles=frozenset(_listed(cells["role"])),
        labels=(Path(cells["labels"]),) if cells.get("labels") else (),
        labels_format=cells.get("labels_format") or None,
        area=cells.get("area") or None,
        region=cells.get("region") or None,
        date=cells.get("date") or None,
        gsd=float(cells["gsd"]) if cells.get("gsd") else None,
    )


def _listed(text: str) -> list[str]:
    return [word.strip().lower() for word in re.split(r"[;|]", text) if word.strip()]


def _read_rows(sheet: Path) -> list[Row]:
    """Return the rows of the sheet as text cells, every known column present."""
    if not sheet.is_file():
        raise SceneError.at(
            "scenes.sheet", f"there is no file {sheet}", "give the path of the sample sheet"
        )
    text = _decoded(sheet)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        problems.extend(_header_problems(sheet, header))
        for cells in reader:
            where = f"{sheet}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                problems.append(
                    Problem(
                        where,
                        f"{len(cells)} cells, but the header has {len(header)}",
                        f"quote cells that contain {delimiter!r}",
                    )
                )
                continue
            row = dict.fromkeys(COLUMNS, "")
            row.update(zip(header, (cell.strip() for cell in cells), strict=False))
            rows.append((where, row))
    except csv.Error as error:
        problems.append(
            Problem(f"{sheet}:{reader.line_num}", f"not a CSV row: {error}", "check its quotes")
        )
    if problems:
        raise SceneError.listing(problems, f"the sample sheet {sheet} cannot be read")
    return rows


def _decoded(sheet: Path) -> str:
    raw = sheet.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SceneError.at(sheet, "the file is UTF-16", "save it as CSV UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        guess = "Windows-1252" if 0x80 <= byte <= 0x9F else "Latin-1 (or Windows-1252)"
        raise SceneError.at(
            f"{sheet}:{line}",
            f"not UTF-8: byte 0x{byte:02X} looks like {guess}",
            "save the sheet as CSV UTF-8",
        ) from error


def _header_problems(sheet: Path, header: list[str]) -> list[Problem]:
    problems = []
    where = f"{sheet}:1"
    unknown = [name for name in header if name not in COLUMNS]
    for name in _REQUIRED:
        if name not in header:
            near = difflib.get_close_matches(name, unknown, n=1, cutoff=0.5)
            hint = f"rename {near[0]!r} to {name!r}" if near else f"add the column {name!r}"
            problems.append(Problem(where, f"no column {name!r}; it has {header}", hint))
    for name in unknown:
        near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.75)
        if near and near[0] not in header and near[0] not in _REQUIRED:
            problems.append(
                Problem(where, f"unknown column {name!r}", f"did you mean {near[0]!r}?")
            )
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        problems.append(Problem(where, f"column {name!r} appears twice", "leave one of them out"))
    return problems


def _duplicates(names: Iterable[tuple[str, str]]) -> list[Problem]:
    seen: dict[str, str] = {}
    problems = []
    for where, name in names:
        # Two names that differ in case alone are one file on some file systems.
        first = seen.setdefault(name.lower(), where)
        if name and first != where:
            problems.append(
                Problem(where, f"scene {name!r} is there already ({first})", "give it another name")
            )
    return problems


class _Reader:
    """Reads one row, adding what is wrong with it to the list of problems."""

    def __init__(
        self, where: str, row: dict[str, str], folder: Path, problems: list[Problem]
    ) -> None:
        self.where, self.row, self.folder, self.problems = where, row, folder, problems

    def scene(self) -> Scene:
        row = self.row
        roles = self._roles()
        kind = self._labels_format()
        suffixes = frozenset(LABEL_SUFFIXES[kind]) if kind else _ALL_LABEL_SUFFIXES
        labels = self._files("labels", suffixes) if row["labels"] else ()
        if "labelled" in roles and not row["labels"]:
            self._add(
                f"scene {row['scene']!r} is labelled, but its cell `labels` is empty",
                "give its annotation file, folder or glob, or take `labelled` out of its role",
            )
        paths = self._files("path", RASTER_SUFFIXES) if row["path"] else ()
        if not row["path"]:
            self._add("the cell `path` is empty", "give a raster, a folder or a glob")
        self._check_name()
        self._check_stems(paths)
        return Scene(
            name=row["scene"],
            paths=paths,
            roles=roles,
            labels=labels,
            labels_format=kind,
            area=row["area"] or None,
            region=row["region"] or None,
            date=self._date(),
            gsd=self._gsd(),
        )

    def _add(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(self.where, what, remedy))

    def _check_name(self) -> None:
        name = self.row["scene"]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            self._add(
                f"scene {name!r} cannot be part of a file name" if name else "no scene name",
                "use letters, digits, - and _, beginning with a letter or digit",
            )
        elif name.lower() in _RESERVED:
            self._add(f"scene {name!r} is the name of a file of the run", "give it another name")

    def _check_stems(self, paths: tuple[Path, ...]) -> None:
        seen: dict[str, Path] = {}
        for path in paths:
            first = seen.setdefault(path.stem, path)
            if first is not path:
                self._add(
                    f"two images of scene {self.row['scene']!r} are called {path.stem!r}: "
                    f"{first} and {path}",
                    "make them two scenes, or rename one",
                )

    def _roles(self) -> frozenset[str]:
        roles = _listed(self.row["role"])
        if not roles:
            self._add("no role", f"give one or more of {', '.join(_ROLES)}, joined by ;")
        for role in roles:
            if role not in _ROLES:
                near = difflib.get_close_matches(role, _ROLES, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}? " if near else ""
                self._add(f"unknown role {role!r}", f"{hint}allowed: {', '.join(_ROLES)}")
        return frozenset(roles)

    def _labels_format(self) -> str | None:
        kind = self.row["labels_format"].lower().replace("_", "-")
        if not kind or kind in LABEL_FORMATS:
            return kind or None
        near = difflib.get_close_matches(kind, LABEL_FORMATS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        self._add(
            f"unknown labels_format {kind!r}",
            f"{hint}allowed: {', '.join(LABEL_FORMATS)}, or empty to tell it from the files",
        )
        return None

    def _gsd(self) -> float | None:
        text = self.row["gsd"]
        if not text:
            return None
        try:
            gsd = float(text)
        except ValueError:
            self._add(f"gsd {text!r} is not a number", "give metres a pixel, such as 0.3")
            return None
        if not 1e-4 <= gsd <= 1e5:
            self._add(f"gsd {text} is out of range", "give metres a pixel, 0.0001 to 100000")
        return gsd

    def _date(self) -> str | None:
        text = self.row["date"]
        if text and not re.match(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?($|T)", text):
            self._add(f"date {text!r} is not ISO 8601", "write it as 2024, 2024-05 or 2024-05-31")
        return text or None

    def _files(self, column: str, suffixes: frozenset[str]) -> tuple[Path, ...]:
        """Return the files that a cell names: a file, a folder or a glob."""
        text = os.path.expanduser(os.path.expandvars(self.row[column]))
        if unset := re.search(r"\$\{?([A-Za-z_]\w*)", text):
            self._add(
                f"{column} {self.row[column]!r} needs the environment variable {unset[1]}",
                f"set it: export {unset[1]}=...",
            )
            return ()
        bases = [Path()] if os.path.isabs(text) else [Path(), self.folder]
        for base in bases:
            if found := _found(base / text, suffixes):
                return found
        seen = " or ".join(str(base / text) for base in dict.fromkeys(bases))
        self._add(
            f"{column} {self.row[column]!r}: no such file ({seen})",
            "check the path; relative paths start from the working directory or the sheet's folder",
        )
        return ()


def _found(path: Path, suffixes: frozenset[str]) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if path.is_dir():
        return tuple(sorted(p for p in path.rglob("*") if _usable(p, suffixes)))
    if not glob.has_magic(str(path)):
        return ()
    # A glob that spells its ending out means it, whatever the ending is.
    wanted = None if path.suffix and not glob.has_magic(path.suffix) else suffixes
    names = glob.iglob(str(path), recursive=True)
    return tuple(sorted(p for name in names if _usable(p := Path(name), wanted)))


def _usable(path: Path, suffixes: frozenset[str] | None) -> bool:
    """Whether a file has one of the endings (None: any) and is no hidden file."""
    fits = suffixes is None or path.suffix.lower() in suffixes
    return fits and not path.name.startswith(".") and path.is_file()
