"""Comparing what hosts show of models with what the registry decided.

Everything is read twice before anything is called different: promotions go on meanwhile. A person
can explain a finding, as one of the host's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chain_client.errors import ChainError, Unavailable
from chain_client.hosts import (
    Finding,
    Governs,
    Progress,
    Recorded,
    Remark,
    Scope,
    StoreBinding,
    TargetEvent,
    Unchecked,
)
from chain_client.records import SOURCE
from chain_client.registry.documents import NameBook
from chain_client.registry.users import all_names
from chain_client.signing.eip712 import Domain
from chain_client.sync.hosting import learn_targets, read_host
from chain_client.sync.plan import HostState, shown
from chain_client.types import to_hex
from chain_client.verify.evidence import Evidence
from chain_client.verify.explanations import read_explanations
from chain_client.verify.registry_attempts import Attempt, find_attempts, show_us, to_finding
from chain_client.verify.registry_chain import RegistryChain, read_registries
from chain_client.verify.registry_checks import compare_checks
from chain_client.verify.registry_emergencies import Emergencies
from chain_client.verify.registry_evidence import read_emergencies, read_moves, recorded_by
from chain_client.verify.registry_gate import GateModes, to_gate_finding, within
from chain_client.verify.registry_host import (
    View,
    compare_files,
    compare_revoked,
    compare_tags,
    compare_targets,
)
from chain_client.verify.report import Check, Report

NAME = "registry"
_UNNAMED = (
    "the home had a registry, and its deployment.json names none: put it back from your backup"
)
"""Name of the check."""
_SLACK_EMBEDDED_S = 1.0
_SLACK_S = 300.0
"""How far block times and hosts' clocks may be apart; on an embedded chain they are one clock."""
_MOST_REMARKS = 20


