"""Swaps rows and columns of a tile: overhead imagery has no upright direction."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import get_box_tensor


@TRANSFORMS.register_module()
class RandomTranspose:
    """Swaps rows and columns of image and boxes; with flips it makes all quarter turns."""

    def __init__(self, prob: float = 0.5) -> None:
        """Keep the probability of the swap."""
        self.prob = prob

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Swap, or leave as it is.

        Args:
            results: mmdet's, with `img` `(H, W, 3)` and `gt_bboxes` as x1, y1, x2, y2.
        """
        if random.random() >= self.prob:
            return results
        results["img"] = np.ascontiguousarray(results["img"].swapaxes(0, 1))
        height, width = results["img_shape"]
        results["img_shape"] = (width, height)
        if "scale_factor" in results:
            results["scale_factor"] = results["scale_factor"][::-1]
        boxes = results["gt_bboxes"]
        results["gt_bboxes"] = type(boxes)(get_box_tensor(boxes)[:, [1, 0, 3, 2]])
        return results
