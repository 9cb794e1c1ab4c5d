"""Which of the recorded baselines counts. Pure.

Only the first one that was finished: a later one would make whatever stands in the database then
look like what was recorded.
"""

from __future__ import annotations

from chain_client.events import Event
from chain_client.hosts import Finding
from chain_client.records import SOURCE
from mlflow_chain.adopting.baseline import FINISHED, STARTED
from mlflow_chain.verifying.order import Stamp, precedes


class Baselines:
    """Sets the events of baselines aside, and tells which of them count.

    Guarantee: a baseline changes nothing if it was not finished, if another one was finished
    before it, or if an ordinary event of the store is known to have ended before it was finished.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[Event, Stamp]]] = {}
        self._finished: dict[str, tuple[Event, Stamp]] = {}
        self._ordinary: dict[bytes, Stamp] = {}

    def take(self, event: Event, stamp: Stamp) -> bool:
        """Whether the event, given in log order, is part of a baseline; then it was kept."""
        baseline_id = event.payload.get("baseline")
        if not isinstance(baseline_id, str):
            # Of each source, the first one that was settled has the least before it. What is of no
            # database, such as a bound user, says nothing, nor that a process opened its gate.
            is_ordinary = bool(event.subject.store) and event.subject.kind not in (SOURCE, "gate")
            if is_ordinary and stamp.settled_at is not None and stamp.source not in self._ordinary:
                self._ordinary[stamp.source] = stamp
            return False
        if event.type == FINISHED:
            self._finished.setdefault(baseline_id, (event, stamp))
        elif event.type != STARTED:
            self._held.setdefault(baseline_id, []).append((event, stamp))
        return True

    def first(self) -> list[tuple[Event, Stamp]]:
        """The events of the baseline that counts."""
        chosen = self._choose()
        return self._held.get(chosen, []) if chosen is not None else []

    def findings(self) -> list[Finding]:
        """One for each finished baseline that does not count."""
        chosen = self._choose()
        return [
            Finding(
                "baseline_repeated",
                f"store {event.subject.store}/baseline {baseline_id}",
                chosen,
                baseline_id,
                "the database was taken for a new one though it was recorded already; what it "
                "held then does not count",
            )
            for baseline_id, (event, _) in self._finished.items()
            if baseline_id != chosen
        ]

    def _choose(self) -> str | None:
        # Sources are read one after another: what is known to precede comes before log order.
        stamps = [stamp for _, stamp in self._finished.values()]
        for baseline_id, (_, stamp) in self._finished.items():
            if any(precedes(ordinary, stamp) for ordinary in self._ordinary.values()):
                continue
            if not any(precedes(other, stamp) for other in stamps):
                return baseline_id
        return None
