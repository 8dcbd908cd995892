"""SwAV and MAE beside lightly: images a second and memory, in one run, alternating.

    pip install --target /tmp/peers --no-deps lightly==1.6.0 lightly_utils pytorch_lightning ...
    python benchmarks/ssl.py --peers /tmp/peers                 # both methods, 2 threads
    python benchmarks/ssl.py --peers /tmp/peers --method mae --rounds 10
    python benchmarks/ssl.py --device cuda --full --precision bf16   # ours alone, full recipes
    python benchmarks/ssl.py --million                          # memory over a million tiles

Same network, crops, batch, optimiser, precision and tiles on both sides. `loop` is the whole
training loop with data loading (theirs: its transforms in as many worker processes as threads);
`step` is a step on a batch that is there (theirs: ready crops; ours: uint8 tiles, so that cropping
and colours count on our side). Each side has processes of its own and the other stands still
meanwhile. Peak memory is theirs together, loaders included.
"""

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from urbanssl.engine.data import Shards, TileBatches
from urbanssl.engine.log import Curve
from urbanssl.engine.order import StepBatches
from urbanssl.ssl.mae_model import MAE
from urbanssl.ssl.swav_model import SwAV

SWAV = {"arch": "resnet18", "sizes": (96, 48), "counts": (2, 6), "prototypes": 300}
MAE_SMALL = {"image": 96, "patch": 8, "width": 192, "depth": 6, "heads": 6}
DECODER = {"decoder_width": 96, "decoder_depth": 2, "decoder_heads": 6}
SWAV_FULL = {"arch": "resnet50", "sizes": (224, 96), "counts": (2, 6), "prototypes": 3000}
MAE_FULL = {"image": 224, "patch": 16, "width": 768, "depth": 12, "heads": 12}
DECODER_FULL = {"decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16}


def draw_tiles(folder, count, size):
    """Write a shard of tiles with structure of many scales."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, size // 16, size // 16, 3)).repeat(16, 1).repeat(16, 2)
    tiles = coarse + rng.normal(0, 20, (count, size, size, 3))
    np.save(folder / "tiles.npy", tiles.clip(0, 255).astype(np.uint8))
    return folder / "tiles.npy"


def swav_shape(options):
    """Return the settings of SwAV."""
    return SWAV_FULL if options.full else SWAV


def mae_shape(options):
    """Return the settings of MAE's encoder and decoder."""
    return (MAE_FULL, DECODER_FULL) if options.full else (MAE_SMALL, DECODER)


class Ours:
    """A training of this package, as the engine runs it."""

    def __init__(self, shard, options):
        torch.manual_seed(0)
        if options.method == "swav":
            shape = swav_shape(options)
            scales = ((0.14, 1.0), (0.05, 0.14))
            crops = [
                {"count": count, "size": size, "scale": scale}
                for count, size, scale in zip(shape["counts"], shape["sizes"], scales, strict=True)
            ]
            model = SwAV(shape["arch"], crops, shape["prototypes"], (512, 128))
        else:
            encoder, decoder = mae_shape(options)
            model = MAE(**encoder, **decoder)
        self.model, self.options = model.to(options.device), options
        if options.compile:
            self.model.compile_parts()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-4, fused=True)
        shards = Shards([shard])
        steps = StepBatches(len(shards), options.batch, 10**9, 0, 0, 1)
        self.batches = iter(TileBatches(shards, steps, 3 if options.device == "cuda" else 0))
        self.curve, self.step, self.loading = Curve(1), 0, 0.0
        self.ready = next(self.batches)

    def train(self, batch):
        """Take one step."""
        batch = {**batch, "inputs": batch["inputs"].to(self.options.device, non_blocking=True)}
        with autocast(self.options):
            outputs = self.model(**batch, mode="loss")
        self.optimizer.zero_grad(set_to_none=True)
        outputs["loss"].backward()
        self.optimizer.step()
        self.curve.add(self.step, outputs, 0.0)
        self.step += 1

    def one_step(self):
        """Take a step on the batch that is there."""
        self.train(self.ready)

    def one_of_loop(self):
        """Load a batch and take a step."""
        began = time.perf_counter()
        batch = next(self.batches)
        self.loading += time.perf_counter() - began
        self.train(batch)


