"""The verification of a home: numbered steps, each with a name and a sentence.

1. ``chain``: the ledger is the deployment's, and its contract has the deployed code.
2. ``head``: the log reproduces the head on chain.
3. ``leaves``: every entry is the one that was sealed, and the tree over them has every root
   that was ever anchored.
4. ``tree``: every stored node is the one that the entries give.
5. ``sources``: every source's sequence is opened, gap-free and closed; ``sources rest`` names
   those that go on on another machine.
6. ``cross``, if heads are anchored on a second chain too: log and first chain reach that head.
7. ``anchored``: how much of what is recorded is final.
8. one step for each host database: its entities are what the events say.
9. ``registry``, once anything was gated: aliases, stages, tags and files are what was approved on
   chain, and no recorded call gave a gated target to what was not.

Nothing is written, and no relay is needed: what is still in a spool is read there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import cast

from chain_client.clock import SystemClock
from chain_client.errors import (
    ChainBehindLog,
    ChainError,
    ConfigurationError,
    ContractMissing,
    LogBehindChain,
    LogMismatch,
    Unavailable,
    VerificationFailed,
)
from chain_client.events import Json
from chain_client.head_check import check_head
from chain_client.hosts import (
    Finding,
    Progress,
    Scope,
)
from chain_client.ledger.deployment import check_event_log, check_registry
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import EntryStatus, Log, LogHead, SourceState
from chain_client.types import to_hex
from chain_client.verify.comparing import compare_all
from chain_client.verify.cross_head import NAME as CROSS
from chain_client.verify.cross_head import compare_cross
from chain_client.verify.elsewhere import Elsewhere, find_elsewhere
from chain_client.verify.evidence import Evidence
from chain_client.verify.forks import Fork, find_misnoted, read_forks
from chain_client.verify.leaves import LeafCheck, check_leaves, check_tree, take_newer
from chain_client.verify.neighbours import name_missing
from chain_client.verify.registry_state import NAME as REGISTRY
from chain_client.verify.registry_state import compare_registry
from chain_client.verify.report import Check, Report, Verdict
from chain_client.verify.sequences import find_gaps, find_understated, find_unfinished
from chain_client.verify.spooled import Spooled
from chain_client.verify.unclosed import find_unclosed, tell_unclosed

_logger = logging.getLogger(__name__)

_SHOWN = 10


def verify(evidence: Evidence, scope: Scope, progress: Progress) -> Report:
    """Carry out every step that can be carried out; one that fails stops no other.

    Args:
        evidence: what to look at.
        scope: what to compare in the hosts; log and chain are always checked whole.
        progress: told how far the long steps are.
    """
    report = Report()
    contract = _check_chain(evidence, report)
    if contract is None:
        head = None
        detail = "the chain could not be asked for it"
        report.checks.append(Check("head", False, detail, carried_out=False))
    else:
        head = _check_head(evidence, contract, report)
    _check_log(evidence, contract, head, report, progress)
    with _carried_out(report, CROSS):
        compare_cross(evidence, contract, report)
    checks = {check.name: check for check in report.checks}
    report.log_is_whole = all(
        checks[name].ok or not checks[name].carried_out
        for name in ("chain", "head", "leaves", "tree", CROSS)
        if name in checks
    )
    with _carried_out(report, "anchored"):
        _state_anchored(evidence, head, report)
    log_is_whole = report.verdict is not Verdict.DIFFERS
    with _carried_out(report, "stores"):
        compare_all(evidence, scope, report, progress, log_is_whole=log_is_whole)
    with _carried_out(report, REGISTRY):
        compare_registry(evidence, scope, report, progress)
    return report


@contextlib.contextmanager
def _carried_out(report: Report, name: str) -> Iterator[None]:
    """Let a step that can't be carried out stop no other one."""
    try:
        yield
    except VerificationFailed as exc:
        report.conclude(name, [Finding("log_unreadable", "log", None, None, str(exc))], "see below")
    except ChainError as exc:
        report.checks.append(Check(name, False, str(exc), carried_out=False))
    except (ValueError, TypeError, AttributeError) as exc:
        # The log gives back what was put into it: other kinds of values were put there by others.
        detail = f"rows of the log have a content that it never writes ({type(exc).__name__})"
        report.conclude(name, [Finding("log_unreadable", "log", None, None, detail)], detail)


