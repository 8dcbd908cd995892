# Settings, the lists that the stages share, and nothing else: no rules here.

from pathlib import Path

from urbanssl.code_digest import code_digest as code
from urbanssl.load_settings import settings_or_exit
from urbanssl.plan import Plan, training_parameters

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


def tile_files(scenes, what=("tiles.npy", "tiles.parquet")):
    """Return the tile files of scenes."""
    return [R / "tiles" / scene.name / name for name in what for scene in scenes]


def weights_of(stage):
    """Return the weights that a pretraining stage writes."""
    return R / "pretrain" / stage / "weights.safetensors"


def megabytes(base):
    """Return a memory request that doubles with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


def minutes(base):
    """Return a run time request that doubles with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)
