"""What a training step of each recipe keeps in memory and how long it takes on one core.

    python benchmarks/recipe_cost.py                       # all recipes of config/models
    python benchmarks/recipe_cost.py --recipes swav_r50 mae_vit-b

Runs one forward pass on CPU and adds up what autograd keeps for the backward pass: the same tensors
are kept on a GPU. Tiles are squares of the side that the recipe's networks take at most. Then a
forward and backward pass is timed, the faster of two. The figures stand in
`urbanssl/check_memory.py` and `urbanssl/planned_hours.py`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
import torchvision
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from safetensors.torch import save_file

from urbanssl.detect import registration
from urbanssl.engine.mmdet_recipe import house_recipe

from mmdet.registry import MODELS  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip

MODELS_FOLDER = Path(__file__).parents[1] / "config" / "models"
#: Side of the images that a step works on, where the recipe does not name it as `input_size`.
SIDES = {"swav_r50": 224, "swav_tiny": 128, "mae_vit-b": 224, "mae_tiny": 128}
BOXES = 20

assert registration.__doc__


def embedder_weights(depth: int, folder: Path) -> str:
    """Write the weights of an untrained ResNet, which DETReg's embedder wants."""
    path = folder / f"resnet{depth}.safetensors"
    state = getattr(torchvision.models, f"resnet{depth}")().state_dict()
    save_file({key: value for key, value in state.items() if not key.startswith("fc.")}, path)
    return str(path)


def forward(config, model, side: int, images: int):
    """Return the losses of one batch of noise."""
    if config.default_scope != "mmdet":
        tiles = torch.randint(0, 256, (images, side, side, 3), dtype=torch.uint8)
        return model(tiles, step=0, draw=1, rows=(0, images, images), mode="loss")
    samples = []
    for _ in range(images):
        corner = torch.rand(BOXES, 2) * side * 0.8
        truth = InstanceData(
            bboxes=torch.cat([corner, corner + side * 0.1], 1),
            labels=torch.zeros(BOXES, dtype=torch.long),
        )
        sample = DetDataSample(
            gt_instances=truth, ignored_instances=InstanceData(bboxes=truth.bboxes[:0])
        )
        shape = {"img_shape": (side, side), "ori_shape": (side, side), "scale_factor": (1.0, 1.0)}
        sample.set_metainfo({**shape, "batch_input_shape": (side, side), "pad_shape": (side, side)})
        samples.append(sample)
    pixels = [torch.randint(0, 256, (3, side, side), dtype=torch.uint8) for _ in range(images)]
    data = model.data_preprocessor({"inputs": pixels, "data_samples": samples}, True)
    return model(**data, mode="loss")


def kept_bytes(config, model, side: int, images: int) -> int:
    """Return the bytes that autograd keeps of a forward pass, parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        losses = forward(config, model, side, images)
    assert losses
    return sum(kept.values())


def pass_seconds(config, model, side: int, images: int) -> float:
    """Return the CPU seconds of a forward and a backward pass on one core, the fewer of two."""
    taken = []
    for _ in range(2):
        began = time.process_time()
        total, _ = model.parse_losses(forward(config, model, side, images))
        total.backward()
        model.zero_grad()
        taken.append(time.process_time() - began)
    return min(taken)


def main():
    """Measure each recipe and print its row of the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    names = sorted(path.stem for path in MODELS_FOLDER.glob("*.py"))
    parser.add_argument("--recipes", nargs="+", default=names, choices=names)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("recipe, side (px), parameters (millions), MB kept an image, seconds an image")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.recipes:
            config = house_recipe(MODELS_FOLDER / f"{name}.py", 1000)
            if "embedder" in config.model:
                depth = config.model.embedder.depth
                config.model.embedder.weights = embedder_weights(depth, Path(folder))
            with DefaultScope.overwrite_default_scope(config.default_scope):
                model = MODELS.build(config.model).train()
            side = SIDES.get(name) or config.input_size
            # Two where statistics run over the batch; one where two might not fit in memory.
            images = 1 if config.default_scope == "mmdet" else 2
            kept = kept_bytes(config, model, side, images) / images
            millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
            seconds = pass_seconds(config, model, side, images) / images
            figures = f"{millions:.1f}, {kept / 1e6:.0f}, {seconds:.3g}"
            print(f"{name}, {side}, {figures}", flush=True)


if __name__ == "__main__":
    main()