def _check_chain(evidence: Evidence, report: Report) -> EventLogContract | None:
    deployment = evidence.deployment
    try:
        check_event_log(evidence.ledger, deployment)
    except (ContractMissing, LogMismatch) as exc:
        expected, actual = cast("Json", exc.expected), cast("Json", exc.actual)
        report.conclude(
            "chain", [Finding("contract_changed", "EventLog", expected, actual, str(exc))], str(exc)
        )
        return None
    except (ConfigurationError, Unavailable) as exc:
        report.checks.append(Check("chain", False, str(exc), carried_out=False))
        return None
    found, detail = [], f"chain {deployment.chain_id}, EventLog at {to_hex(deployment.event_log)}"
    if deployment.registry is not None:
        detail += f", ModelRegistry at {to_hex(deployment.registry)}"
    try:
        check_registry(evidence.ledger, deployment)
    except ContractMissing as exc:
        detail = str(exc)
        found.append(Finding("contract_changed", "ModelRegistry", exc.expected, exc.actual, detail))
    except (ConfigurationError, Unavailable) as exc:
        report.checks.append(Check("chain", False, str(exc), carried_out=False))
        return EventLogContract(evidence.ledger, deployment.event_log)
    report.conclude("chain", found, detail)
    return EventLogContract(evidence.ledger, deployment.event_log)


def _check_head(evidence: Evidence, contract: EventLogContract, report: Report) -> Head | None:
    head: Head | None = None
    with _carried_out(report, "head"):
        try:
            # Read first: a relay beside us may make later heads final meanwhile.
            final = evidence.log.latest_head(EntryStatus.FINALIZED)
            head = contract.head(evidence.deployment.log_id)
            check_head(evidence.log, head, final)
        except LogMismatch as exc:
            kind = {LogBehindChain: "log_truncated", ChainBehindLog: "chain_rolled_back"}.get(
                type(exc), "log_rewritten"
            )
            detail = str(exc).removeprefix("head: ")
            report.conclude("head", [_finding(kind, exc, detail)], "see below")
        else:
            report.conclude(
                "head",
                [],
                f"{head.size} entries, root 0x{head.root.hex()}, block {head.block_number}",
            )
    return head


def _finding(kind: str, exc: LogMismatch, detail: str) -> Finding:
    return Finding(kind, "log", cast("Json", exc.expected), cast("Json", exc.actual), detail)


def _check_log(
    evidence: Evidence,
    contract: EventLogContract | None,
    head: Head | None,
    report: Report,
    progress: Progress,
) -> None:
    promised: dict[bytes, int] = {}
    anchored: dict[int, bytes] = {}
    leaves: LeafCheck | None = None
    heads = _final_heads(evidence.log)
    with _carried_out(report, "leaves"):
        # Read first: what was promised then is in the log, or in the spool, whenever those are
        # read, though a relay works meanwhile.
        promised = _promised(evidence.log)
        if contract is not None and head is not None:
            last = evidence.ledger.block().number
            first = evidence.deployment.block_number
            for known in contract.heads(evidence.deployment.log_id, first, last):
                anchored[known.head.size] = known.head.root
            if head.size:
                anchored[head.size] = head.root
        leaves = check_leaves(evidence.log, anchored, progress)
        report.conclude(
            "leaves",
            leaves.findings,
            f"{leaves.size} {'entry' if leaves.size == 1 else 'entries'} rechecked against "
            f"{leaves.roots_checked} anchored root{'' if leaves.roots_checked == 1 else 's'}",
        )
    if leaves is None:
        return
    with _carried_out(report, "tree"):
        findings = [*check_tree(evidence.log), *_misnoted_heads(heads, anchored)]
        report.conclude("tree", findings, "every stored node of the tree was recomputed")
    with _carried_out(report, "sources"):
        before = evidence.log.sources()
        spooled = evidence.spooled()
        take_newer(evidence.log, leaves)
        now_us = SystemClock().time_us()
        elsewhere = find_elsewhere(evidence.log, evidence.ingester_id, spooled.waiting, now_us)
        findings = list(find_gaps(leaves.trackers, spooled.waiting, promised, elsewhere))
        findings += find_understated(leaves.trackers, _promised(evidence.log))
        forks = read_forks(evidence.log, leaves.forks)
        after = evidence.log.sources()
        findings += find_misnoted(before, after, leaves.trackers, forks, spooled.waiting)
        findings = list(name_missing(evidence, findings))
        report.conclude("sources", findings, _told(after, len(promised), spooled, forks))
        unfinished = list(find_unfinished(leaves.trackers, promised, elsewhere))
        if unfinished:
            detail = _told_unfinished(unfinished)
            report.checks.append(Check("sources rest", False, detail, carried_out=False))


