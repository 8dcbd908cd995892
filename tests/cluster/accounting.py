"""An accounting database for the SLURM of the tests: MariaDB and slurmdbd in its folder."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd")

#: It lives for minutes: no waiting for the disk.
HASTE = (
    *("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0"),
    *("--skip-innodb-doublewrite", "--innodb-log-file-size=16M"),
)

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser={user}
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""

#: Lines of slurm.conf that use it.
SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge.socket
AccountingStoreFlags=job_comment
"""


def make_database(folder: Path, environment: dict[str, str]) -> None:
    """Lay out an empty database in `folder/database`."""
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", f"--datadir={folder}/database"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
            *(f"--user={getpass.getuser()}", *HASTE),
        ],
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )


def server(folder: Path, port: int) -> list[str]:
    """Return the command of the database server."""
    return [
        *("mariadbd", "--no-defaults", f"--user={getpass.getuser()}"),
        *(f"--datadir={folder}/database", f"--socket={folder}/mariadb.socket"),
        *(f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={folder}/mariadb.pid"),
        *("--innodb-buffer-pool-size=64M", *HASTE),
    ]


def admit_slurm(folder: Path, environment: dict[str, str]) -> bool:
    """Let slurmdbd in; return whether the server was there to be asked."""
    statements = "".join(
        f"create or replace user slurm@'{host}' identified by 'slurm';"
        f"grant all on *.* to slurm@'{host}';"
        for host in ("127.0.0.1", "localhost")
    )
    client = ["mariadb", "--no-defaults", f"--socket={folder}/mariadb.socket", "--user=root"]
    ran = subprocess.run(
        [*client, f"--execute={statements}"], env=environment, capture_output=True, timeout=30
    )
    return ran.returncode == 0


def configure_slurmdbd(folder: Path, dbd_port: int, database_port: int) -> None:
    """Write slurmdbd.conf, which only its owner may read."""
    conf = folder / "slurmdbd.conf"
    conf.touch(mode=0o600)
    conf.write_text(
        SLURMDBD_CONF.format(
            folder=folder, user=getpass.getuser(), dbd_port=dbd_port, database_port=database_port
        )
    )


def register_cluster(run: Callable[..., str]) -> bool:
    """Make the cluster known to the database; return whether slurmdbd was there to be asked."""
    run("sacctmgr", "--immediate", "add", "cluster", "loopback", check=False)
    listed = run("sacctmgr", "--noheader", "--parsable2", "show", "cluster", check=False)
    return "loopback" in listed
