"""What pretraining without labels learns from real tiles: probes on UC Merced, one table.

    python benchmarks/probe_ucmerced.py --steps 600 --threads 1    # some 40 minutes a seed
    python benchmarks/probe_ucmerced.py --steps 5 --seeds 1 --most 200     # a trial of a minute

Pretrains on the 1,680 training images without their labels, then asks the frozen features for the
class of the 420 test images by k-NN and by a linear classifier. Beside it: a colour histogram,
random convolutional features, the untrained network, and the same network trained with labels from
scratch (its `linear` is its own accuracy). Mean and standard deviation over seeds; curves of loss
and probes go to `--out`. On a GPU: `--gpus 1 --swav config/models/swav_r50.py` and so on.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch.nn import functional

from urbanssl.engine.job import TrainJob
from urbanssl.engine.train import train
from urbanssl.engine.weights import load_weights
from urbanssl.features.histogram import colour_histogram
from urbanssl.features.rcf import convolved_features, draw_filters
from urbanssl.settings_training import Budget
from urbanssl.ssl.crops import Colours, CropKind, random_crops
from urbanssl.ssl.labelled_folder import labelled_images
from urbanssl.ssl.probe import features_of, probe

ROOT = Path(__file__).parents[1]


def load(options):
    """Return images, labels and which are learned from; write the training part as a shard."""
    known = labelled_images(options.data, options.most)
    images = known.read(options.size)
    tiles = images[known.learn]
    np.save(options.out / "tiles.npy", tiles)
    side = int(np.ceil(np.sqrt(len(tiles))))
    row, col = np.divmod(np.arange(len(tiles)), side)
    table = pd.DataFrame({"tile_id": [f"ucm/{n}" for n in range(len(tiles))], "image": "ucm"})
    table = table.assign(row=row, col=col, x=None, y=None)
    table.to_parquet(options.out / "tiles.parquet")
    return images, known


def build(recipe):
    """Return the untrained network of a recipe."""
    network = MODELS.build(Config.fromfile(str(recipe)).model)
    network.init_weights()
    return network


def pretrained(stage, recipe, seed, options):
    """Pretrain a network (or go on with it); return it and its log."""
    folder = options.out / f"{stage}-{seed}"
    job = TrainJob(
        stage=stage,
        recipe=recipe,
        arrays=(options.out / "tiles.npy",),
        tables=(options.out / "tiles.parquet",),
        work=folder,
        output_weights=folder / "weights.safetensors",
        output_log=folder / "log.json",
        settings=Budget(
            steps=options.steps or 50,
            batch_size=options.batch,
            gpus=options.gpus,
            precision="bf16" if options.gpus else "fp32",
            checkpoint_every=100,
            on_trouble="warn",
        ),
        probe=options.data,
        seed=seed,
        threads=options.threads,
    )
    if options.steps is None:
        # As many steps as fit the minutes, by the pace of a first few.
        trial = replace(job, work=folder / "pace", settings=replace_steps(job.settings, 12))
        began = time.perf_counter()
        train(trial)
        pace = (time.perf_counter() - began) / 12
        steps = max(50, int(options.minutes * 60 / pace))
        job = replace(job, settings=replace_steps(job.settings, steps))
    train(job)
    network = build(recipe)
    load_weights(network, job.output_weights, prefixes=network.weight_prefixes)
    return network, json.loads(job.output_log.read_text())


def replace_steps(budget, steps):
    """Return a budget of so many steps."""
    return Budget(**{**budget.model_dump(), "steps": steps})


def probed_size(recipe):
    """Return the side in pixels to which a recipe's own probe resizes images, None for none."""
    hooks = Config.fromfile(str(recipe)).custom_hooks
    return next(hook for hook in hooks if hook.type == "ProbeBlocks").get("size")


