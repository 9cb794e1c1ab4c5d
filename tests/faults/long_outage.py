"""An outage of the chain for a day, on real parts: recorder, relay as a process, and a real chain.

Events are recorded before and within it; then the chain is back. What has to hold is asserted;
what it took is in `Figures`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from chain_client import ChainClient, Settings
from chain_client.event_codec import decode_event
from chain_client.log import EntryStatus
from tests.bench.load import METRIC_LOGGED, record

ROOT = Path(__file__).parents[2]
MOST_RSS = 200 * 10**6
_WAITED = 3.0
"""So many times slower at p50 than before, recording would have waited for something."""
_CHUNK = 100
_FLAT_ENTRIES = 100_000
_FLAT = 1.2

Away = Callable[[], Any]
"""A context manager: the chain is away within it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What an outage took.

    Args:
        events: recorded within the outage.
        recording_us: p50 of an event, before the outage and within it.
        drain_s: from the chain's return until everything was final.
        rss_peak: of the relay, in bytes.
        anchors: transactions after the outage.
    """

    events: int
    recording_us: tuple[float, float]
    recording_ratio: float
    drain_s: float
    rss_peak: int
    rss_at_tenths: tuple[int, ...]
    anchors: int

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def survive(
    home: Path, away: Away, count: int, *, steps: int, hurry_s: float, patience_s: float
) -> Figures:
    """Let an outage pass, and see that nothing was lost, doubled, reordered, or waited for.

    Args:
        home: its own file says where its chain is.
        away: keeps the chain away.
        count: events within the outage; a tenth as many come before it.
        steps: rounds of the relay that take a day.
        hurry_s: what each other round takes longer than it does.
        patience_s: for each part.
    """
    outage, out = home.parent / "outage", home.parent / "relay.json"
    with _relaying(home, outage, steps, hurry_s, out):
        before = _record(home, 0, count // 10)
        with _opened(home) as client:
            _until(lambda: _is_final(client, count // 10), "the first are final", patience_s)
            anchored_before = len(client.log.heads())
        with away():
            outage.touch()
            within = _record(home, count // 10, count)
            with _opened(home) as client:
                _until(lambda: _events(client) == count + count // 10, "it is read", patience_s)
                passed = outage.with_name("a day has passed")
                _until(passed.exists, "a day", patience_s)
                assert not _is_final(client, count + count // 10)
                assert [alarm.kind for alarm in client.log.alarms() if alarm.kind == "chain"]
            outage.unlink()
        began = time.monotonic()
        with _opened(home) as client:
            _until(lambda: _is_final(client, count + count // 10), "all is final", patience_s)
            drain_s = time.monotonic() - began
            standing = [alarm for alarm in client.log.alarms() if alarm.kind in ("chain", "head")]
            _until(lambda: not _standing(client), f"{standing} end", patience_s)
    report = json.loads(out.read_text(encoding="utf-8"))
    with _opened(home) as client:
        _assert_in_order(client, count + count // 10)
        anchors = _assert_sent_once(client) - anchored_before
    return Figures(
        count,
        (round(before * 1e6, 1), round(within * 1e6, 1)),
        _ratio(before, within),
        round(drain_s, 2),
        _peak(report),
        _memory(report, count),
        anchors,
    )


def _ratio(before: float, within: float) -> float:
    assert within <= _WAITED * before, f"recording waited: {before * 1e6} → {within * 1e6} µs"
    return round(within / before, 2)


def _peak(report: dict[str, Any]) -> int:
    assert report["rss_peak_bytes"] <= MOST_RSS, report["rss_peak_bytes"]
    return int(report["rss_peak_bytes"])


def _memory(report: dict[str, Any], count: int) -> tuple[int, ...]:
    """Resident memory at each tenth of the relay's rounds; flat, if there is enough to see it."""
    samples = [rss for _, rss in report["rss_bytes"]]
    tenths = tuple(samples[len(samples) * n // 10] for n in range(1, 10))
    if count >= _FLAT_ENTRIES:
        assert max(tenths) <= _FLAT * tenths[0], tenths
    return tenths


@contextmanager
def _relaying(home: Path, outage: Path, steps: int, hurry_s: float, out: Path) -> Iterator[None]:
    said = home.parent / "relay.txt"
    words = [str(home), "--outage", str(outage), "--steps", str(steps)]
    words += ["--hurry-s", str(hurry_s), "--out", str(out)]
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.day_relay", *words],
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        yield
        assert process.poll() is None, said.read_text()
    except BaseException as exc:
        exc.add_note(said.read_text("utf-8", "replace")[-3000:])
        raise
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0, said.read_text()


def _record(home: Path, first: int, count: int) -> float:
    """Record so many events in a source of their own; median seconds an event."""
    with _opened(home) as client:
        recorder = client.recorder
        chunks = []
        for start in range(first, first + count, _CHUNK):
            began = time.perf_counter()
            for number in range(start, start + _CHUNK):
                record(recorder, number, 1)
            chunks.append((time.perf_counter() - began) / _CHUNK)
        recorder.close()
        assert recorder.lost_count == 0
    return median(chunks)


@contextmanager
def _opened(home: Path) -> Iterator[ChainClient]:
    client = ChainClient.open(Settings.from_environment({}, home.parent, home=home))
    try:
        yield client
    finally:
        client.close()


def _events(client: ChainClient) -> int:
    """Calls in the log; each of the two sources has an opening and a closing record too."""
    with client.log.engine.connect() as connection:
        size = connection.execute(text("SELECT count(*) FROM entries")).scalar_one()
        sources = connection.execute(text("SELECT count(*) FROM sources")).scalar_one()
    return int(size) - 2 * int(sources)


def _is_final(client: ChainClient, count: int) -> bool:
    head = client.log.latest_head(EntryStatus.FINALIZED)
    return head is not None and head.size == client.log.size() and _events(client) == count


def _standing(client: ChainClient) -> list[str]:
    return [alarm.kind for alarm in client.log.alarms() if alarm.kind in ("chain", "head")]


def _until(condition: Callable[[], bool], what: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        time.sleep(0.1)


def _assert_in_order(client: ChainClient, count: int) -> None:
    """Each event once, in the order in which it was recorded; without holding them all."""
    number = 0
    for entry in client.log.entries():
        assert entry.event is not None
        event = decode_event(entry.event)
        if event.type == METRIC_LOGGED:
            metrics: Any = event.payload["metrics"]
            assert metrics[0][3] == number
            number += 1
    assert number == count


def _assert_sent_once(client: ChainClient) -> int:
    """One transaction a head, by chain, queue and log; how many heads there are."""
    deployment = client.deployment
    last = client.ledger.block().number
    heads = client.contract.heads(deployment.log_id, deployment.block_number, last)
    sizes = [known.head.size for known in heads]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == client.log.size()
    final = client.contract.head(deployment.log_id, at="finalized")
    assert (final.size, final.root) == (client.log.size(), client.log.root())
    assert client.ledger.nonce(deployment.writer) == len(sizes)
    with client.log.engine.connect() as connection:
        purposes = connection.execute(
            text("SELECT purpose FROM transactions WHERE sender = :sender"),
            {"sender": deployment.writer},
        ).scalars()
        found = list(purposes)
    assert len(found) == len(set(found)) == len(sizes)
    assert all(head.status is EntryStatus.FINALIZED for head in client.log.heads())
    return len(sizes)
