"""What a training leaves behind: weights, the encoder alone, a model card, the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from urbanssl.artifacts import write_json, written_whole
from urbanssl.engine.job import TrainJob
from urbanssl.engine.memory import peak_memory_mb
from urbanssl.engine.weight_files import weights_about, write_weights
from urbanssl.errors import TrainingError

#: Files beside the weights of a pretraining.
ENCODER, CARD = "encoder.safetensors", "model_card.md"
_NON_COMMERCIAL = "CC BY-NC 4.0, as the official SwAV and MAE weights: no commercial use"
_MEASURED_TILES = 256


def export(job: TrainJob, model: Any, loop: Any, loaded: Mapping[str, Any]) -> None:
    """Write all a training leaves behind; the weights last: with them, all is there.

    Args:
        job: what was trained.
        model: the network.
        loop: the finished `StepLoop`.
        loaded: report on the initial weights, empty for random ones.

    Raises:
        TrainingError: a weight is not finite.
    """
    state = model.exported_state() if hasattr(model, "exported_state") else model.state_dict()
    _refuse_not_finite(state)
    log = {
        "recipe": job.recipe.stem,
        "gpus": job.settings.gpus,
        "curve": loop.curve.points,
        "steps": loop.max_iters,
        "seconds": loop.seconds,
        "images_per_second": loop.max_iters * loop.batch / max(loop.seconds, 1e-9),
        "peak_memory_mb": peak_memory_mb(),
        "weights": dict(loaded) or None,
        "changes": loop.troubles.changes,
        "probe": loop.probes,
        "about": job.about,
    }
    facts = {**job.about, "stage": job.stage, "licence": _licence(job, loaded)}
    if hasattr(model, "encoder_state"):
        facts["input"] = {**model.input_bands, "tiles": _band_statistics(loop.dataloader.dataset)}
        about = {"urbanssl": json.dumps(facts, default=str)}
        write_weights(job.output_weights.with_name(ENCODER), model.encoder_state(), about)
        with written_whole(job.output_weights.with_name(CARD)) as card:
            card.write_text(model_card(job, facts, log))
    write_json(job.output_log, log)
    write_weights(job.output_weights, state, {"urbanssl": json.dumps(facts, default=str)})


def model_card(job: TrainJob, facts: Mapping[str, Any], log: Mapping[str, Any]) -> str:
    """Return the model card: what the weights are, from which data, how good, under what licence.

    Args:
        job: what was trained.
        facts: what the weights carry: provenance, licence, bands of the input.
        log: what was measured.
    """
    bands, given = facts["input"], job.settings
    scenes = sorted({path.parent.name for path in job.arrays})
    last = log["curve"][-1] if log["curve"] else {}
    probes = [
        "| " + " | ".join([str(entry["step"]), *(_text(entry, name) for name in _PROBED)]) + " |"
        for entry in log["probe"]
    ]
    lines = [
        f"# {job.stage.upper()} weights, {job.recipe.stem}",
        "",
        f"- Data: tiles of {len(scenes)} scenes ({', '.join(scenes)}), without labels.",
        f"- Training: {given.steps} steps of {given.batch_size} tiles, seed {job.seed}, "
        f"last loss {last.get('loss', float('nan')):.4g}.",
        f"- Settings hash {facts.get('settings_hash', 'unknown')}, urbanssl "
        f"{facts.get('urbanssl_version', 'unknown')}.",
        f"- Input: {', '.join(bands['order'])}; {bands['scale']}; then minus {bands['mean']}, "
        f"divided by {bands['std']}.",
        f"- The tiles' own bands: mean {bands['tiles']['mean']}, deviation "
        f"{bands['tiles']['std']} (8-bit values); imagery far from them needs its own training.",
        f"- Licence of the weights it started from: {facts['licence']}.",
        "- Changed on the way: "
        + ("; ".join(f"step {c['step']}: {c['change']}" for c in log["changes"]) or "nothing")
        + ".",
        "",
        f"| step | {' | '.join(_PROBED)} |",
        "|" + "---|" * (len(_PROBED) + 1),
        *probes,
    ]
    return "\n".join(lines) + "\n"


_PROBED = ("of", "knn", "linear", "chance", "rank", "alignment", "uniformity")


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    return value if isinstance(value, str) else f"{value:.3g}"


def _refuse_not_finite(state: Mapping[str, torch.Tensor]) -> None:
    bad = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise TrainingError.at(
            "the last step", f"weights are not finite: {', '.join(bad[:5])}", "lower `lr`"
        )


def _licence(job: TrainJob, loaded: Mapping[str, Any]) -> str:
    """Return the licence of the initial weights, as far as the file tells."""
    if job.weights is None:
        return "none: random weights"
    if job.weights.suffix == ".safetensors" and (own := weights_about(job.weights).get("urbanssl")):
        return str(json.loads(own).get("licence", "not stated in the file"))
    if loaded.get("kind") in ("swav", "mae"):
        return _NON_COMMERCIAL
    return f"not stated in {job.weights.name}; ask where it came from"


def _band_statistics(tiles: Any) -> dict[str, list[float]]:
    """Return mean and standard deviation of the bands, of tiles spread evenly over all."""
    chosen = np.unique(np.linspace(0, len(tiles) - 1, min(_MEASURED_TILES, len(tiles))).astype(int))
    pixels = tiles.gather(chosen).reshape(-1, 3).astype(np.float64)
    return {
        "mean": np.round(pixels.mean(0), 2).tolist(),
        "std": np.round(pixels.std(0), 2).tolist(),
    }