@dataclass(slots=True)
class _Found:
    """What comparing one database gave."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def take(self, found: Iterable[Finding | Unchecked | Remark]) -> None:
        for item in found:
            if isinstance(item, Finding):
                self.findings.append(item)
            elif isinstance(item, Unchecked):
                self.unchecked.append(item)
            else:
                self.remarks.append(item)


def compare_registry(evidence: Evidence, scope: Scope, report: Report, progress: Progress) -> None:
    """Compare every database with the registry; nothing is said while nothing was ever gated.

    Args:
        evidence: what to look at.
        scope: one run concerns no registry; one model limits it to that.
        report: takes the check.
        progress: told how far it is.

    Raises:
        LedgerUnavailable: the chain does not answer.
        ConfigurationError: the home's salt is missing or another one.
    """
    if scope.run_id is not None or evidence.salt is None:
        return
    chain = read_registries(evidence.ledger, evidence.deployment)
    if chain is None:
        report.checks.append(Check(NAME, False, _UNNAMED, carried_out=False))
        return
    if chain.is_empty():
        return
    whole = _Found()
    if chain.doubt is not None:
        whole.unchecked.append(Unchecked("registry", chain.doubt))
    elif chain.is_succeeded:
        whole.remarks.append(Remark("registry", "it was succeeded, and its successor followed"))
    for binding in evidence.bindings:
        try:
            _check_store(evidence, binding, scope, report, whole, progress)
        except Unavailable as exc:
            whole.unchecked.append(Unchecked(binding.to_shown_uri(), str(exc)))
    versions = sum(len(t.state.versions) for t in chain.timelines)
    changes = sum(len(found) for t in chain.timelines for found in t.changes.values())
    detail = f"{_counted(versions, 'version')} and {_counted(changes, 'decision')} on chain"
    for remark in whole.remarks[:_MOST_REMARKS]:
        detail += f"; {remark.subject}: {remark.text}"
    if len(whole.remarks) > _MOST_REMARKS:
        detail += f"; and {len(whole.remarks) - _MOST_REMARKS} more remarks"
    report.conclude(NAME, whole.findings, detail)
    if whole.unchecked:
        left_out = "; ".join(f"{part.subject}: {part.reason}" for part in whole.unchecked)
        report.checks.append(Check(f"{NAME} rest", False, left_out, carried_out=False))


def _check_store(
    evidence: Evidence,
    binding: StoreBinding,
    scope: Scope,
    report: Report,
    whole: _Found,
    progress: Progress,
) -> None:
    try:
        host = evidence.load_host(binding.adapter)
        if not isinstance(host, Governs):
            return
        explanations = read_explanations(evidence, binding.store_id)
        found = _look(evidence, host, binding, scope)
        if found.findings:
            again = _look(evidence, host, binding, scope)
            again.findings = [one for one in again.findings if one in found.findings]
            found = again
        # The bytes themselves do not change in motion: once is enough.
        found.take(compare_files(_view(evidence, host, binding, scope).view, progress))
    except Unavailable:
        raise
    except ChainError as exc:
        whole.unchecked.append(Unchecked(binding.to_shown_uri(), str(exc)))
        return
    whole.unchecked += found.unchecked
    whole.remarks += found.remarks
    for finding in found.findings:
        explanation = explanations.find(finding)
        if explanation is None:
            whole.findings.append(finding)
            report.explainable.append((binding.store_id, finding))
        else:
            report.explained.append(explanation)


@dataclass(frozen=True, slots=True)
class _Reading:
    view: View
    chain: RegistryChain
    modes: GateModes
    remarks: tuple[Remark, ...]
    recorded: Recorded


def _view(evidence: Evidence, host: Governs, binding: StoreBinding, scope: Scope) -> _Reading:
    """Read the host first, and the chain after it: what the host has, the chain then has too."""
    assert evidence.salt is not None
    salt = evidence.salt()
    book = NameBook.read(evidence.log, salt)
    state = _within_scope(read_host(host, binding, book), scope)
    chain = read_registries(evidence.ledger, evidence.deployment)
    assert chain is not None
    for timeline in chain.timelines:
        learn_targets(evidence.log, timeline, book)
    spooled = evidence.spooled()
    recorded = recorded_by(evidence.log, spooled, binding.store_id)
    slack_s = _slack_s(evidence)
    emergencies, remarks = list[Emergencies](), list[Remark]()
    for address, timeline in zip(chain.addresses, chain.timelines, strict=True):
        domain = Domain(evidence.deployment.chain_id, address)
        signed = read_emergencies(recorded, timeline, domain, salt)
        emergencies.append(Emergencies(timeline, signed))
        remarks += (signed[found] for found in emergencies[-1].counted(slack_s))
    attempts = find_attempts(
        (e for e in host.target_events(binding, recorded) if _concerns(e, scope)),
        chain.timelines,
        book,
        {(model.workspace, model.name): model for model in state.models.values()},
        binding.store_id,
        emergencies,
        slack_s,
    )
    sources = recorded_by(evidence.log, spooled, "")(SOURCE, "", True)
    view = View(
        host,
        binding,
        state,
        chain.newest,
        salt,
        book,
        all_names(evidence.log, evidence.deployment),
        emergencies[-1],
        list(attempts),
        max(time.time(), chain.time_s),
    )
    return _Reading(
        view,
        chain,
        GateModes(recorded("gate", "", True), sources),
        (*remarks, *read_moves(recorded)),
        recorded,
    )


def _slack_s(evidence: Evidence) -> float:
    is_embedded = evidence.deployment.ledger_url.startswith("embedded:")
    return _SLACK_EMBEDDED_S if is_embedded else _SLACK_S


def _look(evidence: Evidence, host: Governs, binding: StoreBinding, scope: Scope) -> _Found:
    reading = _view(evidence, host, binding, scope)
    view = reading.view
    found = _Found()
    found.take(compare_targets(view))
    found.take(_findings_of(view.attempts, reading.modes))
    found.take(_gates(reading, view.attempts))
    found.take(compare_revoked(view))
    found.take(compare_tags(view))
    found.take(_checks(evidence, reading, scope))
    found.take(_broken_glass(reading))
    found.take(reading.remarks)
    return found


def _findings_of(attempts: Iterable[Attempt], modes: GateModes) -> Iterator[Finding]:
    for attempt in attempts:
        if not attempt.is_allowed:
            event = attempt.event
            yield to_finding(attempt, modes.at(event.source_id, event.time_us))


def _gates(reading: _Reading, attempts: Iterable[Attempt]) -> Iterator[Finding | Remark]:
    """Times in which the gate was not enforced: told for ever, and different if it was used."""
    gated = [span for timeline in reading.chain.timelines for span in timeline.gated()]
    known = list(attempts)
    for gate in reading.modes.open_gates(gated):
        used = within(gate, known)
        yield to_gate_finding(gate, used) if used else Remark("gate", gate.to_text())


def _checks(evidence: Evidence, reading: _Reading, scope: Scope) -> Iterator[Finding]:
    view = reading.view
    for finding in compare_checks(
        evidence, reading.chain, reading.recorded, view.binding.store_id, view.book, view.salt
    ):
        if scope.model is None or f"version {scope.model}/" in finding.subject:
            yield finding


def _broken_glass(reading: _Reading) -> Iterator[Remark]:
    for timeline in reading.chain.timelines:
        for (model_id, target_id), changes in timeline.changes.items():
            model = reading.view.book.models.get(model_id)  # type: ignore[call-overload]
            target = reading.view.book.targets.get(target_id)  # type: ignore[call-overload]
            for change in changes:
                if change.breaker is None:
                    continue
                name = to_hex(model_id) if model is None else shown(model)
                yield Remark(
                    f"model {name}/{to_hex(target_id) if target is None else target}",
                    f"version {change.version} broke the glass at {show_us(change.at_s * 1e6)}, "
                    f"by {to_hex(change.breaker)}",
                )


def _within_scope(state: HostState, scope: Scope) -> HostState:
    if scope.model is None:
        return state
    models = {key: model for key, model in state.models.items() if shown(model) == scope.model}
    names = {(model.workspace, model.name) for model in models.values()}
    return HostState(models, tuple(t for t in state.targets if (t.workspace, t.model) in names))


def _concerns(event: TargetEvent, scope: Scope) -> bool:
    name = f"{event.workspace}/{event.model}" if event.workspace else event.model
    return scope.model in (None, name)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
