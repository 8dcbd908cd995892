"""The settings: the one place that knows every key, its unit, default and allowed values.

`config/config.yaml` is read into `Settings`; the JSON schema for editors is generated from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from urbanssl.classes import CLASSES

Share = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
ClassName = Literal[*CLASSES]  # type: ignore[valid-type]
Role = Literal["unlabelled", "labelled", "study"]
Init = Literal["random", "swav", "mae", "detreg", "file"]


class Section(BaseModel):
    """Base of every section: unknown keys are refused, values cannot be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class CitySettings(Section):
    """The embedded synthetic city: drawn from a seed, with a known truth."""

    regions: PositiveInt = Field(6, description="number of regions (cities), each one scene")
    labelled_regions: PositiveInt = Field(2, description="how many of them carry labels")
    areas_per_side: PositiveInt = Field(6, description="areas along each side of a region")
    area_px: Annotated[int, Field(ge=128, multiple_of=16)] = Field(
        384, description="side of an area in pixels of 0.3 m"
    )
    signal: Annotated[float, Field(ge=0, le=3)] = Field(
        1.0, description="strength of the link between what is built and the crime rate (0: null)"
    )
    confounding: Annotated[float, Field(ge=0, le=3)] = Field(
        0.5, description="strength of the region effect on both (0: none)"
    )
    noise: Annotated[float, Field(ge=0, le=3)] = Field(
        0.5, description="standard deviation of the noise of the log crime rate"
    )

    @model_validator(mode="after")
    def _some_regions_are_studied(self) -> CitySettings:
        if self.labelled_regions >= self.regions:
            raise ValueError(
                f"labelled_regions ({self.labelled_regions}) must be below regions "
                f"({self.regions}): the others are the study area"
            )
        return self


class SceneSettings(Section):
    """Where the imagery is."""

    sheet: str = Field(
        "embedded",
        description="the sample sheet (CSV), or `embedded` for the synthetic city",
    )
    together: PositiveInt = Field(
        1,
        description=(
            "up to so many scenes of the study area share the jobs that predict, merge and extract "
            "features, which saves starting a network for each; more have jobs of their own"
        ),
    )


class ScalingSettings(Section):
    """How bands that are not 8-bit become 8-bit."""

    mode: Literal["none", "range", "training"] = Field(
        "none",
        description=(
            "none: 8-bit imagery only; range: `low` to `high` become 0 to 255; training: the 2nd "
            "to 98th percentile of the labelled and unlabelled scenes, never of the study area"
        ),
    )
    low: float | None = Field(None, description="value that becomes 0 (mode range)")
    high: float | None = Field(None, description="value that becomes 255 (mode range)")

    @model_validator(mode="after")
    def _range_is_given(self) -> ScalingSettings:
        if self.mode == "range" and (
            self.low is None or self.high is None or self.low >= self.high
        ):
            raise ValueError("mode range needs low < high, both given")
        return self


class TileSettings(Section):
    """How scenes are cut."""

    grid: Literal["pixel", "xyz"] = Field(
        "pixel", description="pixel: a grid on the scene; xyz: web-mercator tiles"
    )
    size: Annotated[int, Field(ge=32, le=4096, multiple_of=16)] = Field(
        192, description="side of a tile in pixels"
    )
    overlap: Annotated[int, Field(ge=0)] = Field(
        48, description="pixels shared by neighbouring tiles (grid pixel)"
    )
    zoom: Annotated[int, Field(ge=0, le=24)] = Field(19, description="zoom level (grid xyz)")
    gsd: PositiveFloat | None = Field(
        None,
        description="resample to this ground sample distance in metres; null keeps the scene's own",
    )
    min_valid: Share = Field(0.5, description="tiles with a smaller share of valid pixels go")
    bands: tuple[int, int, int] | None = Field(
        None,
        description=(
            "the bands (from 1) read as red, green, blue; null: those the file calls so, or else "
            "its first three"
        ),
    )
    scaling: ScalingSettings = Field(default_factory=ScalingSettings)  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _overlap_is_smaller_than_tile(self) -> TileSettings:
        if self.overlap >= self.size:
            raise ValueError(f"overlap ({self.overlap}) must be below size ({self.size})")
        return self


