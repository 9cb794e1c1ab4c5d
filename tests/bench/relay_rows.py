"""Rows of the relay: how fast it anchors, and how long the oldest event waits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.event_codec import decode_event
from tests.bench.bench_home import (
    Options,
    copy_home,
    finish,
    opened,
    read_json,
    run,
    start,
    wait_for_relay,
    wait_until_anchored,
)
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.load import record_all

_TARGET_EVENTS = 10_000
_TARGET_METRICS = 100_000
_TARGET_LAG_S = 1.0
_BATCH = 1_000
_RATE = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where the logs are that are measured.

    Args:
        prefix: of the rows' names.
        suffix: of what the rows say.
        make_home: gives a new home of that name.
        notes: of every row.
        rounds: how often throughput is measured.
    """

    prefix: str
    suffix: str
    make_home: Callable[[str], Path]
    notes: tuple[str, ...] = ()
    rounds: int = 5


def relay_rows(options: Options) -> list[Row]:
    """The rows of a relay whose log is a SQLite file, as far as they are wanted."""
    return rows_at(Place("relay_", "", lambda name: copy_home(options, name)), options)


def rows_at(place: Place, options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    rows = {"events": events_row, "metrics": metrics_row, "lag": lag_row}
    return [
        row(place, options) for name, row in rows.items() if place.prefix + name in options.rows
    ]


def drain(options: Options, home: Path, count: int, batch: int = 1) -> dict[str, Any]:
    """Record ``count`` events, then let a relay on one core anchor them; its report."""
    recording_s = record_all(home, count, batch)
    report = home.with_suffix(".relay.json")
    run(options, "relay_process", home, "--out", report)
    found: dict[str, Any] = read_json(report)
    return found | {"recording_s": recording_s}


def events_row(place: Place, options: Options) -> Row:
    """How many single-metric events a relay takes in a second."""
    count, rounds = (2_000, 1) if options.quick else (60_000, place.rounds)
    reports = [drain(options, place.make_home(f"events-{n}"), count) for n in range(rounds)]
    rates = [report["entries"] / report["elapsed_s"] for report in reports]
    rate = p50(rates)
    return Row(
        f"{place.prefix}events",
        f"spool → anchored, single-metric events, one core{place.suffix}",
        f"≥{_TARGET_EVENTS:,}/s",
        f"{rate:,.0f}/s",
        rate >= _TARGET_EVENTS,
        p50=f"{rate:,.0f}/s",
        p90=f"{-p90([-r for r in rates]):,.0f}/s",
        spread=span_text(rates, ",.0f"),
        fsyncs=_syncs_text(reports, "an event"),
        notes=[
            "A rate's p90 is the one that 9 of 10 rounds reach. The stretch is 15,000/s. Of the "
            f"relay's own processor time alone it would be {_cpu_rate(reports):,.0f}/s.",
            *place.notes,
        ],
        raw={"events": count, "rates": rates, "reports": reports},
    )


def metrics_row(place: Place, options: Options) -> Row:
    """How many metrics, in batches."""
    count, rounds = (10, 1) if options.quick else (500, place.rounds)
    reports = [
        drain(options, place.make_home(f"batches-{n}"), count, _BATCH) for n in range(rounds)
    ]
    rates = [count * _BATCH / report["elapsed_s"] for report in reports]
    rate = p50(rates)
    return Row(
        f"{place.prefix}metrics",
        f"spool → anchored, metrics in batches of {_BATCH:,}, one core{place.suffix}",
        f"≥{_TARGET_METRICS:,}/s",
        f"{rate:,.0f}/s",
        rate >= _TARGET_METRICS,
        p50=f"{rate:,.0f}/s",
        p90=f"{-p90([-r for r in rates]):,.0f}/s",
        spread=span_text(rates, ",.0f"),
        fsyncs=_syncs_text(reports, "a batch"),
        raw={"batches": count, "rates": rates, "reports": reports},
    )


def lag_row(place: Place, options: Options) -> Row:
    """How long the oldest event waits."""
    rate, seconds = (500, 2) if options.quick else (_RATE, 30)
    home, out = place.make_home("lag"), options.work / f"{place.prefix}lag.json"
    relay = start(options, "relay_process", home, "--serve", "--out", out)
    try:
        with opened(home, relay=False) as client:
            wait_for_relay(client)
            run(options, "load", home, rate * seconds, "--rate", rate)
            wait_until_anchored(client)
            times_us = [
                decode_event(entry.event).time_us
                for entry in client.log.entries()
                if entry.event is not None
            ]
    finally:
        os.kill(relay.pid, signal.SIGTERM)
        finish(relay)
    report = read_json(out)
    lags, waits = [], []
    for anchored_us, size, entries, _ in report["anchors"]:
        new = times_us[size - entries : size]
        lags.append((anchored_us - min(new)) / 1e6)
        waits += [(anchored_us - time_us) / 1e6 for time_us in new]
    lag = p50(lags)
    return Row(
        f"{place.prefix}lag",
        f"age of the oldest event when anchored, {rate:,} events/s{place.suffix}",
        f"≤{time_text(_TARGET_LAG_S)}",
        time_text(lag),
        lag <= _TARGET_LAG_S,
        p50=time_text(lag),
        p90=time_text(p90(lags)),
        spread=span_text(lags) + " s",
        notes=[
            f"Of all events half were anchored within {time_text(p50(waits))}, 9 of 10 within "
            f"{time_text(p90(waits))}.",
            *place.notes,
        ],
        raw={"rate": rate, "lags_s": lags, "waits_p50_s": p50(waits), "report": report},
    )


def _cpu_rate(reports: list[dict[str, Any]]) -> float:
    """Events a second if nothing were waited for: what a busy machine does not change much."""
    return p50([report["entries"] / report["cpu_s"] for report in reports])


def _syncs_text(reports: list[dict[str, Any]], of: str) -> str:
    if reports[0]["fsyncs_cover"] != "process":
        return ""
    per_entry = p50([report["fsyncs"] / report["entries"] for report in reports])
    return f"{per_entry:.4f} {of}"
