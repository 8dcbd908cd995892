"""Time and memory of `snakemake -n` for very many scenes, sparse files standing in for imagery.

    python benchmarks/plan.py                     # 10,000 scenes, 10 million tiles
    python benchmarks/plan.py --scenes 1000 --study 1000
    python benchmarks/plan.py --scenes 100 --images 100      # the same imagery in globs

Lays out a workspace beside the real rules, settings and package, with 20 labelled scenes, `--study`
scenes of the study area, and imagery without labels for the rest; each image is a sparse file of
the size that 1,000 tiles of 256 pixels have. Nothing has run yet, so every job is planned.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
#: Tiles of an image, without overlap, and the side of one.
TILES, SIDE = 1000, 256
LABELLED = 20


def lay_out(folder: Path, scenes: int, study: int, images: int):
    """Write sheet, settings and sparse scenes."""
    for name in ("workflow", "Snakefile", "profiles", "slurm", "envs", "config"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("imagery", "labels"):
        (folder / name).mkdir()
    rows = ["scene,path,role,labels"]
    for number in range(scenes):
        name = f"s{number:06d}"
        for image in range(images):
            with open(folder / "imagery" / f"{name}-{image}.tif", "wb") as stream:
                stream.truncate(TILES * SIDE**2 * 3)
        labels, role = "", "unlabelled"
        if number < LABELLED:
            labels, role = f"labels/{name}.txt", "labelled"
            (folder / labels).write_text("")
        elif number < LABELLED + study:
            role = "study"
        which = "*" if images > 1 else "0"
        rows.append(f"{name},imagery/{name}-{which}.tif,{role},{labels}")
    (folder / "scenes.csv").write_text("\n".join(rows) + "\n")
    for name in ("areas.gpkg", "crime.csv"):
        (folder / name).write_text("")
    settings = {
        "results": "results/run",
        "scenes": {"sheet": "scenes.csv"},
        "tiles": {"size": SIDE, "overlap": 0},
        "crime": {"areas": "areas.gpkg", "table": "crime.csv"},
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))


def plan(folder: Path, profile: str | None) -> tuple[float, float, float, int]:
    """Plan the run; return wall and CPU seconds, peak memory in MB, and the number of jobs."""
    command = [sys.executable, "-m", "snakemake", "-n", "--nocolor"]
    command += ["--configfile", "settings.yaml"]
    command += ["--profile", profile] if profile else []
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout[-4000:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = re.search(r"^total\s+(\d+)", done.stdout, re.MULTILINE)
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, int(jobs[1])


def main():
    """Lay out, plan once, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--study", type=int, default=20, help="how many are of the study area")
    parser.add_argument("--images", type=int, default=1, help="images of each scene")
    parser.add_argument("--profile", help="Snakemake's profile, such as `slurm`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name), options.scenes, options.study, options.images)
        wall, busy, memory, jobs = plan(Path(name), options.profile)
    print(
        f"{options.scenes} scenes of {options.images} images ({options.study} of the study area), "
        f"{options.scenes * options.images * TILES / 1e6:g} million tiles: "
        f"{jobs} jobs planned in {wall:.1f} s "
        f"({busy:.1f} s of CPU, {1000 * busy / jobs:.2f} ms a job), {memory:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
