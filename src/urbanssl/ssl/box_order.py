"""The order of Selective Search's boxes, drawn from their levels alone.

Source: J. R. R. Uijlings et al., "Selective Search for Object Recognition", IJCV 104(2), 2013,
section 3.3, as OpenCV does it: see `urbanssl.ssl.selective_search`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_order(
    levels: NDArray[np.floating | np.integer],
    rng: np.random.Generator,
    starts: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """Draw an order of boxes as Selective Search does: a uniform number x level, ascending.

    Low levels (small regions) tend to come first. A box comes as early as the earliest of its
    regions. A draw for one tile takes some 20 microseconds.

    Args:
        levels: `(m,)` levels of regions.
        rng: source of randomness.
        starts: `(n,)` where the levels of each box start; None: one level a box.

    Returns:
        `(n,)` indices of the boxes, the first first.
    """
    keys = rng.random(len(levels)) * levels
    if starts is not None:
        keys = np.minimum.reduceat(keys, starts)
    return np.argsort(keys, kind="stable")
