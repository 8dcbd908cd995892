"""mmdet's own configs as recipes: what names files, downloads or epochs becomes ours.

A config for mmdet's tools reads image files, counts epochs of its data set and fetches weights by
itself. Here tiles come from shards, a training has steps, and the settings say how weights start.
The network, its losses, its augmentation, its optimiser and the shape of its schedule stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from urbanssl.errors import Problem, TrainingError

_READING = "LoadImageFromFile"
#: Transforms that need what a tile does not have.
_LACKING = {
    "Mosaic": "other images of a MultiImageMixDataset (CachedMosaic does not)",
    "MixUp": "other images of a MultiImageMixDataset (CachedMixUp does not)",
    "CopyPaste": "other images of a MultiImageMixDataset",
    "LoadProposals": "a file of proposals",
    "LoadPanopticAnnotations": "panoptic labels",
}
#: A warm-up counted in steps takes no more than this share of the training.
_WARM_UP = 0.1
_COUNTS = ("begin", "end", "T_max", "milestones")
#: Registers mmdet's parts, after the bridge to mmcv's operators.
_REGISTRATION = "urbanssl.detect.registration"


def house_recipe(path: Path, steps: int | None = None) -> Config:
    """Read a recipe; a config for mmdet's own tools is turned into one.

    Its images are blue-green-red, so its tiles are loaded in that order. `init: file` and `swav`
    fill its backbone. Its hooks, data sets and evaluators are left out.

    Args:
        path: an mmengine config. It is mmdet's own if its training does not begin with `LoadTile`.
        steps: steps of the training, which bound a warm-up; None: the schedule is not needed.

    Raises:
        TrainingError: the config needs what tiles do not have; everything is listed at once.
    """
    config = Config.fromfile(str(path), import_custom_modules=True)
    pipeline = config.get("train_pipeline", ())
    if not pipeline or _kind(pipeline[0]) == "LoadTile":
        return config
    if problems := list(_problems(path, pipeline)):
        raise TrainingError.listing(problems, "this config of mmdet cannot be an arm as it is")
    import_modules_from_strings([_REGISTRATION])
    config.train_pipeline = [_from_shard(step) for step in pipeline]
    config.test_pipeline = [_from_shard(step) for step in config.get("test_pipeline", ())]
    _forget_downloads(config.model)
    config.custom_hooks = []
    config.setdefault(
        "initial_weights",
        {kind: {"prefixes": {"": "backbone."}, "expected": 1.0} for kind in ("file", "swav")},
    )
    config.param_scheduler = [
        _in_shares(entry, config.get("train_cfg") or {}, steps)
        for entry in config.get("param_scheduler", ())
    ]
    return config


def _kind(step: Mapping[str, Any]) -> str:
    return str(step["type"]).removeprefix("mmdet.")


def _problems(path: Path, pipeline: Any) -> Iterator[Problem]:
    remedy = (
        "write a recipe that inherits from this config and has a pipeline of its own: "
        "docs/tutorials/add-an-arm.md"
    )
    for step in pipeline:
        kind = _kind(step)
        if kind in _LACKING:
            yield Problem(f"{path} key `train_pipeline`", f"{kind} needs {_LACKING[kind]}", remedy)
        if step.get("with_mask") or step.get("with_seg"):
            what = f"{kind} asks for masks; labels are boxes"
            yield Problem(f"{path} key `train_pipeline`", what, remedy)


def _from_shard(step: Mapping[str, Any]) -> Any:
    if _kind(step) == _READING:
        return {"type": "LoadTile", "channel_order": "bgr"}
    return step


def _forget_downloads(part: Any) -> None:
    """Take out, in place, what would fetch weights."""
    if isinstance(part, dict):
        start = part.get("init_cfg")
        if isinstance(start, Mapping) and start.get("type") == "Pretrained":
            part["init_cfg"] = None
        for entry in part.values():
            _forget_downloads(entry)
    elif isinstance(part, list | tuple):
        for entry in part:
            _forget_downloads(entry)


def _in_shares(
    entry: Mapping[str, Any], training: Mapping[str, Any], steps: int | None
) -> dict[str, Any]:
    """Return a scheduler whose counts are shares of the training; a warm-up stays in steps."""
    kept = {k: v for k, v in entry.items() if k not in ("by_epoch", "convert_to_iter_based")}
    whole = training.get("max_iters")
    if whole is None and entry.get("by_epoch", True):
        whole = training.get("max_epochs")
    if whole is not None:
        return {k: _divided(v, whole) if k in _COUNTS else v for k, v in kept.items()}
    if steps is not None and "end" in kept:
        kept["end"] = min(kept["end"], max(1, round(_WARM_UP * steps)))
    return kept


def _divided(count: Any, whole: float) -> Any:
    if isinstance(count, list | tuple):
        return [_divided(entry, whole) for entry in count]
    return count / whole
