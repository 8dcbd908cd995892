"""Random crops, flips, blur and colours for a whole batch, on the device the batch is on.

Cropping, resizing (antialiased), flipping and blurring are linear and separable, so each crop is
two small matrices: rows and columns of the result from rows and columns of the tile. All colour
changes of a crop make one affine map of its three channels. Every sample has its own numbers, drawn
for the whole batch from one seed, so they do not depend on the number of processes.
Crop and colour distributions: Caron et al. 2020, section 4 and appendix; Chen et al. 2020 (SimCLR).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

#: Mean and standard deviation of ImageNet's channels, for values in 0..1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
#: What weights tell of the input they were trained with.
INPUT_BANDS = {
    "order": ["red", "green", "blue"],
    "scale": "8-bit values divided by 255",
    "mean": list(MEAN),
    "std": list(STD),
}
#: Standard deviations beyond which a blur weighs nothing: there it is below 2e-8.
_BLUR_REACH = 6.0
_GREY = (0.299, 0.587, 0.114)
_TO_YIQ = torch.tensor([_GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class CropKind:
    """Crops of one size.

    Attributes:
        count: how many of each tile.
        size: side in pixels.
        scale: smallest and largest share of the tile's area.
    """

    count: int
    size: int
    scale: tuple[float, float]


@dataclass(frozen=True)
class Colours:
    """How colours are distorted; strengths and probabilities of SimCLR as SwAV uses it.

    Attributes:
        jitter: strengths of brightness, contrast, saturation, hue.
        jitter_share: share of the crops that is jittered.
        grey_share: share of the crops that becomes grey.
        blur_share: share of the crops that is blurred.
        blur: smallest and largest standard deviation in pixels.
    """

    jitter: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 0.2)
    jitter_share: float = 0.8
    grey_share: float = 0.2
    blur_share: float = 0.5
    blur: tuple[float, float] = (0.1, 2.0)


def normalise(tiles: torch.Tensor) -> torch.Tensor:
    """Return `(B, 3, S, S)` float32, normalised as ImageNet, of `(B, S, S, 3)` uint8."""
    images = tiles.permute(0, 3, 1, 2).float() / 255
    return (images - images.new_tensor(MEAN)[:, None, None]) / images.new_tensor(STD)[:, None, None]


def pixels(images: torch.Tensor) -> torch.Tensor:
    """Return `(N, S, S, 3)` values in 0..1 of `(N, 3, S, S)` normalised images."""
    mean, std = images.new_tensor(MEAN), images.new_tensor(STD)
    return (images.permute(0, 2, 3, 1) * std + mean).clamp(0, 1)


def random_crops(
    tiles: torch.Tensor,
    kind: CropKind,
    colours: Colours | None,
    seed: int,
    rows: tuple[int, int, int],
) -> torch.Tensor:
    """Return random crops of tiles, normalised as ImageNet.

    Args:
        tiles: `(B, S, S, 3)` uint8.
        kind: how many, how large.
        colours: how colours are distorted; None leaves them and does not blur.
        seed: of the random numbers.
        rows: first, last and total: which rows of the global batch `tiles` is.

    Returns:
        `(count * B, 3, size, size)` float32, crop after crop.
    """
    draw = _Draw(seed, rows, kind.count, tiles.device)
    side = tiles.shape[1]
    top, left, height, width = _boxes(draw, kind.scale, side)
    flip = draw.uniform() < 0.5
    down = resize_matrix(top, height, side, kind.size)
    across = resize_matrix(left, width, side, kind.size)
    across = torch.where(flip[..., None, None], across.flip(-2), across)
    if colours is not None:
        blur = blur_matrix(_sigmas(draw, colours), kind.size)
        down, across = blur @ down, blur @ across
    images = _apply(tiles, down, across)
    if colours is not None:
        images = _recolour(images, draw, colours)
    mean, std = images.new_tensor(MEAN), images.new_tensor(STD)
    return (images - mean[:, None, None]) / std[:, None, None]


class _Draw:
    """Random numbers `(count, B)` of this process's rows, from those of the whole batch.

    They are drawn by the CPU, so that they are the same everywhere, and moved at once: what is made
    of them (crops' matrices, thousands of times as large) is made on the device.
    """

    #: Most numbers that one crop needs.
    _NUMBERS = 16

    def __init__(
        self, seed: int, rows: tuple[int, int, int], count: int, device: torch.device
    ) -> None:
        first, last, total = rows
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.rand((self._NUMBERS, count, total), generator=generator)
        self._numbers = iter(numbers[:, :, first:last].to(device))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return low + (high - low) * next(self._numbers)


def _boxes(draw: _Draw, scale: tuple[float, float], side: int) -> tuple[torch.Tensor, ...]:
    """Return top, left, height, width of random boxes in pixels, inside the tile."""
    area = draw.uniform(*scale) * side * side
    ratio = torch.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
    width = (area * ratio).sqrt().clamp(1, side)
    height = (area / ratio).sqrt().clamp(1, side)
    return draw.uniform() * (side - height), draw.uniform() * (side - width), height, width


def resize_matrix(start: torch.Tensor, length: torch.Tensor, side: int, size: int) -> torch.Tensor:
    """Return the matrices that resize an interval of a line to `size` values.

    A triangle filter, widened where it shrinks: bilinear with antialiasing.

    Args:
        start: `(...)` where the interval starts, in pixels.
        length: `(...)` its length in pixels.
        side: pixels of the line.
        size: values wanted.

    Returns:
        `(..., size, side)`, rows sum to 1.
    """
    step = length / size
    centres = start[..., None] + (torch.arange(size, device=start.device) + 0.5) * step[..., None]
    pixels = torch.arange(side, device=start.device) + 0.5
    reach = step.clamp_min(1.0)[..., None, None]
    weights = (1 - (pixels - centres[..., None]).abs() / reach).clamp_min(0)
    return weights / weights.sum(-1, keepdim=True)


def blur_matrix(sigma: torch.Tensor, size: int) -> torch.Tensor:
    """Return matrices that blur a line of `size` values by Gaussians; sigma 0 leaves it alone.

    Args:
        sigma: `(...)` standard deviations in pixels.
        size: values of the line.

    Returns:
        `(..., size, size)`, rows sum to 1.
    """
    places = torch.arange(size, device=sigma.device)
    gap = (places[:, None] - places).abs() / sigma.clamp_min(1e-3)[..., None, None]
    # Farther away weights are too small for float32's normal range, where a CPU multiplies slowly.
    weights = torch.exp(-0.5 * gap.clamp_max(_BLUR_REACH).square()) * (gap < _BLUR_REACH)
    return weights / weights.sum(-1, keepdim=True)


def _sigmas(draw: _Draw, colours: Colours) -> torch.Tensor:
    chosen = draw.uniform() < colours.blur_share
    sigma = draw.uniform(*colours.blur)
    return torch.where(chosen, sigma, torch.zeros_like(sigma))


def _apply(tiles: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """Return crops `(count * B, 3, size, size)` in 0..1, by matrices `(count, B, size, S)`."""
    count, batch, size, side = down.shape
    pixels = tiles.to(torch.float32).div_(255).reshape(batch, side, side * 3)
    down = down.transpose(0, 1).reshape(batch, count * size, side)
    lines = torch.bmm(down, pixels).reshape(batch, count, size, side, 3)
    lines = lines.permute(1, 0, 4, 2, 3).reshape(count * batch, 3 * size, side)
    across = across.reshape(count * batch, size, side)
    return torch.bmm(lines, across.transpose(1, 2)).reshape(count * batch, 3, size, size)


def _recolour(images: torch.Tensor, draw: _Draw, colours: Colours) -> torch.Tensor:
    """Return images `(N, 3, H, W)` in 0..1 with their colours distorted."""
    matrices, contrasts = (part.flatten(0, 1) for part in _colour_maps(draw, colours))
    flat = images.flatten(2)
    # Contrast pulls towards the image's mean grey, which is linear in the channels' means.
    grey = images.new_tensor(_GREY).expand(3, 3) @ flat.mean(2, keepdim=True)
    offset = matrices @ ((1 - contrasts) * grey)
    return (torch.bmm(matrices * contrasts, flat) + offset).clamp_(0, 1).view_as(images)


def _colour_maps(draw: _Draw, colours: Colours) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the linear maps of colours `(count, B, 3, 3)` and the contrasts `(count, B, 1, 1)`.

    Brightness, contrast, saturation and hue are applied in this order, values are clipped once at
    the end; the reference shuffles the order and clips after each.
    """
    brightness, contrast, saturation, hue = colours.jitter
    chosen = draw.uniform() < colours.jitter_share

    def factor(strength: float) -> torch.Tensor:
        value = draw.uniform(max(0.0, 1 - strength), 1 + strength)
        return torch.where(chosen, value, torch.ones_like(value))[..., None, None]

    grey = torch.tensor(_GREY, device=chosen.device).expand(3, 3)
    eye = torch.eye(3, device=chosen.device)
    light, sharp, vivid = factor(brightness), factor(contrast), factor(saturation)
    angle = draw.uniform(-hue, hue) * chosen
    matrix = light * (_hue_rotation(angle) @ (vivid * eye + (1 - vivid) * grey))
    to_grey = (draw.uniform() < colours.grey_share)[..., None, None]
    matrix = torch.where(to_grey, grey @ matrix, matrix)
    return matrix, sharp


def _hue_rotation(turns: torch.Tensor) -> torch.Tensor:
    """Return matrices `(..., 3, 3)` that turn the hue, in the YIQ space of television."""
    to_yiq, from_yiq = _TO_YIQ.to(turns.device), _FROM_YIQ.to(turns.device)
    cosine, sine = torch.cos(2 * math.pi * turns), torch.sin(2 * math.pi * turns)
    zero, one = torch.zeros_like(turns), torch.ones_like(turns)
    rows = [one, zero, zero, zero, cosine, -sine, zero, sine, cosine]
    rotation = torch.stack(rows, -1).unflatten(-1, (3, 3))
    return from_yiq @ rotation @ to_yiq
