"""What a frame leaves of a box."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from urbanssl.labels.clip import clip_boxes, map_boxes

side = st.floats(-500, 500, allow_subnormal=False)
box = st.tuples(side, side, st.floats(0.1, 300), st.floats(0.1, 300)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(st.lists(box, min_size=1, max_size=8), st.integers(1, 256), st.integers(1, 256))
def test_clipped_boxes_lie_in_the_frame_and_shares_are_their_areas(boxes, width, height):
    clipped, share = clip_boxes(boxes, width, height)
    assert (clipped >= 0).all()
    assert (clipped[:, [0, 2]] <= width).all()
    assert (clipped[:, [1, 3]] <= height).all()
    assert ((share >= 0) & (share <= 1)).all()
    sides, whole = (
        clipped[:, 2:] - clipped[:, :2],
        np.diff(np.array(boxes).reshape(-1, 2, 2), axis=1),
    )
    assert share == pytest.approx(sides.prod(1) / whole[:, 0].prod(1), abs=1e-9)


@given(st.lists(box, min_size=1, max_size=8))
def test_clipping_twice_changes_nothing(boxes):
    once, _ = clip_boxes(boxes, 100, 100)
    assert np.array_equal(clip_boxes(once, 100, 100)[0], once)


def test_shares_of_cut_outside_and_empty_boxes():
    boxes = [[10, 10, 20, 20], [-5, 0, 5, 10], [95, 95, 105, 105], [200, 0, 210, 9], [3, 3, 3, 9]]
    assert clip_boxes(boxes, 100, 100)[1].tolist() == [1, 0.5, 0.25, 0, 0]
    assert clip_boxes([], 100, 100)[0].shape == (0, 4)


@given(st.lists(box, min_size=1, max_size=4), st.floats(0.1, 9), side, side)
def test_box_comes_back_from_scaling_and_shifting(boxes, scale, x, y):
    there = Affine(scale, 0, x, 0, scale, y)
    back = map_boxes(map_boxes(boxes, tuple(there)[:6]), tuple(~there)[:6])
    assert back == pytest.approx(np.array(boxes), abs=1e-6)


def test_turned_box_is_the_upright_box_round_it():
    quarter = map_boxes([[0, 0, 4, 2]], tuple(Affine.rotation(90))[:6])
    assert quarter[0] == pytest.approx([-2, 0, 0, 4])