class SplitSettings(Section):
    """How labelled tiles are split into train, val and test, by spatial block."""

    block: PositiveFloat = Field(173.0, description="side of a block in metres")
    buffer: Annotated[float, Field(ge=0)] = Field(
        20.0, description="tiles nearer than this (metres) to a tile of another split are left out"
    )
    val: Share = Field(0.1, description="share of the blocks used for validation")
    test: Share = Field(0.25, description="share of the blocks used for the test")

    @model_validator(mode="after")
    def _something_is_left_for_training(self) -> SplitSettings:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test:g}: nothing left for training")
        return self


class LabelSettings(Section):
    """How annotations become boxes on tiles."""

    classes: tuple[ClassName, ...] = Field(
        CLASSES, min_length=1, description="the classes to detect, of the registry"
    )
    min_visible: Share = Field(
        0.7, description="a box cut by its tile's edge counts if this share of its area is inside"
    )


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
    compiled: bool = Field(
        False, description="compile the networks of SwAV and MAE: minutes at first, then faster"
    )
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
        "vitdet-random": ArmSettings(recipe=vitdet, init="random", weights=None, steps=380),
        "vitdet-mae": ArmSettings(recipe=vitdet, init="mae", weights=None, steps=380),
    }


class DetectSettings(Budget):
    """Finetuning of the detectors: arms x label fractions x seeds."""

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
    steps: PositiveInt = Field(200, description="training steps of every arm")
    batch_size: PositiveInt = Field(8, description="tiles a step, over all processes")


class PredictSettings(Section):
    """Prediction on whole scenes."""

    study_arm: str = Field("detr-detreg", description="the arm that counts objects in areas")
    min_score: Share = Field(0.05, description="boxes with a lower score are dropped")
    max_per_tile: PositiveInt = Field(100, description="boxes kept of each tile, best first")
    merge: Literal["nms", "fusion"] = Field(
        "nms",
        description=(
            "of boxes that are one object, nms keeps the best; fusion takes their mean, weighted "
            "by score, and lowers the score where a tile that shows the object did not find it"
        ),
    )
    merge_iou: Share = Field(0.5, description="IoU from which boxes of one class are one object")
    batch_size: PositiveInt = Field(16, description="tiles predicted at once")


class ScoreSettings(Section):
    """COCO scoring."""

    bootstrap: Annotated[int, Field(ge=0)] = Field(
        200, description="resamples of spatial blocks for the intervals"
    )


FeatureName = Literal[
    "swav", "mae", "detr", "vitdet", "objects", "histogram", "rcf", "texture", "coordinates"
]


class FeatureSettings(Section):
    """Features of tiles, pooled to areas."""

    sets: tuple[FeatureName, ...] = Field(
        ("swav", "mae", "detr", "objects", "histogram", "rcf", "coordinates"),
        min_length=1,
        description="the feature sets that are compared",
    )
    pool: tuple[Literal["mean", "std", "q10", "q90", "min", "max"], ...] = Field(
        ("mean", "std"), min_length=1, description="how tiles are summed up over an area"
    )
    min_cover: Share = Field(0.5, description="areas covered less by imagery are left out")
    rcf_filters: PositiveInt = Field(256, description="random convolutional filters (MOSAIKS)")


