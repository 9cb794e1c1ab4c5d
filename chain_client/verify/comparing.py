"""Comparing the hosts' entities with what the events say."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chain_client.errors import ChainError, InvalidEvent, Unavailable, VerificationFailed
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.hosts import Finding, Host, Progress, Remark, Scope, StoreBinding, Unchecked
from chain_client.verify.evidence import Evidence
from chain_client.verify.explanations import STORE_EXPLAINED, read_explanations
from chain_client.verify.movement import Moment, OtherMachines, Reached
from chain_client.verify.report import Check, Report

_logger = logging.getLogger(__name__)

_COMPARE_TRIES = 3
_SHOWN = 5


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
    # What a person explained is none of the host's calls.
    return event.subject.store in (binding.store_id, "") and event.type != STORE_EXPLAINED


def compare_all(
    evidence: Evidence, scope: Scope, report: Report, progress: Progress, *, log_is_whole: bool
) -> None:
    """Compare every database that the scope concerns, and say which are known by name only.

    Args:
        evidence: what to look at.
        scope: what to compare.
        report: takes a check for each database.
        progress: told how far it is.
        log_is_whole: whether the steps before found the log as it was anchored.
    """
    for binding in _concerned(evidence, scope):
        _compare(evidence, binding, scope, report, progress, log_is_whole)
    if evidence.everything:
        bound = {binding.store_id for binding in evidence.bindings}
        for store_id in sorted(_recorded_stores(evidence) - bound):
            detail = (
                f"store {store_id} is recorded here, and nobody knows where its database is: "
                "name it by --tracking-uri, or open it once with chain+…"
            )
            report.checks.append(Check("unknown store", False, detail, carried_out=False))


def _recorded_stores(evidence: Evidence) -> set[str]:
    spooled = {event.subject.store for event in evidence.spooled().events.values()}
    return (evidence.log.stores() | spooled) - {""}


def _concerned(evidence: Evidence, scope: Scope) -> list[StoreBinding]:
    """The databases in which what the scope names was recorded; all, if it was in none."""
    bindings = list(evidence.bindings)
    if scope.run_id is not None:
        key = f"run:{scope.run_id}"
    elif scope.model is not None:
        key = f"registered_model:{scope.model}"
    else:
        return bindings
    spooled = {event.subject.to_key() for event in evidence.spooled().events.values()}
    found = [
        binding
        for binding in bindings
        if f"{binding.store_id}/{key}" in spooled
        or any(
            entry.subject_key == f"{binding.store_id}/{key}"
            for entry in evidence.log.find_events(f"{binding.store_id}/{key}")
        )
    ]
    return found or bindings


def _compare(
    evidence: Evidence,
    binding: StoreBinding,
    scope: Scope,
    report: Report,
    progress: Progress,
    log_is_whole: bool,
) -> None:
    """Compare one database; what differs only because it is written to meanwhile is dropped."""
    name = binding.adapter
    try:
        explanations = read_explanations(evidence, binding.store_id)
        host = evidence.load_host(binding.adapter)
        found = _compare_until_still(evidence, host, binding, scope, progress)
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
        open_findings = []
        explained = []
        for finding in found.findings:
            explanation = explanations.find(finding)
            if explanation is None:
                open_findings.append(finding)
            else:
                explained.append(explanation)
        if explained:
            detail += f"; {len(explained)} explained"
        report.explained += explained
        report.explainable += [(binding.store_id, finding) for finding in open_findings]
        report.conclude(name, [*explanations.findings, *open_findings], detail)
        report.compared += 1
        if found.unchecked:
            left_out = "; ".join(f"{part.subject}: {part.reason}" for part in found.unchecked)
            report.checks.append(Check(f"{name} rest", False, left_out, carried_out=False))


def _compare_until_still(
    evidence: Evidence, host: Host, binding: StoreBinding, scope: Scope, progress: Progress
) -> _Comparison:
    """What differs however often one looks; a bounded number of times, while records are added."""
    before = Moment.of(evidence)
    others = OtherMachines(evidence)
    first = found = _compare_once(evidence, host, binding, scope, progress)
    for tries in range(1, _COMPARE_TRIES):
        now = Moment.of(evidence)
        if not found.findings or not (before.may_have_changed(now) or others.are_there):
            return found
        before = now
        if tries == 1:
            others.catch_up()
        try:
            again = _compare_once(evidence, host, binding, scope, progress)
        except Unavailable as exc:
            found.unchecked.append(Unchecked(binding.adapter, str(exc)))
            break
        found = found.confirmed_by(again)
    if found.findings and (behind := others.find_behind(first.reached, found.reached)):
        found.leave_open(behind)
    return found


@dataclass(slots=True)
class _Comparison:
    """What comparing one database gave."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    event_count: int = 0
    reached: Reached = field(default_factory=Reached)

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
            reached=again.reached,
        )
        for finding in again.findings:
            if finding in self.findings or (quiet and finding.subject in subjects):
                result.findings.append(finding)
            elif finding.subject in subjects:
                reason = "it changed while it was compared; verify again when nothing writes"
                result.unchecked.append(Unchecked(finding.subject, reason))
        result.unchecked = list(dict.fromkeys(result.unchecked))
        return result

    def leave_open(self, behind: Sequence[str]) -> None:
        """Call nothing a finding: it may be what these sources recorded and did not bring yet."""
        for finding in self.findings[:_SHOWN]:
            reason = f"{finding.kind}, unless it waits in the spool of another machine"
            self.unchecked.append(Unchecked(finding.subject, reason))
        rest = len(self.findings) - _SHOWN
        more = f" ({rest} more differences are not listed)" if rest > 0 else ""
        who = "; ".join(behind[:_SHOWN])
        reason = f"{who}{more}; verify there, or when its relay has caught up"
        self.unchecked.append(Unchecked("records of other machines", reason))
        self.findings = []


def _compare_once(
    evidence: Evidence, host: Host, binding: StoreBinding, scope: Scope, progress: Progress
) -> _Comparison:
    result = _Comparison()

    def counted() -> Iterator[Event]:
        for event in _events(evidence, binding, progress):
            result.event_count += 1
            if event.subject.store == binding.store_id:
                result.reached.take(event.source_id, event.time_us)
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
    result.reached.end()
    return result
