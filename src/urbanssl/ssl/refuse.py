"""Settings that cannot work, refused before a training starts."""

from __future__ import annotations

from collections.abc import Sequence

from urbanssl.engine.facts import TrainingFacts
from urbanssl.errors import Problem
from urbanssl.ssl.crops import CropKind


def swav_problems(
    facts: TrainingFacts,
    kinds: Sequence[CropKind],
    prototypes: int,
    queue: int,
    queue_from: int,
    frozen: int,
) -> list[Problem]:
    """Return what cannot work about a SwAV training.

    Args:
        facts: of the training.
        kinds: the crops; those of the first kind are assigned.
        prototypes: number of prototypes.
        queue: past embeddings of each assigned crop, over all processes.
        queue_from: first step with a queue.
        frozen: steps during which the prototypes do not learn.
    """
    found = _crop_problems(facts, kinds)

    def note(key: str, what: str, remedy: str) -> None:
        found.append(Problem(f"recipe key `model.{key}`", what, remedy))

    if frozen >= facts.steps:
        note("freeze", f"{frozen} of {facts.steps} steps", "let prototypes learn: below a tenth")
    if queue and queue_from >= facts.steps:
        note(
            "queue_start",
            f"step {queue_from} of {facts.steps}: the queue is never used",
            "start it within the training, or set `queue=0`",
        )
    elif queue % facts.batch:
        note("queue", f"{queue} is no multiple of the batch {facts.batch}", "take a multiple")
    elif queue and queue_from + queue // facts.batch >= facts.steps:
        note(
            "queue",
            f"{queue} is full after {queue_from + queue // facts.batch} of {facts.steps} steps",
            "take a shorter queue or start it earlier",
        )
    if prototypes > facts.tiles:
        note(
            "prototypes",
            f"{prototypes} for {facts.tiles} tiles",
            f"take about a tenth of the tiles, {max(2, facts.tiles // 10)}",
        )
    if prototypes < 2:
        note("prototypes", f"{prototypes}", "take at least 2")
    if facts.batch // facts.world < 2:
        note("crops", "one tile a process: batch norm has nothing to compare", "raise batch_size")
    return found


def mae_problems(facts: TrainingFacts, image: int, patch: int, ratio: float) -> list[Problem]:
    """Return what cannot work about a MAE training.

    Args:
        facts: of the training.
        image: side of the images in pixels.
        patch: side of a patch in pixels.
        ratio: share of the patches that is masked.
    """
    found = []
    if image > facts.tile_size:
        what = f"{image} px from tiles of {facts.tile_size} px"
        found.append(Problem("recipe key `model.image`", what, "take images no larger than tiles"))
    kept = int((image // patch) ** 2 * (1 - ratio))
    if kept < 1 or kept == (image // patch) ** 2:
        what = f"{ratio:g} keeps {kept} of {(image // patch) ** 2} patches"
        found.append(Problem("recipe key `model.mask_ratio`", what, "take about 0.75"))
    return found


def _crop_problems(facts: TrainingFacts, kinds: Sequence[CropKind]) -> list[Problem]:
    found = []
    for place, kind in enumerate(kinds):
        where = f"recipe key `model.crops[{place}]`"
        if kind.size > facts.tile_size:
            what = f"crops of {kind.size} px from tiles of {facts.tile_size} px"
            found.append(Problem(where, what, "take crops no larger than `tiles.size`"))
        low, high = kind.scale
        if not 0 < low <= high <= 1:
            found.append(Problem(where, f"scale {kind.scale}", "take 0 < low <= high <= 1"))
    if sum(kind.count for kind in kinds) < 2:
        what = "fewer than two crops: nothing can be predicted from another"
        found.append(Problem("recipe key `model.crops`", what, "take 2 large and 4 to 6 small"))
    return found
