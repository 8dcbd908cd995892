"""Digest of the package's files a stage depends on, so that editing it reruns that stage alone.

Every job of the workflow asks for it when it starts, so what was found in a file is kept on disk,
beside Python's own compiled files and by the content of the source.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from urbanssl.artifacts import read_json, write_json

_ROOT = Path(__file__).parent

#: Left out: settings reach a stage as parameters of its rule, error texts change no result.
_LEFT_OUT = frozenset(
    {
        "urbanssl.settings",
        "urbanssl.settings_base",
        "urbanssl.settings_training",
        "urbanssl.errors",
    }
)


def code_digest(*modules: str, alone: Sequence[str] = ()) -> str:
    """Return 12 hexadecimal digits over the source of modules and all they import of urbanssl.

    Args:
        *modules: dotted names below `urbanssl`, such as `urbanssl.ssl.mae`. A package stands for
            its `__init__` alone; name its modules.
        alone: further modules, whose imports do not count: they choose one of many.
    """
    known = _kept()
    before = len(known)
    reached = {name: _facts(_path(name), known)["meaning"] for name in alone}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in reached and name not in _LEFT_OUT:
            facts = _facts(_path(name), known)
            reached[name] = facts["meaning"]
            waiting.extend(module for module in facts["named"] if _exists(module))
    if len(known) > before and os.access(_ROOT, os.W_OK):
        write_json(_keep(), known)
    digest = hashlib.sha256()
    for name in sorted(reached):
        digest.update(name.encode())
        digest.update(reached[name].encode())
    return digest.hexdigest()[:12]


def folder_digest(folder: str) -> str:
    """Return 12 hexadecimal digits over all files of a folder of the package, such as templates.

    Args:
        folder: path below the package, such as `report/templates`.

    Raises:
        FileNotFoundError: there is no file in it.
    """
    files = sorted(path for path in (_ROOT / folder).rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(f"no file in {_ROOT / folder}")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(_ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _path(module: str) -> Path:
    base = _ROOT.joinpath(*module.split(".")[1:])
    source = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    if not source.is_file():
        raise ModuleNotFoundError(f"{module} has no source at {source}")
    return source


def _keep() -> Path:
    return _ROOT / "__pycache__" / f"code_digest.{sys.implementation.cache_tag}.json"


@cache
def _kept() -> dict[str, Any]:
    """Return what is known of sources, by the SHA-256 of their bytes; code_digest adds to it."""
    return read_json(_keep()) if _keep().is_file() else {}


def _facts(path: Path, known: dict[str, Any]) -> dict[str, Any]:
    """Return digest of the `meaning` of a source, and the modules `named` in its imports."""
    source = path.read_bytes()
    key = hashlib.sha256(source).hexdigest()
    if key not in known:
        tree = ast.parse(source)
        known[key] = {"named": sorted(_named(tree)), "meaning": _meaning(tree)}
    found: dict[str, Any] = known[key]
    return found


def _meaning(tree: ast.Module) -> str:
    """Return a digest of a source but for comments and docstrings: editing those reruns nothing."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            body[0].value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _named(tree: ast.Module) -> set[str]:
    """Return what may be modules of urbanssl among the names that a source imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _is_ours(name: str) -> bool:
    return name == "urbanssl" or name.startswith("urbanssl.")


def _exists(module: str) -> bool:
    base = _ROOT.joinpath(*module.split(".")[1:])
    return base.is_dir() or base.with_suffix(".py").is_file()
