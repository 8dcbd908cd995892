"""One way to compile a numeric function with numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, strictly IEEE, the machine code kept on disk where that can be written.

    numba looks for a folder beside the package, in NUMBA_CACHE_DIR and in the user's cache; where
    none of them is writable it raises RuntimeError, and each process compiles the code anew.
    """
    try:
        result: Callable[..., Any] = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        result = numba.njit(nogil=True)(function)
    return result


def compiled_fast(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `compiled` does, sums reordered as is fastest: last digits may differ."""
    try:
        result: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath=True)(function)
    except RuntimeError:
        result = numba.njit(nogil=True, fastmath=True)(function)
    return result
