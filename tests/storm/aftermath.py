"""After the storm: a relay brings everything to its end, and then nothing may be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain_client import ChainClient, Settings, records
from chain_client.event_codec import decode_event
from chain_client.events import APPLIED, Event, OutcomeStatus
from chain_client.home import Home
from chain_client.log import EntryStatus
from tests.storm.changes import Comparison, counted
from tests.storm.claims import claims
from tests.storm.trace import Trace
from tests.storm.truth import Truth

_SHOWN = 20
_FILES = "artifacts.logged"


@dataclass
class Outcome:
    """What was found.

    Args:
        findings: everything that is wrong, in words; empty if exactly once holds.
        events: leaves of MLflow's calls.
        changes: committed changes that were matched.
        rows: rows of the trace.
        statuses: how many leaves have which status.
    """

    findings: list[str] = field(default_factory=list)
    events: int = 0
    changes: int = 0
    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


def examine(
    home: Path, database: Path, artifacts: list[Path], further: Sequence[Path] = ()
) -> Outcome:
    """Drain, verify, and compare the leaves with the trace.

    Args:
        home: of the storm, with nobody writing any more.
        database: MLflow's, with its trace.
        artifacts: folders below which every file was logged by a recording process.
        further: homes of other hosts that feed the same log.
    """
    outcome = Outcome()
    for other in further:
        _drain(other, outcome)
        _check_spool(other, outcome)
    _drain(home, outcome)
    _verify(home, outcome)
    client = ChainClient.open(_settings(home))
    try:
        _check_sources(client, outcome)
        _check_final(client, outcome)
        events = [decode_event(e.event) for e in client.log.entries() if e.event is not None]
    finally:
        client.close()
    _check_events(events, outcome)
    _check_changes(events, database, outcome)
    _check_files(events, artifacts, outcome)
    return outcome


def _drain(home: Path, outcome: Outcome) -> None:
    relayed = _command(home, "relay", "--once", "--patience", "300")
    if relayed.returncode != 0:
        outcome.findings.append(f"relay --once: {relayed.stdout[-2000:]}{relayed.stderr[-2000:]}")


def _verify(home: Path, outcome: Outcome) -> None:
    verified = _command(home, "verify", "--json")
    try:
        report: dict[str, Any] = json.loads(verified.stdout)
    except ValueError:
        report = {"findings": [verified.stdout[-2000:] + verified.stderr[-2000:]]}
    found = report["findings"]
    outcome.findings += [f"verify: {json.dumps(one)[:600]}" for one in found[:_SHOWN]]
    if verified.returncode != 0:
        failed = [one for one in report.get("checks", []) if not one["ok"]]
        outcome.findings.append(
            f"verify: exit {verified.returncode}, {len(found)} findings, {json.dumps(failed)[:900]}"
        )


def _command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chain_client.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=home.parent,
        env=os.environ | {"MLOPS_CHAIN_HOME": str(home)},
    )


def _settings(home: Path) -> Settings:
    environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    return Settings.from_environment(environment, home.parent, home=home)


def _check_sources(client: ChainClient, outcome: Outcome) -> None:
    """Each source is opened, gap-free and ended, and the log knows it."""
    held: dict[bytes, Counter[int]] = defaultdict(Counter)
    ends: dict[bytes, str] = {}
    for entry in client.log.entries():
        held[entry.source_id][entry.sequence] += 1
        assert entry.event is not None
        last = decode_event(entry.event)
        if last.type in (records.SOURCE_CLOSED, records.SOURCE_ABANDONED):
            ends[entry.source_id] = last.type
            if last.sequence != last.payload["events"]:
                outcome.findings.append(f"source {entry.source_id.hex()}: {last.type} miscounts")
    for source_id, sequences in held.items():
        name = f"source {source_id.hex()}"
        if sequences != Counter(range(len(sequences))):
            outcome.findings.append(f"{name}: its sequence has gaps or repeats")
        if source_id not in ends:
            outcome.findings.append(f"{name}: neither closed nor abandoned")
    for state in client.log.sources():
        if state.state not in ("closed", "lost"):
            outcome.findings.append(f"source {state.source_id.hex()}: is {state.state}")
    _check_spool(client.folder.path, outcome)


def _check_spool(home: Path, outcome: Outcome) -> None:
    waiting = [path for path in Home(home).spool.glob("*/*") if path.suffix == ".spool"]
    if waiting:
        outcome.findings.append(f"{len(waiting)} segments are left in the spool of {home.name}")


def _check_final(client: ChainClient, outcome: Outcome) -> None:
    size, head = client.log.size(), client.contract.head(client.deployment.log_id)
    final = client.log.latest_head(EntryStatus.FINALIZED)
    sizes = (size, head.size, final.size if final else 0)
    if len(set(sizes)) != 1:
        outcome.findings.append(f"log, chain and final head have the sizes {sizes}")


def _check_events(events: list[Event], outcome: Outcome) -> None:
    calls = [e for e in events if not e.type.startswith(("source.", "store."))]
    outcome.events = len(calls)
    outcome.statuses = Counter(str(event.status) for event in calls)
    repeated = [key for key, count in Counter(e.event_id for e in events).items() if count > 1]
    if repeated:
        outcome.findings.append(f"{len(repeated)} events have more than one leaf")
    for event in calls:
        # Nobody can see of a file's removal whether it was done; MLflow's rows always tell.
        is_sql = not event.type.startswith("artifacts.")
        if event.status is OutcomeStatus.UNDETERMINED and is_sql:
            outcome.findings.append(f"undetermined: {event.type} of {event.subject.id}")
    odd = {e.type for e in events if e.type in (records.EVENT_UNREADABLE, records.RECORDS_LOST)}
    outcome.findings += [f"there are events {name}" for name in sorted(odd)]


def _check_changes(events: list[Event], database: Path, outcome: Outcome) -> None:
    rows = list(Trace(database).rows())
    committed = counted(Truth(rows).changes())
    claimed = counted(change for event in events for change in claims(event))
    compared = Comparison(committed, claimed).compare()
    outcome.rows, outcome.changes = len(rows), sum(committed.values())
    for what, changes in (
        ("committed, and no leaf claims it", compared.unclaimed),
        ("claimed, and never committed", compared.invented),
    ):
        outcome.findings += [f"{what}: {change}" for change in changes[:_SHOWN]]
        if len(changes) > _SHOWN:
            outcome.findings.append(f"… {len(changes)} are {what}")


def _check_files(events: list[Event], artifacts: list[Path], outcome: Outcome) -> None:
    """Each file was logged by one call, and each call's files are there."""
    there = {str(file) for root in artifacts for file in root.rglob("*") if file.is_file()}
    logged = Counter(
        path
        for event in events
        for path in _logged(event)
        if any(path.startswith(f"{root}/") for root in artifacts)
    )
    outcome.changes += len(there)
    outcome.findings += [f"file that no leaf claims: {f}" for f in sorted(there - set(logged))]
    outcome.findings += [f"file that is not there: {f}" for f in sorted(set(logged) - there)]
    outcome.findings += [f"file logged {n} times: {f}" for f, n in logged.items() if n > 1]


def _logged(event: Event) -> Iterator[str]:
    if event.type != _FILES:
        return
    parts: Any = event.payload if event.status in APPLIED else {}
    if event.status is OutcomeStatus.PARTLY_APPLIED:
        parts = event.detail or {}
    root = event.subject.id.removeprefix("file://")
    for path, *_ in (*parts.get("files", ()), *parts.get("torn", ())):
        yield f"{root}/{path}"
