"""`make demo`: the whole workflow on the embedded city, with an account of what is going on."""

from __future__ import annotations

import argparse
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import psutil

from urbanssl.errors import SettingsError
from urbanssl.load_settings import load_settings
from urbanssl.progress import Job, Progress
from urbanssl.settings import Settings
from urbanssl.stale_lock import note_run, release_if_dead

_HEARTBEAT = 30.0
_TAIL = 25
#: Seconds that running jobs have to save and end.
_PATIENCE = 120.0


def main(arguments: list[str] | None = None) -> int:
    """Run the workflow and tell about it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m urbanssl.demo", description=__doc__)
    parser.add_argument("--configfile", default="config/config.yaml", help="settings to run")
    parser.add_argument(
        "--cores", type=int, default=min(2, os.cpu_count() or 1), help="processor cores to use"
    )
    given = parser.parse_args(arguments)
    if not Path("Snakefile").is_file():
        _say(f"there is no Snakefile in {Path.cwd()}: start this in the root of the repository")
        return 1
    try:
        settings = load_settings(given.configfile)
    except SettingsError as error:
        _say(str(error))
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    follower = Follower(settings, Path(given.configfile), given.cores)
    status = follower.follow()
    if status == 0:
        follower.tell_results()
    return status


class Follower:
    """Starts Snakemake, follows its lines, and says in words what happens.

    Args:
        settings: the settings of the run.
        configfile: the file they came from.
        cores: processor cores to use.
    """

    def __init__(self, settings: Settings, configfile: Path, cores: int) -> None:
        self.settings, self.configfile, self.cores = settings, configfile, cores
        self.progress = Progress()
        self.log = settings.root / "logs" / "snakemake.log"
        self._started = time.monotonic()
        self._last: deque[str] = deque(maxlen=_TAIL)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def follow(self) -> int:
        """Run Snakemake to its end; return its exit status, 130 where it was interrupted."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        _say(f"{self.settings.title}: everything goes to {self.settings.root}/")
        _say(f"  Snakemake's own account: {self.log}")
        if release_if_dead():
            _say("  a run was killed here; nothing of it is left, so this one goes on from there")
        command = [sys.executable, "-m", "snakemake", "--cores", str(self.cores), "--nocolor"]
        command += ["--configfile", str(self.configfile)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is passed on once, and waited for
        )
        try:
            self._read(process)
            status = process.wait()
        except KeyboardInterrupt:
            return self._interrupted(process)
        if status:
            self._tell_failure()
        return status

    def _read(self, process: subprocess.Popen[str]) -> None:
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
        announced, spoke = False, self.elapsed
        with open(self.log, "w", buffering=1) as log:
            while True:
                try:
                    line = lines.get(timeout=1.0)
                except queue.Empty:
                    line = ""
                if line is None:
                    return
                if line:
                    log.write(line)
                    self._last.append(line)
                    ended = self.progress.read(line.rstrip("\n"), self.elapsed)
                    if not announced and self.progress.running:
                        note_run(process.pid)  # it has begun a job, so that the lock is its own
                        announced, spoke = True, self._announce()
                    if ended is not None and ended.rule != "all":
                        spoke = self._tell_end(ended)
                if self.progress.running and self.elapsed - spoke > _HEARTBEAT:
                    spoke = self._tell(f"still {self._now()}")

    def _announce(self) -> float:
        left = _minutes(self.progress.seconds_left(self.elapsed, self.cores))
        _say(f"  {self.progress.jobs} jobs on {self.cores} cores, {left}")
        return self.elapsed

    def _tell_end(self, job: Job) -> float:
        took = self.elapsed - job.started
        now = f"; now {self._now()}" if self.progress.running else ""
        return self._tell(f"done: {job.words} in {took:.0f} s{now}")

    def _tell(self, text: str) -> float:
        done = sum(job.rule != "all" for job in self.progress.finished)
        left = self.progress.seconds_left(self.elapsed, self.cores)
        minutes, seconds = divmod(int(self.elapsed), 60)
        count = f"{done:3d}/{self.progress.jobs}"
        _say(f"{minutes:4d}:{seconds:02d} {count}  {text}  [{_minutes(left)} left]")
        return self.elapsed

    def _now(self) -> str:
        return " and ".join(job.words for job in self.progress.running) or "between jobs"

    def _interrupted(self, process: subprocess.Popen[str]) -> int:
        _say("\nstopping: waiting for the running jobs to save and end (again: kills them)")
        try:
            if process.poll() is None:
                _stop(process)
            process.wait(timeout=_PATIENCE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            release_if_dead()
        _say("stopped; the same command goes on from here")
        return 130

    def _tell_failure(self) -> None:
        if self.progress.locked:
            _say(f"another run is at work in {Path.cwd()}, or one was killed here. If none runs:")
            _say(f"  {_short(sys.executable)} -m snakemake --unlock   and start again")
            return
        if not self.progress.failed:
            _say("Snakemake ended before its first job, with these lines:")
            _say("".join(self._last).rstrip())
        for job in self.progress.failed:
            _say(
                f"\nFAILED: {job.words} (rule {job.rule}); its log {job.log or 'is missing'} ends:"
            )
            _say(_tail(Path(job.log)) if job.log else "".join(self._last).rstrip())
        _say(f"\nEverything Snakemake said: {self.log}")
        _say("Finished jobs are kept: mend the cause and start the same command again.")

    def tell_results(self) -> None:
        """Say the headline numbers, where the report is, and what one can do next."""
        from urbanssl.report.headline import headline

        minutes = self.elapsed / 60
        if self.progress.nothing_to_do:
            _say("everything is up to date, nothing had to run")
        else:
            _say(f"\nfinished in {minutes:.1f} minutes")
        _say("")
        for line in headline(self.settings.root, self.settings):
            _say(line)
        _say("\nnext steps")
        _say(f"  open {self.settings.root / 'report' / 'index.html'} in a browser")
        _say("  change a value in config/config.yaml and run again: only what it touches is redone")
        _say("  your own imagery, labels and crime table: README.md, `Your own data in five steps`")


def _stop(process: subprocess.Popen[str]) -> None:
    """Tell Snakemake to start no more (SIGINT) and its jobs to save and end (SIGTERM).

    Snakemake 9 gets no SIGTERM: it takes a lock when that comes, which it may hold already.
    """
    jobs = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    for job in jobs:
        with suppress(psutil.NoSuchProcess):
            job.terminate()


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line)
    lines.put(None)


def _tail(path: Path) -> str:
    if not path.is_file():
        return f"  (no such file: {path})"
    return "\n".join(f"  {line}" for line in path.read_text(errors="replace").splitlines()[-_TAIL:])


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"


def _short(path: str) -> str:
    root = f"{Path.cwd()}/"
    return path.removeprefix(root)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
