"""MAE against the numbers of the original: positions, patches, masking, whole model, schedules."""

import re

import numpy as np
import pytest
import torch

from urbanssl.engine.position_resize import resize_positions
from urbanssl.ssl.mae_model import MAE
from urbanssl.ssl.mae_patches import (
    kept_count,
    masked_loss,
    patchify,
    pick,
    random_masking,
    standardised,
    unpatchify,
)
from urbanssl.ssl.mae_positions import sincos_positions
from urbanssl.ssl.parameter_groups import finetuning_groups, pretraining_decay
from urbanssl.ssl.schedules import mae_schedule, scaled_lr
from urbanssl.ssl.vit import VisionTransformer


def test_positions_are_those_of_the_reference(golden):
    vectors = golden("mae_posembed.npz")
    for key, reference in vectors.data.items():
        width, grid, extra = map(int, re.fullmatch(r"d(\d+)_g(\d+)_cls(\d)", key).groups())
        vectors.compare(key, sincos_positions(width, grid, extra), reference, 1e-12, 1e-15)


def test_patches_masks_and_losses_are_those_of_the_reference(golden):
    vectors = golden("mae_ops.npz")
    for case in vectors.cases("imgs"):

        def tensor(key, case=case):
            return torch.from_numpy(vectors[f"{case}_{key}"])

        def compare(key, ours, case=case, **tolerance):
            vectors.compare(f"{case} {key}", ours.numpy(), vectors[f"{case}_{key}"], **tolerance)

        patch, ratio = int(vectors[f"{case}_patch_ratio"][0]), vectors[f"{case}_patch_ratio"][1]
        patches = patchify(tensor("imgs"), patch)
        compare("patches", patches)
        vectors.compare(
            f"{case} unpatchify", unpatchify(patches, patch).numpy(), vectors[f"{case}_imgs"]
        )
        kept, mask, ranks = random_masking(tensor("noise"), float(ratio))
        compare("mask", mask)
        compare("ids_restore", ranks)
        compare("x_masked", pick(tensor("tokens"), kept))
        for mode in ("plain", "normpix"):
            target = patches.double() if mode == "plain" else standardised(patches.double())
            predicted = tensor("pred").double().requires_grad_()
            loss = masked_loss(predicted, target, tensor("loss_mask").double())
            loss.backward()
            compare(f"loss_{mode}", loss.detach(), rtol=1e-5, atol=1e-6)
            compare(f"grad_{mode}", predicted.grad, rtol=1e-5, atol=1e-6)
    pairs = zip(vectors["keep_L"].tolist(), vectors["keep_ratio"].tolist(), strict=True)
    ours = [kept_count(length, ratio) for length, ratio in pairs]
    vectors.compare("kept patches", ours, vectors["keep_count"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_whole_model_from_weights_to_gradients_is_that_of_the_reference(golden, dtype):
    vectors = golden("mae_model.npz")
    image, patch, width, depth, heads, *decoder = vectors["config"].tolist()
    exact = dtype is torch.float64
    state = {name: torch.from_numpy(value) for name, value in vectors.prefixed("sd__").items()}
    for mode in ("plain", "normpix"):
        model = MAE(image, patch, width, depth, heads, *decoder, norm_pixels=mode == "normpix")
        model.mask_ratio = float(vectors["mask_ratio"])
        model.load_state_dict(state)
        model.to(dtype)
        images, noise = (torch.from_numpy(vectors[key]) for key in ("images", "noise"))
        loss, predicted, mask, latent = model.reconstruct(images.to(dtype), noise)
        loss.backward()
        name = f"{mode} {'float64' if exact else 'float32'}"
        fine = {"rtol": 1e-9, "atol": 1e-12} if exact else {"rtol": 1e-4, "atol": 1e-5}
        for key, ours in {"pred": predicted, "mask": mask, "latent": latent}.items():
            vectors.compare(f"{name} {key}", ours.detach().numpy(), vectors[key], **fine)
        rtol = 1e-9 if exact else 1e-5
        vectors.compare(f"{name} loss", loss.item(), vectors[f"loss_{mode}"], rtol=rtol)
        norms = vectors.prefixed(f"gradnorm_{mode}__")
        own = {n: p.grad.norm().item() for n, p in model.named_parameters() if p.requires_grad}
        assert set(norms) == set(own)
        ours, reference = ([table[n] for n in sorted(norms)] for table in (own, norms))
        vectors.compare(f"{name} gradient norms", ours, reference, rtol=1e-9 if exact else 1e-3)


def test_finetuning_network_is_that_of_the_reference(golden):
    vectors = golden("mae_vit_cls.npz")
    image, patch, width, depth, heads, classes = vectors["config"].tolist()
    state = {name: torch.from_numpy(value) for name, value in vectors.prefixed("sd__").items()}
    for mode, unused in (("gap", "norm."), ("cls", "fc_norm.")):
        model = VisionTransformer(image, patch, width, depth, heads, classes, mode == "gap")
        model.load_state_dict({n: v for n, v in state.items() if not n.startswith(unused)})
        images = torch.from_numpy(vectors["images"])
        with torch.no_grad():
            ours = {"features": model.features(images), "logits": model(images)}
        for key, value in ours.items():
            reference = vectors[f"{key}_{mode}"]
            vectors.compare(f"{key} {mode}", value.numpy(), reference, rtol=1e-4, atol=1e-5)


def test_resized_positions_are_those_of_the_reference(golden):
    vectors = golden("mae_interp.npz")
    for case in vectors.cases("in"):
        extra = int(re.search(r"_x(\d+)$", case)[1])
        reference = vectors[f"{case}_out"]
        given = torch.from_numpy(vectors[f"{case}_in"])
        ours = resize_positions(given, reference.shape[1], extra).numpy()
        vectors.compare(case, ours, reference, rtol=1e-4, atol=1e-5)


def test_learning_rates_are_those_of_the_reference(golden):
    vectors = golden("mae_lr.npz")
    for case in vectors.cases("args"):
        per_epoch, accumulate, epochs, warmup, lr, final = vectors[f"{case}_args"].tolist()
        steps = np.arange(len(vectors[f"{case}_lr"]))
        # With accumulation the rate changes only where an optimiser step ends.
        within = steps % per_epoch // accumulate * accumulate
        progress = steps // per_epoch + within / per_epoch
        ours = np.array([mae_schedule(p, warmup, epochs, lr, final) for p in progress])
        vectors.compare(f"{case} lr", ours, vectors[f"{case}_lr"], rtol=1e-12)
        scale = 0.3
        scaled = vectors[f"{case}_lr_scaled"]
        if not np.isclose(scaled[-1], ours[-1] * scale):
            scale = float(scaled[-1] / ours[-1])
        vectors.compare(f"{case} lr of a scaled group", ours * scale, scaled, rtol=1e-12)
    rows = vectors["blr_cases"].tolist()
    ours = [scaled_lr(base, batch * acc * world) for base, batch, acc, world in rows]
    vectors.compare("scaled base rates", ours, vectors["blr_lr"], rtol=1e-12)


def _shape(name):
    """A shape of the right number of dimensions, which is all that counts."""
    if name in ("cls_token", "pos_embed", "mask_token", "decoder_pos_embed"):
        return (1, 1, 1)
    if name.endswith(".bias") or "norm" in name:
        return (1,)
    return (1, 1, 1, 1) if name.endswith("patch_embed.proj.weight") else (1, 1)


def test_parameter_groups_are_those_of_the_reference(golden):
    vectors = golden("mae_lr.npz")
    for case in vectors.cases("cfg"):
        depth, decay, weight_decay, _ = vectors[f"{case}_cfg"].tolist()
        names = vectors[f"{case}_names"].tolist()
        shapes = [(name, _shape(name)) for name in names]
        groups = finetuning_groups(shapes, int(depth), decay, weight_decay)
        of = {name: (n, group) for n, group in enumerate(groups) for name in group["names"]}
        vectors.compare(f"{case} group", [of[n][0] for n in names], vectors[f"{case}_group"])
        for key in ("lr_scale", "weight_decay"):
            ours = [of[name][1][key] for name in names]
            vectors.compare(f"{case} {key}", ours, vectors[f"{case}_{key}"], rtol=1e-12)
    for key in vectors.cases("names"):
        if f"{key}_cfg" not in vectors:
            names = vectors[f"{key}_names"].tolist()
            reference = vectors[f"{key}_weight_decay"]
            decay = pretraining_decay([(n, _shape(n)) for n in names], float(reference.max()))
            ours = [decay[name] for name in names]
            vectors.compare(f"{key} weight_decay", ours, reference, rtol=1e-12)
