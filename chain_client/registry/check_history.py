"""Which checks counted for a place, from when until when. Pure.

An entry counts from when it was signed by somebody who was entitled to then, until the next one
does, or its signer may no more. One that can't be read any more hides what it applied, so nothing
that it may have replaced counts until somebody applies again, knowing of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chain_client.registry.check_configuration import AppliedChecks, AppliedLog
from chain_client.registry.check_reports import CheckReport
from chain_client.registry.state import Place
from chain_client.types import Address

SLACK_S = 300.0
"""How far the clock of who applies checks may be from the chain's."""
_FOR_EVER = float("inf")


@dataclass(slots=True)
class Tenures:
    """Who was entitled to apply checks, and when, by the chain's clock.

    Args:
        spans: of each account, as pairs of seconds since the epoch.
    """

    spans: dict[Address, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, changes: Iterable[tuple[float, Address, bool]]) -> None:
        """Take the grants (True) and losses of one role, in the order of time."""
        since: dict[Address, float] = {}
        for at_s, account, is_grant in changes:
            if is_grant:
                since.setdefault(account, at_s)
            elif account in since:
                self.spans.setdefault(account, []).append((since.pop(account), at_s))
        for account, at_s in since.items():
            self.spans.setdefault(account, []).append((at_s, _FOR_EVER))

    def until(self, account: Address, at_s: float) -> float | None:
        """When an account that is entitled at a time is so no more; None if it is not."""
        ends = [
            last
            for first, last in self.spans.get(account, ())
            if first - SLACK_S <= at_s <= last + SLACK_S
        ]
        return max(ends, default=None)


@dataclass(frozen=True, slots=True)
class Reign:
    """For how long something counted that was applied.

    Args:
        applied: what.
        until_s: when it counted no more; infinity: it does.
        is_known: whether it is sure that nothing else took its place before.
    """

    applied: AppliedChecks
    until_s: float
    is_known: bool = True


class CheckHistory:
    """What was applied for every place.

    Args:
        read: what the log holds.
        tenures: who was entitled when.
        now_s: what was signed later than that counts for nothing yet.
    """

    def __init__(self, read: AppliedLog, tenures: Tenures, now_s: float) -> None:
        found: dict[Place, list[AppliedChecks]] = defaultdict(list)
        for one in read.applied:
            if one.time_us / 1e6 <= now_s + SLACK_S:
                found[one.place].append(one)
        self._reigns = {
            place: _reigns(applied, tenures, read.unreadable.get(place, ()))
            for place, applied in found.items()
        }
        self._unreadable = read.unreadable

    @property
    def places(self) -> frozenset[Place]:
        """Places for which anything was ever applied."""
        return frozenset(self._reigns) | frozenset(self._unreadable)

    def last(self, place: Place) -> Reign | None:
        """What was applied for a place at last; None: nothing that can be read."""
        found = self._reigns.get(place)
        return found[-1] if found else None

    def unreadable(self, place: Place) -> int | None:
        """Index of an entry that can't be read, and of which the last one did not know."""
        last = self.last(place)
        known = 0 if last is None else last.applied.log_size
        return next((index for index in self._unreadable.get(place, ()) if index >= known), None)

    def of(self, place: Place) -> Sequence[AppliedChecks]:
        """All that counted for a place once, the oldest first."""
        return [reign.applied for reign in self._reigns.get(place, ())]

    def counted(
        self, place: Place, report: CheckReport, made_at_s: float, deployment_id: str
    ) -> bool:
        """Whether a report is of checks that counted when its proposal was made, or after that.

        Once it is so, it stays so.
        """
        return any(
            reign.is_known
            and made_at_s <= reign.until_s + SLACK_S
            and is_report_of(report, reign.applied, deployment_id)
            for reign in self._reigns.get(place, ())
        )


def is_report_of(report: CheckReport, applied: AppliedChecks, deployment_id: str) -> bool:
    """Whether a report is of exactly the checks that were applied."""
    return (
        report.deployment == deployment_id
        and report.configuration == applied.hash
        and [(one.name, one.plugin, one.configuration) for one in report.results]
        == [(one.name, one.plugin, one.hash) for one in applied.checks]
    )


def _reigns(
    applied: Sequence[AppliedChecks], tenures: Tenures, unreadable: Sequence[int]
) -> list[Reign]:
    found: list[Reign] = []
    reached_s = 0.0
    for one in applied:
        # Who lost the right can't go back to a time at which it was still there.
        at_s = max(reached_s, one.time_us / 1e6)
        until_s = tenures.until(one.signer, at_s)
        if until_s is None:
            continue
        reached_s = at_s
        if found:
            found[-1] = replace(found[-1], until_s=min(found[-1].until_s, at_s))
        found.append(Reign(one, until_s))
    following = [reign.applied.index for reign in found[1:]]
    return [
        replace(reign, is_known=not _is_doubtful(reign.applied, index, unreadable))
        for reign, index in zip(found, [*following, None], strict=True)
    ]


def _is_doubtful(one: AppliedChecks, following: int | None, unreadable: Iterable[int]) -> bool:
    """Whether something that can't be read may have taken its place before the following did."""
    return any(
        index >= one.log_size and (following is None or index < following) for index in unreadable
    )