class CrimeSettings(Section):
    """Areas, the crime table, and how the link between features and rate is judged."""

    areas: str = Field(
        "embedded",
        description=(
            "polygons (GeoPackage, GeoJSON, shapefile), `embedded`, or `sheet` for the sheet's "
            "column `area`"
        ),
    )
    table: str = Field("embedded", description="crime table (CSV, Parquet, a glob) or `embedded`")
    area_id: str = Field("area_id", description="column of the area's id, in areas and table")
    fips: bool = Field(False, description="ids are US county FIPS: five digits, zeros repaired")
    id_order: str | None = Field(
        None,
        description=(
            "column in whose order the FIPS rise; tells apart ids that lost zeros inside "
            "(535 is 05035 or 53005)"
        ),
    )
    names: str | None = Field(
        None, description="table (a glob) with the id and a column `name`, to name areas in reports"
    )
    region: str = Field(
        "region", description="column with the region; `state` takes it from the FIPS"
    )
    rate: str | tuple[str, ...] | None = Field(
        None,
        description="column with the rate per 100,000, or several that are added up (offences); "
        "null: counted",
    )
    count: str | tuple[str, ...] | None = Field(
        "crimes",
        description="column with the number of crimes, or several that are added up (offences)",
    )
    offence: str | None = Field(
        None, description="column that names the offence, in a table with a row for each"
    )
    offences: tuple[str, ...] | None = Field(
        None, description="the offences that count; null: all that the table has"
    )
    year: str | None = Field(
        None, description="column with the year, in a table with a row for each"
    )
    years: tuple[int, ...] | None = Field(
        None, description="the years that count, averaged; null: all that the table has"
    )
    population: str | None = Field("population", description="column with the population")
    coverage: str | None = Field(None, description="column with the reporting coverage in percent")
    covered_population: str | None = Field(
        None,
        description="column with the population that reporting agencies cover; its share of "
        "`population` is a coverage too, and the smaller of the two counts",
    )
    min_coverage: Annotated[float, Field(ge=0, le=100)] = Field(
        50.0, description="areas that report less (percent) count as not reported"
    )
    min_population: Annotated[int, Field(ge=0)] = Field(
        0, description="areas with fewer people are not learned from"
    )
    shrink: bool = Field(True, description="empirical-Bayes shrinkage of rates to the region mean")
    threshold: Literal["median", "tercile"] | PositiveFloat = Field(
        "median",
        description="high crime = above this, taken from the training areas only",
    )
    counts: Literal["poisson", "negative_binomial"] | None = Field(
        "negative_binomial",
        description=(
            "how counts of crimes are modelled, with people as exposure, beside the log rate; "
            "null: not at all"
        ),
    )
    network_steps: Annotated[int, Field(ge=0)] = Field(
        0,
        description=(
            "training steps, in each fold, of a small network on raw tiles (the predecessor's "
            "baseline); 0: none"
        ),
    )
    min_areas: PositiveInt = Field(30, description="no claim below this many areas")
    min_regions: PositiveInt = Field(3, description="no claim below this many regions")
    bootstrap: Annotated[int, Field(ge=100)] = Field(
        1000, description="resamples of regions, as blocks of areas, for the intervals"
    )
    permutations: Annotated[int, Field(ge=100)] = Field(
        500, description="exchanges of areas within regions for the permutation test"
    )
    block: PositiveFloat | None = Field(
        None, description="side of a spatial block in metres; null: from the correlogram"
    )


class Settings(Section):
    """Everything a run needs to know."""

    results: str = Field("results/demo", description="folder that the run writes to")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of everything random")
    title: str = Field("The embedded city", description="title of the report")
    city: CitySettings = Field(default_factory=CitySettings)  # type: ignore[arg-type]
    scenes: SceneSettings = Field(default_factory=SceneSettings)  # type: ignore[arg-type]
    tiles: TileSettings = Field(default_factory=TileSettings)  # type: ignore[arg-type]
    splits: SplitSettings = Field(default_factory=SplitSettings)  # type: ignore[arg-type]
    labels: LabelSettings = Field(default_factory=LabelSettings)  # type: ignore[arg-type]
    pretrain: PretrainSettings = Field(default_factory=PretrainSettings)  # type: ignore[arg-type]
    proposals: ProposalSettings = Field(default_factory=ProposalSettings)  # type: ignore[arg-type]
    detect: DetectSettings = Field(default_factory=DetectSettings)  # type: ignore[arg-type]
    predict: PredictSettings = Field(default_factory=PredictSettings)  # type: ignore[arg-type]
    score: ScoreSettings = Field(default_factory=ScoreSettings)  # type: ignore[arg-type]
    features: FeatureSettings = Field(default_factory=FeatureSettings)  # type: ignore[arg-type]
    crime: CrimeSettings = Field(default_factory=CrimeSettings)  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _study_arm_exists(self) -> Settings:
        if self.predict.study_arm not in self.detect.arms:
            raise ValueError(
                f"predict.study_arm is {self.predict.study_arm!r}; allowed: the arms of "
                f"detect.arms: {', '.join(self.detect.arms)}"
            )
        return self

    @property
    def embedded(self) -> bool:
        """Whether the run is on the synthetic city."""
        return self.scenes.sheet == "embedded"

    @property
    def root(self) -> Path:
        """The folder that the run writes to."""
        return Path(self.results)

    def section(self, name: str) -> dict[str, Any]:
        """Return one section as plain values, for a rule's parameters."""
        dumped: dict[str, Any] = self.model_dump(mode="json")[name]
        return dumped
