"""A relay that works through an outage of a day: ``python -m tests.faults.day_relay HOME``.

It is the product's relay, as a service. Only its clock is injected: while the outage lasts, each
round takes as long as a part of a day. It notes its memory and what it anchored.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from pathlib import Path

from chain_client import ChainClient, Settings
from chain_client.clock import SystemClock
from chain_client.relay import assembly, service
from tests.bench.fsyncs import FsyncCount
from tests.bench.relay_process import Watch

DAY_S = 86_400
_POLL_S = 0.02
"""Between two rounds: a day has many of them."""
_LOOK_S = 0.2


class Turned:
    """A clock that somebody turns forward."""

    def __init__(self) -> None:
        self.offset_us = 0

    def time_us(self) -> int:
        """Now, as it is turned."""
        return time.time_ns() // 1000 + self.offset_us

    def monotonic_us(self) -> int:
        """Since boot, as it is turned."""
        return time.monotonic_ns() // 1000 + self.offset_us


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--outage", type=Path, required=True, help="is there while it lasts")
    parser.add_argument("--steps", type=int, required=True, help="rounds that a day takes")
    parser.add_argument("--hurry-s", type=float, default=0, help="in each round after it")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    clock = Turned()
    for name in ("time_us", "monotonic_us"):
        # A method of another object's: all clocks of this process become the one that is turned.
        setattr(SystemClock, name, getattr(clock, name))
    service._POLL_S = _POLL_S
    assembly._REMOTE_LOOK_S = _LOOK_S
    watch = Watch(FsyncCount())
    passed = given.outage.with_name("a day has passed")

    def after_round() -> None:
        watch._rss()
        if not given.outage.exists():
            # Pauses until the next try pass sooner, where nobody measures them.
            clock.offset_us += int(given.hurry_s * 1e6)
        elif clock.offset_us < DAY_S * 10**6:
            clock.offset_us += DAY_S * 10**6 // given.steps
            if clock.offset_us >= DAY_S * 10**6:
                passed.touch()

    settings = Settings.from_environment({}, given.home.parent, home=given.home)
    client = ChainClient.open(settings)
    relay = client.relay()
    relay.on_anchored = watch.anchored
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    relay.start()
    watch.start()
    try:
        relay.run(until_idle=False, on_round=after_round)
    finally:
        report = watch.report()
        relay.close()
        client.close()
        given.out.write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
