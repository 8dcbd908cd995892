"""The settings: the one place that knows every key, its unit, default and allowed values.

`config/config.yaml` is read into `Settings`; the JSON schema for editors is generated from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from urbanssl.classes import CLASSES
from urbanssl.settings_base import PositiveFloat, PositiveInt, Section, Share
from urbanssl.settings_training import DetectSettings, PretrainSettings, ProposalSettings

ClassName = Literal[*CLASSES]  # type: ignore[valid-type]


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
    table: str | None = Field(
        "embedded",
        description=(
            "crime table (CSV, Parquet, a glob) or `embedded`; null: there is none, boxes of the "
            "study area are predicted and nothing is judged"
        ),
    )
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
