"""Both detectors beside mmdet's own tools on the same config: training, prediction, memory.

    python benchmarks/detect.py                          # the tiny recipes, on CPU
    python benchmarks/detect.py --recipes deformable_detr_r50 --batch 2 --steps 4
    python benchmarks/detect.py --attention              # deformable attention alone

`urbanssl` trains and predicts as the workflow does, from a shard of tiles. `mmdet` does what its
tools/train.py and tools/test.py do: its Runner on the same network, transforms and optimiser, with
image files, its data set and loaders, and mmcv's PyTorch code for deformable attention on CPU. Each
runs in a process of its own, with one thread. Times are seconds of processor time (on a GPU: of a
clock), the first two steps and the first batch not counted; memory is the peak of the process.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from PIL import Image

from urbanssl.ops import bridge

ROOT = Path(__file__).parents[1]
SIDE, TILES, CLASSES = 128, 48, 7
#: Steps and batches that warm up.
WARM = 2
BGR = {"bgr_to_rgb": True}


@HOOKS.register_module()
class Stopwatch(Hook):
    """Notes when each step of a training and each batch of mmdet's test ended."""

    marks: ClassVar[list[float]] = []
    ends: ClassVar[list[float]] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Note the end of a step."""
        self.marks.append(clock())

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Note the end of a batch."""
        self.ends.append(clock())


def clock() -> float:
    """Seconds of processor time; on a GPU of a clock, all work done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def peak_mb() -> float:
    """Peak memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def write_tiles(folder: Path):
    """Write tiles with bright boxes: as a shard with its table, as image files, as COCO."""
    import pandas as pd

    random = np.random.default_rng(0)
    tiles = random.integers(60, 120, (TILES, SIDE, SIDE, 3), dtype=np.uint8)
    images, marks = [], []
    shard = folder / "scene"
    shard.mkdir()
    for n, tile in enumerate(tiles):
        name = f"{n:03d}.png"
        images.append({"id": n, "file_name": name, "width": SIDE, "height": SIDE})
        for _ in range(6):
            x, y, wide, high = (
                int(v) for v in (*random.integers(0, 96, 2), *random.integers(8, 32, 2))
            )
            tile[y : y + high, x : x + wide] = random.integers(0, 255, 3)
            marks.append(
                {"id": len(marks) + 1, "image_id": n, "bbox": [x, y, wide, high], "iscrowd": 0,
                 "category_id": 1 + len(marks) % CLASSES, "area": wide * high}
            )  # fmt: skip
        Image.fromarray(tile).save(folder / name)
    about = [{**image, "scene": "scene", "shard_index": image["id"]} for image in images]
    kinds = [{"id": 1 + k, "name": f"c{k}"} for k in range(CLASSES)]
    content = {"images": about, "annotations": marks, "categories": kinds, "info": {}}
    (folder / "coco.json").write_text(json.dumps(content))
    np.save(shard / "tiles.npy", tiles)
    names = [image["file_name"] for image in images]
    pd.DataFrame({"tile_id": names}).to_parquet(shard / "tiles.parquet")


def ours(folder: Path, recipe: Path, options: argparse.Namespace) -> dict[str, float]:
    """Train by the engine's entry, predict by `predict_tiles`."""
    from urbanssl.detect.predict import input_size, load_detector, predict_tiles
    from urbanssl.engine.job import TrainJob
    from urbanssl.engine.recipe import read_model
    from urbanssl.engine.train import train
    from urbanssl.settings import PredictSettings
    from urbanssl.settings_training import DetectSettings

    shard = folder / "scene"
    budget = DetectSettings(
        steps=options.steps + WARM, batch_size=options.batch, checkpoint_every=10**6,
        gpus=int(torch.cuda.is_available()),
    )  # fmt: skip
    names = tuple(f"c{k}" for k in range(CLASSES))
    train(
        TrainJob(
            stage="detector", recipe=recipe, arrays=(shard / "tiles.npy",),
            tables=(shard / "tiles.parquet",), work=folder / "work", classes=names,
            output_weights=folder / "w.safetensors", output_log=folder / "log.json",
            settings=budget, coco_train=folder / "coco.json",
        )
    )  # fmt: skip
    training = peak_mb()
    config = read_model(recipe, CLASSES)
    model = load_detector(config, folder / "w.safetensors")
    tiles = np.load(shard / "tiles.npy", mmap_mode="r")
    predict = PredictSettings(batch_size=options.batch)
    ends = [
        clock() for _ in predict_tiles(model, tiles, np.arange(TILES), predict, input_size(config))
    ]
    return rates(ends, options.batch, training)


def theirs(folder: Path, recipe: Path, options: argparse.Namespace) -> dict[str, float]:
    """Train and test by mmdet's Runner, as its tools do."""
    from mmengine.runner import Runner

    config = Config.fromfile(str(recipe), import_custom_modules=True)
    runner = Runner.from_cfg(tool_config(config, folder, options))
    runner.train()
    training = peak_mb()
    runner.test()
    return rates(Stopwatch.ends, options.batch, training)