class Theirs:
    """The training loop of lightly's documentation, on the same network and tiles."""

    def __init__(self, shard, options):
        torch.manual_seed(0)
        self.options = options
        transform, self.loss_of, self.network = (
            lightly_swav(options) if options.method == "swav" else lightly_mae(options)
        )
        self.network.to(options.device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 1e-4)
        loader = torch.utils.data.DataLoader(
            PillowTiles(shard, transform),
            options.batch,
            shuffle=True,
            drop_last=True,
            num_workers=options.threads,
            persistent_workers=True,
        )
        self.batches = (batch for _ in cycle([0]) for batch in loader)
        self.ready = next(self.batches)

    def train(self, views):
        """Take one step."""
        views = [view.to(self.options.device, non_blocking=True) for view in views]
        with autocast(self.options):
            loss = self.loss_of(self.network, views)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss.item()

    def one_step(self):
        """Take a step on the views that are there."""
        self.train(self.ready)

    def one_of_loop(self):
        """Load a batch and take a step."""
        self.train(next(self.batches))


class PillowTiles(torch.utils.data.Dataset):
    """Tiles as Pillow images, put through lightly's transform."""

    def __init__(self, shard, transform):
        self.tiles, self.transform = np.load(shard, mmap_mode="r"), transform

    def __len__(self):
        return len(self.tiles)

    def __getitem__(self, index):
        from PIL import Image

        return self.transform(Image.fromarray(self.tiles[index]))


def lightly_swav(options):
    """Return transform, loss and network of SwAV with lightly's parts."""
    import torchvision
    from lightly.loss import SwaVLoss
    from lightly.models.modules import SwaVProjectionHead, SwaVPrototypes
    from lightly.transforms.swav_transform import SwaVTransform

    shape = swav_shape(options)
    backbone = torchvision.models.get_model(shape["arch"], weights=None)
    width = backbone.fc.in_features
    backbone.fc = nn.Identity()
    head, prototypes = SwaVProjectionHead(width, 512, 128), SwaVPrototypes(128, shape["prototypes"])
    network = nn.ModuleDict({"backbone": backbone, "head": head, "prototypes": prototypes})
    criterion = SwaVLoss()

    def loss_of(network, views):
        network["prototypes"].normalize()
        scores = []
        for view in views:
            hidden = network["head"](network["backbone"](view))
            scores.append(network["prototypes"](functional.normalize(hidden, dim=1)))
        return criterion(scores[:2], scores[2:])

    transform = SwaVTransform(crop_sizes=shape["sizes"], crop_counts=shape["counts"])
    return transform, loss_of, network


def lightly_mae(options):
    """Return transform, loss and network of MAE with lightly's parts."""
    import timm
    from lightly.models import utils
    from lightly.models.modules import MAEDecoderTIMM, MaskedVisionTransformerTIMM
    from lightly.transforms import MAETransform

    encoder, decoder = mae_shape(options)
    transformer = timm.models.VisionTransformer(
        encoder["image"],
        encoder["patch"],
        embed_dim=encoder["width"],
        depth=encoder["depth"],
        num_heads=encoder["heads"],
        num_classes=0,
    )
    count = transformer.patch_embed.num_patches
    painter = MAEDecoderTIMM(
        count,
        encoder["patch"],
        embed_dim=encoder["width"],
        decoder_embed_dim=decoder["decoder_width"],
        decoder_depth=decoder["decoder_depth"],
        decoder_num_heads=decoder["decoder_heads"],
    )
    network = nn.ModuleDict(
        {"encoder": MaskedVisionTransformerTIMM(transformer), "decoder": painter}
    )

    def loss_of(network, views):
        images = views[0]
        size = (len(images), count + 1)
        keep, mask = utils.random_token_mask(size, mask_ratio=0.75, device=images.device)
        seen = network["decoder"].embed(network["encoder"].encode(images=images, idx_keep=keep))
        tokens = utils.repeat_token(network["decoder"].mask_token, size)
        tokens = utils.set_at_index(tokens, keep, seen.type_as(tokens))
        tokens = utils.get_at_index(network["decoder"].decode(tokens), mask)
        target = utils.get_at_index(utils.patchify(images, encoder["patch"]), mask - 1)
        return functional.mse_loss(network["decoder"].predict(tokens), target)

    return MAETransform(input_size=encoder["image"]), loss_of, network


def autocast(options):
    """Return the arithmetic that both sides use."""
    return torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16")


