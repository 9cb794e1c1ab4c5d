"""What a host lacks to be equal to the chain. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chain_client.hosts import ModelIncarnation, TargetState
from chain_client.registry.targets import Target
from chain_client.sync.timeline import Change, Timeline
from chain_client.types import Digest, to_hex


@dataclass(frozen=True, slots=True)
class Gap:
    """A gated target that is not what the chain says.

    Args:
        model: the incarnation.
        target: the alias or stage.
        change: what made it what it is on chain.
        found: versions that the host gives it now, in ascending order.
    """

    model: ModelIncarnation
    target: Target
    change: Change
    found: tuple[int, ...]

    @property
    def wanted(self) -> int | None:
        """The version that is current on chain; None for none."""
        return self.change.version or None

    def to_text(self) -> str:
        """The gap as people read it."""
        found = ", ".join(f"version {number}" for number in self.found) or "no version"
        wanted = "no version" if self.wanted is None else f"version {self.wanted}"
        return f"{self.target} has {found}, on chain it is {wanted}"


@dataclass(frozen=True, slots=True)
class Nameless:
    """A target with a current version, of which nobody here knows the name."""

    model: ModelIncarnation
    target_id: bytes

    def to_text(self) -> str:
        """What is missing."""
        return (
            f"a target of model {shown(self.model)} ({to_hex(self.target_id)}) is current on "
            "chain, and neither log nor host tells its name: record the proposal's file here"
        )


@dataclass(frozen=True, slots=True)
class HostState:
    """What one database holds.

    Args:
        models: by their id on chain.
        targets: those that have a version now.
    """

    models: Mapping[Digest, ModelIncarnation]
    targets: tuple[TargetState, ...]

    def held(self) -> Mapping[tuple[str, str, str], tuple[int, ...]]:
        """Versions by workspace, model and target."""
        return {(t.workspace, t.model, t.target): t.versions for t in self.targets}


def shown(model: ModelIncarnation) -> str:
    """A model as people name it."""
    return f"{model.workspace}/{model.name}" if model.workspace else model.name


def find_gaps(
    timeline: Timeline, state: HostState, names: Mapping[Digest, Target]
) -> Iterator[Gap | Nameless]:
    """Every gated target of a database that the chain has decided, and that differs from it.

    A target of which the chain never decided anything is left as it is: it may be older than its
    policy. One that is gated no more belongs to the host again.

    Args:
        timeline: of the registry.
        state: of the host.
        names: targets by their id on chain.
    """
    held = state.held()
    for key, change, model in _decided(timeline, state.models):
        target = names.get(Digest(key[1]))
        if target is None:
            if change.version:
                yield Nameless(model, key[1])
            continue
        found = held.get((model.workspace, model.name, str(target)), ())
        if found != ((change.version,) if change.version else ()):
            yield Gap(model, target, change, found)


def held_on_chain(
    timeline: Timeline, models: Mapping[Digest, ModelIncarnation], names: Mapping[Digest, Target]
) -> dict[tuple[Digest, int], dict[Target, Change]]:
    """For each version that is current on chain: for which gated targets, and since what."""
    found: defaultdict[tuple[Digest, int], dict[Target, Change]] = defaultdict(dict)
    for key, change, _ in _decided(timeline, models):
        target = names.get(Digest(key[1]))
        if change.version and target is not None:
            found[Digest(key[0]), change.version][target] = change
    return dict(found)


def count_foreign(timeline: Timeline, known: Iterable[bytes]) -> int:
    """How many models the registry knows that no database here has."""
    ours = set(known)
    return len({model for model, _ in timeline.changes} - ours)


def _decided(
    timeline: Timeline, models: Mapping[Digest, ModelIncarnation]
) -> Iterator[tuple[tuple[bytes, bytes], Change, ModelIncarnation]]:
    for key, changes in timeline.changes.items():
        model = models.get(Digest(key[0]))
        if model is not None and timeline.policy(key) is not None:
            yield key, changes[-1], model