def supervised(recipe, images, known, seed, options):
    """Train the backbone with labels from scratch; return its accuracy on the test part."""
    torch.manual_seed(seed)
    device = "cuda" if options.gpus else "cpu"
    network = build(recipe)
    width = network.features(torch.from_numpy(images[:2])).shape[1]
    head = torch.nn.Linear(width, len(known.classes)).to(device)
    network = network.to(device)
    tiles, labels = images[known.learn], torch.from_numpy(known.labels[known.learn])
    parameters = [*network.backbone.parameters(), *head.parameters()]
    steps = options.supervised_steps
    optimizer = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    kind = CropKind(1, network.view_kind.size, (0.3, 1.0))
    colours = Colours(jitter=(0.3, 0.3, 0.3, 0.05), grey_share=0.0, blur_share=0.0)
    rng = np.random.default_rng(seed)
    network.train()
    for step in range(steps):
        chosen = rng.integers(0, len(tiles), options.batch)
        rows = (0, options.batch, options.batch)
        crops = random_crops(torch.from_numpy(tiles[chosen]), kind, colours, step, rows)
        scores = head(network.backbone(crops.to(device)))
        loss = functional.cross_entropy(scores, labels[chosen].to(device), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    found = features_of(network, images, probed_size(recipe))
    with torch.inference_mode():
        scores = head.cpu()(torch.from_numpy(found).float()).numpy()
    test = ~known.learn
    own = float((scores.argmax(1) == known.labels)[test].mean())
    return {**probe(found, known.labels, known.learn), "linear": own}


def random_convolutions(images, seed):
    """Return MOSAIKS features of images with filters from the images themselves."""
    filters = torch.from_numpy(draw_filters([images], 256, seed))
    parts = torch.from_numpy(images).permute(0, 3, 1, 2).split(16)
    found = [convolved_features(part.float() / 255, filters, bias=0.1) for part in parts]
    return torch.cat(found).numpy().astype(float)


def one_seed(seed, images, known, options):
    """Return the probes of every method for one seed, saying each as it is known."""

    def asked(features):
        return probe(np.asarray(features, float), known.labels, known.learn, seed)

    found = {}

    def note(name, result):
        found[name] = result
        print(
            f"seed {seed}  {name:28} k-NN {result['knn']:.3f}  linear {result['linear']:.3f}",
            flush=True,
        )

    note("colour histogram", asked(colour_histogram(images)))
    note("random convolutions", asked(random_convolutions(images, seed)))
    for stage in options.stages:
        recipe = getattr(options, stage)
        torch.manual_seed(seed)
        size = probed_size(recipe)
        untrained = asked(features_of(build(recipe), images, size))
        note(f"untrained, {stage}'s network", untrained)
        network, log = pretrained(stage, recipe, seed, options)
        note(stage, {**asked(features_of(network, images, size)), "seconds": log["seconds"]})
    note("supervised from scratch", supervised(options.swav, images, known, seed, options))
    return found


def table_of(seeds):
    """Return the table in Markdown: mean and standard deviation over seeds."""
    lines = ["| features | k-NN | linear |", "|---|---|---|"]
    for name in seeds[0]:
        cells = []
        for what in ("knn", "linear"):
            values = [100 * found[name][what] for found in seeds]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Run what the command line asks for and write table and numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    models = ROOT / "benchmarks" / "ucmerced"
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/ucmerced")
    parser.add_argument("--out", type=Path, default=Path("results/ucmerced"))
    parser.add_argument("--swav", type=Path, default=models / "swav.py")
    parser.add_argument("--mae", type=Path, default=models / "mae.py")
    parser.add_argument("--stages", nargs="+", choices=("swav", "mae"), default=("swav", "mae"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=50, help="of each pretraining")
    parser.add_argument("--steps", type=int, help="of each pretraining, in place of minutes")
    parser.add_argument("--supervised-steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--most", type=int, help="at most so many images: a trial")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    images, known = load(options)
    seeds = []
    for seed in range(options.first, options.first + options.seeds):
        seeds.append(one_seed(seed, images, known, options))
        (options.out / "probes.json").write_text(json.dumps(seeds, indent=2))
    (options.out / "table.md").write_text(table_of(seeds) + "\n")
    print(table_of(seeds))


if __name__ == "__main__":
    main()