class Side:
    """One side in processes of its own, which stand still while it is not its turn."""

    def __init__(self, name, shard, options):
        own = ["--alone", name, "--shard", str(shard), "--method", options.method]
        self.process = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], *own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._answer()
        self._signal(signal.SIGSTOP)

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("one side ended; its error is above")
        return json.loads(line)

    def _signal(self, number):
        # Workers that load ahead while the other side is measured would slow that one down.
        os.killpg(self.process.pid, number)

    def ask(self, what):
        """Have it take the steps of a round; return what it measured."""
        self._signal(signal.SIGCONT)
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        found = self._answer()
        self._signal(signal.SIGSTOP)
        return found

    def end(self):
        """End its processes."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        self.process.wait()


def alone(options):
    """Be one side: take the steps that are asked for and say how long they took."""
    side = (Ours if options.alone == "ours" else Theirs)(options.shard, options)
    calls = {"step": side.one_step, "loop": side.one_of_loop}
    wait = torch.cuda.synchronize if options.device == "cuda" else int
    print("{}", flush=True)
    for line in sys.stdin:
        side.loading = 0.0
        wait()
        began, worked = time.perf_counter(), processor_seconds()
        for _ in range(options.steps):
            calls[line.strip()]()
        wait()
        found = {
            "seconds": time.perf_counter() - began,
            "processor": processor_seconds() - worked,
            "loading": side.loading,
            "peak": peak_mb(options),
        }
        print(json.dumps(found), flush=True)


def processor_seconds():
    """Return the processor time of this process and its workers so far."""
    total = time.process_time()
    for worker in multiprocessing.active_children():
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def peak_mb(options):
    """Return the peak memory: on the GPU, or of this process and its workers together."""
    if options.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    family = ["self", *(worker.pid for worker in multiprocessing.active_children())]
    status = [Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1] for pid in family]
    return sum(int(text.split()[0]) for text in status) / 2**10


def measure(shard, options):
    """Print images a second of both sides, step and loop, from alternating rounds."""
    names = ["ours", "lightly"] if options.peers else ["ours"]
    sides = {name: Side(name, shard, options) for name in names}
    found = {(name, what): [] for name in sides for what in ("step", "loop")}
    for number in range(-1, options.rounds):
        for key in found:
            answer = sides[key[0]].ask(key[1])
            if number >= 0:  # the round before the first warms up
                found[key].append(answer)
    for side in sides.values():
        side.end()
    images = options.batch * options.steps

    def rate(name, what, unit):
        return images / np.median([entry[unit] for entry in found[name, what]])

    for name in sides:
        print(
            f"{options.method} {name:8} step {rate(name, 'step', 'seconds'):8.1f}  loop "
            f"{rate(name, 'loop', 'seconds'):8.1f} images/s; {rate(name, 'loop', 'processor'):.1f} "
            f"images a processor-second; peak {found[name, 'loop'][-1]['peak']:.0f} MB"
        )
    ours = found["ours", "loop"]
    share = sum(entry["loading"] for entry in ours) / sum(entry["seconds"] for entry in ours)
    print(f"{options.method} ours     loading {share:.1%} of the loop")
    if options.peers:
        for unit in ("seconds", "processor"):
            pairs = zip(found["lightly", "loop"], ours, strict=True)
            ratios = sorted(theirs[unit] / mine[unit] for theirs, mine in pairs)
            print(
                f"{options.method} ratio of the loops by {unit} {np.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} rounds of {options.steps})"
            )


def million(folder, options):
    """Print the memory of the process while it reads batches from a million tiles."""
    np.lib.format.open_memmap(folder / "m.npy", "w+", np.uint8, (1_000_000, 128, 128, 3))
    shards = Shards([folder / "m.npy"])
    batches = TileBatches(shards, StepBatches(len(shards), 256, 802, 0, 0, 1))
    for number, _ in enumerate(batches):
        if number % 200 == 1:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            read = number * 256 * 128 * 128 * 3 / 2**20
            print(f"after {read:8.0f} MB read of a million tiles: {pages / 256:6.0f} MB resident")


def main():
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--method", choices=("swav", "mae"), help="one of the two; both without")
    parser.add_argument("--peers", help="folder that lightly is installed in")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--full", action="store_true", help="ResNet-50 and ViT-B/16")
    parser.add_argument("--compile", action="store_true", help="compile our networks")
    parser.add_argument("--million", action="store_true", help="memory over a million tiles")
    parser.add_argument("--alone", choices=("ours", "lightly"), help=argparse.SUPPRESS)
    parser.add_argument("--shard", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peers:
        sys.path.append(options.peers)  # behind the installed packages: torch stays the same
    if options.alone:
        alone(options)
        return
    with tempfile.TemporaryDirectory() as name:
        if options.million:
            million(Path(name), options)
            return
        shard = draw_tiles(Path(name), 512, 256 if options.full else 128)
        for method in (options.method,) if options.method else ("swav", "mae"):
            options.method = method
            measure(shard, options)


if __name__ == "__main__":
    main()
