"""The settings described: allowed values of every key in words, and the key nearest to a wrong one.

Everything is read off the JSON schema of `Settings`, so that no key is described twice.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from urbanssl.classes import find_class
from urbanssl.settings import Settings
from urbanssl.yaml_places import KeyPath

_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of the settings, for editors and for error texts."""
    made = Settings.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return made


def known_keys(section: KeyPath) -> list[str]:
    """Return the keys that a section may have, none where its keys are free."""
    return list(_node(section).get("properties", {}))


def allowed_text(path: KeyPath) -> str:
    """Return in words what a key may hold, with what it is (and its unit) and its default."""
    node = _node(path)
    text = _in_words(node)
    about = f" ({node['description'].rstrip('.')})" if node.get("description") else ""
    default = f"; default {_plain(node['default'])}" if "default" in node else ""
    return f"{text}{about}{default}"


def nearest_word(path: KeyPath, seen: Any) -> str:
    """Return `did you mean ...? ` for a value that nearly is one of the allowed words, or ``."""
    words = _words(_node(path)) if isinstance(seen, str) else []
    synonym = find_class(seen) if words else None
    near = [synonym] if synonym in words else difflib.get_close_matches(str(seen), words, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def nearest_key(path: KeyPath) -> str:
    """Return `did you mean ...? ` for an unknown key: one beside it, else one anywhere, or ``."""
    wrong = str(path[-1])
    beside = difflib.get_close_matches(wrong, known_keys(path[:-1]), n=1)
    if beside:
        return f"did you mean `{'.'.join(map(str, (*path[:-1], beside[0])))}`? "
    leaves = {dotted.rsplit(".", 1)[-1]: dotted for dotted in sorted(_all_keys((), schema()))}
    far = difflib.get_close_matches(wrong, leaves, n=1, cutoff=0.8)
    return f"did you mean `{leaves[far[0]]}`? " if far else ""


def _node(path: KeyPath) -> dict[str, Any]:
    """Return the schema at a place; an empty one where the schema knows none."""
    node = _resolved(schema())
    for step in path:
        if "properties" in node:
            node = node["properties"].get(step, {})
        elif isinstance(step, int):
            items = _listed(node)
            fixed = items.get("prefixItems", [])
            node = fixed[step] if step < len(fixed) else items.get("items") or {}
        else:
            patterns = list(node.get("patternProperties", {}).values())
            node = patterns[0] if patterns else node.get("additionalProperties") or {}
        node = _resolved(node)
    return node


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target: dict[str, Any] = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        return {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _listed(node: dict[str, Any]) -> dict[str, Any]:
    """Return the list among the kinds that a value may be."""
    lists = [member for member in node.get("anyOf", [node]) if member.get("type") == "array"]
    return lists[0] if lists else {}


def _in_words(node: dict[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(_in_words(_resolved(member)) for member in node["anyOf"])
    if "enum" in node:
        return ", ".join(node["enum"])
    if "const" in node:
        return str(node["const"])
    if node.get("type") == "array":
        fixed = node.get("prefixItems")
        inside = _in_words(_resolved(fixed[0] if fixed else node.get("items") or {}))
        length = f"{len(fixed)} of" if fixed else _length(node)
        return f"a list [{length} {inside}]"
    if node.get("type") == "object":
        keys = ", ".join(node.get("properties", {}))
        return f"a section with the keys {keys}" if keys else _free_section(node)
    return _NAMES.get(node.get("type", ""), "a value") + _range(node)


def _length(node: dict[str, Any]) -> str:
    return "at least one of" if node.get("minItems") else "any number of"


def _free_section(node: dict[str, Any]) -> str:
    patterns = list(node.get("patternProperties", {}))
    return f"a section whose names match {patterns[0]}" if patterns else "a section with free keys"


def _range(node: dict[str, Any]) -> str:
    bounds = [
        f"{word} {node[key]:g}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
            ("multipleOf", "a multiple of"),
        )
        if key in node
    ]
    return f" {', '.join(bounds)}".replace(", to ", " to ") if bounds else ""


def _words(node: dict[str, Any]) -> list[str]:
    members = [_resolved(member) for member in node.get("anyOf", [node])]
    return [word for member in members for word in member.get("enum", [])]


def _all_keys(above: tuple[str, ...], node: dict[str, Any]) -> Iterator[str]:
    for key, inner in _resolved(node).get("properties", {}).items():
        yield ".".join((*above, key))
        yield from _all_keys((*above, key), inner)


def _plain(default: Any) -> str:
    if default is None or isinstance(default, bool):
        return str(default).lower().replace("none", "null")
    return f"[{', '.join(map(str, default))}]" if isinstance(default, list) else str(default)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
