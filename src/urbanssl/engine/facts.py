"""What a network is told about its training before it starts, so that it can refuse."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingFacts:
    """The facts of a training.

    Attributes:
        steps: how many steps.
        batch: images a step over all processes.
        world: how many processes.
        tiles: how many tiles there are.
        tile_size: side of a tile in pixels.
    """

    steps: int
    batch: int
    world: int
    tiles: int
    tile_size: int
