"""Registers everything a detector's recipe may name; recipes import it by `custom_imports`."""

from __future__ import annotations

from urbanssl.ops import bridge

# Before mmdet's modules, which import mmcv's operators.
bridge.install()

import mmdet.datasets.transforms  # noqa: E402
import mmdet.engine  # noqa: E402
import mmdet.models  # noqa: E402, F401

import urbanssl.detect.deformable_detr  # noqa: E402
import urbanssl.detect.detreg  # noqa: E402
import urbanssl.detect.detreg_head  # noqa: E402
import urbanssl.detect.layer_decay  # noqa: E402
import urbanssl.detect.sfp  # noqa: E402
import urbanssl.detect.transpose  # noqa: E402
import urbanssl.detect.two_stage_head  # noqa: E402
import urbanssl.detect.vit  # noqa: E402
import urbanssl.ssl.detreg_embedding  # noqa: E402, F401
