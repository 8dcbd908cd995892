"""The plain Vision Transformer of ViTDet: windows, a few global blocks, no class token.

Source: Li et al. 2022, Exploring Plain Vision Transformer Backbones for Object Detection,
section 3 (backbone adaptation) and appendix A.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from urbanssl.detect.relative_position import (
    relative_bias,
    resize_positions,
    window_partition,
    window_unpartition,
)
from urbanssl.ops.attention import attention
from urbanssl.ssl.vit import patch_projection, start_projection


class Attention(nn.Module):
    """Multi-head attention over a grid of tokens, with decomposed relative positions."""

    def __init__(self, width: int, heads: int, size: tuple[int, int]) -> None:
        """Make the layers.

        Args:
            width: channels of a token.
            heads: attention heads.
            size: height and width of the grid that the tables of relative positions are for.
        """
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size[0] - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size[1] - 1, width // heads))

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend within each grid `(B, H, W, C)`; the shape stays."""
        batch, height, width, channels = tokens.shape
        size = (height, width)
        parts = self.qkv(tokens).reshape(batch, height * width, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        bias = relative_bias(query, self.rel_pos_h, self.rel_pos_w, size, size)
        mixed = attention(query, key, value, bias)
        return self.proj(mixed.transpose(1, 2).reshape(batch, height, width, channels))


class Mlp(nn.Module):
    """Two linear layers with GELU in between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply to every token alone."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """A pre-norm transformer block, within windows or over the whole grid."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float,
        grid: tuple[int, int],
        window: int,
        drop_path: float,
    ) -> None:
        """Make the layers.

        Args:
            width: channels of a token.
            heads: attention heads.
            mlp_ratio: width of the hidden layer over `width`.
            grid: height and width of the nominal image in tokens.
            window: side of the windows in tokens; 0 attends over the whole grid.
            drop_path: probability to leave a branch out in training.
        """
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, (window, window) if window else grid)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.drop_path = StochasticDepth(drop_path, "row")

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens `(B, H, W, C)`."""
        normed = self.norm1(tokens)
        if self.window:
            # Padded places take part as keys, as in the paper's code: their keys and values are
            # the biases of the projection.
            windows, padded = window_partition(normed, self.window)
            size = (tokens.shape[1], tokens.shape[2])
            mixed = window_unpartition(self.attn(windows), self.window, padded, size)
        else:
            mixed = self.attn(normed)
        tokens = tokens + self.drop_path(mixed)
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


class PatchEmbed(nn.Module):
    """Patches to tokens, named as in MAE and timm."""

    def __init__(self, patch: int, width: int, hierarchical: bool) -> None:
        super().__init__()
        self.proj = patch_projection(patch, width, hierarchical)

    def forward(self, images: Tensor) -> Tensor:
        """Turn `(B, 3, H, W)` into `(B, H / patch, W / patch, C)`."""
        return self.proj(images).permute(0, 2, 3, 1)


@MODELS.register_module()
class ViTDetBackbone(BaseModule):
    """ViTDet's backbone; its names are those of MAE and timm, so that MAE weights load into it.

    The position embedding keeps the row of MAE's class token, which is not used. There is no norm
    behind the last block, unless `standardise`.
    """

    def __init__(
        self,
        img_size: int = 1024,
        patch_size: int = 16,
        embed_dims: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        window_size: int = 14,
        global_blocks: Sequence[int] = (2, 5, 8, 11),
        pretrain_img_size: int = 224,
        drop_path_rate: float = 0.0,
        hierarchical_patches: bool = False,
        standardise: bool = False,
        momentum: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        """Make the layers.

        Args:
            img_size: side of the nominal image in pixels; other sizes work too.
            patch_size: side of a patch in pixels.
            embed_dims: channels of a token.
            depth: number of blocks.
            num_heads: attention heads.
            mlp_ratio: width of the hidden layers over `embed_dims`.
            window_size: side of the windows in tokens.
            global_blocks: numbers of the blocks that attend over the whole image.
            pretrain_img_size: side of the image in pixels that `pos_embed` is for.
            drop_path_rate: probability to leave the last block's branches out in training; it
                grows linearly from 0 over the blocks.
            hierarchical_patches: halve patches step by step, see `patch_projection`.
            standardise: subtract each channel's mean over the batch and divide by its deviation
                at the end. Tokens of a masked autoencoder share a large offset (several times
                what differs between them), which a short finetuning has no time to unlearn.
            momentum: weight of a batch in the means and deviations that batch norms keep for
                prediction. Batches of a few tiles need a small one: at 0.1 the last ten batches
                decide, and tiles are seen otherwise in prediction than in training.
            init_cfg: as of every mmengine module.
        """
        super().__init__(init_cfg)
        self.patch_size = patch_size
        grid = img_size // patch_size
        tokens = (pretrain_img_size // patch_size) ** 2
        self.patch_embed = PatchEmbed(patch_size, embed_dims, hierarchical_patches)
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens + 1, embed_dims))
        rates = torch.linspace(0, drop_path_rate, depth).tolist()
        self.blocks = nn.ModuleList(
            Block(
                embed_dims,
                num_heads,
                mlp_ratio,
                (grid, grid),
                0 if number in global_blocks else window_size,
                rate,
            )
            for number, rate in enumerate(rates)
        )
        self.standardise = (
            nn.BatchNorm2d(embed_dims, affine=False) if standardise else nn.Identity()
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        self._draw_weights()

    def _draw_weights(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        start_projection(self.patch_embed.proj)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Turn images `(B, 3, H, W)` into one map `(B, C, H / patch, W / patch)`."""
        tokens = self.patch_embed(images)
        size = (tokens.shape[1], tokens.shape[2])
        tokens = tokens + resize_positions(self.pos_embed, size, class_token=True)
        for block in self.blocks:
            tokens = block(tokens)
        return (self.standardise(tokens.permute(0, 3, 1, 2)),)
