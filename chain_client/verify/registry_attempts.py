"""Recorded changes of gated targets that the chain never agreed to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chain_client.errors import InvalidInput
from chain_client.hosts import Finding, ModelIncarnation, TargetEvent
from chain_client.registry.documents import NameBook
from chain_client.registry.targets import Target
from chain_client.sync.timeline import TargetKey, Timeline
from chain_client.verify.registry_emergencies import Emergencies


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded change of a target that was gated at the time.

    Args:
        event: the call.
        key: the target on chain.
        is_allowed: whether the chain, or an emergency, said so around that time.
    """

    event: TargetEvent
    key: TargetKey
    is_allowed: bool

    @property
    def subject(self) -> str:
        """The target as people name it."""
        return f"{_shown(self.event)}/{self.event.target}"


def find_attempts(
    events: Iterable[TargetEvent],
    timelines: Sequence[Timeline],
    book: NameBook,
    now_here: Mapping[tuple[str, str], ModelIncarnation],
    store_id: str,
    emergencies: Sequence[Emergencies],
    slack_s: float,
) -> Iterator[Attempt]:
    """Every recorded change of a target that was gated then.

    Args:
        events: changes of targets in one database.
        timelines: of the registry and of those that took its place.
        book: learns the models and targets that the events name.
        now_here: models of the database by workspace and name, for events of models whose
            creation nobody recorded.
        store_id: of the database.
        emergencies: that were signed for those registries.
        slack_s: how far the hosts' clocks and block times may be apart.
    """
    for event in events:
        key = _key(event, book, now_here, store_id)
        at_s = event.time_us / 1e6
        # Gated before and after: nobody can tell on which side of a policy's block a call was.
        times = (at_s - slack_s, at_s, at_s + slack_s)
        if key is None or not all(any(t.policy_at(key, s) for t in timelines) for s in times):
            continue
        yield Attempt(event, key, _is_allowed(event, key, timelines, emergencies, slack_s))


def to_finding(attempt: Attempt, mode: str | None) -> Finding:
    """What is said of an attempt that was not allowed.

    Args:
        attempt: that one.
        mode: in which the gate of that process was; None if it had none.
    """
    event = attempt.event
    gate = "no gate stood before it" if mode is None else f"the gate of that process was {mode}"
    if event.version is None:
        what = f"{event.target} was taken from version {event.left}"
    else:
        what = f"{event.target} was given to version {event.version}"
    who = f" by {event.who}" if event.who else ""
    return Finding(
        "promotion_without_approval",
        attempt.subject,
        None,
        {"version": event.version, "left": event.left, "call": event.what},
        f"{what}{who} at {show_us(event.time_us)}, which nothing on chain allowed; {gate}",
        event.time_us,
    )


def show_us(time_us: float) -> str:
    """A time for people."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _is_allowed(
    event: TargetEvent,
    key: TargetKey,
    timelines: Sequence[Timeline],
    emergencies: Sequence[Emergencies],
    slack_s: float,
) -> bool:
    at_s = event.time_us / 1e6
    span = (at_s - slack_s, at_s + slack_s)
    wanted = event.version or 0
    if any(found.allow(key, wanted, event.time_us, slack_s) for found in emergencies):
        return True
    if event.version is None and event.left is not None and event.target.startswith("stage:"):
        # What has no business in a gated stage may leave it; what is current may not.
        left = event.left
        return _any(timelines, lambda t: not t.was_always(key, left, *span))
    return _any(timelines, lambda t: t.may_have_been(key, wanted, *span))


def _any(timelines: Sequence[Timeline], said: Callable[[Timeline], bool]) -> bool:
    return any(said(timeline) for timeline in timelines)


def _key(
    event: TargetEvent,
    book: NameBook,
    now_here: Mapping[tuple[str, str], ModelIncarnation],
    store_id: str,
) -> TargetKey | None:
    creation_ms = event.creation_ms
    if creation_ms is None:
        here = now_here.get((event.workspace, event.model))
        if here is None:
            return None
        creation_ms = here.creation_ms
    model = ModelIncarnation(store_id, event.workspace, event.model, creation_ms)
    try:
        return book.add_model(model), book.add_target(Target.parse(event.target))
    except InvalidInput:
        return None


def _shown(event: TargetEvent) -> str:
    return f"model {event.workspace}/{event.model}" if event.workspace else f"model {event.model}"