def _final_heads(log: Log) -> list[LogHead] | None:
    """Heads that the log calls final; None if a row has a content that it never writes."""
    try:
        return [head for head in log.heads() if head.status is EntryStatus.FINALIZED]
    except ChainError:
        return []  # the steps that need the log say so
    except (ValueError, TypeError):
        return None


def _misnoted_heads(heads: list[LogHead] | None, anchored: dict[int, bytes]) -> Iterator[Finding]:
    """Rows of final heads that the chain does not hold; those beyond its last are `head`'s."""
    if heads is None:
        detail = "a row of the log's heads has a content that it never writes"
        yield Finding("log_unreadable", "log heads", None, None, detail)
        return
    last = max(anchored, default=0)
    for head in heads:
        found = anchored.get(head.size)
        if head.size <= last and found != head.root:
            yield Finding(
                "log_head_changed",
                f"log head of {head.size} entries",
                None if found is None else {"root": to_hex(found)},
                {"root": to_hex(bytes(head.root))},
                "the log calls a head final that is not on chain: its row was edited",
            )


def _told(states: Sequence[SourceState], count: int, spooled: Spooled, forks: list[Fork]) -> str:
    text = f"{count} source{'' if count == 1 else 's'}, {spooled.live_sources} of them live"
    if spooled.foreign_sources:
        text += f"; {spooled.foreign_sources} in the spool of another deployment, not counted"
    for fork in forks:
        text += f"; {fork.to_text()}"
    unclosed = tell_unclosed(find_unclosed(states))
    return f"{text}; {unclosed}" if unclosed else text


def _told_unfinished(sources: list[Elsewhere]) -> str:
    text = "; ".join(source.to_text() for source in sources[:_SHOWN])
    if len(sources) > _SHOWN:
        text += f"; and {len(sources) - _SHOWN} more"
    return f"{text}. What their spools hold can't be seen from here: only there is it told whole"


def _promised(log: Log) -> dict[bytes, int]:
    return {state.source_id: state.next_sequence for state in log.sources()}


def _state_anchored(evidence: Evidence, head: Head | None, report: Report) -> None:
    spooled = evidence.spooled()
    size = evidence.log.size()
    waiting = sum(len(numbers) for numbers in spooled.waiting.values())
    if head is None:
        detail = f"{size} entries and {waiting} waiting; how many are on chain is not known"
        report.checks.append(Check("anchored", False, detail, carried_out=False))
        return
    final = head.size
    detail = f"{final} of {size} entries are on chain"
    if size > final or waiting:
        detail += (
            f"; {size - final} wait in the log and {waiting} in the spool: "
            "run `mlops-chain relay --once`"
        )
    if spooled.corruptions:
        places = "place" if spooled.corruptions == 1 else "places"
        detail += f"; {spooled.corruptions} damaged {places} in the spool"
    report.checks.append(Check("anchored", True, detail))
