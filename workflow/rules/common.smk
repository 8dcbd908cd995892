# Settings, the lists that the stages share, and nothing else: no rules here.
#
# Priorities of rules keep the longest chain going (tiles, SwAV, DETReg, detectors); short jobs fill
# the gaps.

import atexit
import gc
from pathlib import Path

from urbanssl.code_digest import code_digest as code
from urbanssl.code_digest import folder_digest
from urbanssl.load_settings import settings_or_exit
from urbanssl.plan import Plan, training_parameters

# The graph of very many jobs is all objects that stay. Searching all of them for garbage again and
# again (the third number, usually 10), and once more at the end, is time for nothing.
gc.set_threshold(700, 10, 1000)
atexit.register(gc.freeze)

SETTINGS = settings_or_exit(config, workflow)
PLAN = Plan(SETTINGS)
SCENES = PLAN.scenes
RUNS = list(PLAN.runs) if PLAN.labelled else []
R = SETTINGS.root
SEED = SETTINGS.seed


wildcard_constraints:
    scene=r"(?:(?!\.boxes)[A-Za-z0-9._-])+",
    run="[A-Za-z0-9-]+_f[0-9.]+_s[0-9]+",
    name="[a-z]+",


def many(files):
    """Return an input function for many files.

    Of a plain list, Snakemake hashes the whole once for each of its files wherever the rule also
    takes another rule's output, which grows with the square of the number of scenes.
    """
    return lambda wildcards: files


def tile_files(scenes, what=("tiles.npy", "tiles.parquet")):
    """Return an input function for the tile files of scenes."""
    return many([f"{R}/tiles/{scene.name}/{name}" for name in what for scene in scenes])


def weights_of(stage):
    """Return the weights that a pretraining stage writes."""
    return R / "pretrain" / stage / "weights.safetensors"


def megabytes(base):
    """Return a memory request that doubles with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


def minutes(base):
    """Return a run time request that doubles with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


# Minutes. The same for every attempt at a training, which goes on from its checkpoint: a job that
# asks for more than its partition allows would wait in the queue for ever.
DAY = 1440


def tasks(training):
    """Return the tasks of a training's job: one a node, none (0) where SLURM counts by GPU."""
    return 0 if training.gpus else training.nodes


def initial_weights(wildcards):
    """Return the weights that an arm starts from, nothing for random ones."""
    weights = PLAN.initial_weights(wildcards.run)
    return [] if weights is None else weights


# Tiles, boxes and merged boxes of a scene. The first two are outputs of several rules.
TILE_BOXES = R / "predict/{run}/{scene}.parquet"
SCENE_BOXES = R / "predict/{run}/{scene}.boxes.parquet"


def shared(pattern, scenes):
    """Return the files of scenes that share a job, or the pattern where each has its own.

    Starting a network takes longer than a small scene does.
    """
    if not (PLAN.together and scenes):
        return pattern
    return expand(pattern, scene=[scene.name for scene in scenes], allow_missing=True)


def job_name(pattern, scenes):
    """Return the name of a log: without the scene where scenes share a job."""
    name = str(pattern)
    return name.replace("{scene}", "study") if PLAN.together and scenes else name


def of_labelled(pattern):
    """Return a file of every labelled scene, for the run of the wildcards."""
    return expand(
        pattern, scene=[scene.name for scene in PLAN.labelled], allow_missing=True
    )


def feature_weights(wildcards):
    """Return the weights that a feature set needs, nothing where it needs none."""
    if wildcards.name in TRAINED:
        return weights_of(wildcards.name)
    if wildcards.name in ("detr", "vitdet"):
        return (
            R / "detect" / PLAN.feature_arm(wildcards.name).name / "weights.safetensors"
        )
    return []


def feature_recipe(wildcards):
    """Return the recipe of the network that a feature set needs, nothing where it needs none."""
    if wildcards.name in TRAINED:
        return TRAINED[wildcards.name].recipe
    if wildcards.name in ("detr", "vitdet"):
        return PLAN.feature_arm(wildcards.name).recipe
    return []


def feature_boxes(wildcards):
    """Return the boxes that object counts are made of, nothing for other sets."""
    if wildcards.name != "objects":
        return []
    names = [s.name for s in PLAN.study] if PLAN.together else wildcards.scene
    return expand(TILE_BOXES, run=PLAN.study_run.name, scene=names)


def feature_calibration(wildcards):
    """Return what the scores of those boxes are worth, nothing for other sets."""
    if wildcards.name != "objects":
        return []
    return expand(rules.calibrate_scores.output.calibration, run=PLAN.study_run.name)


def cheapest_set():
    """Return a feature set that needs no trained network, if one is asked for."""
    cheap = ("coordinates", "histogram", "texture", "rcf")
    return [
        *(name for name in cheap if name in SETTINGS.features.sets),
        *SETTINGS.features.sets,
    ][0]


def judged(files):
    """Return an input function for what only a judged study has; asked for without, it refuses."""

    def wanted(wildcards):
        if not PLAN.judged:
            raise WorkflowError(
                "nothing is judged in this run, so there are no pooled features and no metrics: "
                "name a crime table in `crime.table` and give scenes the role `study`"
            )
        return files

    return wanted


def study_boxes():
    """Return the merged boxes of the study area, nothing where no detector is trained."""
    return expand(
        SCENE_BOXES,
        run=PLAN.study_run.name if RUNS else [],
        scene=[scene.name for scene in PLAN.study],
    )


def feature_filters(wildcards):
    """Return the random filters, nothing for other sets."""
    return rules.draw_filters.output.filters if wildcards.name == "rcf" else []
