"""The plain vision transformer, its tensors named as in MAE's release and timm.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; pre-norm blocks, exact GELU.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from urbanssl.ops.attention import attention

_EPS = 1e-6


def patch_projection(patch: int, width: int, hierarchical: bool = False) -> nn.Module:
    """Return the layers that turn each patch into a token, `(N, 3, H, W)` to `(N, D, h, w)`.

    Args:
        patch: side of a patch in pixels; a power of two for the hierarchical form.
        width: channels of a token.
        hierarchical: halve the patch by convolutions of 2 x 2 pixels with stride 2 in place of one
            convolution of the patch's size. No pixel of one patch reaches another, so masked
            patches stay hidden; small networks learn faster (Touvron et al. 2022, Three things
            everyone should know about vision transformers, section 5: hMLP).
    """
    if not hierarchical:
        return nn.Conv2d(3, width, patch, patch)
    halvings = patch.bit_length() - 1
    if patch != 1 << halvings:
        raise ValueError(f"patch is {patch}; the hierarchical form takes 2, 4, 8, 16 ...")
    layers: list[nn.Module] = []
    before = 3
    for left in range(halvings - 1, -1, -1):
        after = max(width >> left, 16)
        # A norm takes the mean away, and with it what a bias adds: its gradient is rounding alone.
        layers += [nn.Conv2d(before, after, 2, 2, bias=False), nn.BatchNorm2d(after)]
        if left:
            layers.append(nn.GELU())
        before = after
    return nn.Sequential(*layers)


class PatchEmbed(nn.Module):
    """Patches to tokens, row by row."""

    def __init__(self, patch: int, width: int, hierarchical: bool = False) -> None:
        super().__init__()
        self.proj = patch_projection(patch, width, hierarchical)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(N, L, D)` of `(N, 3, H, W)`, row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)

    def of_patches(self, patches: torch.Tensor) -> torch.Tensor | None:
        """Return `(N, k, D)` of patches that were cut before, without their neighbours.

        Args:
            patches: `(N, k, patch * patch * 3)`, each as (row, column, channel).

        Returns:
            None for the hierarchical form, whose batch norms are those of all patches.
        """
        if not isinstance(self.proj, nn.Conv2d):
            return None
        weight = self.proj.weight.permute(0, 2, 3, 1).flatten(1)
        return functional.linear(patches, weight, self.proj.bias)


def start_projection(projection: nn.Module) -> None:
    """Draw the weights of a patch projection as of a linear layer (He et al. 2022, A.1)."""
    for module in projection.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.view(module.out_channels, -1))


class Attention(nn.Module):
    """Self-attention; the rows of `qkv` are all queries' heads, then keys', then values'."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, last: int | None = None) -> torch.Tensor:
        """Return `(N, L, D)` of `(N, L, D)`; with `last`, only the last `(N, last, D)` of these."""
        parts = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # The gradients of three slices would each be as large as all of them; those of unbind not.
        query, key, value = parts.unbind(0)
        if last is not None:
            query = query[:, :, -last:]
        mixed = attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return `(N, L, D)` of `(N, L, D)`."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """A transformer block: attention and MLP, each after a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Mlp(width, int(width * ratio))

    def forward(self, tokens: torch.Tensor, last: int | None = None) -> torch.Tensor:
        """Return `(N, L, D)` of `(N, L, D)`; with `last`, the last `(N, last, D)` of these."""
        mixed = self.attn(self.norm1(tokens), last)
        tokens = (tokens if last is None else tokens[:, -last:]) + mixed
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """A vision transformer for classification: MAE's network for fine-tuning and features.

    Args:
        image: side of the images in pixels.
        patch: side of a patch in pixels.
        width: channels of a token.
        depth: number of blocks.
        heads: heads of the attention.
        classes: outputs of the head; 0 for none.
        global_pool: pool the patch tokens, then norm (`fc_norm`); otherwise norm, class token.
    """

    def __init__(
        self,
        image: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        classes: int = 0,
        global_pool: bool = True,
    ) -> None:
        super().__init__()
        self.global_pool = global_pool
        self.patch_embed = PatchEmbed(patch, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        if global_pool:
            self.fc_norm = nn.LayerNorm(width, eps=_EPS)
        else:
            self.norm = nn.LayerNorm(width, eps=_EPS)
        if classes:
            self.head = nn.Linear(width, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(N, D)` features of `(N, 3, H, W)` normalised images."""
        tokens = self.patch_embed(images) + self.pos_embed[:, 1:]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        if self.global_pool:
            return self.fc_norm(tokens[:, 1:].mean(1))
        return self.norm(tokens)[:, 0]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(N, classes)` scores of `(N, 3, H, W)` normalised images."""
        return self.head(self.features(images))
