"""The reference of the settings, generated from the settings themselves.

`python -m urbanssl.settings_docs` writes `config/README.md`; a test fails when it no longer says
what `urbanssl.settings` says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from urbanssl.artifacts import written_whole
from urbanssl.settings import Settings

_INTRODUCTION = """\
<!-- Written by `python -m urbanssl.settings_docs` from src/urbanssl/settings*.py. -->
# Settings, key by key

A run is described by one YAML file. Without one, `config.yaml` here is taken: the embedded city. To
run on your own data, copy it, change what differs, and name it:

    snakemake --cores 2 --configfile config/mine.yaml

Every key may be left out; it then has the default given below (`config.yaml` says where its own
value is another). A key that does not exist, a value of the wrong type or out of range, and a file
that is missing are refused before anything runs, all of them at once, each with the nearest key
that does exist.

Editors that read JSON schemas check the file as you type: put
`# yaml-language-server: $schema=schema.json` into its first line.

`null` means *not given*. Lengths are in the unit that the description names; shares are numbers
from 0 to 1.
"""

_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}


def settings_reference() -> str:
    """Return the reference of all keys as Markdown."""
    schema = Settings.model_json_schema()
    defaults = Settings.model_validate({}).model_dump(mode="json")
    return "\n".join([_INTRODUCTION, *_section("", schema, schema["$defs"], defaults)])


def _section(
    path: str, schema: Mapping[str, Any], defs: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the table of a section, then the sections below it."""
    below: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = []
    rows = []
    for name, entry in schema["properties"].items():
        key = f"{path}.{name}" if path else name
        default = defaults.get(name, entry.get("default", _REQUIRED))
        inner = _object(entry, defs)
        if inner is not None:
            below.append((key, inner, default if isinstance(default, Mapping) else {}))
            continue
        keyed = _keyed(entry, defs)
        if keyed is not None:
            below.append((f"{key}.<name>", keyed, {}))
        rows.append(_row(key, entry, defs, default))
    if rows:
        yield "| key | default | allowed | meaning |\n|---|---|---|---|"
        yield from rows
        yield ""
    for key, inner, given in below:
        yield f"## `{key}`\n"
        yield f"{_first_line(inner)}\n"
        yield from _section(key, inner, defs, given)


_REQUIRED = object()


def _row(key: str, entry: Mapping[str, Any], defs: Mapping[str, Any], default: Any) -> str:
    shown = "*(must be given)*" if default is _REQUIRED else f"`{_value(default)}`"
    meaning = entry.get("description") or _first_line(_resolved(entry, defs))
    cells = (f"`{key}`", shown, _allowed(entry, defs), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _value(default: Any) -> str:
    if isinstance(default, Mapping):
        return "{" + ", ".join(default) + "}"
    if isinstance(default, list | tuple) and len(default) > 9:
        return f"[{default[0]}, … {default[-1]}] ({len(default)})"
    if isinstance(default, list | tuple):
        return "[" + ", ".join(_value(entry) for entry in default) + "]"
    return json.dumps(default, ensure_ascii=False).strip('"')


def _resolved(entry: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in entry:
        found: Mapping[str, Any] = defs[entry["$ref"].rsplit("/", 1)[1]]
        return found
    return entry


def _object(entry: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of a section, None where the entry is a plain value."""
    found = _resolved(entry, defs)
    return found if "properties" in found else None


def _keyed(entry: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of the sections that a user names, such as the arms."""
    inner = entry.get("additionalProperties") or next(
        iter((entry.get("patternProperties") or {}).values()), None
    )
    return _object(inner, defs) if isinstance(inner, Mapping) else None


def _allowed(entry: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Return the allowed values of an entry in words."""
    found = _resolved(entry, defs)
    if "anyOf" in found:
        parts = [_allowed(option, defs) for option in found["anyOf"]]
        return " or ".join(dict.fromkeys(parts))
    if "enum" in found:
        return _choices(found["enum"])
    if "const" in found:
        return f"`{found['const']}`"
    kind = found.get("type", "value")
    if kind == "array":
        return _array(found, defs)
    if kind == "object":
        return "sections with names of your own"
    return " ".join(filter(None, (_WORDS.get(kind, kind), _range(found))))


def _array(found: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    items = found.get("items") or (found.get("prefixItems") or [{}])[0]
    count = found.get("maxItems") if found.get("maxItems") == found.get("minItems") else None
    return f"list of {str(count) + ' × ' if count else ''}{_allowed(items, defs)}"


def _choices(values: list[Any]) -> str:
    if len(values) > 12:
        return "classes of the registry (`urbanssl.classes`)"
    return ", ".join(f"`{value}`" for value in values)


def _range(found: Mapping[str, Any]) -> str:
    bounds = (
        ("minimum", "≥ {:g}"),
        ("exclusiveMinimum", "> {:g}"),
        ("maximum", "≤ {:g}"),
        ("exclusiveMaximum", "< {:g}"),
        ("multipleOf", "multiple of {:g}"),
    )
    return ", ".join(text.format(found[name]) for name, text in bounds if name in found)


def _first_line(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).split("\n\n")[0].replace("\n", " ")


def main(page: Path) -> None:
    """Write the reference."""
    with written_whole(page) as temporary:
        temporary.write_text(settings_reference(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "config/README.md"))
