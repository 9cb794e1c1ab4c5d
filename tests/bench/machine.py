"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from tests.bench.figures import p50, p90

_APPENDED = bytes(400)


class SyncProbe:
    """A file that is appended to and synced, as a journal is; the measure of the disk.

    Args:
        folder: on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sync-probe"
        self._sync = getattr(os, "fdatasync", os.fsync)

    def __enter__(self) -> SyncProbe:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self._path.unlink()

    def take_s(self) -> float:
        """Seconds that an append of 400 bytes and its fdatasync took."""
        started = time.perf_counter()
        os.write(self._fd, _APPENDED)
        self._sync(self._fd)
        return time.perf_counter() - started


def machine_facts(folder: Path, syncs: int) -> dict[str, Any]:
    """Facts of the machine, its disk at ``folder`` and the versions that matter."""
    with SyncProbe(folder) as probe:
        times = [probe.take_s() for _ in range(syncs)]
    return {
        "cpus": os.cpu_count(),
        "cpus_usable": len(usable_cores()),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: _version(name) for name in ("mlflow", "sqlalchemy", "py-evm")},
        "file_system": _file_system(folder),
        "load_average": os.getloadavg()[0],
        "fsync_p50_s": p50(times),
        "fsync_p90_s": p90(times),
        "fsync_s": times,
    }


def usable_cores() -> list[int]:
    """Cores this process may run on; numbers mean nothing where it can't choose."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin_to_one_core() -> int | None:
    """Keep this process on its last usable core, and say which; None where that can't be done."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = usable_cores()[-1]
    os.sched_setaffinity(0, {core})
    return core


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _file_system(folder: Path) -> str:
    where = folder.resolve()
    mounts = [p for p in psutil.disk_partitions(all=True) if where.is_relative_to(p.mountpoint)]
    return max(mounts, key=lambda p: len(p.mountpoint)).fstype if mounts else "unknown"
