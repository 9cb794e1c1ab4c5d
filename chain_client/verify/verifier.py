"""The verification of a home: numbered steps, each with a name and a sentence.

1. ``chain``: the ledger is the deployment's, and its contract has the deployed code.
2. ``head``: the log reproduces the head on chain.
3. ``leaves``: every entry is the one that was sealed, and the tree over them has every root
   that was ever anchored.
4. ``tree``: every stored node is the one that the entries give.
5. ``sources``: every source's sequence is opened, gap-free and closed.
6. ``anchored``: how much of what is recorded is final.
7. one step for each host database: its entities are what the events say.

Nothing is written, and no relay is needed: what is still in a spool is read there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from chain_client.errors import (
    ChainBehindLog,
    ChainError,
    ConfigurationError,
    ContractMissing,
    InvalidEvent,
    LogBehindChain,
    LogMismatch,
    Unavailable,
    VerificationFailed,
)
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.head_check import check_head
from chain_client.hosts import (
    Finding,
    Host,
    Progress,
    Remark,
    Scope,
    StoreBinding,
    Unchecked,
)
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment, check_deployment
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import EntryStatus, Log
from chain_client.verify.leaves import LeafCheck, check_leaves, check_tree, take_newer
from chain_client.verify.report import Check, Report, Verdict
from chain_client.verify.sequences import find_gaps, find_understated
from chain_client.verify.spooled import Spooled

_logger = logging.getLogger(__name__)

_COMPARE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verification looks at.

    Args:
        deployment: which chain, contract and log belong to the home.
        ledger: the chain.
        log: the local log.
        spooled: reads what is not yet in the log; called anew for each comparison.
        bindings: the host databases to compare.
        load_host: gives an adapter by name.
    """

    deployment: Deployment
    ledger: Ledger
    log: Log
    spooled: Callable[[], Spooled]
    bindings: Sequence[StoreBinding]
    load_host: Callable[[str], Host]


def verify(evidence: Evidence, scope: Scope, progress: Progress) -> Report:
    """Carry out every step that can be carried out; one that fails stops no other.

    Args:
        evidence: what to look at.
        scope: what to compare in the hosts; log and chain are always checked whole.
        progress: told how far the long steps are.
    """
    report = Report()
    contract = _check_chain(evidence, report)
    head = _check_head(evidence, contract, report) if contract else None
    _check_log(evidence, contract, head, report, progress)
    with _carried_out(report, "anchored"):
        _state_anchored(evidence, head, report)
    for binding in evidence.bindings:
        _compare(evidence, binding, scope, report, progress)
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
        check_deployment(evidence.ledger, deployment)
    except (ContractMissing, LogMismatch) as exc:
        report.conclude(
            "chain", [Finding("contract_changed", "EventLog", None, None, str(exc))], str(exc)
        )
        return None
    except (ConfigurationError, Unavailable) as exc:
        report.checks.append(Check("chain", False, str(exc), carried_out=False))
        return None
    report.conclude(
        "chain", [], f"chain {deployment.chain_id}, EventLog at 0x{deployment.event_log.hex()}"
    )
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
            report.conclude("head", [Finding(kind, "log", None, None, detail)], "see below")
        else:
            report.conclude(
                "head",
                [],
                f"{head.size} entries, root 0x{head.root.hex()}, block {head.block_number}",
            )
    return head


def _check_log(
    evidence: Evidence,
    contract: EventLogContract | None,
    head: Head | None,
    report: Report,
    progress: Progress,
) -> None:
    promised: dict[bytes, int] = {}
    leaves: LeafCheck | None = None
    with _carried_out(report, "leaves"):
        # Read first: what was promised then is in the log, or in the spool, whenever those are
        # read, though a relay works meanwhile.
        promised = _promised(evidence.log)
        anchored: dict[int, bytes] = {}
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
            f"{leaves.size} entries rechecked against {leaves.roots_checked} anchored roots",
        )
    if leaves is None:
        return
    with _carried_out(report, "tree"):
        tiles = check_tree(evidence.log)
        report.conclude("tree", tiles, "every stored node of the tree was recomputed")
    with _carried_out(report, "sources"):
        spooled = evidence.spooled()
        take_newer(evidence.log, leaves)
        findings = list(find_gaps(leaves.trackers, spooled.waiting, promised))
        findings += find_understated(leaves.trackers, _promised(evidence.log))
        report.conclude(
            "sources",
            findings,
            f"{len(promised)} source{'' if len(promised) == 1 else 's'}, "
            f"{spooled.live_sources} of them live",
        )


def _promised(log: Log) -> dict[bytes, int]:
    return {state.source_id: state.next_sequence for state in log.sources()}


