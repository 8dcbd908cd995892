"""Settings from YAML: everything wrong with them is listed at once, each with its line.

Nothing heavy is imported, since the workflow reads its settings every time it starts.
"""

from __future__ import annotations

import difflib
import glob
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from urbanssl.errors import Problem, SettingsError
from urbanssl.recipe_file import recipe_file
from urbanssl.settings import Settings
from urbanssl.settings_schema import allowed_text, known_keys, nearest_key, nearest_word
from urbanssl.yaml_places import KeyPath, YamlFile, read_yaml

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")

#: Keys that name a file, the words that stand for no file, and what the file is.
_FILES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("scenes", "sheet"), ("embedded",), "a sample sheet (CSV) or `embedded`"),
    (("pretrain", "swav", "recipe"), (), "an mmengine config, as those in config/models"),
    (("pretrain", "mae", "recipe"), (), "an mmengine config, as those in config/models"),
    (("pretrain", "detreg", "recipe"), (), "an mmengine config, as those in config/models"),
    (("proposals", "file"), (), "a table of boxes (Parquet or CSV)"),
    (("detect", "arms", "*", "recipe"), (), "an mmdet config: config/models/*.py or mmdet::NAME"),
    (("detect", "arms", "*", "weights"), (), "a file of weights"),
    (("crime", "areas"), ("embedded", "sheet"), "a file of polygons, `embedded` or `sheet`"),
    (
        ("crime", "table"),
        ("embedded",),
        "a crime table (a glob may match several), `embedded` or null",
    ),
    (("crime", "names"), (), "a table with the id and a column `name` (a glob may match several)"),
)


def load_settings(
    given: str | Path | Mapping[str, Any], sources: Sequence[str | Path] = ()
) -> Settings:
    """Return the settings of a YAML file, or of plain values already read from files.

    Args:
        given: path of a YAML file, or nested plain values (as Snakemake's `config`).
        sources: the files that plain values were read from, the last one winning; error texts
            take line numbers from them. A value that is in none of them was given on the command
            line, where Snakemake makes text of nested values: there `"128"` is read as 128, and
            `"null"` as no value.

    Raises:
        SettingsError: a key, type, range or named file is wrong, or the YAML is; lists every
            problem with file, line, value, what is allowed and the nearest match.
    """
    paths = sources if isinstance(given, Mapping) else [given]
    files = [read_yaml(Path(path)) for path in paths]
    problems = [problem for file in files for problem in file.problems]
    values = _plain(given, files) if isinstance(given, Mapping) else files[0].content
    broken = bool(problems) and not values
    settings, found = (None, []) if broken else _validated(values, files)
    problems += [_problem(values, error, files) for error in found]
    if not broken:
        named = settings.model_dump(mode="json") if settings else values
        wrong = {error["path"] for error in found}
        problems += _missing_files(named, wrong, values, files)
    if problems or settings is None:
        raise SettingsError.listing(sorted(problems, key=_by_line), "the settings cannot be used")
    return settings


def settings_or_exit(config: Mapping[str, Any], workflow: Any) -> Settings:
    """Return the settings of a workflow, or end Snakemake with the list of problems alone.

    Args:
        config: Snakemake's `config`, all files and `--config` merged.
        workflow: Snakemake's `workflow`, which knows the files.
    """
    try:
        return load_settings(config, [_short(path) for path in workflow.configfiles])
    except SettingsError as error:
        sys.exit(str(error))


def _short(path: str | Path) -> Path:
    """Return a path relative to the working directory where it is below it, for error texts."""
    absolute = Path(path).absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def _plain(value: Any, files: list[YamlFile], path: KeyPath = ()) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, files, (*path, str(key))) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, files, (*path, number)) for number, entry in enumerate(value)]
    if value == "null" and files and _file_of(path, value, files) is None:
        return None  # of the command line
    return value


def _validated(
    values: dict[str, Any], files: list[YamlFile]
) -> tuple[Settings | None, list[dict[str, Any]]]:
    """Validate strictly; where that fails only for a number written as text, read the number."""
    for _ in range(2):
        try:
            text = json.dumps(values, default=str)
            return Settings.model_validate_json(text, strict=True), []
        except ValidationError as error:
            found = _by_place(values, error)
        read = [_read_number(values, entry, files) for entry in found]
        if not any(read):
            break
    return None, found + _between_sections(values, found)


