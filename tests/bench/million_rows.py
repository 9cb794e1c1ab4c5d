"""Rows of one long log: its memory, its size on disk, its gas, and its verification."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.bench_home import ROOT, Options, copy_home
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.relay_rows import drain

EVENTS = 1_000_000
_TARGET_BYTES = 1_000
_TARGET_RSS = 200 * 10**6
_FLAT = 1.15
"""Growth between a tenth and the whole that still counts as flat."""
_TARGET_GAS = 18
_TARGET_VERIFY_S = 60
_ANCHOR_ENTRIES = 4_000
_LAST_ANCHORS = 25


def million_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted; one run serves them all."""
    count = 8_000 if options.quick else EVENTS
    home = copy_home(options, "million")
    report = drain(options, home, count)
    found = []
    if "log_disk" in options.rows:
        found.append(_disk(home, report))
    if "relay_memory" in options.rows:
        found.append(memory_row(report, judged=count == EVENTS, name="relay_memory"))
    if "gas" in options.rows:
        found.append(_gas(report, judged=count == EVENTS))
    if "verify" in options.rows:
        found.append(_verify(home, report, judged=count == EVENTS))
    return found


def _disk(home: Path, report: dict[str, Any]) -> Row:
    sizes = {path.name: path.stat().st_size for path in sorted(home.glob("log.db*"))}
    chain = sum(path.stat().st_size for path in (home / "chain").iterdir())
    each = sum(sizes.values()) / report["entries"]
    return Row(
        "log_disk",
        f"log on disk, {report['entries']:,} single-metric events",
        f"≤{_TARGET_BYTES / 1000:.1f} kB an event",
        f"{each / 1000:.3f} kB",
        each <= _TARGET_BYTES,
        notes=[f"The chain's file adds {chain / report['entries']:.0f} bytes an event."],
        raw={"files": sizes, "chain_bytes": chain, "bytes_an_event": each},
    )


def memory_row(report: dict[str, Any], *, judged: bool, name: str, suffix: str = "") -> Row:
    """Whether a relay's memory stays flat while it drains."""
    samples = report["rss_bytes"]
    total = report["entries"]
    at = {
        percent: next(rss for entries, rss in samples if entries >= total * percent / 100)
        for percent in (10, 50, 100)
    }
    peak = report["rss_peak_bytes"]
    growth = at[100] / at[10]
    return Row(
        name,
        f"memory of a relay that drains {total:,} events{suffix}",
        f"flat, ≤{_TARGET_RSS / 1e6:.0f} MB",
        f"{peak / 1e6:.0f} MB at most",
        (peak <= _TARGET_RSS and growth <= _FLAT) if judged else None,
        p50=f"{p50([rss for _, rss in samples]) / 1e6:.0f} MB",
        p90=f"{p90([rss for _, rss in samples]) / 1e6:.0f} MB",
        spread="–".join(f"{at[percent] / 1e6:.0f}" for percent in at) + " MB",
        notes=["Resident memory; its spread is that at 10 %, 50 % and 100 % of the events."],
        raw={"at_percent": at, "peak": peak, "growth": growth, "samples": samples},
    )


def _gas(report: dict[str, Any], *, judged: bool) -> Row:
    full = [gas for _, _, entries, gas in report["anchors"] if entries == _ANCHOR_ENTRIES]
    last = [gas / _ANCHOR_ENTRIES for gas in full[-_LAST_ANCHORS:]]
    size = report["anchors"][-1][1]
    return Row(
        "gas",
        f"gas an event, {_ANCHOR_ENTRIES:,} an anchor, log of {size:,}",
        f"≤{_TARGET_GAS}",
        f"{p50(last):.1f}",
        p50(last) <= _TARGET_GAS if judged else None,
        p50=f"{p50(last):.2f}",
        p90=f"{p90(last):.2f}",
        spread=span_text(last),
        notes=[
            f"Gas of whole transactions, with their consistency proofs, of the last {len(last)} "
            f"full anchors; over all: {sum(a[3] for a in report['anchors']) / size:.1f}."
        ],
        raw={"anchors": report["anchors"]},
    )


def _verify(home: Path, report: dict[str, Any], *, judged: bool) -> Row:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "chain_client.cli", "--home", str(home), "verify", "--json"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    elapsed_s = time.perf_counter() - started
    checked = json.loads(done.stdout) if done.returncode in (0, 2) else {}
    # There is no database behind these events, and verify says so: nothing else may be amiss.
    amiss = [check["name"] for check in checked.get("checks", []) if not check["ok"]]
    if checked.get("findings") != [] or amiss != ["unknown store"]:
        raise RuntimeError(f"verify found: {done.stdout.decode()} {done.stderr.decode()}")
    return Row(
        "verify",
        f"mlops-chain verify of {report['entries']:,} events",
        f"≤{_TARGET_VERIFY_S} s",
        time_text(elapsed_s),
        elapsed_s <= _TARGET_VERIFY_S if judged else None,
        notes=["With the start of the process; no MLflow database is compared."],
        raw={"elapsed_s": elapsed_s, "report": checked},
    )
