"""The check ``cross``: what the second chain holds, which the first one's owner can't rewrite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from chain_client.cross.check import check_cross_head
from chain_client.cross.place import CrossPlace
from chain_client.errors import (
    ChainBehindLog,
    ChainError,
    ConfigurationError,
    ContractMissing,
    LogBehindChain,
    LogMismatch,
    Unavailable,
)
from chain_client.events import Json
from chain_client.hosts import Finding
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import check_event_log
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.verify.evidence import Evidence
from chain_client.verify.report import Check, Report

NAME = "cross"
_KINDS = {LogBehindChain: "cross_log_truncated", ChainBehindLog: "cross_chain_rolled_back"}


def compare_cross(evidence: Evidence, first: EventLogContract | None, report: Report) -> None:
    """Compare log and first chain with the second chain's final head; nothing without one.

    Args:
        evidence: what to look at.
        first: the first chain's contract; None if that could not be asked.
        report: takes the check.
    """
    if evidence.cross is None:
        return
    try:
        place = evidence.cross()
        if place is None:
            return
        second = place.open_ledger()
        try:
            _compare(evidence, place, second, first, report)
        finally:
            second.close()
    except ContractMissing as exc:
        _conclude_changed(report, exc, exc.expected, exc.actual)
    except (ConfigurationError, Unavailable) as exc:
        report.checks.append(Check(NAME, False, str(exc), carried_out=False))


def _compare(
    evidence: Evidence,
    place: CrossPlace,
    second: Ledger,
    first: EventLogContract | None,
    report: Report,
) -> None:
    deployment = place.deployment
    try:
        check_event_log(second, deployment)
    except LogMismatch as exc:
        _conclude_changed(report, exc, cast("Json", exc.expected), cast("Json", exc.actual))
        return
    there = place.contract(second).head(deployment.log_id, at="finalized")
    # Read after it: a relay beside us may bring newer heads to both meanwhile.
    try:
        first_size = None if first is None else first.head(evidence.deployment.log_id).size
    except ChainError:
        first_size = None  # the step `head` says so
    try:
        check_cross_head(evidence.log, there, first_size)
    except LogMismatch as exc:
        kind = _KINDS.get(type(exc), "cross_log_rewritten")
        detail = str(exc).removeprefix("head: ")
        finding = Finding(
            kind, "second chain", cast("Json", exc.expected), cast("Json", exc.actual), detail
        )
        report.conclude(NAME, [finding], _since(second, deployment.chain_id, there))
        return
    size = evidence.log.size()
    if there.size:
        detail = f"{there.size} of {size} entries, {_since(second, deployment.chain_id, there)}"
    else:
        detail = f"no head on chain {deployment.chain_id} yet"
    if first_size is None:
        detail += "; the first chain could not be compared with it"
    report.conclude(NAME, [], detail)


def _since(second: Ledger, chain_id: int, head: Head) -> str:
    at = datetime.fromtimestamp(second.block(head.block_number).timestamp_s, UTC)
    return f"on chain {chain_id} since block {head.block_number} of {at:%Y-%m-%d %H:%M} UTC"


def _conclude_changed(report: Report, exc: ChainError, expected: Json, actual: Json) -> None:
    detail = str(exc).removeprefix("head: ")
    finding = Finding("cross_contract_changed", "second chain", expected, actual, detail)
    report.conclude(NAME, [finding], detail)
