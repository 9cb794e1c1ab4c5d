"""When the gate was not enforced though a policy stood, as the processes said of themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chain_client import records
from chain_client.events import Event, Json
from chain_client.gate.modes import GATE_MODE
from chain_client.gate.question import Mode
from chain_client.hosts import Finding
from chain_client.verify.registry_attempts import Attempt, show_us

_FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class OpenGate:
    """A time in which processes let everything pass.

    Args:
        mode: ``warn`` or ``off``.
        from_us: wall time of its beginning.
        until_us: of its end; infinite while it lasts.
        sources: journals of the processes that were open so.
    """

    mode: str
    from_us: float
    until_us: float
    sources: frozenset[bytes]

    def to_text(self) -> str:
        """When it was, for people."""
        end = "now" if self.until_us == _FOREVER else show_us(self.until_us)
        return f"gate not enforced from {show_us(self.from_us)} to {end} ({self.mode})"


class GateModes:
    """In which mode each process had its gate, and when.

    Args:
        modes: events of one database's gate.
        sources: the opening and closing records of the processes.
    """

    def __init__(self, modes: Iterable[Event], sources: Iterable[Event]) -> None:
        self._processes: dict[bytes, tuple[Json, ...]] = {}
        self._sources: defaultdict[tuple[Json, ...], dict[bytes, float]] = defaultdict(dict)
        self._modes: defaultdict[tuple[Json, ...], list[tuple[int, str]]] = defaultdict(list)
        closed: dict[bytes, int] = {}
        for event in sources:
            source_id = bytes(event.source_id)
            if event.type == records.SOURCE_OPENED:
                # A process says its mode once, and may record through several sources.
                told = event.payload
                key = (told.get("host"), told.get("boot"), told.get("pid"))
                self._processes[source_id] = key
            elif event.type == records.SOURCE_CLOSED:
                closed[source_id] = event.time_us
        for source_id, process in self._processes.items():
            self._sources[process][source_id] = closed.get(source_id, _FOREVER)
        for event in modes:
            if event.type == GATE_MODE:
                mode = str(event.payload.get("mode", ""))
                self._modes[self._process(bytes(event.source_id))].append((event.time_us, mode))
        for known in self._modes.values():
            known.sort()

    def _process(self, source_id: bytes) -> tuple[Json, ...]:
        return self._processes.get(source_id, (source_id.hex(),))

    def at(self, source_id: bytes, time_us: int) -> str | None:
        """The mode in which a process had its gate at a time; None if it had none."""
        known = self._modes.get(self._process(source_id), ())
        found = [mode for since_us, mode in known if since_us <= time_us]
        return found[-1] if found else None

    def open_gates(self, gated: Sequence[tuple[int, int | None]]) -> list[OpenGate]:
        """The times in which a gate was open while a policy stood.

        Args:
            gated: from and to when policies stood, in block time; None: they stand.
        """
        spans = sorted(self._spans(_joined(gated)), key=lambda span: span[:3])
        found: list[OpenGate] = []
        for mode, from_us, until_us, sources in spans:
            last = found[-1] if found else None
            if last is not None and last.mode == mode and from_us <= last.until_us:
                until_us = max(until_us, last.until_us)
                found[-1] = OpenGate(mode, last.from_us, until_us, last.sources | sources)
            else:
                found.append(OpenGate(mode, from_us, until_us, sources))
        return found

    def _spans(
        self, gated: Sequence[tuple[float, float]]
    ) -> Iterator[tuple[str, float, float, frozenset[bytes]]]:
        for process, known in self._modes.items():
            sources = self._sources.get(process, {})
            end = max(sources.values(), default=_FOREVER)
            for number, (since_us, mode) in enumerate(known):
                until_us = known[number + 1][0] if number + 1 < len(known) else end
                if mode not in (Mode.WARN, Mode.OFF):
                    continue
                for first_us, last_us in gated:
                    begin, stop = max(since_us, first_us), min(until_us, last_us)
                    if begin < stop:
                        yield mode, begin, stop, frozenset(sources)


def to_gate_finding(gate: OpenGate, attempts: Sequence[Attempt]) -> Finding:
    """What is said of a time in which gated targets were changed past an open gate.

    Args:
        gate: that time.
        attempts: what nothing on chain allowed, by the processes of that time.
    """
    changed = sorted(
        {f"{attempt.subject} at {show_us(attempt.event.time_us)}" for attempt in attempts}
    )
    return Finding(
        "gate_not_enforced",
        f"gate/{gate.mode}",
        Mode.ENFORCE.value,
        gate.mode,
        f"{gate.to_text()}; changed then without approval: {'; '.join(changed)}",
        int(gate.from_us),
    )


def within(gate: OpenGate, attempts: Iterable[Attempt]) -> list[Attempt]:
    """Those that a process of an open gate made in its time, and nothing on chain allowed."""
    return [
        attempt
        for attempt in attempts
        if not attempt.is_allowed
        and attempt.event.source_id in gate.sources
        and gate.from_us <= attempt.event.time_us <= gate.until_us
    ]


def _joined(gated: Sequence[tuple[int, int | None]]) -> list[tuple[float, float]]:
    """Times in µs in which any policy stood, without overlaps."""
    found: list[tuple[float, float]] = []
    for since_s, until_s in sorted(gated, key=lambda span: span[0]):
        first, last = since_s * 1e6, _FOREVER if until_s is None else until_s * 1e6
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
