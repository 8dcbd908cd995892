import time

import numpy as np
import pandas as pd
import pytest

from urbanssl.engine.proposed_tiles import ProposedTiles, proposal_items
from urbanssl.errors import TrainingError
from urbanssl.settings_training import ProposalSettings
from urbanssl.ssl.proposals import propose_boxes


def rows_of(name, count):
    """Return boxes of a tile, worst rank first: box n is n pixels wide, found at level n."""
    number = np.arange(count, 0, -1)
    zero = np.zeros(count)
    corners = {"x1": zero, "y1": zero, "x2": number * 1.0, "y2": number * 1.0}
    levels = [[n, n + 3] for n in number]
    return pd.DataFrame({"tile_id": name, "rank": number - 1, **corners, "levels": levels})


@pytest.fixture
def proposals(tmp_path):
    """Boxes of two tiles of the first scene, none of the second scene."""
    made = pd.concat([rows_of("scene0/image/5_0", 3), rows_of("scene0/image/2_0", 60)])
    made.to_parquet(tmp_path / "a.parquet")
    rows_of("scene9/image/0_0", 2).to_parquet(tmp_path / "b.parquet")
    return [tmp_path / "a.parquet", tmp_path / "b.parquet"]


@pytest.fixture
def made(proposals, shards):
    def make(keep=None, **how):
        tables = [path.with_suffix(".parquet") for path in shards]
        items = proposal_items(proposals, tables, shards, keep)
        return ProposedTiles(items, [], **{"seed": 0, "top": 30, "order": "ranked", **how})

    return make


def sides(data, position, tile):
    return [entry["bbox"][2] for entry in data.instances(position, tile)]


def test_boxes_go_to_their_tile_by_rank_and_only_the_first_are_taken(made):
    data = made()
    assert len(data) == 12
    assert sides(data, 0, 2) == list(range(1, 31))
    assert sides(data, 0, 5) == [1, 2, 3]
    assert sides(data, 0, 3) == []
    assert {entry["bbox_label"] for entry in data.instances(0, 2)} == {0}
    assert data.metainfo["classes"] == ("object",)


def test_left_out_tiles_have_no_items(made):
    data = made(keep=[np.array([2]), np.array([], dtype=int)])
    assert [item["img_path"] for item in data.items] == ["scene0/image/2_0"]


def test_ranked_order_is_the_same_in_every_epoch(made):
    data = made()
    assert sides(data, 0, 2) == sides(data, 12, 2)


def test_random_order_is_drawn_anew_each_epoch_and_leans_to_low_levels(made):
    data = made(order="random")
    assert sides(data, 3, 2) == sides(data, 11, 2), "an epoch has one draw"
    assert sides(data, 3, 2) != sides(data, 12, 2), "the next epoch has another"
    drawn = [sides(data, 12 * epoch, 2) for epoch in range(100)]
    assert {len(set(each)) for each in drawn} == {30}
    assert {side for each in drawn for side in each} == set(range(1, 61))
    assert np.mean(drawn) < np.mean(range(1, 61)) - 3


def test_random_order_depends_on_seed_and_tile_alone(made):
    data, again = made(order="random"), made(order="random")
    assert sides(data, 24, 2) == sides(again, 24, 2)
    assert sides(data, 24, 2) != sides(made(order="random", seed=1), 24, 2)


def test_no_proposal_at_all_is_an_error(shards, tmp_path):
    rows_of("scene9/image/0_0", 1).to_parquet(tmp_path / "a.parquet")
    tables = [path.with_suffix(".parquet") for path in shards]
    with pytest.raises(TrainingError, match="no tile has a proposal"):
        proposal_items([tmp_path / "a.parquet"] * 2, tables, shards, None)


def test_searched_boxes_are_drawn_in_far_less_time_than_a_step_takes(tmp_path):
    tiles = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    np.save(tmp_path / "tiles.npy", np.kron(tiles[:, ::8, ::8], np.ones((1, 8, 8, 1), np.uint8)))
    pd.DataFrame({"tile_id": ["a", "b"]}).to_parquet(tmp_path / "tiles.parquet")
    files = [tmp_path / "tiles.npy"], [tmp_path / "tiles.parquet"]
    settings = ProposalSettings(top=30)
    propose_boxes(files[0][0], files[1][0], settings, 0, tmp_path / "boxes.parquet", {})
    items = proposal_items([tmp_path / "boxes.parquet"], files[1], files[0], None)
    data = ProposedTiles(items, [], 0, settings.top, settings.order)
    assert len(items[0]["tile_proposals"].boxes) > 30
    began = time.process_time()
    for position in range(1000):
        assert len(data.instances(position, position % 2)) == 30
    assert time.process_time() - began < 1.0, "a draw takes a millisecond or more"
