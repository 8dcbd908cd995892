"""The settings of everything that is trained: pretraining, proposals, and the arms of detection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from urbanssl.settings_base import PositiveFloat, PositiveInt, Section

Role = Literal["unlabelled", "labelled", "study"]
Init = Literal["random", "swav", "mae", "detreg", "file"]
#: Which of a detector's layers are worth compiling is not known: only SwAV and MAE say so.
NotCompiled = Annotated[Literal[False], Field(description="detectors cannot be compiled")]


class Budget(Section):
    """What every training stage has: how long, how much at a time, on what."""

    steps: PositiveInt = Field(description="training steps (batches)")
    batch_size: PositiveInt = Field(description="images a step, over all processes")
    lr: PositiveFloat | None = Field(None, description="learning rate; null: the recipe's")
    gpus: Annotated[int, Field(ge=0)] = Field(0, description="GPUs of the job; 0 trains on CPU")
    nodes: PositiveInt = Field(
        1, description="nodes that share the GPUs (SLURM); on CPU one process on each"
    )
    threads: PositiveInt = Field(1, description="processor cores of the job, on each of its nodes")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")
    compiled: bool = Field(False, description="compile the network: minutes at first, then faster")
    checkpoint_every: PositiveInt = Field(50, description="steps between two checkpoints")
    on_trouble: Literal["stop", "warn", "adapt"] = Field(
        "stop",
        description=(
            "what is done about a loss that is no number or learns nothing and about features "
            "that collapse: stop, warn, or adapt (sharper codes, half the learning rate, back "
            "to the last checkpoint)"
        ),
    )

    @property
    def local_processes(self) -> int:
        """How many processes train on each node: one a GPU, one without GPUs."""
        return max(1, self.gpus // self.nodes)

    @model_validator(mode="after")
    def _processes_share_evenly(self) -> Budget:
        if self.gpus % self.nodes:
            raise ValueError(f"gpus ({self.gpus}) must be a multiple of nodes ({self.nodes})")
        processes = self.local_processes * self.nodes
        if self.batch_size % processes:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of the {processes} processes "
                "(one a GPU) that share it"
            )
        return self


class TrainSettings(Budget):
    """A pretraining stage: its budget and its network."""

    recipe: str = Field(description="mmengine config of the network, below config/models")


class SwavSettings(TrainSettings):
    """SwAV pretraining."""

    recipe: str = Field("config/models/swav_tiny.py", description="mmengine config of the network")
    weights: str | None = Field(
        None, description="weights to start from (official SwAV, torchvision, mmpretrain)"
    )
    steps: PositiveInt = Field(150, description="training steps (batches)")
    batch_size: PositiveInt = Field(32, description="images a step, over all processes")


class MaeSettings(TrainSettings):
    """MAE pretraining."""

    recipe: str = Field("config/models/mae_tiny.py", description="mmengine config of the network")
    weights: str | None = Field(
        None, description="weights to start from (official MAE, timm, mmpretrain)"
    )
    steps: PositiveInt = Field(200, description="training steps (batches)")
    batch_size: PositiveInt = Field(32, description="images a step, over all processes")


class DetregSettings(TrainSettings):
    """DETReg pretraining of the detector from proposals and SwAV's embeddings."""

    recipe: str = Field(
        "config/models/detreg_tiny.py", description="mmengine config of the network"
    )
    steps: PositiveInt = Field(100, description="training steps (batches)")
    batch_size: PositiveInt = Field(8, description="images a step, over all processes")
    compiled: NotCompiled = False


class PretrainSettings(Section):
    """Self-supervised pretraining."""

    roles: tuple[Role, ...] = Field(
        ("unlabelled", "labelled", "study"),
        min_length=1,
        description="scenes whose tiles are used, by role",
    )
    strict: bool = Field(
        False,
        description=(
            "leave out every tile of the study area and of the val and test splits; otherwise "
            "their use is declared in the report"
        ),
    )
    probe: str | None = Field(
        None,
        description=(
            "folder of labelled images (class/image, or train/ and test/ of these) that the "
            "features are probed with; null: on which block of a scene a tile lies"
        ),
    )
    swav: SwavSettings = Field(default_factory=SwavSettings)  # type: ignore[arg-type]
    mae: MaeSettings = Field(default_factory=MaeSettings)  # type: ignore[arg-type]
    detreg: DetregSettings = Field(default_factory=DetregSettings)  # type: ignore[arg-type]


class ProposalSettings(Section):
    """Class-agnostic boxes for DETReg."""

    method: Literal["selective_search", "random", "grid", "file"] = Field(
        "selective_search",
        description="where the boxes come from; random and grid are ablations, file reads `file`",
    )
    file: str | None = Field(
        None,
        description=(
            "table of boxes (Parquet or CSV) with method file: columns `scene`, `image`, `x1`, "
            "`y1`, `x2`, `y2` in image pixels, and `score` where they have a rank"
        ),
    )
    size: Annotated[int, Field(ge=32, le=1024)] = Field(
        128, description="side in pixels to which a tile is resized for the search"
    )
    top: PositiveInt = Field(30, description="boxes taken of each tile")
    order: Literal["random", "ranked"] = Field(
        "random", description="random: as the original, leaning to small regions; ranked: large"
    )

    @model_validator(mode="after")
    def _file_goes_with_its_method(self) -> ProposalSettings:
        if (self.method == "file") != (self.file is not None):
            raise ValueError("`file` is given with `method: file`, and only then")
        return self


class ArmSettings(Section):
    """One arm of the comparison: a network and how it starts."""

    recipe: str = Field(
        description="mmdet config of the detector: a path, or `mmdet::` and a name of its own"
    )
    init: Init = Field(description="where its weights come from")
    weights: str | None = Field(None, description="weights file, with init: file")
    steps: PositiveInt | None = Field(
        None, description="training steps of this arm; null: those of `detect.steps`"
    )

    @model_validator(mode="after")
    def _weights_go_with_file(self) -> ArmSettings:
        if (self.init == "file") != (self.weights is not None):
            raise ValueError("`weights` is given with `init: file`, and only then")
        return self


def _default_arms() -> dict[str, ArmSettings]:
    detr, vitdet = "config/models/deformable_detr_tiny.py", "config/models/vitdet_tiny.py"
    return {
        "detr-random": ArmSettings(recipe=detr, init="random", weights=None, steps=None),
        "detr-detreg": ArmSettings(recipe=detr, init="detreg", weights=None, steps=None),
        "vitdet-random": ArmSettings(recipe=vitdet, init="random", weights=None, steps=600),
        "vitdet-mae": ArmSettings(recipe=vitdet, init="mae", weights=None, steps=600),
    }


class DetectSettings(Budget):
    """Finetuning of the detectors: arms x label fractions x seeds."""

    compiled: NotCompiled = False
    arms: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], ArmSettings] = Field(
        default_factory=_default_arms,
        min_length=1,
        description="the arms, by name: a network and how it starts",
    )
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (1.0,), min_length=1, description="shares of the training tiles that are used"
    )
    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, description="every arm is trained once with each of these seeds"
    )
    empty: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description=(
            "tiles without objects are at most this share of what a training sees, drawn anew in "
            "each epoch; 0 leaves them out, 1 takes all"
        ),
    )
    steps: PositiveInt = Field(200, description="training steps of every arm")
    batch_size: PositiveInt = Field(8, description="tiles a step, over all processes")
