import numpy as np
import pytest
import torch

from urbanssl.ssl.crops import (
    MEAN,
    STD,
    Colours,
    CropKind,
    blur_matrix,
    random_crops,
    resize_matrix,
)


@pytest.fixture
def tiles():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8))


def in_0_1(crops):
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return crops * std + mean


def test_crops_lie_crop_after_crop_and_stay_within_the_range_of_pixels(tiles):
    crops = random_crops(tiles, CropKind(3, 16, (0.2, 1.0)), Colours(), 5, (0, 6, 6))
    assert crops.shape == (18, 3, 16, 16)
    assert in_0_1(crops).min() >= -1e-5
    assert in_0_1(crops).max() <= 1 + 1e-5
    blank = torch.zeros_like(tiles)
    blank[2] = 255
    plain = in_0_1(random_crops(blank, CropKind(3, 16, (0.2, 1.0)), None, 5, (0, 6, 6)))
    assert plain.mean((1, 2, 3)).round().tolist() == [0, 0, 1, 0, 0, 0] * 3


def test_every_sample_has_numbers_of_its_own(tiles):
    same = tiles[:1].expand(6, -1, -1, -1)
    crops = random_crops(same, CropKind(2, 16, (0.2, 1.0)), Colours(), 5, (0, 6, 6))
    assert len({crop.numpy().tobytes() for crop in crops}) == 12


def test_two_processes_see_the_crops_of_one(tiles):
    kind = CropKind(2, 16, (0.2, 1.0))
    whole = random_crops(tiles, kind, Colours(), 9, (0, 6, 6)).unflatten(0, (2, 6))
    halves = [
        random_crops(tiles[a:b], kind, Colours(), 9, (a, b, 6)).unflatten(0, (2, 3))
        for a, b in ((0, 3), (3, 6))
    ]
    assert torch.allclose(torch.cat(halves, 1), whole, atol=1e-5)


def test_a_crop_shows_a_part_of_its_tile_upright():
    """A ramp from left to right stays one, mirrored or not, and is nowhere a ramp downwards."""
    ramp = torch.arange(32, dtype=torch.uint8).mul(8)[None, None, :, None].expand(6, 32, 32, 3)
    crops = random_crops(ramp, CropKind(1, 8, (0.3, 1.0)), None, 0, (0, 6, 6))
    down, across = crops.diff(dim=2), crops.diff(dim=3)
    assert down.abs().max() < 1e-5
    assert ((across > 0).all((1, 2, 3)) | (across < 0).all((1, 2, 3))).all()
    assert 0 < int((across > 0).all((1, 2, 3)).sum()) < 6, "some are mirrored, some are not"


def test_shrinking_is_torchs_antialiased_bilinear_resize():
    line = torch.rand(1, 1, 1, 48)
    zero, length = torch.zeros(1), torch.full((1,), 48.0)
    ours = resize_matrix(zero, length, 48, 16)[0] @ line.flatten()
    theirs = torch.nn.functional.interpolate(line, size=(1, 16), mode="bilinear", antialias=True)
    assert torch.allclose(ours, theirs.flatten(), atol=1e-5)


def test_blur_of_no_width_changes_nothing_and_a_wide_one_keeps_the_mean():
    none, wide = blur_matrix(torch.tensor([0.0, 2.0]), 15)
    assert torch.allclose(none, torch.eye(15))
    assert torch.allclose(wide.sum(1), torch.ones(15))
    assert wide.max() < 0.4


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_blur_has_no_weight_below_the_normal_range_of_float32(sigma):
    """Products with such numbers take a CPU many times as long."""
    weights = blur_matrix(torch.tensor([sigma]), 96)[0]
    assert weights[weights > 0].min() > torch.finfo(torch.float32).tiny
    gap = torch.arange(96, dtype=torch.float64)
    exact = torch.exp(-0.5 * ((gap[:, None] - gap) / sigma).square())
    assert torch.allclose(weights.double(), exact / exact.sum(1, keepdim=True), atol=1e-6)


def test_grey_crops_have_equal_channels(tiles):
    grey = Colours(jitter_share=0.0, grey_share=1.0, blur_share=0.0)
    crops = in_0_1(random_crops(tiles, CropKind(1, 16, (0.5, 1.0)), grey, 0, (0, 6, 6)))
    assert torch.allclose(crops[:, 0], crops[:, 2], atol=1e-4)
