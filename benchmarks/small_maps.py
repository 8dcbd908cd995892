"""Convolutions of small maps beside PyTorch's own: `python benchmarks/small_maps.py --threads 2`.

Forward and backward, channels-last, weights in float32 as under autocast; the best of `--repeats`,
in turns. The shapes are those of ResNet-18's last two stages for crops of 48 and 96 pixels.
"""

import argparse
import copy
import time

import torch
from torch import nn

from urbanssl.ops.small_maps import with_small_maps

#: Images, channels in, channels out, side of the map, stride.
SHAPES = (
    (384, 512, 512, 1, 1),
    (384, 512, 512, 2, 1),
    (384, 256, 512, 3, 2),
    (384, 256, 256, 3, 1),
    (128, 512, 512, 3, 1),
    (96, 512, 512, 2, 1),
    (96, 256, 256, 3, 1),
)


def seconds(layer, images, upstream, precision):
    """Return the seconds of one forward and backward pass."""
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        found = layer(images)
    found.backward(upstream.to(found.dtype))
    return time.perf_counter() - began


def main():
    """Print a line for each shape and precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for count, before, after, side, stride in SHAPES:
        for precision in ("fp32", "bf16"):
            plain = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            plain.to(memory_format=torch.channels_last)
            layers = {"ours": with_small_maps(copy.deepcopy(plain)), "pytorch": plain}
            images = torch.randn(count, before, side, side)
            if precision == "bf16":
                images = images.bfloat16()
            images = images.contiguous(memory_format=torch.channels_last)
            images.requires_grad_()
            upstream = torch.randn_like(plain(images.float()))
            best = dict.fromkeys(layers, float("inf"))
            for number in range(options.repeats + 1):
                for name, layer in layers.items():
                    took = seconds(layer, images, upstream, precision)
                    if number:  # the first one warms up
                        best[name] = min(best[name], took)
            print(
                f"{count:4} x {before:3} to {after:3}, map {side} x {side}, stride {stride}, "
                f"{precision}: ours {best['ours'] * 1e3:6.1f} ms, pytorch "
                f"{best['pytorch'] * 1e3:6.1f} ms, {best['pytorch'] / best['ours']:.1f} x"
            )


if __name__ == "__main__":
    main()
