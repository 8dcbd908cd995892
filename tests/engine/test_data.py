from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from urbanssl.engine.data import Shards, TileBatches, kept_tiles, step_seed
from urbanssl.engine.order import FewerEmpty, StepBatches, epoch_order, places


def test_a_batch_holds_the_tiles_asked_for_whatever_their_shard(shards):
    batch = Shards(shards).gather(np.array([11, 0, 7, 6]))
    assert batch.shape == (4, 16, 16, 3)
    assert batch[:, 0, 0, 0].tolist() == [14, 0, 10, 6]


def test_kept_tiles_are_counted_over_all_shards(shards):
    kept = Shards(shards, [np.array([2, 5]), np.array([4])])
    assert len(kept) == 3
    assert kept.gather(np.arange(3))[:, 0, 0, 0].tolist() == [2, 5, 14]


def test_memory_does_not_grow_with_the_tiles_that_are_read(tmp_path):
    """A million tiles in a sparse file: the process holds the batch, not what it has read."""
    header = np.lib.format.open_memmap(tmp_path / "t.npy", "w+", np.uint8, (1_000_000, 32, 32, 3))
    del header
    shards = Shards([tmp_path / "t.npy"])
    batches = StepBatches(len(shards), 256, 400, 0, 0, 1)
    shards.gather(np.array([tile for _, tile in next(iter(batches))]))
    before = Path("/proc/self/statm").read_text().split()[1]
    for batch in batches:
        assert shards.gather(np.array([tile for _, tile in batch])).shape == (256, 32, 32, 3)
    after = Path("/proc/self/statm").read_text().split()[1]
    # 300 MB are read; pages of 4 kB.
    assert (int(after) - int(before)) * 4096 < 30e6


def test_a_shard_cut_short_is_named(shards):
    whole = Shards(shards)
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    with pytest.raises(OSError, match=r"scene1.*ends before tile 4"):
        whole.gather(np.array([11]))


def test_strict_leaves_out_all_labelled_tiles_but_those_of_the_train_split(shards, tmp_path):
    rows = [
        ("scene0/image/0_0", "train"),
        ("scene0/image/1_0", "test"),
        ("scene0/image/2_0", "none"),
    ]
    pd.DataFrame(rows, columns=["tile_id", "split"]).to_parquet(tmp_path / "splits.parquet")
    tables = [path.with_suffix(".parquet") for path in shards]
    keep = kept_tiles(tables, tmp_path / "splits.parquet", strict=True)
    assert keep[0].tolist() == [0, 3, 4, 5, 6]
    assert keep[1].tolist() == [0, 1, 2, 3, 4]
    assert kept_tiles(tables, tmp_path / "splits.parquet", strict=False) is None


def test_every_epoch_shows_every_tile_once_in_an_order_of_its_own():
    seen = places(3, np.arange(24), 12)
    assert sorted(seen[:12]) == sorted(seen[12:]) == list(range(12))
    assert seen[:12].tolist() != seen[12:].tolist()
    assert epoch_order(3, 1, 12).tolist() == seen[12:].tolist()


EMPTY = np.arange(40) % 5 > 0  # 8 tiles have objects, 32 have none


def test_tiles_without_objects_are_no_larger_a_share_than_allowed_and_change_with_the_epoch():
    fewer = FewerEmpty(EMPTY, 0.5, seed=3)
    epochs = fewer(np.arange(5 * 16)).reshape(5, 16)
    assert len(fewer) == 16
    for epoch in epochs:
        assert sorted(epoch[~EMPTY[epoch]]) == list(range(0, 40, 5))
        assert len(set(epoch)) == 16
    assert len(set(epochs[EMPTY[epochs]])) > 20
    assert fewer(np.arange(30, 34)).tolist() == epochs.ravel()[30:34].tolist()


@pytest.mark.parametrize(
    ("empty", "most"), [(EMPTY, 1.0), (EMPTY, 0.8), (~EMPTY, 0.5), (np.ones(40, bool), 0.0)]
)
def test_epochs_are_all_tiles_where_few_are_empty_or_none_has_objects(empty, most):
    fewer = FewerEmpty(empty, most, seed=3)
    assert fewer(np.arange(90)).tolist() == places(3, np.arange(90), 40).tolist()


def test_tiles_without_objects_can_be_left_out():
    seen = FewerEmpty(EMPTY, 0.0, seed=3)(np.arange(16))
    assert sorted(seen) == sorted(2 * list(range(0, 40, 5)))


def test_two_processes_share_the_batch_of_one():
    def batches(rank, world):
        return list(StepBatches(10, 4, 5, 0, rank, world))

    shares = zip(batches(0, 2), batches(1, 2), strict=True)
    assert [first + second for first, second in shares] == batches(0, 1)


def test_batches_go_on_from_a_step(shards):
    def loader():
        tiles = Shards(shards)
        return TileBatches(tiles, StepBatches(len(tiles), 4, 6, 0, 0, 1))

    whole, resumed = list(loader()), loader()
    resumed.resume_at(4)
    rest = list(resumed)
    assert [batch["step"] for batch in rest] == [4, 5]
    assert [batch["draw"] for batch in rest] == [batch["draw"] for batch in whole[4:]]
    assert (rest[0]["inputs"] == whole[4]["inputs"]).all()


def test_reading_ahead_gives_the_same_batches(shards):
    def read(ahead):
        tiles = Shards(shards)
        return list(TileBatches(tiles, StepBatches(len(tiles), 4, 6, 0, 0, 1), ahead))

    pairs = zip(read(0), read(2), strict=True)
    assert all((a["inputs"] == b["inputs"]).all() for a, b in pairs)


def test_every_step_and_process_has_its_own_random_numbers():
    seeds = {step_seed(s, n, r) for s in range(3) for n in range(50) for r in range(4)}
    assert len(seeds) == 600
