"""A SLURM of two nodes on this machine: own key, own ports, own folder, gone without a trace.

Nothing outside its folder is written and no daemon of the system is used, so any user may start it.
`python slurm_on_loopback.py COMMAND ...` starts one, runs a command beside it, and stops it; the
command finds its folder in the variable LOOPBACK_SLURM, or in NO_LOOPBACK_SLURM why there is none.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import accounting

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("n1", "n2")
NODE_CPUS = 16  # declared, as the memory: more than this machine may have
NODE_MEMORY_MB = 256000
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

SLURM_CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldLogFile={folder}/slurmctld.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
{accounting}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
MinJobAge=900
ReturnToService=2
SlurmdTimeout=10
KillWait=20
GresTypes=gpu
{nodes}
PartitionName=work Nodes=n1,n2 Default=YES MaxTime=24:00:00 State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
    "RealMemory={memory} Gres=gpu:1 State=UNKNOWN"
)


class CannotStart(RuntimeError):
    """There can be no SLURM here; says why."""


@dataclass
class Slurm:
    """The running cluster.

    Attributes:
        folder: everything it writes is in it.
        accounts: whether it has an accounting database, so that `sacct` answers.
        daemons: its processes by name: munged, slurmctld, and one of each node's name; none where
            another process started it.
        ports: where they listen.
    """

    folder: Path
    accounts: bool
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this SLURM and to no other."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        path = os.pathsep.join([str(self.folder / "bin"), SEARCH])
        return {**kept, "PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Write the configuration, start the daemons, wait until both nodes are idle."""
        missing = [name for name in DAEMONS if shutil.which(name, path=SEARCH) is None]
        if missing:
            raise CannotStart(f"no {', '.join(missing)} here; tests/cluster/install.sh installs")
        self.ports = _free_ports("slurmctld", "slurmdbd", "database", *NODES)
        self._configure()
        folder = self.folder
        self._daemon(
            "munged",
            *("munged", "--foreground", "--force", f"--key-file={folder}/munge.key"),
            *(f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid"),
            *(f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"),
        )
        wait_until(lambda: (folder / "munge.socket").exists(), 10, "munged does not answer")
        if self.accounts:
            self._start_accounting()
        self._daemon("slurmctld", "slurmctld", "-D", "-f", f"{folder}/slurm.conf")
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self._idle() == set(NODES), 60, "the nodes do not come up")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._daemon(node, "slurmd", "-D", "-N", node, "-f", f"{self.folder}/slurm.conf")

    def crash_node(self, node: str) -> None:
        """Kill a node as a power cut would: its daemon and everything that runs on it."""
        self.daemons[node].kill()
        self.daemons[node].wait()
        there = list(self._processes(f"SLURMD_NODENAME={node}"))
        # Those that watch over the jobs first: they would report that these have ended.
        watching = {_parent(process) for process in there}
        for process in [*(p for p in watching if _name(p) == "slurmstepd"), *there]:
            _kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """End all jobs and daemons and remove the folder."""
        if self.daemons.get("slurmctld") is not None:
            self.run("scancel", f"--user={getpass.getuser()}", check=False)
            deadline = time.monotonic() + 40
            while self.run("squeue", "--noheader", check=False) and time.monotonic() < deadline:
                time.sleep(1)
        for daemon in reversed(list(self.daemons.values())):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self._processes():
            _kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder)

    def run(self, *command: str, check: bool = True, seconds: float = 60) -> str:
        """Run a command of SLURM; return what it says."""
        ran = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=seconds
        )
        if check and ran.returncode:
            raise RuntimeError(f"{' '.join(command)}: {ran.stderr}")
        return ran.stdout.strip()

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """Return the jobs in some states (default: all that SLURM remembers)."""
        asked = ",".join(states) or "all"
        listed = self.run("squeue", f"--states={asked}", "--noheader", "--format=%i|%T|%N|%k")
        keys = ("id", "state", "node", "comment")
        return [dict(zip(keys, line.split("|"), strict=True)) for line in listed.splitlines()]

    def details(self, job: str) -> dict[str, str]:
        """Return what SLURM knows of a job, by the keys of `scontrol show job`."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job)
        return dict(entry.partition("=")[::2] for entry in shown.split() if "=" in entry)

    def processes_of(self, job: str) -> list[int]:
        """Return the ids of the processes of a job."""
        return list(self._processes(f"SLURM_JOB_ID={job}"))

    def _start_accounting(self) -> None:
        folder, environment = self.folder, self.environment
        accounting.make_database(folder, environment)
        self._daemon("mariadb", *accounting.server(folder, self.ports["database"]))
        wait_until(
            lambda: accounting.admit_slurm(folder, environment), 30, "MariaDB does not answer"
        )
        accounting.configure_slurmdbd(folder, self.ports["slurmdbd"], self.ports["database"])
        self._daemon("slurmdbd", "slurmdbd", "-D")
        wait_until(lambda: accounting.register_cluster(self.run), 60, "slurmdbd does not answer")

    def _idle(self) -> set[str]:
        listed = self.run("sinfo", "--noheader", "--Node", "--format=%N %t", check=False)
        pairs = (line.split() for line in listed.splitlines())
        return {pair[0] for pair in pairs if pair[1:] == ["idle"]}

    def _daemon(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.out", "a") as out:
            self.daemons[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def _configure(self) -> None:
        host, user = socket.gethostname().partition(".")[0], getpass.getuser()
        nodes = [
            NODE.format(
                name=name, host=host, port=self.ports[name], cpus=NODE_CPUS, memory=NODE_MEMORY_MB
            )
            for name in NODES
        ]
        kept = "AccountingStorageType=accounting_storage/none"
        if self.accounts:
            kept = accounting.SLURM_CONF.format(folder=self.folder, dbd_port=self.ports["slurmdbd"])
        conf = SLURM_CONF.format(
            **{"host": host, "user": user, "folder": self.folder, "accounting": kept},
            **{"port": self.ports["slurmctld"], "nodes": "\n".join(nodes)},
        )
        (self.folder / "slurm.conf").write_text(conf)
        stand_ins = [f"NodeName={name} Name=gpu File=/dev/null" for name in NODES]
        (self.folder / "gres.conf").write_text("\n".join(stand_ins) + "\n")
        (self.folder / "state").mkdir()
        (self.folder / "bin").mkdir()
        # Snakemake's executor hides SLURM_CONF from the srun that it starts within a job.
        self._wrap("srun", f"export SLURM_CONF={self.folder}/slurm.conf")
        for command in ("sacct", "squeue"):
            self._wrap(command, "[ ! -e no-status ] || { echo no >> no-status; exit 1; }")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))

    def _wrap(self, command: str, first: str) -> None:
        """Put a script before a command of SLURM that does something first."""
        script = self.folder / "bin" / command
        script.write_text(f'#!/bin/sh\n{first}\nexec {shutil.which(command, path=SEARCH)} "$@"\n')
        script.chmod(0o755)

    def _processes(self, also: str | None = None) -> Iterator[int]:
        """Yield the processes that this cluster started, by their environment."""
        wanted = {f"SLURM_CONF={self.folder / 'slurm.conf'}"} | ({also} if also else set())
        own = {os.getpid()} | {daemon.pid for daemon in self.daemons.values()}
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                given = set(entry.read_bytes().decode(errors="replace").split("\0"))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # ended meanwhile, or somebody else's
            if wanted <= given and int(entry.parent.name) not in own:
                yield int(entry.parent.name)


def start_slurm(accounts: bool = True) -> Slurm:
    """Start a cluster in a new folder.

    Args:
        accounts: whether it has an accounting database, where one can be had.

    Raises:
        CannotStart: there can be none here.
    """
    accounts &= all(shutil.which(name, path=SEARCH) for name in accounting.PROGRAMS)
    slurm = Slurm(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")), accounts)
    slurm.folder.chmod(0o755)
    try:
        slurm.start()
    except (CannotStart, RuntimeError, OSError, subprocess.SubprocessError) as error:
        told = [
            f"{log.name}: {line}"
            for log in sorted(slurm.folder.glob("*.out"))
            for line in log.read_text(errors="replace").splitlines()[-4:]
        ]
        slurm.stop()
        raise CannotStart("\n".join([str(error), *told])) from error
    return slurm


def wait_until(holds: Callable[[], object], seconds: float, complaint: str) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not within the time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{complaint} (waited {seconds:g} s)")
        time.sleep(0.5)


def main(command: list[str]) -> int:
    """Run a command beside a cluster; return its status."""
    told = dict(os.environ)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the cluster then, too
    try:
        slurm = start_slurm()
    except CannotStart as reason:
        print(f"no SLURM can be started here: {reason}", file=sys.stderr)
        return subprocess.call(command, env={**told, "NO_LOOPBACK_SLURM": str(reason)})
    try:
        return subprocess.call(command, env={**told, "LOOPBACK_SLURM": str(slurm.folder)})
    finally:
        slurm.stop()


def _kill(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return  # ended by itself


def _parent(process: int) -> int:
    return int(_status_of(process).get("PPid", 0))


def _name(process: int) -> str:
    return _status_of(process).get("Name", "")


def _status_of(process: int) -> dict[str, str]:
    """Return what the kernel says of a process, nothing of one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _free_ports(*names: str) -> dict[str, int]:
    sockets = {name: socket.socket() for name in names}
    for entry in sockets.values():
        entry.bind(("127.0.0.1", 0))
    ports = {name: entry.getsockname()[1] for name, entry in sockets.items()}
    for entry in sockets.values():
        entry.close()
    return ports


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
