import pytest
import torch

from urbanssl.ssl.mae_model import MAE


@pytest.mark.parametrize("hierarchical", [False, True])
@pytest.mark.parametrize("norm_pixels", [False, True])
@pytest.mark.parametrize("decoder_depth", [0, 1, 2])
def test_the_loss_of_the_training_is_that_of_the_plain_form(
    hierarchical, norm_pixels, decoder_depth
):
    torch.manual_seed(0)
    network = MAE(
        32,
        8,
        16,
        2,
        2,
        12,
        decoder_depth,
        2,
        norm_pixels=norm_pixels,
        hierarchical_patches=hierarchical,
    ).double()
    images, noise = torch.rand(3, 3, 32, 32, dtype=torch.float64), torch.rand(3, 16)
    plain, _, _, latent = network.reconstruct(images, noise)
    fast, same = network.masked_loss_of(images, noise)
    assert torch.allclose(fast, plain, rtol=1e-9)
    assert torch.allclose(same, latent, rtol=1e-9)
    learning = {n: p for n, p in network.named_parameters() if p.requires_grad}
    slopes = [torch.autograd.grad(loss, list(learning.values())) for loss in (plain, fast)]
    for name, before, after in zip(learning, *slopes, strict=True):
        assert torch.allclose(before, after, rtol=1e-7, atol=1e-12), name
