"""How long what approvers signed while the chain was out of reach counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chain_client.sync.timeline import TargetKey, Timeline


@dataclass(frozen=True, slots=True)
class Emergency:
    """What enough approvers signed while the chain could not be reached.

    Args:
        key: of which target.
        version: current from then on; zero for none.
        sequence: the change of the target on top of which it counts; it counts for no other.
        deadline_s: last second in which it counts.
        time_us: when it was accepted.
    """

    key: TargetKey
    version: int
    sequence: int
    deadline_s: int
    time_us: int


class Emergencies:
    """What was signed for one registry, against what that registry did.

    Guarantee: an emergency excuses nothing before it was accepted, after its deadline, once the
    target changed on chain, or once its version was revoked: the contract would refuse it then.

    Args:
        timeline: of the registry for which they were signed.
        signed: with signatures that hold, of enough approvers.
    """

    def __init__(self, timeline: Timeline, signed: Iterable[Emergency] = ()) -> None:
        self._timeline = timeline
        self._signed = sorted(signed, key=lambda found: (found.sequence, found.time_us))

    def standing(self, key: TargetKey, at_s: float) -> Emergency | None:
        """The one that a target follows at a time; None if it follows the chain."""
        stack = self._stack(key, self._timeline.sequence_at(key, at_s), at_s)
        return stack[-1] if stack else None

    def allow(self, key: TargetKey, version: int, time_us: int, slack_s: float) -> bool:
        """Whether a target was to have that version (zero for none) at a time.

        Args:
            key: the target.
            version: what it was given.
            time_us: when, by the clock of the host that had accepted it.
            slack_s: how far that clock and block times may be apart.
        """
        stacks = self._stacks(key, time_us / 1e6, slack_s)
        return any(stack[-1].version == version for stack in stacks if stack)

    def counted(self, slack_s: float) -> Iterator[Emergency]:
        """Those that counted when they were accepted."""
        for emergency in self._signed:
            stacks = self._stacks(emergency.key, emergency.time_us / 1e6, slack_s)
            if any(emergency in stack for stack in stacks):
                yield emergency

    def _stacks(self, key: TargetKey, at_s: float, slack_s: float) -> Iterator[list[Emergency]]:
        first = self._timeline.sequence_at(key, at_s - slack_s)
        last = self._timeline.sequence_at(key, at_s + slack_s)
        for sequence in range(first, last + 1):
            yield self._stack(key, sequence, at_s)

    def _stack(self, key: TargetKey, sequence: int, at_s: float) -> list[Emergency]:
        """Those that count on top of a change, each on top of the one before."""
        found: list[Emergency] = []
        for emergency in self._signed:
            if (
                emergency.key == key
                and emergency.sequence == sequence + len(found)
                and emergency.time_us <= at_s * 1e6
                and (not found or found[-1].time_us <= emergency.time_us)
                and at_s <= emergency.deadline_s
                and not self._is_revoked(emergency, at_s)
            ):
                found.append(emergency)
        return found

    def _is_revoked(self, emergency: Emergency, at_s: float) -> bool:
        revoked_s = self._timeline.revoked.get((emergency.key[0], emergency.version))
        return revoked_s is not None and revoked_s <= at_s
