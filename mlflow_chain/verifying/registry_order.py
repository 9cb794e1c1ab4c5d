"""Which registered model had which name when: its calls go by name, and names pass on. Pure.

A name passes from one model to another by renaming, and by deleting and creating. Such calls may
have run at once; then every order in which all of them can have succeeded is tried, and a name
with which the orders end differently is one of which nothing can be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from chain_client.events import Event
from mlflow_chain.mapping.workspaces import DEFAULT, to_key
from mlflow_chain.verifying.order import Stamp, precedes

Stamped: TypeAlias = tuple[Event, Stamp]
Holders: TypeAlias = frozenset[tuple[str, int]]
"""Which model, by the number of the call that created it, has which name."""

CREATED = frozenset({"registered_model.created", "registered_model.baseline"})
RENAMED = "registered_model.renamed"
DELETED = "registered_model.deleted"
WORKSPACE_DELETED = "workspace.deleted"
_PASSES_ON = CREATED | {RENAMED, DELETED, WORKSPACE_DELETED}

_MOST_AT_ONCE = 12
_MOST_ENDS = 64
_MOST_STEPS = 5_000


def is_passing(event: Event) -> bool:
    """Whether the call gives a name to another model, or takes it from one."""
    return event.type in _PASSES_ON


def name_of(event: Event) -> str:
    """The name, over all workspaces, that a call was about; empty for a version not minted."""
    if event.subject.kind == "model_version":
        return event.subject.id.rpartition("/")[0]
    return event.subject.id


def new_name_of(event: Event) -> str:
    """The name that a renamed model gets."""
    return to_key(event.payload.get("workspace", DEFAULT), str(event.payload.get("name")))


def names_of(event: Event) -> set[str]:
    """Every name that a call gives or takes; those in a deleted workspace left out."""
    if event.type == WORKSPACE_DELETED:
        return set()
    return {name_of(event), new_name_of(event)} if event.type == RENAMED else {name_of(event)}


def in_workspace_of(event: Event, name: str) -> bool:
    """Whether a name is in the workspace that a call deleted."""
    return name.startswith(f"{event.subject.id}/")


def concurrent(first: Stamp, second: Stamp) -> bool:
    """Whether nobody knows which of them came first."""
    return not precedes(first, second) and not precedes(second, first)


def in_likely_order(calls: Iterable[Stamped]) -> list[Stamped]:
    """Sorted by when they began, as far as clocks can tell: each boot has one monotonic clock."""
    offsets: dict[str, int] = {}

    def likely_time(call: Stamped) -> tuple[int, int]:
        stamp = call[1]
        if stamp.boot is None:
            return stamp.time_us, stamp.sequence
        offset = offsets.setdefault(stamp.boot, stamp.time_us - stamp.started_us)
        return offset + stamp.started_us, stamp.sequence

    return sorted(calls, key=likely_time)


class Passing:
    """The calls through which names passed on.

    Args:
        calls: those calls, in their likely order.
    """

    def __init__(self, calls: list[Stamped]) -> None:
        self.ordered: list[Stamped] = []
        """One order in which all of them can have succeeded."""
        self.unknown: set[str] = set()
        """Names of which nobody can tell which model has them."""
        self._by_name: defaultdict[str, list[Stamp]] = defaultdict(list)
        for event, stamp in calls:
            for name in names_of(event):
                self._by_name[name].append(stamp)
        for event, stamp in calls:
            if event.type == WORKSPACE_DELETED:
                for name in [n for n in self._by_name if in_workspace_of(event, n)]:
                    self._by_name[name].append(stamp)
        for related in _related(calls):
            self._order(related)

    def around(self, name: str, stamp: Stamp) -> bool:
        """Whether the name may have passed on while a call ran."""
        return any(concurrent(other, stamp) for other in self._by_name.get(name, ()))

    def _order(self, calls: list[Stamped]) -> None:
        ends: dict[Holders, list[int]] = {frozenset(): []}
        for start, end in _clusters(calls):
            ends = _Orders(calls, start, end).follow(ends)
        self.ordered += [calls[index] for index in next(iter(ends.values()))]
        names = {name for event, _ in calls for name in names_of(event)}
        if len(ends) >= _MOST_ENDS:
            self.unknown |= names
            return
        strict = any(not s.sure and e.type in (RENAMED, WORKSPACE_DELETED) for e, s in calls)
        strict = strict or all(stamp.sure for _, stamp in calls)
        for name in {name for found in ends for name, _ in found}:
            models = {dict(found).get(name) for found in ends}
            # That a doubtful call may have made or deleted a model is said of the model itself.
            if len(models if strict else models - {None}) > 1:
                self.unknown.add(name)


def _related(calls: list[Stamped]) -> Iterator[list[Stamped]]:
    """Groups of calls that have names in common."""
    group: dict[str, str] = {}

    def find(name: str) -> str:
        while group.setdefault(name, name) != name:
            name = group[name]
        return name

    for event, _ in calls:
        first, *rest = sorted(names_of(event)) or [f"{event.subject.id}/"]
        for name in rest:
            group[find(name)] = find(first)
    for event, _ in calls:
        if event.type == WORKSPACE_DELETED:
            home = find(f"{event.subject.id}/")
            for name in [n for n in group if in_workspace_of(event, n)]:
                group[find(name)] = home
                group[find(name.partition("/")[2])] = home
    groups: defaultdict[str, list[Stamped]] = defaultdict(list)
    for event, stamp in calls:
        name = min(names_of(event), default=f"{event.subject.id}/")
        groups[find(name)].append((event, stamp))
    yield from groups.values()


def _clusters(calls: list[Stamped]) -> Iterator[tuple[int, int]]:
    """Where calls ran at once; one that ran alone is a cluster too."""
    start = 0
    for cut in range(1, len(calls) + 1):
        before = range(max(start, cut - _MOST_AT_ONCE), cut)
        after = range(cut, min(cut + _MOST_AT_ONCE, len(calls)))
        if all(precedes(calls[i][1], calls[j][1]) for i in before for j in after):
            yield start, cut
            start = cut


class _Orders:
    """Every order in which the calls of one cluster can have succeeded."""

    def __init__(self, calls: list[Stamped], start: int, end: int) -> None:
        self._calls = calls
        self._all = range(start, end)
        self._steps = 0

    def follow(self, ends: dict[Holders, list[int]]) -> dict[Holders, list[int]]:
        """From who had which name before, with one order each, to the same after."""
        found: dict[Holders, list[int]] = {}
        seen = set()
        stack = [(holders, frozenset[int](), path) for holders, path in ends.items()]
        while stack and len(found) < _MOST_ENDS:
            holders, done, path = stack.pop()
            if (holders, done) in seen and self._steps < _MOST_STEPS:
                continue
            seen.add((holders, done))
            self._steps += 1
            rest = [index for index in self._all if index not in done][:_MOST_AT_ONCE]
            if not rest:
                found.setdefault(holders, path)
                continue
            stack += self._next(holders, done, path, rest)
        return found or ends

    def _next(
        self, holders: Holders, done: frozenset[int], path: list[int], rest: list[int]
    ) -> list[tuple[Holders, frozenset[int], list[int]]]:
        stamps = {index: self._calls[index][1] for index in rest}
        free = [i for i in rest if not any(precedes(stamps[j], stamps[i]) for j in rest if j != i)]
        steps = []
        for index in free:
            for after in self._after(index, dict(holders)):
                steps.append((after, done | {index}, [*path, index]))
        if not steps:
            # Something was not recorded; go on with the likeliest.
            steps = [(holders, done | {free[0]}, [*path, free[0]])]
        likeliest_last = steps[::-1]
        return likeliest_last if self._steps < _MOST_STEPS else likeliest_last[-1:]

    def _after(self, index: int, holders: dict[str, int]) -> Iterator[Holders]:
        event, stamp = self._calls[index]
        before = frozenset(holders.items())
        name = name_of(event)
        if event.type in CREATED and name not in holders:
            yield frozenset({**holders, name: index}.items())
        elif event.type == DELETED and name in holders:
            del holders[name]
            yield frozenset(holders.items())
        elif event.type == RENAMED and name in holders:
            new_name = new_name_of(event)
            if new_name == name or new_name not in holders:
                holders[new_name] = holders.pop(name)
                yield frozenset(holders.items())
        elif event.type == WORKSPACE_DELETED:
            yield frozenset(_without_workspace(event, holders))
        if not stamp.sure:
            yield before


def _without_workspace(event: Event, holders: dict[str, int]) -> Iterator[tuple[str, int]]:
    mode = event.payload.get("mode")
    for name, model in holders.items():
        if not in_workspace_of(event, name):
            yield name, model
        elif mode == "SET_DEFAULT":
            yield name.partition("/")[2], model
