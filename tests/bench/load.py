"""A process that records: ``python -m tests.bench.load HOME COUNT``.

What it records has the form that `mlflow_chain` gives to metrics (a test compares).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from chain_client.events import Actor, Json, Subject
from chain_client.recorder import Recorder
from tests.bench.bench_home import opened

STORE = "0123456789abcdef0123456789abcdef"
METRIC_LOGGED = "run.metric_logged"
BATCH_LOGGED = "run.batch_logged"
ACTOR = Actor(claimed="bench")
_METRICS_OF_A_RUN = 1_000
_STARTED_MS = 1_700_000_000_000
_PACE_S = 0.01


def run_subject(number: int) -> Subject:
    """The run to which the metric of that number belongs."""
    return Subject(STORE, "run", f"{number // _METRICS_OF_A_RUN:032x}")


def points(first: int, count: int) -> dict[str, Json]:
    """Payload of ``count`` metrics."""
    return {
        "metrics": [
            ("train_loss", 1.0 / (n % 977 + 1.5), _STARTED_MS + n, n)
            for n in range(first, first + count)
        ]
    }


def record(recorder: Recorder, number: int, batch: int) -> None:
    """One event, bracketed as the adapter does it."""
    type_ = METRIC_LOGGED if batch == 1 else BATCH_LOGGED
    intent = recorder.begin(type_, run_subject(number), points(number * batch, batch), actor=ACTOR)
    recorder.done(intent)


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--batch", type=int, default=1, help="metrics of an event")
    parser.add_argument("--rate", type=float, help="events a second; default: as fast as it goes")
    given = parser.parse_args()
    record_all(given.home, given.count, given.batch, given.rate)


def record_all(home: Path, count: int, batch: int, rate: float | None = None) -> float:
    """Record into a home and close the source; seconds it took.

    Args:
        home: the home; no relay is started.
        count: number of events.
        batch: metrics of each.
        rate: events a second; None: as fast as it goes.
    """
    with opened(home, relay=False, durability="process") as client:
        return _record(client.recorder, count, batch, rate)


def _record(recorder: Recorder, count: int, batch: int, rate: float | None) -> float:
    started = time.perf_counter()
    for number in range(count):
        if rate is not None:
            early_s = started + number / rate - time.perf_counter()
            if early_s > _PACE_S:
                time.sleep(early_s)
        record(recorder, number, batch)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
