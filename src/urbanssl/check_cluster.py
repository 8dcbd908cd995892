"""What a Snakemake profile asks of a SLURM cluster, against what `sinfo` says there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from urbanssl.errors import Problem, SettingsError
from urbanssl.settings import Settings

_TRAININGS = ("swav", "mae", "detreg")


@dataclass(frozen=True)
class Partition:
    """A partition of the cluster: its name and the GPUs of one of its nodes, by model."""

    name: str
    gpus: tuple[str, ...]
    default: bool


def read_profile(path: str) -> dict[str, Any]:
    """Return a Snakemake profile.

    Args:
        path: the profile's folder.

    Raises:
        SettingsError: there is none, or its YAML is broken.
    """
    file = Path(path) / "config.yaml"
    if not file.is_file():
        raise SettingsError.at(file, "no such file", "name a profile's folder: profiles/slurm")
    try:
        content = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise SettingsError.at(file, f"not YAML: {error}", "mend the line named") from None
    if not isinstance(content, dict):
        raise SettingsError.at(file, "no keys and values", "see profiles/slurm/config.yaml")
    return content


def partitions() -> list[Partition] | None:
    """Return the partitions that `sinfo` names, None where there is no SLURM.

    Raises:
        SettingsError: sinfo is there but fails.
    """
    if shutil.which("sinfo") is None:
        return None
    command = ["sinfo", "--noheader", "--format=%P|%G"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if ran.returncode:
        raise SettingsError.at("sinfo", ran.stderr.strip(), "ask the cluster's people")
    return parse_partitions(ran.stdout)


def parse_partitions(listed: str) -> list[Partition]:
    """Return the partitions of `sinfo --noheader --format=%P|%G`."""
    found: dict[str, Partition] = {}
    for line in listed.splitlines():
        name, _, resources = line.strip().partition("|")
        gpus = tuple(re.findall(r"gpu:(?:(\w+):)?\d", resources))
        before = found.get(name.rstrip("*"), Partition("", (), False))
        found[name.rstrip("*")] = Partition(
            name.rstrip("*"), before.gpus + gpus, name.endswith("*")
        )
    return list(found.values())


def cluster_problems(profile: dict[str, Any], settings: Settings) -> Iterator[Problem]:
    """Yield what the profile asks for and the cluster does not have.

    Args:
        profile: the profile's keys and values.
        settings: the settings, which say how many GPUs a training takes.
    """
    known = partitions()
    if known is None:
        yield Problem("sinfo", "not found", "check the profile on a login node of the cluster")
        return
    yield from partition_problems(profile, known)
    yield from gpu_problems(profile, settings, known)


def partition_problems(profile: dict[str, Any], known: list[Partition]) -> Iterator[Problem]:
    """Yield the partitions of a profile that are not there."""
    names = [partition.name for partition in known]
    asked = {"default-resources": profile.get("default-resources") or {}}
    asked |= {f"set-resources: {r}": v for r, v in (profile.get("set-resources") or {}).items()}
    for place, resources in asked.items():
        for name in str(resources.get("slurm_partition", "")).strip("\"'").split(","):
            if name and name not in names:
                yield Problem(
                    f"profile, {place}",
                    f"slurm_partition {name!r}: no such partition",
                    f"there are: {', '.join(names)}",
                )
    unnamed = "slurm_partition" not in asked["default-resources"]
    if unnamed and not any(partition.default for partition in known):
        yield Problem(
            "profile, default-resources",
            "no slurm_partition, and the cluster has no default",
            f"name one of: {', '.join(names)}",
        )


def gpu_problems(
    profile: dict[str, Any], settings: Settings, known: list[Partition]
) -> Iterator[Problem]:
    """Yield the GPUs that trainings ask for where there are none, or none of that model."""
    rules = {f"pretrain_{name}": getattr(settings.pretrain, name).gpus for name in _TRAININGS}
    rules["train_detector"] = settings.detect.gpus
    given = profile.get("set-resources") or {}
    common = profile.get("default-resources") or {}
    for rule, gpus in rules.items():
        resources = {**common, **given.get(rule, {})}
        asked = str(resources.get("slurm_partition", "")).strip("\"'")
        there = [p for p in known if p.name in asked.split(",") or (not asked and p.default)]
        models = [model for partition in there for model in partition.gpus]
        if not gpus or not there:
            continue
        model = str(resources.get("gpu_model", "")).strip("\"'")
        if not models:
            names = ", ".join(partition.name for partition in there)
            with_gpus = ", ".join(p.name for p in known if p.gpus) or "none"
            yield Problem(
                f"profile, {rule}",
                f"{gpus} GPUs in partition {names}, which has none",
                f"partitions with GPUs: {with_gpus}; or set `gpus: 0` in the settings",
            )
        elif model and model not in models:
            yield Problem(
                f"profile, {rule}",
                f"gpu_model {model!r}: not there",
                f"there are: {', '.join(sorted({name for name in models if name})) or 'unnamed'}",
            )
