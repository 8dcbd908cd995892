"""The plan of a run: which scenes, arms and files every stage works on.

The workflow asks it while the graph of jobs is built, so it must be quick and read no imagery.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from urbanssl.errors import Problem, SettingsError
from urbanssl.recipe_file import recipe_file
from urbanssl.scenes.sheet import Scene, read_sheet
from urbanssl.settings import Settings
from urbanssl.settings_training import ArmSettings, Budget

#: Settings of a training stage that say where and how fast it runs, not what comes out.
_WHERE = frozenset({"threads", "checkpoint_every"})

#: How the names of recipes begin whose network gives a feature set.
_KINDS = {"detr": "deformable_detr", "vitdet": "vitdet"}


@dataclass(frozen=True)
class Run:
    """One training of one arm: arm x label fraction x seed."""

    arm: str
    fraction: float
    seed: int
    settings: ArmSettings

    @property
    def name(self) -> str:
        """The name that files of this run carry, e.g. `detr-detreg_f100_s0`."""
        return f"{self.arm}_f{100 * self.fraction:g}_s{self.seed}"

    @property
    def recipe(self) -> str:
        """The file of the network's recipe."""
        return recipe_file(self.settings.recipe)


class Plan:
    """Scenes by role, runs of the arms, and the inputs that depend on settings.

    Args:
        settings: the settings of the run.

    Raises:
        SceneError: the sample sheet is wrong; lists everything at once.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.scenes: list[Scene] = read_sheet(settings)
        self._by_name = {scene.name: scene for scene in self.scenes}
        if problems := list(self._problems()):
            raise SettingsError.listing(problems, "the settings and the sample sheet do not fit")

    def _problems(self) -> Iterator[Problem]:
        """Yield what the settings ask for and the scenes cannot give."""
        if not self.pretraining:
            yield Problem(
                "pretrain.roles",
                f"no scene of the sheet has a role of {list(self.settings.pretrain.roles)} that "
                "pretraining may use",
                "add such scenes to the sheet, or roles to pretrain.roles",
            )
        if not self.labelled and not self.study:
            yield Problem(
                "scenes.sheet",
                "no scene has the role `labelled` or `study`, so there is nothing to find out",
                "give a scene one of these roles in the sheet's column `role`",
            )
        if self.study and not self.settings.embedded:
            yield from self._crime_problems()
        needing = sorted({"objects", "detr", "vitdet"} & self.feature_sets)
        if self.study and not self.labelled and not self.judged:
            yield Problem(
                "crime.table",
                "null, and no scene is labelled, so the study area can be neither searched nor "
                "judged",
                "name a crime table, or give a scene the role `labelled`",
            )
        if self.judged and not self.labelled and needing:
            yield Problem(
                "features.sets",
                f"{', '.join(needing)} need a trained detector, but no scene is labelled",
                f"add a labelled scene to the sheet, or remove {', '.join(needing)}",
            )
        for name in {"detr", "vitdet"} & set(needing if self.labelled else []):
            if not self._fitting_arms(name):
                yield Problem(
                    "features.sets",
                    f"{name!r} needs an arm with a recipe {_KINDS[name]}_*.py; there is none",
                    f"add such an arm to detect.arms, or remove {name!r} from features.sets",
                )

    def _crime_problems(self) -> Iterator[Problem]:
        """Yield the files of the drawn city that a study of other scenes would be judged by."""
        crime, sheet = self.settings.crime, self.settings.scenes.sheet
        of_city = f"'embedded' is the drawn city's, but scenes.sheet is {sheet!r}"
        if crime.table == "embedded":
            yield Problem(
                "crime.table",
                of_city,
                "name your crime table, or write `table: null` to predict boxes and judge nothing",
            )
        if crime.table is not None and crime.areas == "embedded":
            yield Problem("crime.areas", of_city, "name a file of polygons, or write `sheet`")

    @property
    def judged(self) -> bool:
        """Whether the study area's features are held against crime rates."""
        return bool(self.study) and self.settings.crime.table is not None

    @property
    def feature_sets(self) -> set[str]:
        """The feature sets that are made: none where nothing is judged."""
        return set(self.settings.features.sets) if self.judged else set()

    @cached_property
    def city_scenes(self) -> list[Path]:
        """The rasters of the embedded city, drawn or not yet drawn."""
        return [path for scene in self.scenes for path in scene.paths]

    @cached_property
    def city_labels(self) -> list[Path]:
        """The label files of the embedded city that the sheet names."""
        return [path for scene in self.scenes for path in scene.labels]

    def scene(self, name: str) -> Scene:
        """Return a scene by name."""
        return self._by_name[name]

    @cached_property
    def labelled(self) -> list[Scene]:
        """Scenes with labels."""
        return [scene for scene in self.scenes if "labelled" in scene.roles]

    @cached_property
    def study(self) -> list[Scene]:
        """Scenes of the study area."""
        return [scene for scene in self.scenes if "study" in scene.roles]

    @property
    def together(self) -> bool:
        """Whether the scenes of the study area share the jobs that predict and extract features."""
        return 1 < len(self.study) <= self.settings.scenes.together

    @cached_property
    def pretraining(self) -> list[Scene]:
        """Scenes whose tiles the networks are pretrained on."""
        pretrain = self.settings.pretrain
        return [
            scene
            for scene in self.scenes
            if scene.roles & set(pretrain.roles)
            and not (pretrain.strict and "study" in scene.roles)
        ]

    @cached_property
    def runs(self) -> dict[str, Run]:
        """All runs of the arms by name."""
        detect = self.settings.detect
        listed = [
            Run(arm, fraction, seed, settings)
            for arm, settings in detect.arms.items()
            for fraction in detect.fractions
            for seed in detect.seeds
        ]
        return {run.name: run for run in listed}

    def full_run(self, arm: str) -> Run:
        """Return the run of an arm at the largest label fraction and the first seed."""
        detect = self.settings.detect
        return Run(arm, max(detect.fractions), detect.seeds[0], detect.arms[arm])

    @cached_property
    def study_run(self) -> Run:
        """The run that counts objects in the study area."""
        return self.full_run(self.settings.predict.study_arm)

    def predicts_all(self, run: str, scene: str) -> bool:
        """Whether a run predicts every tile of a scene, not the val and test tiles alone."""
        return run == self.study_run.name and "study" in self.scene(scene).roles

    def training(self, run: str) -> dict[str, Any]:
        """Return the settings that change the result of a run's training, as plain values."""
        steps = self.runs[run].settings.steps or self.settings.detect.steps
        return {**training_parameters(self.settings.detect), "steps": steps}

    def initial_weights(self, run: str) -> Path | None:
        """Return the weights that a run starts from, None for random ones."""
        arm = self.runs[run].settings
        if arm.init == "random":
            return None
        if arm.init == "file":
            return Path(str(arm.weights))
        return self.settings.root / "pretrain" / arm.init / "weights.safetensors"

    @cached_property
    def pretrained(self) -> list[str]:
        """The pretraining stages whose weights an arm or a feature set needs, in order."""
        wanted = {"swav", "mae"} & self.feature_sets
        if self.labelled:
            wanted |= {arm.init for arm in self.settings.detect.arms.values()}
        if "detreg" in wanted:
            wanted.add("swav")
        return [stage for stage in ("swav", "mae", "detreg") if stage in wanted]

    @cached_property
    def proposal_files(self) -> list[Path]:
        """The table of boxes that proposals come from, none where they are searched or drawn."""
        given = self.settings.proposals.file
        return [] if given is None else [Path(os.path.expandvars(given))]

    def _fitting_arms(self, name: str) -> list[str]:
        """Return the arms whose network gives a feature set, the best one first.

        The study arm where it is of that kind, else those that were pretrained before random ones.
        """
        detect = self.settings.detect
        study = self.settings.predict.study_arm
        fitting = [
            arm for arm, of in detect.arms.items() if Path(of.recipe).name.startswith(_KINDS[name])
        ]
        return sorted(fitting, key=lambda arm: (arm != study, detect.arms[arm].init == "random"))

    def feature_arm(self, name: str) -> Run:
        """Return the run whose network gives the feature set `detr` or `vitdet`."""
        return self.full_run(self._fitting_arms(name)[0])

    @cached_property
    def areas(self) -> Path | None:
        """The file with the areas' polygons, None where the sheet names the areas."""
        if self.settings.crime.table is None:
            return None
        given = self.settings.crime.areas
        if given == "embedded":
            return self.settings.root / "city" / "areas.gpkg"
        return None if given == "sheet" else Path(os.path.expandvars(given))

    @cached_property
    def crime_tables(self) -> list[Path]:
        """The crime tables, none without one; a glob stands for all the files that match.

        Raises:
            SettingsError: nothing matches the glob.
        """
        given = self.settings.crime.table
        if given is None:
            return []
        if given == "embedded":
            return [self.settings.root / "city" / "crime.csv"]
        return _matching("crime.table", given)

    @cached_property
    def crime_names(self) -> list[Path]:
        """The tables that name the areas, none where none is given; a glob as for crime tables.

        Raises:
            SettingsError: nothing matches the glob.
        """
        given = self.settings.crime.names
        return [] if given is None else _matching("crime.names", given)

    @cached_property
    def declared(self) -> dict[str, Any]:
        """What the networks have seen of the study area before they are judged on it."""
        pretraining = {scene.name for scene in self.pretraining}
        seen = [scene.name for scene in self.study if scene.name in pretraining]
        return {
            "strict": self.settings.pretrain.strict,
            "study_scenes_seen_in_pretraining": seen,
            "labels_of_study_scenes_used": [
                scene.name for scene in self.study if "labelled" in scene.roles
            ],
        }


def _matching(key: str, given: str) -> list[Path]:
    """Return the files that a setting names, which may be a glob and hold variables."""
    found = sorted(Path(path) for path in glob.glob(os.path.expandvars(given)))
    if not found:
        raise SettingsError.at(
            key, f"no file matches {given!r}", "give an existing CSV or Parquet file"
        )
    return found


def training_parameters(training: Budget) -> dict[str, Any]:
    """Return the settings of a training stage that change its result, as plain values."""
    return training.model_dump(mode="json", include=set(Budget.model_fields) - _WHERE)
