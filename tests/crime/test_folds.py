"""Ways of holding areas out."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from urbanssl.crime.folds import (
    block_folds,
    block_labels,
    distance_folds,
    held_out_distances,
    random_folds,
    region_folds,
)


@pytest.fixture
def grid():
    east, north = np.divmod(np.arange(144), 12)
    return np.column_stack([east, north]).astype(float) * 100


def test_every_area_is_held_out_once_and_never_learned_from_then(grid):
    rng = np.random.default_rng(0)
    region = np.repeat(["a", "b", "c"], 48)
    blocks = block_labels(grid, region, 300)
    for scheme in (
        random_folds(144, 5, rng),
        region_folds(region),
        block_folds(blocks, grid, 150, 5, rng),
        distance_folds(grid, np.full(50, 300.0), 5, rng),
    ):
        assert set(scheme.fold) == set(range(len(scheme.train)))
        assert not scheme.train[scheme.fold, np.arange(144)].any()


def test_held_out_region_is_never_in_training(grid):
    region = np.repeat(["a", "b", "c"], 48)
    scheme = region_folds(region)
    for number, train in enumerate(scheme.train):
        assert not set(region[train]) & set(region[scheme.fold == number])


def test_no_training_area_is_within_the_buffer_of_a_held_out_one(grid):
    blocks = block_labels(grid, np.zeros(144), 300)
    scheme = block_folds(blocks, grid, 150, 5, np.random.default_rng(1))
    for number, train in enumerate(scheme.train):
        assert cdist(grid[train], grid[scheme.fold == number]).min() > 150


def test_block_never_spans_two_regions(grid):
    region = np.repeat(["a", "b"], 72)
    blocks = block_labels(grid, region, 1e6)
    assert len(np.unique(blocks)) == 2


def test_inner_folds_keep_groups_whole_and_leave_out_the_held_out_areas(grid):
    region = np.repeat(["a", "b", "c", "d"], 36)
    scheme = region_folds(region)
    inner = scheme.inner(1)
    assert (inner[scheme.fold == 1] == -1).all()
    for name in "acd":
        assert len(np.unique(inner[region == name])) == 1


def test_distance_folds_come_nearer_to_the_wanted_distances_than_random_ones(grid):
    rng = np.random.default_rng(2)
    wanted = np.full(100, 350.0)
    matched = held_out_distances(grid, distance_folds(grid, wanted, 5, rng).fold)
    random = held_out_distances(grid, random_folds(144, 5, rng).fold)
    assert abs(matched.mean() - 350) < abs(random.mean() - 350)


def test_near_prediction_places_give_nearly_random_folds(grid):
    scheme = distance_folds(grid, np.full(100, 50.0), 5, np.random.default_rng(3))
    assert held_out_distances(grid, scheme.fold).mean() < 130