def _state_anchored(evidence: Evidence, head: Head | None, report: Report) -> None:
    spooled = evidence.spooled()
    size = evidence.log.size()
    final = head.size if head is not None else 0
    waiting = sum(len(numbers) for numbers in spooled.waiting.values())
    detail = f"{final} of {size} entries are on chain"
    if size > final or waiting:
        detail += (
            f"; {size - final} wait in the log and {waiting} in the spool: "
            "run `mlops-chain relay --once`"
        )
    if spooled.corruptions:
        detail += f"; {spooled.corruptions} damaged places in the spool"
    report.checks.append(Check("anchored", True, detail))


def _events(evidence: Evidence, binding: StoreBinding, progress: Progress) -> Iterator[Event]:
    """Every event of one database: the log's in its order, then what is still spooled."""
    spooled = evidence.spooled()
    size = evidence.log.size()
    for entry in evidence.log.entries(0, size):
        if entry.index % 10_000 == 0:
            progress("replaying events", entry.index, size)
        if entry.event is None:
            continue
        try:
            event = decode_event(entry.event)
        except InvalidEvent:
            # The step on leaves has named it.
            continue
        spooled.events.pop(event.event_id, None)
        if _concerns(event, binding):
            yield event
    for event in spooled.events.values():
        if _concerns(event, binding):
            yield event


def _concerns(event: Event, binding: StoreBinding) -> bool:
    return event.subject.store in (binding.store_id, "")


def _compare(
    evidence: Evidence, binding: StoreBinding, scope: Scope, report: Report, progress: Progress
) -> None:
    """Compare one database; what differs only because it is written to meanwhile is dropped."""
    name = binding.adapter
    log_is_whole = report.verdict is not Verdict.DIFFERS
    try:
        host = evidence.load_host(binding.adapter)
        found = _compare_once(evidence, host, binding, scope, progress)
        tries = 1
        while found.findings and tries < _COMPARE_TRIES and evidence.spooled().live_sources:
            try:
                again = _compare_once(evidence, host, binding, scope, progress)
            except Unavailable as exc:
                found.unchecked.append(Unchecked(name, str(exc)))
                break
            found = found.confirmed_by(again)
            tries += 1
    except VerificationFailed as exc:
        report.conclude(name, [Finding(exc.check, name, None, None, str(exc))], "see below")
    except ChainError as exc:
        report.checks.append(Check(name, False, str(exc), carried_out=False))
    except Exception as exc:
        # An adapter is foreign code here: its fault takes no other step along.
        _logger.debug("comparing failed", exc_info=True)
        detail = f"the adapter failed with {type(exc).__name__}"
        report.checks.append(Check(name, False, detail, carried_out=False))
    else:
        what = "everything"
        if scope.run_id is not None:
            what = f"run {scope.run_id}"
        elif scope.model is not None:
            what = f"model {scope.model}"
        detail = f"{what} in store {binding.store_id} was compared"
        if found.findings and not log_is_whole:
            detail += "; the log is not whole, so some may follow from what it lacks"
        for remark in found.remarks:
            detail += f"; {remark.subject}: {remark.text}"
        report.conclude(name, found.findings, detail)
        if found.unchecked:
            left_out = "; ".join(f"{part.subject}: {part.reason}" for part in found.unchecked)
            report.checks.append(Check(f"{name} rest", False, left_out, carried_out=False))


@dataclass(slots=True)
class _Comparison:
    """What comparing one database gave."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    event_count: int = 0

    def confirmed_by(self, again: _Comparison) -> _Comparison:
        """What both found, as the later one shows it; what either could not check.

        What differs in another way each time was written to meanwhile. If nothing was recorded
        in between, that was nobody who records; else nobody can say, and so it is not checked.
        """
        quiet = self.event_count == again.event_count
        subjects = {finding.subject for finding in self.findings}
        result = _Comparison(
            unchecked=[*self.unchecked, *again.unchecked],
            remarks=again.remarks,
            event_count=again.event_count,
        )
        for finding in again.findings:
            if finding in self.findings or (quiet and finding.subject in subjects):
                result.findings.append(finding)
            elif finding.subject in subjects:
                reason = "it changed while it was compared; verify again when nothing writes"
                result.unchecked.append(Unchecked(finding.subject, reason))
        result.unchecked = list(dict.fromkeys(result.unchecked))
        return result


def _compare_once(
    evidence: Evidence, host: Host, binding: StoreBinding, scope: Scope, progress: Progress
) -> _Comparison:
    result = _Comparison()

    def counted() -> Iterator[Event]:
        for event in _events(evidence, binding, progress):
            result.event_count += 1
            yield event

    try:
        for found in host.compare(binding, counted(), scope, progress):
            if isinstance(found, Unchecked):
                result.unchecked.append(found)
            elif isinstance(found, Remark):
                result.remarks.append(found)
            else:
                result.findings.append(found)
    except Unavailable as exc:
        if not result.findings:
            raise
        # What was found before the host stopped answering stays found.
        result.unchecked.append(Unchecked(binding.adapter, str(exc)))
    return result
