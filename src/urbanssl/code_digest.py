"""Digest of the package's files a stage depends on, so that editing it reruns that stage alone."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent

#: Left out: settings reach a stage as parameters of its rule, error texts change no result.
_LEFT_OUT = frozenset({"urbanssl.settings", "urbanssl.errors"})


def code_digest(*modules: str) -> str:
    """Return 12 hexadecimal digits over the source of modules and all they import of urbanssl.

    Args:
        *modules: dotted names below `urbanssl`, such as `urbanssl.ssl.mae`. A package stands for
            its `__init__` alone; name its modules.
    """
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in reached and name not in _LEFT_OUT:
            reached.add(name)
            waiting.extend(_imports(name))
    digest = hashlib.sha256()
    for name in sorted(reached):
        digest.update(name.encode())
        digest.update(_meaning(_path(name)).encode())
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


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _meaning(path: Path) -> str:
    """Return the source without comments and docstrings: editing those reruns nothing."""
    tree = ast.parse(path.read_text())
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
    return ast.dump(tree)


@cache
def _imports(module: str) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(_path(module))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            found.add(node.module)
            found.update(
                inner for alias in node.names if _exists(inner := f"{node.module}.{alias.name}")
            )
    found.discard(module)
    return frozenset(found)


def _is_ours(name: str) -> bool:
    return name == "urbanssl" or name.startswith("urbanssl.")


def _exists(module: str) -> bool:
    base = _ROOT.joinpath(*module.split(".")[1:])
    return base.is_dir() or base.with_suffix(".py").is_file()
