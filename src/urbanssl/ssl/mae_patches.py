"""MAE's patches: cutting, masking, and the loss on the masked ones.

He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners", section 3.
"""

from __future__ import annotations

import torch


def patchify(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Cut images into patches.

    Args:
        images: `(N, 3, H, W)`, H = W a multiple of `patch`.
        patch: side of a patch in pixels.

    Returns:
        `(N, L, patch * patch * 3)`: patches row by row, each as (row, column, channel).
    """
    count, channels, height, width = images.shape
    cut = images.reshape(count, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(count, -1, patch * patch * channels)


def unpatchify(patches: torch.Tensor, patch: int) -> torch.Tensor:
    """Put patches together again: the inverse of `patchify` for square images."""
    count, length, values = patches.shape
    side, channels = round(length**0.5), values // patch**2
    cut = patches.reshape(count, side, side, patch, patch, channels)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(count, channels, side * patch, side * patch)


def kept_count(length: int, ratio: float) -> int:
    """Return how many patches are kept.

    The product is rounded down in double precision, as in the reference: for some lengths
    rounding loses a patch (100 at .9 keeps 9).
    """
    return int(length * (1 - ratio))


def random_masking(
    noise: torch.Tensor, ratio: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Choose the patches that are kept: those of the smallest noise.

    Args:
        noise: `(N, L)`.
        ratio: share of the patches that is masked.

    Returns:
        `(N, kept)` indices in order of increasing noise; `(N, L)` mask, 1 = masked; `(N, L)` rank
        of every patch by its noise, which puts shuffled patches back in place.
    """
    kept = kept_count(noise.shape[1], ratio)
    order = torch.argsort(noise, dim=1, stable=True)
    ranks = torch.argsort(order, dim=1)
    return order[:, :kept], (ranks >= kept).to(noise.dtype), ranks


def pick(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return tokens `(N, k, D)` of `(N, L, D)` at the indices `(N, k)`."""
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def standardised(patches: torch.Tensor) -> torch.Tensor:
    """Return patches by their own mean and unbiased variance, plus 1e-6 (section 3, appendix)."""
    centred = patches - patches.mean(-1, keepdim=True)
    # torch's own variance takes several times as long on CPU.
    variance = centred.square().sum(-1, keepdim=True) / (patches.shape[-1] - 1)
    return centred / (variance + 1e-6).sqrt()


def masked_loss(predicted: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error per patch, averaged over the masked patches of the batch.

    Args:
        predicted: `(N, L, P)`.
        target: `(N, L, P)`.
        mask: `(N, L)`, 1 = masked.
    """
    error = (predicted - target).square().mean(-1)
    return (error * mask).sum() / mask.sum()
