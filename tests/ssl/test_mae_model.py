import pytest
import torch

from urbanssl.ssl.mae_model import MAE


@pytest.mark.parametrize("hierarchical", [False, True])
@pytest.mark.parametrize("norm_pixels", [False, True])
def test_the_loss_of_the_training_is_that_of_the_plain_form(hierarchical, norm_pixels):
    torch.manual_seed(0)
    network = MAE(
        32, 8, 16, 2, 2, 12, 1, 2, norm_pixels=norm_pixels, hierarchical_patches=hierarchical
    )
    images, noise = torch.rand(3, 3, 32, 32), torch.rand(3, 16)
    plain, _, _, latent = network.reconstruct(images, noise)
    fast, same = network.masked_loss_of(images, noise)
    assert torch.allclose(fast, plain, rtol=1e-5)
    assert torch.allclose(same, latent, atol=1e-6)
    slopes = [
        torch.autograd.grad(loss, network.decoder_blocks[0].mlp.fc1.weight)[0]
        for loss in (plain, fast)
    ]
    assert torch.allclose(*slopes, rtol=1e-4, atol=1e-7)
