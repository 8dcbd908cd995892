"""SwAV as a model of the engine: crops, backbone, projection, prototypes, loss and what is watched.

Caron et al. 2020, "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torchvision
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional

import urbanssl.ssl.probe
import urbanssl.ssl.prototypes
import urbanssl.ssl.schedules
from urbanssl.engine.facts import TrainingFacts
from urbanssl.errors import Problem
from urbanssl.ops.small_maps import with_small_maps
from urbanssl.ssl import larc
from urbanssl.ssl.crops import INPUT_BANDS, Colours, CropKind, normalise, random_crops
from urbanssl.ssl.queue import is_full
from urbanssl.ssl.refuse import swav_problems
from urbanssl.ssl.swav_loss import assignments, swapped_prediction

#: Imported for what they register: recipes name their classes.
REGISTERED = (larc, urbanssl.ssl.probe, urbanssl.ssl.prototypes, urbanssl.ssl.schedules)


@MODELS.register_module()
class SwAV(BaseModel):
    """A ResNet that learns by predicting the cluster of one crop of a tile from other crops.

    Args:
        arch: name of a torchvision ResNet.
        crops: `{"count", "size", "scale"}` of each crop size; those of the first are assigned.
        prototypes: number K of prototypes.
        projection: (hidden, out) channels of the projection head.
        temperature: of the predictions.
        epsilon: of the assignments, see `sinkhorn`.
        iterations: of the assignments, see `sinkhorn`.
        queue: past embeddings of each assigned crop, over all processes; 0 for none.
        queue_start: first step with a queue; a float is a share of the training.
        freeze: steps during which prototypes do not learn (see `FreezePrototypes`); a float is a
            share of the training.
        colours: how colours are distorted, the arguments of `Colours`.
    """

    #: Prefixes that load a weights file of `exported_state` back.
    weight_prefixes: Mapping[str, str] = {
        "": "backbone.",
        "projection_head.": "projection_head.",
        "prototypes.": "prototypes.",
    }

    input_bands = INPUT_BANDS

    def __init__(
        self,
        arch: str,
        crops: Sequence[Mapping[str, Any]],
        prototypes: int,
        projection: tuple[int, int] = (2048, 128),
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        queue: int = 0,
        queue_start: float = 0,
        freeze: float = 0,
        colours: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.kinds = [CropKind(c["count"], c["size"], tuple(c["scale"])) for c in crops]
        self.view_kind, self.colours = self.kinds[0], Colours(**(colours or {}))
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self._given_epsilon = epsilon
        self.queue_start, self.freeze = queue_start, freeze
        self.backbone = torchvision.models.get_model(arch, weights=None)
        width = self.backbone.fc.in_features
        self.backbone.fc = nn.Identity()
        with_small_maps(self.backbone)
        # Convolutions of weights laid out as their images need no reordering at every step.
        self.backbone.to(memory_format=torch.channels_last)
        hidden, out = projection
        self.projection_head = nn.Sequential(
            nn.Linear(width, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out),
        )
        self.prototypes = nn.Linear(out, prototypes, bias=False)
        self.queue_length = queue
        world = dist.get_world_size() if dist.is_initialized() else 1
        self.rank_buffers = ("queue",) if queue else ()
        if queue:
            self.register_buffer(
                "queue", torch.zeros(self.kinds[0].count, queue // world, out), persistent=False
            )
        self._queue_from, self._full = 0, False

    def problems(self, facts: TrainingFacts) -> list[Problem]:
        """Return what cannot work about these settings and this training."""
        self._queue_from = urbanssl.ssl.prototypes.freeze_steps(self.queue_start, facts.steps)
        return swav_problems(
            facts,
            kinds=self.kinds,
            prototypes=self.prototypes.out_features,
            queue=self.queue_length,
            queue_from=self._queue_from,
            frozen=urbanssl.ssl.prototypes.freeze_steps(self.freeze, facts.steps),
        )

    def adapt(self, troubles: Sequence[str]) -> str | None:
        """Sharpen the codes for each trouble met so far; return what changed, None at the limit.

        Flat codes are what a loss at ln K and alike features have in common; the authors advise a
        smaller epsilon there (the release's notes on common issues).

        Args:
            troubles: kinds of `urbanssl.engine.trouble.Trouble`, all since the start.
        """
        self._full = False  # the queue may be that of an earlier checkpoint
        sharper = sum(kind in ("stall", "collapse") for kind in troubles)
        before, self.epsilon = self.epsilon, max(0.01, self._given_epsilon * 0.7**sharper)
        return None if self.epsilon == before else f"epsilon {before:.3g} -> {self.epsilon:.3g}"

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(N, out)` embeddings of unit length of normalised images of one size."""
        return functional.normalize(self.projection_head(self.backbone(images)), dim=1)

    def features(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return `(B, D)` pooled backbone features of `(B, S, S, 3)` uint8 tiles."""
        return self.backbone(normalise(tiles).contiguous(memory_format=torch.channels_last))

    def forward(
        self,
        inputs: torch.Tensor,
        step: int = 0,
        draw: int = 0,
        rows: tuple[int, int, int] | None = None,
        mode: str = "tensor",
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return features (mode `tensor`) or the loss and what is watched (mode `loss`).

        Args:
            inputs: `(B, S, S, 3)` uint8 tiles.
            step: which step it is, from 0.
            draw: seed of the step's random numbers.
            rows: which rows of the global batch these are: first, last, total.
            mode: `tensor` or `loss`.
        """
        if mode != "loss":
            return self.features(inputs)
        batch = len(inputs)
        rows = rows or (0, batch, batch)
        urbanssl.ssl.prototypes.normalise_rows(self.prototypes.weight)
        hidden = []
        for place, kind in enumerate(self.kinds):
            crops = random_crops(inputs, kind, self.colours, draw + place, rows)
            hidden.append(self.backbone(crops.contiguous(memory_format=torch.channels_last)))
        embeddings = functional.normalize(self.projection_head(torch.cat(hidden)), dim=1)
        # Codes and loss are exact: bfloat16 has two digits, epsilon divides scores by 0.05.
        with torch.autocast(inputs.device.type, enabled=False):
            return self._loss(embeddings.float(), batch, step)

    def _loss(self, embeddings: torch.Tensor, batch: int, step: int) -> dict[str, torch.Tensor]:
        assigned = range(self.kinds[0].count)
        scores = embeddings @ self.prototypes.weight.T
        queue = self.queue if self.queue_length and step >= self._queue_from else None
        if queue is not None and not self._full:
            self._full = is_full(queue[0])  # asked until it is: the answer waits for the device
        codes = assignments(
            embeddings,
            self.prototypes.weight,
            batch,
            assigned,
            queue,
            self.epsilon,
            self.iterations,
            self._full,
        )
        loss = swapped_prediction(scores, codes, assigned, self.temperature)
        return {"loss": loss, **watched(torch.cat(codes), embeddings[: batch * len(assigned)])}

    def compile_parts(self) -> None:
        """Compile what most of the time goes into; pays on long trainings."""
        self.backbone.compile()

    def exported_state(self) -> dict[str, torch.Tensor]:
        """Return the tensors by the names of SwAV's release: the ResNet's without a prefix."""
        return {name.removeprefix("backbone."): v for name, v in self.state_dict().items()}

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """Return the ResNet alone: what torchvision's and mmdet's hold, but for the head."""
        return dict(self.backbone.state_dict())


def watched(codes: torch.Tensor, embeddings: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what tells a SwAV training that learns from one that does not.

    Args:
        codes: `(N, K)` assignments.
        embeddings: `(N, D)` of unit length.

    Returns:
        `ln_k` (the loss of no learning), `code_entropy` (mean entropy of an assignment, at most
        ln K), `used_prototypes` (share that is some sample's first), `feature_std` (mean standard
        deviation of the embedding's channels times the square root of D: 1 where evenly spread).
    """
    with torch.no_grad():
        count = codes.shape[1]
        entropy = -(codes * codes.clamp_min(1e-12).log()).sum(1).mean()
        # Counted without asking for the numbers: no step waits for the device.
        first = torch.zeros_like(codes[0]).index_fill(0, codes.argmax(1), 1.0)
        used = first.sum() / min(count, len(codes))
        spread = embeddings.std(0).mean() * embeddings.shape[1] ** 0.5
    return {
        "ln_k": codes.new_tensor(math.log(count)),
        "code_entropy": entropy,
        "used_prototypes": used,
        "feature_std": spread,
    }
