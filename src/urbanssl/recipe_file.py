"""Where a recipe lies: at a path, or among mmdet's own configs (`mmdet::` and a name)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PREFIX = "mmdet::"


def recipe_file(given: str) -> str:
    """Return the path of a recipe.

    Args:
        given: a path, which is returned as it is, or `mmdet::` and a config's name as mmengine
            has it, such as `mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py`. mmdet is not imported.
    """
    package = importlib.util.find_spec("mmdet")
    if not given.startswith(_PREFIX) or package is None or package.origin is None:
        return given
    return str(Path(package.origin).parent / ".mim" / "configs" / given.removeprefix(_PREFIX))
