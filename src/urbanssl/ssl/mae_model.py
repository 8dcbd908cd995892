"""The masked autoencoder as a model of the engine.

He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners". Tensors are named as in its
release, so that weights go both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional

import urbanssl.ssl.probe
import urbanssl.ssl.schedules
from urbanssl.engine.facts import TrainingFacts
from urbanssl.errors import Problem
from urbanssl.ssl.crops import INPUT_BANDS, CropKind, normalise, random_crops
from urbanssl.ssl.mae_patches import (
    kept_count,
    masked_loss,
    patchify,
    pick,
    random_masking,
    standardised,
)
from urbanssl.ssl.mae_positions import sincos_positions
from urbanssl.ssl.refuse import mae_problems
from urbanssl.ssl.vit import Block, PatchEmbed, start_projection

#: Imported for what they register: recipes name their classes.
REGISTERED = (urbanssl.ssl.probe, urbanssl.ssl.schedules)


@MODELS.register_module()
class MAE(BaseModel):
    """A vision transformer that learns by filling in masked patches.

    Args:
        image: side of the images in pixels.
        patch: side of a patch in pixels.
        width: channels of the encoder.
        depth: blocks of the encoder.
        heads: attention heads of the encoder.
        decoder_width: channels of the decoder.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder.
        mask_ratio: share of the patches that is masked.
        norm_pixels: predict patches standardised by their own mean and variance.
        scale: smallest and largest share of a tile's area that is taken as image.
    """

    weight_prefixes: Mapping[str, str] = {"": ""}
    input_bands = INPUT_BANDS

    def __init__(
        self,
        image: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        decoder_width: int,
        decoder_depth: int,
        decoder_heads: int,
        mask_ratio: float = 0.75,
        norm_pixels: bool = True,
        scale: tuple[float, float] = (0.2, 1.0),
        hierarchical_patches: bool = False,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.image, self.patch = image, patch
        self.mask_ratio, self.norm_pixels = mask_ratio, norm_pixels
        self.view_kind, self.colours = CropKind(1, image, (scale[0], scale[1])), None
        grid = image // patch
        self.patch_embed = PatchEmbed(patch, width, hierarchical_patches)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = _fixed_positions(width, grid)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_embed = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.decoder_pos_embed = _fixed_positions(decoder_width, grid)
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_width, decoder_heads) for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=1e-6)
        self.decoder_pred = nn.Linear(decoder_width, patch * patch * 3)
        self._start()

    def _start(self) -> None:
        """Draw the initial weights as the paper does (appendix A.1): Xavier uniform, no biases."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        start_projection(self.patch_embed.proj)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)

    def problems(self, facts: TrainingFacts) -> list[Problem]:
        """Return what cannot work about these settings and this training."""
        return mae_problems(facts, self.image, self.patch, self.mask_ratio)

    def encode(self, images: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return `(N, 1 + k, D)` tokens, the class token first.

        Args:
            images: `(N, 3, H, W)` normalised.
            kept: `(N, k)` patches that are seen; None: all.
        """
        tokens = self.patch_embed(images) + self.pos_embed[:, 1:]
        return self._encode_tokens(tokens if kept is None else pick(tokens, kept))

    def _encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def decode(self, latent: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
        """Return `(N, L, patch * patch * 3)` predictions of all patches.

        Args:
            latent: `(N, 1 + k, D)` of `encode`.
            ranks: `(N, L)` place of each patch among the shuffled, of `random_masking`.
        """
        tokens = self.decoder_embed(latent)
        masked = self.mask_token.expand(len(tokens), ranks.shape[1] + 1 - tokens.shape[1], -1)
        patches = pick(torch.cat([tokens[:, 1:], masked.to(tokens.dtype)], dim=1), ranks)
        tokens = torch.cat([tokens[:, :1], patches], dim=1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens)
        return self.decoder_pred(self.decoder_norm(tokens))[:, 1:]

    def reconstruct(
        self, images: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return loss, predictions, mask and latent tokens for given masking noise.

        Args:
            images: `(N, 3, H, W)` normalised.
            noise: `(N, L)`; the patches of the smallest noise are kept.
        """
        kept, mask, ranks = random_masking(noise, self.mask_ratio)
        latent = self.encode(images, kept)
        predicted = self.decode(latent, ranks)
        with torch.autocast(images.device.type, enabled=False):
            target = patchify(images, self.patch)
            if self.norm_pixels:
                target = standardised(target)
            loss = masked_loss(predicted.to(target.dtype), target, mask.to(target.dtype))
        return loss, predicted, mask, latent

    def masked_loss_of(
        self, images: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return loss and latent tokens, those of `reconstruct` in less time.

        Attention does not mind the order of tokens, so they stay shuffled, the masked ones last:
        nothing is put back in place. Patches that are not seen are not embedded, and the decoder's
        last block and the pixels are computed for masked patches alone.

        Args:
            images: `(N, 3, H, W)` normalised.
            noise: `(N, L)`; the patches of the smallest noise are kept.
        """
        order = torch.argsort(noise, dim=1, stable=True)
        count = kept_count(order.shape[1], self.mask_ratio)
        kept, masked = order[:, :count], order[:, count:]
        patches = patchify(images, self.patch)
        embedded = self.patch_embed.of_patches(pick(patches, kept))
        if embedded is None:
            latent = self.encode(images, kept)
        else:
            latent = self._encode_tokens(embedded + self.pos_embed[0, 1:][kept])
        places = self.decoder_pos_embed[0]
        shuffled = torch.cat([torch.zeros_like(kept[:, :1]), kept + 1], dim=1)
        seen = self.decoder_embed(latent) + places[shuffled]
        holes = self.mask_token + places[masked + 1]
        tokens = torch.cat([seen, holes.to(seen.dtype)], dim=1)
        wanted = masked.shape[1]
        for block in self.decoder_blocks[:-1]:
            tokens = block(tokens)
        for block in self.decoder_blocks[-1:]:
            tokens = block(tokens, wanted)
        predicted = self.decoder_pred(self.decoder_norm(tokens[:, -wanted:]))
        with torch.autocast(images.device.type, enabled=False):
            target = pick(patches, masked)
            if self.norm_pixels:
                target = standardised(target)
            return functional.mse_loss(predicted.to(target.dtype), target), latent

    def features(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return `(B, D)` features, the mean of the patch tokens, of `(B, S, S, 3)` uint8 tiles.

        Tiles of another size than the images of the training are resized.
        """
        images = normalise(tiles)
        if images.shape[-1] != self.image:
            images = functional.interpolate(
                images, size=(self.image, self.image), mode="bilinear", antialias=True
            )
        return self.encode(images)[:, 1:].mean(1)

    def forward(
        self,
        inputs: torch.Tensor,
        step: int = 0,
        draw: int = 0,
        rows: tuple[int, int, int] | None = None,
        mode: str = "tensor",
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return features (mode `tensor`) or the loss (mode `loss`).

        Args:
            inputs: `(B, S, S, 3)` uint8 tiles.
            step: which step it is, from 0.
            draw: seed of the step's random numbers.
            rows: which rows of the global batch these are: first, last, total.
            mode: `tensor` or `loss`.
        """
        if mode != "loss":
            return self.features(inputs)
        first, last, total = rows or (0, len(inputs), len(inputs))
        images = random_crops(inputs, self.view_kind, self.colours, draw, (first, last, total))
        generator = torch.Generator().manual_seed(draw + 1)
        noise = torch.rand((total, (self.image // self.patch) ** 2), generator=generator)
        noise = noise[first:last].to(images.device, non_blocking=True)
        loss, latent = self.masked_loss_of(images, noise)
        spread = latent[:, 1:].mean(1).detach().float().std(0).mean()
        return {"loss": loss, "feature_std": spread}

    def compile_parts(self) -> None:
        """Compile what most of the time goes into; pays on long trainings."""
        for block in (*self.blocks, *self.decoder_blocks):
            block.compile()

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """Return the encoder alone: what timm's vision transformer holds, but for the head."""
        state = self.state_dict()
        return {n: v for n, v in state.items() if not n.startswith(("decoder_", "mask_token"))}


def _fixed_positions(width: int, grid: int) -> nn.Parameter:
    positions = torch.from_numpy(sincos_positions(width, grid)).float()
    return nn.Parameter(positions.unsqueeze(0), requires_grad=False)
