"""Following a run of Snakemake by the lines it prints: what is running, what is done, time left.

Lines that are not understood change nothing, so that another wording makes the account poorer, not
wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: What each rule does, in words, and roughly how many seconds one of its jobs takes on one core of
#: a laptop with the default settings, by the benchmark files of a demo. The seconds only weigh the
#: stages; how fast this machine really is, is learned as jobs end.
STAGES: dict[str, tuple[str, float]] = {
    "draw_city": ("drawing the city", 7),
    "survey_scene": ("looking at a scene", 2),
    "check_scenes": ("checking the scenes", 2),
    "tile_scene": ("cutting a scene into tiles", 2),
    "split_tiles": ("splitting tiles by place", 2),
    "convert_labels": ("reading labels", 2),
    "assemble_coco": ("assembling annotations", 2),
    "pretrain_swav": ("pretraining SwAV", 130),
    "pretrain_mae": ("pretraining MAE", 170),
    "propose_boxes": ("proposing boxes", 6),
    "pretrain_detreg": ("pretraining DETReg", 210),
    "train_detector": ("training a detector", 150),
    "predict_labelled": ("predicting on the labelled scenes", 25),
    "merge_labelled": ("merging boxes of the labelled scenes", 8),
    "predict_scene": ("predicting on a scene", 18),
    "merge_boxes": ("merging boxes", 4),
    "score_run": ("scoring a detector", 5),
    "calibrate_scores": ("calibrating the scores", 5),
    "draw_filters": ("drawing random filters", 5),
    "extract_features": ("extracting features", 8),
    "read_crime": ("reading the crime table", 2),
    "pool_features": ("pooling features to areas", 3),
    "train_tile_network": ("training on raw tiles", 20),
    "judge_crime": ("judging crime models", 30),
    "find_drivers": ("finding the tiles that matter", 4),
    "write_report": ("writing the report", 13),
}
_UNKNOWN = 5.0
#: Seconds of trust in the table, against what this run has shown.
_TRUST = 60.0

_RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
_DONE = re.compile(r"Finished jobid: (\d+)")
_FAILED = re.compile(r"(?:Error in|Failed) rule (\w+)")
_DETAIL = re.compile(r"\s+(jobid|wildcards|log): (.+)")
_COUNT = re.compile(r"(\w+)\s+(\d+)")


@dataclass
class Job:
    """One job: its rule, what it is about (`scene=...`), its log, and when it started (seconds)."""

    rule: str
    started: float
    number: int | None = None
    about: str = ""
    log: str = ""

    @property
    def words(self) -> str:
        """What the job does, in words."""
        what = STAGES.get(self.rule, (self.rule.replace("_", " "), 0))[0]
        values = ", ".join(part.split("=", 1)[-1] for part in self.about.split(", ") if part)
        return f"{what} ({values})" if values else what

    @property
    def expected(self) -> float:
        """Seconds the job is expected to take."""
        return STAGES.get(self.rule, ("", _UNKNOWN))[1]


@dataclass
class Progress:
    """What is known of a run from the lines read so far.

    Attributes:
        counts: jobs of the run by rule.
        running: jobs that have started and not ended.
        finished: jobs that ended well.
        failed: jobs that failed, with their logs.
    """

    counts: dict[str, int] = field(default_factory=dict)
    running: list[Job] = field(default_factory=list)
    finished: list[Job] = field(default_factory=list)
    failed: list[Job] = field(default_factory=list)
    nothing_to_do: bool = False
    locked: bool = False
    _counting: bool = False
    _open: Job | None = None

    def read(self, line: str, now: float) -> Job | None:
        """Take in a line of Snakemake's output; return the job that it says has ended, if any.

        Args:
            line: the line.
            now: seconds since the start.
        """
        if self._counting or line.startswith("Job stats"):
            self._count(line)
        elif found := _RULE.match(line):
            self._open = Job(found[1], now)
            self.running.append(self._open)
        elif found := _FAILED.match(line):
            self._open = Job(found[1], now)
            self.failed.append(self._open)
        elif self._open and (found := _DETAIL.match(line)):
            self._detail(self._open, found[1], found[2])
        elif found := _DONE.match(line):
            return self._finish(int(found[1]))
        self.nothing_to_do = self.nothing_to_do or line.startswith("Nothing to be done")
        self.locked = self.locked or "cannot be locked" in line
        return None

    def _count(self, line: str) -> None:
        """Read the table of jobs, which an empty line ends."""
        self._counting = bool(line.strip())
        found = _COUNT.fullmatch(line.strip())
        if found and found[1] != "total" and not self.running and not self.finished:
            self.counts[found[1]] = int(found[2])

    def _detail(self, job: Job, key: str, value: str) -> None:
        if key == "jobid":
            job.number = int(value)
            if job in self.failed:
                self.running = [other for other in self.running if other.number != job.number]
        elif key == "wildcards":
            job.about = value
        else:
            job.log = value.split(" (check log", 1)[0].split(", ")[0]

    def _finish(self, number: int) -> Job | None:
        for job in self.running:
            if job.number == number:
                self.running.remove(job)
                self.finished.append(job)
                return job
        return None

    @property
    def jobs(self) -> int:
        """How many jobs the run has, not counting the target that only names files."""
        return sum(count for rule, count in self.counts.items() if rule != "all")

    def seconds_left(self, now: float, cores: int) -> float:
        """Return the seconds that are probably left: the table's, at the pace this run has shown.

        Args:
            now: seconds since the start.
            cores: jobs that can run at once.
        """
        total = sum(
            count * STAGES.get(rule, ("", _UNKNOWN))[1]
            for rule, count in self.counts.items()
            if rule != "all"
        )
        done = sum(job.expected for job in self.finished if job.rule != "all")
        done += sum(min(now - job.started, 0.9 * job.expected) for job in self.running)
        pace = (now + _TRUST) / (done / cores + _TRUST)
        return max(0.0, (total - done) / cores * pace)
