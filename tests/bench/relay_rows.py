"""Rows of the relay: how fast it anchors, and how long the oldest event waits."""

from __future__ import annotations

import os
import signal
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


def relay_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    found = []
    if "relay_events" in options.rows:
        found.append(_events(options))
    if "relay_metrics" in options.rows:
        found.append(_metrics(options))
    if "relay_lag" in options.rows:
        found.append(_lag(options))
    return found


def drain(options: Options, home: Path, count: int, batch: int = 1) -> dict[str, Any]:
    """Record ``count`` events, then let a relay on one core anchor them; its report."""
    recording_s = record_all(home, count, batch)
    report = home.with_suffix(".relay.json")
    run(options, "relay_process", home, "--out", report)
    found: dict[str, Any] = read_json(report)
    return found | {"recording_s": recording_s}


def _events(options: Options) -> Row:
    count, rounds = (2_000, 1) if options.quick else (60_000, 5)
    reports = [drain(options, copy_home(options, f"events-{n}"), count) for n in range(rounds)]
    rates = [report["entries"] / report["elapsed_s"] for report in reports]
    rate = p50(rates)
    return Row(
        "relay_events",
        "spool → anchored, single-metric events, one core",
        f"≥{_TARGET_EVENTS:,}/s",
        f"{rate:,.0f}/s",
        rate >= _TARGET_EVENTS,
        p50=f"{rate:,.0f}/s",
        p90=f"{-p90([-r for r in rates]):,.0f}/s",
        spread=span_text(rates, ",.0f"),
        fsyncs=_syncs_text(reports, "an event"),
        notes=["A rate's p90 is the one that 9 of 10 rounds reach. The stretch is 15,000/s."],
        raw={"events": count, "rates": rates, "reports": reports},
    )


def _metrics(options: Options) -> Row:
    count, rounds = (10, 1) if options.quick else (500, 5)
    reports = [
        drain(options, copy_home(options, f"batches-{n}"), count, _BATCH) for n in range(rounds)
    ]
    rates = [count * _BATCH / report["elapsed_s"] for report in reports]
    rate = p50(rates)
    return Row(
        "relay_metrics",
        f"spool → anchored, metrics in batches of {_BATCH:,}, one core",
        f"≥{_TARGET_METRICS:,}/s",
        f"{rate:,.0f}/s",
        rate >= _TARGET_METRICS,
        p50=f"{rate:,.0f}/s",
        p90=f"{-p90([-r for r in rates]):,.0f}/s",
        spread=span_text(rates, ",.0f"),
        fsyncs=_syncs_text(reports, "a batch"),
        raw={"batches": count, "rates": rates, "reports": reports},
    )


def _lag(options: Options) -> Row:
    rate, seconds = (500, 2) if options.quick else (_RATE, 30)
    home, out = copy_home(options, "lag"), options.work / "lag.relay.json"
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
        "relay_lag",
        f"age of the oldest event when anchored, {rate:,} events/s",
        f"≤{time_text(_TARGET_LAG_S)}",
        time_text(lag),
        lag <= _TARGET_LAG_S,
        p50=time_text(lag),
        p90=time_text(p90(lags)),
        spread=span_text(lags) + " s",
        notes=[
            f"Of all events half were anchored within {time_text(p50(waits))}, 9 of 10 within "
            f"{time_text(p90(waits))}."
        ],
        raw={"rate": rate, "lags_s": lags, "waits_p50_s": p50(waits), "report": report},
    )


def _syncs_text(reports: list[dict[str, Any]], of: str) -> str:
    if reports[0]["fsyncs_cover"] != "process":
        return ""
    per_entry = p50([report["fsyncs"] / report["entries"] for report in reports])
    return f"{per_entry:.4f} {of}"
