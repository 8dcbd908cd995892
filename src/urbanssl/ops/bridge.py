"""mmcv's compiled operators without a compiler: a stand-in for its module `mmcv._ext`.

`mmcv` has no wheels for current PyTorch and compiles for a quarter of an hour; `mmcv-lite` is the
same package without that module. Where compiled mmcv is installed, it is used and this module
steps aside.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from torch import Tensor

from urbanssl.ops import operators
from urbanssl.ops.deform_attn import attend, deformable_attention, level_shapes

_NAME = "mmcv._ext"


class Bridge(ModuleType):
    """Stands in for `mmcv._ext`: our operators by mmcv's names, a clear error for the others."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Python asks modules for attributes such as __path__; those must be absent.
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*arguments: Any, **options: Any) -> Any:
            raise NotImplementedError(
                f"mmcv's compiled operator {name!r} is not provided by urbanssl.ops.bridge\n"
                "    -> install compiled mmcv 2.1.0 in place of mmcv-lite (needs a C++ compiler, "
                "and nvcc for CUDA), or choose a config without this operator"
            )

        missing.__name__ = name
        return missing


def install() -> bool:
    """Make `mmcv.ops` importable, with compiled operators where they are, ours otherwise.

    Calling it again changes nothing.

    Returns:
        True when our operators are in place, False when compiled mmcv is used.
    """
    present = sys.modules.get(_NAME)
    if present is not None:
        return isinstance(present, Bridge)
    if _compiled_mmcv_loads():
        return False
    bridge = Bridge(_NAME, "mmcv's compiled operators, provided by urbanssl.ops.")
    bridge.__spec__ = ModuleSpec(_NAME, loader=None)
    for name, function in inspect.getmembers(operators, inspect.isfunction):
        if function.__module__ == operators.__name__ and not name.startswith("_"):
            setattr(bridge, name, function)
    sys.modules[_NAME] = bridge
    _use_our_attention()
    return True


def _compiled_mmcv_loads() -> bool:
    if importlib.util.find_spec(_NAME) is None:
        return False
    try:
        importlib.import_module(_NAME)
    except ImportError as error:
        warnings.warn(
            f"compiled mmcv is installed but does not load ({error}): it was probably built for "
            "another PyTorch. Its operators are replaced by urbanssl.ops; build mmcv again to "
            "use it",
            stacklevel=3,
        )
        return False
    return True


class Attention:
    """Stands in for mmcv's autograd function on CUDA.

    mmcv's casts the sampled places to the type of the values; ours keeps their precision, which
    bfloat16 needs.
    """

    @staticmethod
    def apply(
        value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor, _: int
    ) -> Tensor:
        """Return deformable attention with its gradient."""
        return attend(value, shapes, starts, locations, weights)


def _use_our_attention() -> None:
    """Put our deformable attention where mmcv's module calls its own: on CPU and on CUDA."""
    module: Any = importlib.import_module("mmcv.ops.multi_scale_deform_attn")

    def on_cpu(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return deformable_attention(value, level_shapes(shapes), locations, weights)

    module.multi_scale_deformable_attn_pytorch = on_cpu
    module.MultiScaleDeformableAttnFunction = Attention
