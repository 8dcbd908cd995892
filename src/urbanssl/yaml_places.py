"""Where each key of a YAML file stands, so that an error can name the line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from urbanssl.errors import Problem

#: A place in nested settings: keys, and numbers within lists.
KeyPath = tuple[str | int, ...]


@dataclass
class YamlFile:
    """One YAML file: its content, the line of every key, and what is wrong with it as YAML.

    Attributes:
        path: the file.
        content: the plain values; empty where the file cannot be read.
        lines: the line (from 1) of every key and list item.
        problems: syntax errors and keys that stand there twice.
    """

    path: Path
    content: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def at(self, path: KeyPath) -> str | None:
        """Return `file:line` of a key, None where the file does not have it."""
        return f"{self.path}:{self.lines[path]}" if path in self.lines else None


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file with the lines of its keys; problems are listed, not raised."""
    read = YamlFile(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        remedy = f"give the path of a settings file, relative to {Path.cwd()}"
        read.problems.append(Problem(str(path), what, remedy))
        return read
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        if node is None:
            return read
        if not isinstance(node, yaml.MappingNode):
            kind = f"holds a {node.id}, not keys with values"
            read.problems.append(Problem(f"{path}:1", kind, "write `key: value` lines"))
            return read
        read.lines.update(_places(node, (), read))
        content = yaml.SafeLoader("").construct_document(node)
        read.content = {str(key): value for key, value in content.items()}
    except yaml.MarkedYAMLError as error:
        read.problems.append(_syntax_problem(path, error))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        read.problems.append(Problem(str(path), f"is no YAML text: {error}", "save it as UTF-8"))
    return read


def _syntax_problem(path: Path, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    what = " ".join(part for part in (error.context, error.problem) if part)
    tab = "\\t" in (error.problem or "")
    remedy = (
        "indent with spaces, not tabs" if tab else "check quotes, brackets and indentation here"
    )
    return Problem(where, f"YAML syntax error: {what}", remedy)


def _places(node: yaml.Node, above: KeyPath, read: YamlFile) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            here = (*above, key.value)
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                dotted = ".".join(map(str, here))
                what = f"`{dotted}` stands there twice, first on line {seen[key.value]}"
                read.problems.append(Problem(f"{read.path}:{line}", what, "remove one of the two"))
            seen.setdefault(str(key.value), line)
            yield here, line
            yield from _places(value, here, read)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield (*above, number), item.start_mark.line + 1
            yield from _places(item, (*above, number), read)
