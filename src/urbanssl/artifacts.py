"""Files that stages exchange: written whole or not at all, each with its provenance.

A file is written under a temporary name in its own folder and renamed, so a killed job leaves
nothing that looks finished.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from urbanssl import __version__
from urbanssl.errors import DiskError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
#: Less room than this (bytes) after a failed write, and the disk counts as full: not every writer
#: passes on why it failed.
_LEAST_ROOM = 2**20


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix, since many writers choose the format by it.

    Raises:
        DiskError: the disk is full.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except (OSError, RuntimeError) as error:
        room = shutil.disk_usage(_existing(target.parent)).free
        if getattr(error, "errno", None) not in _NO_ROOM and room >= _LEAST_ROOM:
            raise
        raise DiskError.at(
            target,
            f"no room to write it: {room / 2**20:.0f} MB are free on its disk",
            "free some, or have the quota raised, and start again: whole files are kept, and "
            "trainings go on from their checkpoints",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def settings_hash(settings: Any) -> str:
    """Return 12 hexadecimal digits that stand for plain settings (dicts, lists, numbers, text)."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def provenance(settings: Any, seed: int) -> dict[str, Any]:
    """Return what every table and metrics file carries: settings hash, version and seed."""
    return {
        "settings_hash": settings_hash(settings),
        "urbanssl_version": __version__,
        "seed": seed,
    }


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole. Not-a-number becomes null: strict readers refuse it."""
    with written_whole(path) as temporary:
        temporary.write_text(
            json.dumps(_finite(content), indent=2, allow_nan=False, default=_plain) + "\n"
        )


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON file that holds an object."""
    content: dict[str, Any] = json.loads(Path(path).read_text())
    return content


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_table(path: str | Path, table: Any, about: Mapping[str, Any]) -> None:
    """Write a pandas or geopandas table as (Geo)Parquet whole, with `about` in its metadata.

    Args:
        path: file to write, `.parquet`.
        table: a DataFrame or GeoDataFrame.
        about: provenance, see `provenance`; readable by `table_about`.
    """
    import pyarrow.parquet as pq

    with written_whole(path) as temporary:
        table.to_parquet(temporary, index=False)
        arrow = pq.read_table(temporary)
        metadata = dict(arrow.schema.metadata or {})
        metadata[b"urbanssl"] = json.dumps(_finite(about)).encode()
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary)


def table_about(path: str | Path) -> dict[str, Any]:
    """Return the provenance that `write_table` stored in a Parquet file."""
    import pyarrow.parquet as pq

    metadata = pq.read_schema(path).metadata or {}
    about: dict[str, Any] = json.loads(metadata.get(b"urbanssl", b"{}"))
    return about


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
