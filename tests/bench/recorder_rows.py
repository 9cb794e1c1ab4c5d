"""Rows of the recorder: what a bracket costs the caller."""

from __future__ import annotations

import time

from chain_client.recorder import Recorder
from tests.bench.bench_home import Options, copy_home, opened
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.fsyncs import FsyncCount
from tests.bench.load import record
from tests.bench.machine import SyncProbe

_TARGET_S = 60e-6


def recorder_rows(options: Options, syncs: FsyncCount) -> list[Row]:
    """The rows of this module that are wanted."""
    found = []
    if "recorder_process" in options.rows:
        found.append(_process(options, syncs))
    if "recorder_power" in options.rows:
        found.append(_power(options, syncs))
    return found


def _process(options: Options, syncs: FsyncCount) -> Row:
    rounds, calls = (2, 500) if options.quick else (10, 4_000)
    taken = []
    with opened(copy_home(options, "process"), relay=False, durability="process") as client:
        record(client.recorder, 0, 1)
        before = syncs.read()
        for turn in range(rounds):
            taken.append(_times_s(client.recorder, turn * calls + 1, calls))
        counted = syncs.read() - before
    every = [each for times in taken for each in times]
    return Row(
        "recorder_process",
        "recorder, intent and outcome of an event (process)",
        f"≤{time_text(_TARGET_S)}",
        time_text(p50(every)),
        p50(every) <= _TARGET_S,
        p50=time_text(p50(every)),
        p90=time_text(p90(every)),
        spread=span_text([p50(times) * 1e6 for times in taken], ".1f") + " µs",
        fsyncs=f"{counted / len(every):.4f} an event",
        raw={"rounds_s": taken, "fsyncs": counted},
    )


def _power(options: Options, syncs: FsyncCount) -> Row:
    rounds, calls = (2, 100) if options.quick else (10, 400)
    taken, bare = [], []
    counted = 0
    home = copy_home(options, "power")
    with opened(home, relay=False, durability="power") as client, SyncProbe(home) as probe:
        record(client.recorder, 0, 1)
        for turn in range(rounds):
            times: list[float] = []
            syncing: list[float] = []
            for number in range(turn * calls + 1, (turn + 1) * calls + 1):
                syncing.append(probe.take_s())
                before = syncs.read()
                times += _times_s(client.recorder, number, 1)
                counted += syncs.read() - before
            taken.append(times)
            bare.append(syncing)
    every = [each for times in taken for each in times]
    all_syncs = [each for times in bare for each in times]
    over = p50(every) - p50(all_syncs)
    each_over = [p50(times) - p50(bare[turn]) for turn, times in enumerate(taken)]
    return Row(
        "recorder_power",
        "recorder, intent and outcome of an event (power)",
        f"≤one fsync + {time_text(_TARGET_S)}",
        f"one fsync {over * 1e6:+.1f} µs",
        over <= _TARGET_S,
        p50=time_text(p50(every)),
        p90=time_text(p90(every)),
        spread=span_text([over_s * 1e6 for over_s in each_over], "+.1f") + " µs",
        fsyncs=f"{counted / len(every):.3f} an event",
        notes=[
            f"One fsync is an append of 400 bytes and its fdatasync, in turns with the events: "
            f"p50 {time_text(p50(all_syncs))}, p90 {time_text(p90(all_syncs))}."
        ],
        raw={"rounds_s": taken, "fsync_rounds_s": bare, "fsyncs": counted},
    )


def _times_s(recorder: Recorder, first: int, calls: int) -> list[float]:
    times = []
    for number in range(first, first + calls):
        started = time.perf_counter()
        record(recorder, number, 1)
        times.append(time.perf_counter() - started)
    return times
