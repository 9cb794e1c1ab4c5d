"""What a removed event most likely was about: by what stands beside it in its source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from chain_client.errors import ChainError, InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.hosts import Finding, NamesEvents
from chain_client.types import SourceId
from chain_client.verify.evidence import Evidence

_MOST = 100
"""So many are named; whoever removes more has removed the meaning of each."""


def name_missing(evidence: Evidence, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; those of missing events also say what the same process recorded beside them.

    A process records what belongs together, one after the other. So the neighbours tell of which
    run or task the missing event was, though nothing of itself is left.
    """
    named = 0
    for finding in findings:
        if finding.kind != "event_missing" or named >= _MOST:
            yield finding
            continue
        named += 1
        beside = _beside(evidence, finding)
        if beside:
            text = f"{finding.detail}. Beside it the same process recorded {'; '.join(beside)}"
            finding = replace(finding, detail=text)
        yield finding


def _beside(evidence: Evidence, finding: Finding) -> list[str]:
    span: Any = finding.expected
    source_id = SourceId(bytes.fromhex(finding.subject.split()[1].partition("/")[0]))
    wanted = [n for n in (span["first"] - 1, span["last"] + 1) if n >= 0]
    try:
        found = list(evidence.log.of_source(source_id, wanted))
    except ChainError:
        return []  # the step on leaves says what of the log can't be read
    events = []
    for entry in found:
        try:
            if entry.event is not None:
                events.append(decode_event(entry.event))
        except InvalidEvent:
            continue
    return [_name(evidence, event) for event in sorted(events, key=lambda e: e.sequence)]


def _name(evidence: Evidence, event: Event) -> str:
    for binding in evidence.bindings:
        if binding.store_id == event.subject.store:
            try:
                host = evidence.load_host(binding.adapter)
            except ChainError:
                break
            if isinstance(host, NamesEvents):
                return host.name_event(event)
    return f"{event.type} of {event.subject.to_key()}"
