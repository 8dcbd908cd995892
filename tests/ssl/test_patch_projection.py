import pytest
import torch

from urbanssl.ssl.vit import PatchEmbed, patch_projection


def test_both_forms_give_one_token_a_patch():
    images = torch.zeros(2, 3, 32, 48)
    for hierarchical in (False, True):
        assert PatchEmbed(8, 24, hierarchical)(images).shape == (2, 4 * 6, 24)


def test_a_masked_patch_reaches_no_other_token():
    projection = patch_projection(8, 32, hierarchical=True).eval()
    images = torch.randn(1, 3, 32, 32)
    changed = images.clone()
    changed[:, :, :8, :8] = 5.0
    with torch.no_grad():
        moved = (projection(images) - projection(changed)).abs().sum((0, 1)) > 1e-6
    assert moved.nonzero().tolist() == [[0, 0]]


def test_the_hierarchical_form_refuses_a_patch_that_cannot_be_halved():
    with pytest.raises(ValueError, match="patch is 12"):
        patch_projection(12, 32, hierarchical=True)