def tool_config(config: Config, folder: Path, options: argparse.Namespace) -> Config:
    """The config as mmdet's tools want it: image files, loaders, loops, an evaluator."""
    from urbanssl.engine.recipe import set_num_classes

    set_num_classes(config.model, CLASSES)
    config.model.data_preprocessor.update(BGR)
    reading = {"type": "LoadImageFromFile"}
    kinds = {"classes": tuple(f"c{k}" for k in range(CLASSES))}

    def loader(pipeline, shuffle, **more):
        data = {
            "type": "CocoDataset", "ann_file": str(folder / "coco.json"), "metainfo": kinds,
            "data_prefix": {"img": f"{folder}/"}, "pipeline": [reading, *pipeline[1:]], **more,
        }  # fmt: skip
        sampler = {
            "type": "DefaultSampler" if not shuffle else "InfiniteSampler",
            "shuffle": shuffle,
        }
        return {"batch_size": options.batch, "num_workers": 0, "sampler": sampler, "dataset": data}

    steps = options.steps + WARM
    config.train_dataloader = loader(config.train_pipeline, True)
    config.test_dataloader = loader(config.test_pipeline, False, test_mode=True)
    config.test_evaluator = {"type": "CocoMetric", "ann_file": str(folder / "coco.json")}
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": steps, "val_interval": 10**6}
    config.test_cfg = {"type": "TestLoop"}
    config.param_scheduler = []
    config.work_dir = str(folder / "mmdet")
    config.log_level = "ERROR"
    return config


def rates(ends, batch, training_mb) -> dict[str, float]:
    """Images and tiles a second after the warm-up, and peak memory."""
    marks = Stopwatch.marks
    return {
        "training": batch * (len(marks) - WARM) / (marks[-1] - marks[WARM - 1]),
        "prediction": batch * (len(ends) - 1) / (ends[-1] - ends[0]),
        "training_mb": training_mb,
        "peak_mb": peak_mb(),
    }


def attention(repeats: int):
    """Print seconds of deformable attention, forward and backward: ours, mmcv's, and the ratio."""
    bridge._use_our_attention = lambda: None
    bridge.install()
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch as mmcvs

    from urbanssl.ops.deform_attn import attend

    device = "cuda" if torch.cuda.is_available() else "cpu"
    for batch, levels, heads, channels in (
        (8, [(16, 16), (8, 8)], 8, 16),
        (1, [(64, 64), (32, 32), (16, 16), (8, 8)], 8, 32),
    ):
        length = sum(high * wide for high, wide in levels)
        shapes = torch.tensor(levels, device=device)
        starts = torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]])
        value = torch.randn(batch, length, heads, channels, device=device, requires_grad=True)
        spread = (batch, length, heads, len(levels), 4)
        spots = torch.rand(*spread, 2, device=device, requires_grad=True)
        shares = torch.rand(*spread, device=device, requires_grad=True)
        best = {"ours": np.inf, "mmcv": np.inf}
        for _ in range(repeats + 1):
            for name in best:
                start = clock()
                if name == "ours":
                    output = attend(value, shapes, starts, spots, shares)
                else:
                    output = mmcvs(value, shapes, spots, shares)
                torch.autograd.grad(output.sum(), (value, spots, shares))
                best[name] = min(best[name], clock() - start)
        print(
            f"batch {batch}, {length} queries, {len(levels)} levels, {heads} x {channels}: "
            f"ours {1000 * best['ours']:.1f} ms, mmcv's PyTorch code {1000 * best['mmcv']:.1f} ms, "
            f"ratio {best['mmcv'] / best['ours']:.2f}"
        )


def measure(who: str, recipe: str, options: argparse.Namespace) -> dict[str, float]:
    """Measure one of the two on a recipe; printed as JSON by its own process."""
    if who == "mmdet":
        bridge._use_our_attention = lambda: None
    bridge.install()
    with tempfile.TemporaryDirectory() as folder:
        write_tiles(Path(folder))
        timed = Path(folder) / f"{recipe}.py"
        base = ROOT / "config" / "models" / f"{recipe}.py"
        timed.write_text(f"_base_ = {str(base)!r}\ncustom_hooks = [dict(type='Stopwatch')]\n")
        run = ours if who == "urbanssl" else theirs
        return run(Path(folder), timed, options)


def main():
    """Print one line a recipe and program; with --who, be one of the measured processes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recipes", nargs="+", default=["deformable_detr_tiny", "vitdet_tiny"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--attention", action="store_true", help="the operator alone")
    parser.add_argument("--who", choices=["urbanssl", "mmdet"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.attention:
        attention(5)
        return
    if options.who:
        print("\n" + json.dumps(measure(options.who, options.recipes[0], options)))
        return
    print(f"{'recipe':22}{'':10}{'train img/s':>12}{'predict/s':>11}{'train MB':>10}{'peak MB':>9}")
    for recipe in options.recipes:
        for who in ("urbanssl", "mmdet"):
            command = [sys.executable, __file__, "--who", who, "--recipes", recipe]
            command += ["--batch", str(options.batch), "--steps", str(options.steps)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.strip().splitlines()[-1])
            print(
                f"{recipe:22}{who:10}{found['training']:12.2f}{found['prediction']:11.2f}"
                f"{found['training_mb']:10.0f}{found['peak_mb']:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
