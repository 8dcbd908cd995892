"""What one training is told: read from and written to JSON, so that any launcher can start it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from urbanssl.artifacts import file_sha256, read_json, settings_hash, write_json
from urbanssl.errors import Problem, TrainingError
from urbanssl.settings_training import Budget, Init, ProposalSettings
from urbanssl.stage import optional_path, paths, work_folder

Stage = Literal["swav", "mae", "detreg", "detector"]
_PATHS = (
    "recipe",
    "splits",
    "coco_train",
    "coco_val",
    "weights",
    "embedder",
    "probe",
    "work",
    "output_weights",
    "output_log",
)
_PATH_LISTS = ("arrays", "tables", "proposals")


@dataclass(frozen=True)
class TrainJob:
    """One training.

    Attributes:
        stage: which of the four kinds of training.
        recipe: mmengine config of the network.
        arrays: tile arrays, `(N, S, S, 3)` uint8 each.
        tables: tile tables in the order of `arrays`.
        work: folder of the checkpoints.
        output_weights: safetensors file to write.
        output_log: JSON file to write, with the curve.
        settings: steps, batch size, learning rate, GPUs, precision, checkpoint interval.
        proposals: proposal tables in the order of `arrays` (DETReg).
        proposals_top: boxes taken of each tile (DETReg).
        proposals_order: which come first: drawn anew each epoch, or by rank (DETReg).
        splits: the table of splits, with `strict`.
        strict: leave out every tile of the val and test splits and of their buffers.
        coco_train: annotations to learn from (detectors).
        coco_val: annotations to validate on (detectors).
        classes: names of the classes, in the order of their numbers (detectors).
        fraction: share of the training tiles that is used (detectors).
        empty: largest share of an epoch that tiles without objects make (detectors).
        init: where the initial weights come from.
        weights: the initial weights, None for random ones.
        embedder: SwAV weights that make DETReg's target embeddings.
        probe: folder of labelled images that features are probed with (SwAV, MAE).
        seed: seed of the order of tiles and of every random number.
        threads: processor cores on each node.
        about: provenance for the outputs.
    """

    stage: Stage
    recipe: Path
    arrays: tuple[Path, ...]
    tables: tuple[Path, ...]
    work: Path
    output_weights: Path
    output_log: Path
    settings: Budget
    proposals: tuple[Path, ...] = ()
    proposals_top: int = 30
    proposals_order: Literal["random", "ranked"] = "random"
    splits: Path | None = None
    strict: bool = False
    coco_train: Path | None = None
    coco_val: Path | None = None
    classes: tuple[str, ...] = ()
    fraction: float = 1.0
    empty: float = 1.0
    init: Init = "random"
    weights: Path | None = None
    embedder: Path | None = None
    probe: Path | None = None
    seed: int = 0
    threads: int = 1
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise TrainingError.listing(problems, f"the {self.stage} training cannot start")

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        content = asdict(self)
        content["settings"] = self.settings.model_dump(mode="json")
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> TrainJob:
        """Read a job written by `write`.

        Raises:
            TrainingError: a key is unknown or missing, or a value cannot be used.
        """
        content = read_json(path)
        known = set(cls.__dataclass_fields__)
        if strange := sorted(set(content) - known):
            raise TrainingError.at(path, f"unknown keys {strange}", f"allowed: {sorted(known)}")
        for name in _PATHS:
            if content.get(name) is not None:
                content[name] = Path(content[name])
        for name in _PATH_LISTS:
            content[name] = tuple(Path(entry) for entry in content.get(name, ()))
        content["classes"] = tuple(content.get("classes", ()))
        try:
            content["settings"] = _budget(content.get("settings", {}))
            return cls(**content)
        except (TypeError, ValidationError) as error:
            raise TrainingError.at(
                path, str(error), "see TrainJob in urbanssl.engine.job"
            ) from None

    @property
    def threads_each(self) -> int:
        """Threads of each process: its share of the node's cores, no more than there are."""
        there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        return max(1, min(self.threads, there) // self.settings.local_processes)

    def fingerprint(self) -> str:
        """Return the hash of all that shapes the result: a checkpoint of another is not resumed.

        Paths, threads, GPUs and nodes do not count; the contents of recipe and weights do.
        """
        settings = self.settings.model_dump(
            mode="json", exclude={"gpus", "nodes", "threads", "checkpoint_every"}
        )
        single = (self.recipe, self.weights, self.embedder, self.coco_train, self.splits)
        contents = [
            file_sha256(path)
            for path in (*single, *self.tables, *self.proposals)
            if path is not None
        ]
        tiles = [[path.parent.name, path.stat().st_size] for path in self.arrays]
        plain: list[Any] = [
            self.stage,
            self.strict,
            self.classes,
            self.fraction,
            self.init,
            self.seed,
        ]
        if self.stage == "detector":
            plain += [self.empty]
        if self.stage == "detreg":
            plain += [self.proposals_top, self.proposals_order]
        return settings_hash([plain, settings, contents, tiles])


def _problems(job: TrainJob) -> list[Problem]:
    """Return everything about a job that cannot work, without opening its files."""
    found = []

    def note(key: str, what: str, remedy: str) -> None:
        found.append(Problem(f"job key `{key}`", what, remedy))

    if job.stage not in get_args(Stage):
        note("stage", f"unknown stage {job.stage!r}", f"allowed: {', '.join(get_args(Stage))}")
    if not job.arrays:
        note("arrays", "no tile arrays", "give scenes whose roles serve this stage")
    if len(job.arrays) != len(job.tables):
        note("tables", f"{len(job.tables)} for {len(job.arrays)} arrays", "give one table an array")
    if job.stage == "detreg":
        if len(job.proposals) != len(job.arrays):
            note(
                "proposals",
                f"{len(job.proposals)} tables for {len(job.arrays)} arrays",
                "run propose_boxes on every scene",
            )
        if job.proposals_top < 1:
            note("proposals_top", f"{job.proposals_top}", "take at least one box of each tile")
        if job.embedder is None:
            note("embedder", "missing", "name SwAV weights: they make the target embeddings")
    if job.stage == "detector":
        if job.coco_train is None:
            note("coco_train", "missing", "name the annotations written by assemble_coco")
        if not job.classes:
            note("classes", "empty", "name the classes to detect")
    if not 0 < job.fraction <= 1:
        note("fraction", f"{job.fraction:g}", "take a share above 0, at most 1")
    if not 0 <= job.empty <= 1:
        note("empty", f"{job.empty:g}", "take a share from 0 to 1")
    if (job.init == "random") != (job.weights is None):
        note(
            "weights",
            f"{job.weights} with `init: {job.init}`",
            "give a weights file, except with `init: random`",
        )
    for key in ("recipe", "weights", "embedder", "coco_train", "splits"):
        path = getattr(job, key)
        if path is not None and not path.is_file():
            note(key, f"no file {path}", "check the path")
    if job.probe is not None and not job.probe.is_dir():
        note("probe", f"no folder {job.probe}", "check the path, or leave it out")
    return found


def _budget(settings: dict[str, Any]) -> Budget:
    """Return the budget among the settings of a stage, which may have keys of its own."""
    return Budget(**{key: settings[key] for key in Budget.model_fields if key in settings})


def _saving(config: dict[str, Any], stage: Stage) -> dict[str, int]:
    """Return how often a training saves: no parameter of its rule, lest a change trains anew."""
    sections = config if stage == "detector" else config.get("pretrain") or {}
    section = sections.get("detect" if stage == "detector" else stage) or {}
    key = "checkpoint_every"
    return {key: int(section[key])} if key in section else {}


def job_of_rule(rule: Any, stage: Stage, root: Path, about: dict[str, Any]) -> TrainJob:
    """Build the job of a Snakemake rule.

    Args:
        rule: the `snakemake` object of a script.
        stage: which of the four kinds of training.
        root: the run's results folder; checkpoints go below its `work`.
        about: provenance for the outputs.
    """
    given, parameters = rule.input, rule.params

    def optional(name: str) -> Path | None:
        return optional_path(given.get(name, []))

    embedder = optional("embedder")
    weights = embedder if stage == "detreg" else optional("weights")
    tables = paths(given.tables)
    proposals = paths(given.get("proposals", []))
    taken = ProposalSettings(**parameters.get("proposals", {}))
    single = [Path(given.recipe), weights, optional("coco_train"), optional("splits")]
    read = [path for path in [*tables, *proposals, *single] if path is not None]
    digests = [file_sha256(path) for path in read]
    given_init: Init = parameters.get("init", "random" if weights is None else "file")
    init: Init = "swav" if stage == "detreg" else given_init
    job = TrainJob(
        stage=stage,
        recipe=Path(given.recipe),
        arrays=tuple(paths(given.arrays)),
        tables=tuple(tables),
        proposals=tuple(proposals),
        proposals_top=taken.top,
        proposals_order=taken.order,
        splits=optional("splits"),
        strict=bool(parameters.get("strict", False)),
        coco_train=optional("coco_train"),
        coco_val=optional("coco_val"),
        classes=tuple(parameters.get("classes", ())),
        fraction=float(parameters.get("fraction", 1.0)),
        empty=float(parameters.get("empty", 1.0)),
        init=init,
        weights=weights,
        embedder=embedder,
        probe=optional_path(parameters.get("probe") or []),
        settings=_budget({**dict(parameters.settings), **_saving(rule.config, stage)}),
        seed=int(parameters.seed),
        threads=int(rule.threads),
        work=root / "work" / stage,
        output_weights=Path(rule.output.weights),
        output_log=Path(rule.output.log),
        about=about,
    )
    return replace(job, work=work_folder(root, stage, dict(parameters.items()), digests))
