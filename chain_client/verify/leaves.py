"""Rechecking every leaf, and the tree over them, without trusting any stored node."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from chain_client import records
from chain_client.errors import LogMismatch
from chain_client.hosts import Finding, Progress
from chain_client.log import Log
from chain_client.log.recheck import RangeCheck, recheck_range, recheck_tiles
from chain_client.merkle import Frontier
from chain_client.verify.sequences import SequenceTracker

_RANGE = 4096
_PARALLEL_FROM = 50_000
_MOST_MISSING = 10_000
"""Entries that are looked for one by one though they have no row."""
_ENDS = (records.SOURCE_CLOSED, records.SOURCE_ABANDONED)
_NOTED = (*_ENDS, records.SOURCE_FORKED)


@dataclass(slots=True)
class LeafCheck:
    """What the rechecking of a whole log gave.

    Args:
        size: entries the log has, by its greatest index.
        roots_checked: anchored roots that were recomputed.
        findings: what differs.
        trackers: the sequences the log holds, by source.
        forks: sources that begin as a fork of another one.
    """

    size: int = 0
    roots_checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    trackers: dict[bytes, SequenceTracker] = field(default_factory=dict)
    forks: set[bytes] = field(default_factory=set)


def check_leaves(log: Log, anchored: Mapping[int, bytes], progress: Progress) -> LeafCheck:
    """Recompute every leaf from its event and seed, and every anchored root from the leaves.

    Args:
        log: the log.
        anchored: roots that stand on chain, by size.
        progress: told how many entries are done.

    Raises:
        LogUnavailable: the log can't be read.
        LogCorrupt: its database is damaged.
    """
    result = LeafCheck(size=log.size())
    frontier: Frontier | None = Frontier()
    good = 0
    # An edited index may be far beyond the last entry: what lies between is named as one.
    stop = min(result.size, log.row_count() + _MOST_MISSING)
    for check in _ranges(log, stop):
        progress("rechecking entries", check.stop, stop)
        for mismatch in check.mismatches:
            result.findings.append(
                Finding(
                    f"log_{mismatch.kind}",
                    _name(mismatch.index, mismatch.event_type, mismatch.subject_key),
                    None,
                    None,
                    mismatch.detail,
                )
            )
        _take_sequences(result, check)
        for size, leaf in enumerate(check.leaf_hashes, check.start + 1):
            if leaf is None or frontier is None:
                frontier = None
                break
            frontier.append(leaf)
            if size not in anchored:
                continue
            if frontier.root() != anchored[size]:
                result.findings.append(_rewritten(good, size, frontier.root(), anchored[size]))
                frontier = None
                break
            good = size
            result.roots_checked += 1
    if stop < result.size:
        result.findings.append(
            Finding(
                "log_entry_missing",
                f"log entries {stop} to {result.size - 1}",
                {"size": stop},
                {"size": result.size},
                "the log has an entry with an index far beyond the number of its entries; what is "
                "between was not looked at",
            )
        )
    missing = [size for size in anchored if size > result.size]
    if missing:
        first, last = result.size, max(missing) - 1
        result.findings.append(
            Finding(
                "log_entry_missing",
                f"log entry {first}" if first == last else f"log entries {first} to {last}",
                {"size": max(missing)},
                {"size": result.size},
                "entries at the end of the log were anchored and are gone",
            )
        )
    return result


def take_newer(log: Log, leaves: LeafCheck) -> None:
    """Add to the trackers what came into the log since it was rechecked."""
    size = log.size()
    for start in range(leaves.size, size, _RANGE):
        _take_sequences(leaves, recheck_range(log, start, min(start + _RANGE, size), _NOTED))


def check_tree(log: Log) -> list[Finding]:
    """Stored nodes of the tree that the leaves do not give: proofs made with them fail.

    Raises:
        LogUnavailable: the log can't be read.
    """
    text = (
        "a stored node of the tree is not the one that the entries give; proofs made with it fail"
    )
    try:
        return [
            Finding("log_tile_changed", f"log tile {level}/{number}", None, None, text)
            for level, number in recheck_tiles(log)
        ]
    except LogMismatch as exc:
        detail = str(exc).removeprefix("head: ")
        return [Finding("log_tile_changed", "log tiles", None, None, detail)]


def _take_sequences(result: LeafCheck, check: RangeCheck) -> None:
    for source_id, sequence, type_ in check.noted:
        if type_ not in _ENDS:
            if type_ == records.SOURCE_FORKED and sequence == 0:
                result.forks.add(source_id)
            continue
        tracker = result.trackers.setdefault(source_id, SequenceTracker())
        known = tracker.closed_at
        tracker.closed_at = sequence if known is None else min(known, sequence)
    for source_id, sequences in check.sequences.items():
        tracker = result.trackers.setdefault(source_id, SequenceTracker())
        for sequence in sequences:
            tracker.take(sequence)
    for source_id, sequences in check.unread.items():
        result.trackers[source_id].unread.update(sequences)


def _name(index: int, event_type: str | None, subject_key: str | None) -> str:
    about = f" ({event_type or 'event'} of {subject_key})" if subject_key else ""
    return f"log entry {index}{about}"


def _rewritten(good: int, size: int, found: bytes, expected: bytes) -> Finding:
    return Finding(
        "log_rewritten",
        f"log entries {good} to {size - 1}",
        {"root": "0x" + expected.hex()},
        {"root": "0x" + found.hex()},
        f"the tree over the first {size} entries has not the root that was anchored; the tree "
        f"over the first {good} still has. Entries between were exchanged, or removed",
    )


def _ranges(log: Log, size: int) -> Iterator[RangeCheck]:
    starts = range(0, size, _RANGE)
    workers = os.cpu_count() or 1
    if size < _PARALLEL_FROM or workers == 1:
        for start in starts:
            yield recheck_range(log, start, min(start + _RANGE, size), _NOTED)
        return
    # Spawned, not forked: this may run in a process with threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(
            recheck_range,
            (log.url for _ in starts),
            starts,
            (min(start + _RANGE, size) for start in starts),
            (_NOTED for _ in starts),
            (log.payloads.place for _ in starts),
        )
