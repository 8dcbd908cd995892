"""What a stage trains on: tiles for SwAV and MAE, tiles with boxes for DETReg and the detectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from urbanssl.engine.data import Shards, TileBatches, kept_tiles
from urbanssl.engine.job import TrainJob
from urbanssl.engine.order import FewerEmpty, StepBatches

if TYPE_CHECKING:
    from urbanssl.engine.detection_data import TileItems

_MOST_WORKERS = 8


def training_batches(job: TrainJob, recipe: Any, rank: int, world: int) -> Any:
    """Return the batches of a job for one of its processes."""
    if job.stage in ("swav", "mae"):
        return _tile_batches(job, rank, world)
    return _box_batches(job, recipe, rank, world)


def _steps(
    job: TrainJob, length: int, rank: int, world: int, tile_at: FewerEmpty | None = None
) -> StepBatches:
    settings = job.settings
    return StepBatches(length, settings.batch_size, settings.steps, job.seed, rank, world, tile_at)


def _tile_batches(job: TrainJob, rank: int, world: int) -> TileBatches:
    shards = Shards(job.arrays, kept_tiles(job.tables, job.splits, job.strict), job.tables)
    ahead = 3 if job.settings.gpus else 0
    return TileBatches(shards, _steps(job, len(shards), rank, world), ahead)


def _box_batches(job: TrainJob, recipe: Any, rank: int, world: int) -> BoxBatches:
    with DefaultScope.overwrite_default_scope(recipe.get("default_scope", "mmdet")):
        data = _proposed(job, recipe) if job.stage == "detreg" else _labelled(job, recipe)
    fewer = FewerEmpty(data.empty(), job.empty, job.seed) if job.stage == "detector" else None
    workers = min(_MOST_WORKERS, job.threads_each - 1)
    return BoxBatches(data, _steps(job, len(data), rank, world, fewer), max(0, workers))


def _proposed(job: TrainJob, recipe: Any) -> TileItems:
    from urbanssl.engine.proposed_tiles import ProposedTiles, proposal_items

    keep = kept_tiles(job.tables, job.splits, job.strict)
    items = proposal_items(job.proposals, job.tables, job.arrays, keep)
    top, order = job.proposals_top, job.proposals_order
    return ProposedTiles(items, recipe.train_pipeline, job.seed, top, order)


def _labelled(job: TrainJob, recipe: Any) -> TileItems:
    from urbanssl.engine.detection_data import TileItems, labelled_items

    if job.coco_train is None:
        raise ValueError("a detector's job without annotations passed its checks")
    items = labelled_items(job.coco_train, job.arrays, job.classes, job.fraction, job.seed)
    return TileItems(items, recipe.train_pipeline, job.classes, job.seed)


class BoxBatches:
    """Batches of tiles with boxes, put through the recipe's transforms, by torch's DataLoader."""

    def __init__(self, data: Any, batches: StepBatches, workers: int) -> None:
        """Load with a number of worker processes; 0 loads in this one."""
        self.dataset = data
        self.batches = batches
        self._workers = workers

    def resume_at(self, step: int) -> None:
        """Go to a step: the next batch is that step's."""
        self.batches.start = step

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=self.batches,  # type: ignore[arg-type]
            num_workers=self._workers,
            collate_fn=pseudo_collate,
            pin_memory=torch.cuda.is_available(),
        )
        return iter(loader)