def _between_sections(values: dict[str, Any], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is wrong between sections, which pydantic checks only when each is right.

    The wrong values are left out for it; what is said about the sections they are in is not kept.
    """
    right = dict(values)
    wrong = {str(error["path"][0]) for error in found if error["path"]}
    if not wrong:
        return []  # pydantic came to them by itself
    for section in wrong:
        right.pop(section, None)
    try:
        Settings.model_validate_json(json.dumps(right, default=str), strict=True)
    except ValidationError as error:
        return [
            entry
            for entry in _by_place(right, error)
            if entry["path"] == () and not wrong & set(re.findall(r"(\w+)\.\w", entry["msg"]))
        ]
    return []


def _by_place(values: dict[str, Any], error: ValidationError) -> list[dict[str, Any]]:
    """Return one entry a place: pydantic reports each member of a union by itself."""
    places: dict[KeyPath, dict[str, Any]] = {}
    for raw in error.errors(include_url=False):
        path = _real_path(values, raw["loc"], raw["type"])
        kind = "bad_key" if raw["loc"][-1:] == ("[key]",) else raw["type"]
        places.setdefault(path, {**raw, "path": path, "type": kind})
    inner = {path[:length] for path in places for length in range(len(path))}
    return [
        entry
        for path, entry in places.items()
        if not (entry["type"] == "too_short" and path in inner)  # short by its wrong items alone
    ]


def _real_path(values: Any, loc: tuple[int | str, ...], kind: str) -> KeyPath:
    """Return the part of pydantic's place that is in the settings, without names of types."""
    path: list[int | str] = []
    for number, step in enumerate(loc):
        inside = isinstance(values, Mapping) and step in values
        item = isinstance(values, list) and isinstance(step, int) and step < len(values)
        if inside or item:
            path.append(step)
            values = values[step]
        elif kind == "missing" and number == len(loc) - 1 and isinstance(step, str):
            path.append(step)
    return tuple(path)


def _read_number(values: dict[str, Any], error: dict[str, Any], files: list[YamlFile]) -> bool:
    """Put a number where text stands that means one; return whether that was done."""
    path = error["path"]
    if error["type"] in ("missing", "extra_forbidden", "bad_key", "value_error"):
        return False
    holder, text = _value(values, path[:-1]), _value(values, path)
    if not isinstance(text, str):
        return False
    if _EXPONENT.fullmatch(text):  # YAML 1.1 reads 1e-4 as text
        number: Any = int(float(text)) if float(text).is_integer() else float(text)
    elif files and _file_of(path, text, files) is None:
        try:
            number = yaml.safe_load(text)
        except yaml.YAMLError:
            return False
    else:
        return False
    holder[path[-1]] = number
    return bool(number != text)


def _value(values: Any, path: KeyPath) -> Any:
    for step in path:
        values = values[step]
    return values


def _given(values: Any, path: KeyPath) -> bool:
    for step in path:
        if isinstance(values, Mapping) and step not in values:
            return False
        values = values[step]
    return True


def _file_of(path: KeyPath, value: Any, files: list[YamlFile]) -> YamlFile | None:
    """Return the file that a value stands in, the last one first."""
    for file in reversed(files):
        if file.at(path) is not None:
            return file if repr(_value(file.content, path)) == repr(value) else None
    return None


def _where(path: KeyPath, values: dict[str, Any], files: list[YamlFile], missing: bool) -> str:
    known = path[:-1] if missing else path
    dotted = ".".join(map(str, path)) or "settings"
    if not missing and not _given(values, path):
        return f"{dotted} (default)"
    if not files:
        return dotted
    for length in range(len(known), 0, -1):
        for file in reversed(files):
            place = file.at(known[:length])
            if place is None:
                continue
            same = repr(_value(file.content, known[:length])) == repr(
                _value(values, known[:length])
            )
            return f"{place} {dotted}" if same or length < len(known) else f"--config {dotted}"
    return f"--config {dotted}" if known else f"{files[-1].path} {dotted}"


def _by_line(problem: Problem) -> tuple[str, int]:
    place = re.match(r"(.+?):(\d+)", problem.where)
    return (place[1], int(place[2])) if place else (problem.where, 0)


def _problem(values: dict[str, Any], error: dict[str, Any], files: list[YamlFile]) -> Problem:
    path, kind = error["path"] or _named_in(error["msg"]), error["type"]
    absent = kind == "missing" and isinstance(error["loc"][-1], str)
    where = _where(path, values, files, missing=absent)
    if kind == "extra_forbidden":
        allowed = known_keys(path[:-1])
        inner = f"of `{'.'.join(map(str, path[:-1]))}`" if path[:-1] else "at the top"
        remedy = f"{nearest_key(path)}allowed {inner}: {', '.join(allowed)}"
        return Problem(where, f"unknown key `{path[-1]}`", remedy)
    if absent:
        return Problem(where, "missing", f"allowed: {allowed_text(path)}")
    if kind == "bad_key":
        return Problem(where, f"`{path[-1]}` is not allowed as a name", allowed_text(path[:-1]))
    if kind == "value_error":
        return Problem(where, str(error["ctx"]["error"]), "change one of these values")
    seen = _value(values, path)
    if seen is None:
        return Problem(where, "nothing is given", f"allowed: {allowed_text(path)}")
    what = f"{json.dumps(seen, default=str)} is not allowed"
    return Problem(where, what, f"{nearest_word(path, seen)}allowed: {allowed_text(path)}")


def _named_in(message: str) -> KeyPath:
    """Return the first key that a message about several sections names."""
    named = re.search(r"\w+(?:\.\w+)+", message)
    return tuple(named[0].split(".")) if named else ()


def _missing_files(
    named: dict[str, Any], wrong: set[KeyPath], values: dict[str, Any], files: list[YamlFile]
) -> Iterator[Problem]:
    """Yield a problem for every file that is named but not there."""
    for keys, words, kind in _FILES:
        for path, name in _named(named, keys):
            if path in wrong or not isinstance(name, str) or name in words:
                continue
            file = recipe_file(os.path.expandvars(name))
            if any(Path(match).is_file() for match in (file, *glob.glob(file))):
                continue
            if unset := re.findall(r"\$\{?(\w+)", file):
                what = f"{name!r}: the variable {unset[0]} is not set"
                remedy = f"export {unset[0]}=FOLDER before starting, or write the folder here"
                yield Problem(_where(path, values, files, missing=False), what, remedy)
                continue
            folder = Path(file).parent
            near = difflib.get_close_matches(file, map(str, folder.glob("*")), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            what = f"{file!r}: no such file in {Path.cwd()}"
            yield Problem(
                _where(path, values, files, missing=False), what, f"{hint}allowed: {kind}"
            )


def _named(values: Any, keys: tuple[str, ...]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the given values at a path, in which `*` stands for every key."""
    if not keys:
        yield (), values
    elif isinstance(values, Mapping):
        for key in values if keys[0] == "*" else [keys[0]] if keys[0] in values else []:
            for path, value in _named(values[key], keys[1:]):
                yield (key, *path), value
