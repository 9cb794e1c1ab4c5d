"""A process that is a relay, watched from inside: ``python -m tests.bench.relay_process HOME``.

It is the product's `Relay`, put together by `ChainClient.relay`; what is added only notes times
and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from chain_client import ChainClient
from chain_client.relay.anchor import Anchored
from chain_client.relay.round import Round
from tests.bench.bench_home import settings_of
from tests.bench.fsyncs import FsyncCount
from tests.bench.machine import pin_to_one_core

_NICENESS = 10
"""As a relay that a recorder starts."""


def main() -> None:
    """Work, and write what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--serve", action="store_true", help="until SIGTERM; default: drain")
    parser.add_argument("--profile", type=Path, help="write a profile of cProfile there")
    given = parser.parse_args()
    syncs = FsyncCount()
    core = None if given.serve else pin_to_one_core()
    watch = Watch(syncs)
    client = ChainClient.open(settings_of(given.home, relay_autostart=False))
    service = client.relay()
    service.on_anchored = watch.anchored
    if given.serve:
        os.nice(_NICENESS)
        signal.signal(signal.SIGTERM, lambda *_: service.stop())
    service.start()
    watch.start()
    try:
        if given.serve:
            service.run(until_idle=False)
        elif given.profile is not None:
            _profiled(given.profile, lambda: service.drain(patience_s=60, on_round=watch.round))
        else:
            service.drain(patience_s=60, on_round=watch.round)
    finally:
        report = watch.report()
        service.close()
        client.close()
    given.out.write_text(json.dumps(report | {"core": core}), encoding="utf-8")


class Watch:
    """Notes what a relay does, in little memory.

    Args:
        syncs: this process's count.
    """

    def __init__(self, syncs: FsyncCount) -> None:
        self._syncs = syncs
        self._process = psutil.Process()
        self._entries = 0
        self._anchors: list[tuple[int, int, int, int]] = []
        self._memory: list[tuple[int, int]] = []

    def start(self) -> None:
        """The work begins."""
        self._began = time.perf_counter()
        self._cpu_began = time.process_time()
        self._syncs_began = self._syncs.read()
        self._rss()

    def round(self, done: Round) -> None:
        """A round of ingestion is done."""
        self._entries += done.entries
        self._rss()

    def anchored(self, anchored: Anchored) -> None:
        """A head is final."""
        now_us = time.time_ns() // 1000
        self._anchors.append((now_us, anchored.size, anchored.entries, anchored.gas_used))

    def report(self) -> dict[str, Any]:
        """Everything noted."""
        self._rss()
        return {
            "elapsed_s": time.perf_counter() - self._began,
            "cpu_s": time.process_time() - self._cpu_began,
            "fsyncs": self._syncs.read() - self._syncs_began,
            "fsyncs_cover": self._syncs.covers,
            "entries": self._entries,
            "anchors": self._anchors,
            "rss_bytes": self._memory,
            "rss_peak_bytes": _peak_bytes(),
        }

    def _rss(self) -> None:
        self._memory.append((self._entries, self._process.memory_info().rss))


def _peak_bytes() -> int:
    """The most memory that this program had."""
    if sys.platform == "linux":
        # `getrusage` counts also what the process was before it began this program.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        [peak_kib] = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(peak_kib) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _profiled(path: Path, work: Any) -> None:
    import cProfile

    profile = cProfile.Profile()
    try:
        profile.runcall(work)
    finally:
        profile.dump_stats(path)


if __name__ == "__main__":
    main()
