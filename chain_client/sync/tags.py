"""Reserved tags: what people see on a version in the host's own pages. Pure.

They show, and decide nothing: the gate never reads them, and `verify` names those that lie.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from chain_client.errors import InvalidInput
from chain_client.hosts import RESERVED_TAGS
from chain_client.ledger.model_registry_values import Cause
from chain_client.registry.targets import Target
from chain_client.sync.timeline import Change
from chain_client.types import Address, Digest, from_hex, to_hex

PROPOSAL = f"{RESERVED_TAGS}proposal"
APPROVALS = f"{RESERVED_TAGS}approvals"
DIGEST = f"{RESERVED_TAGS}digest"
PROMOTED_AT = f"{RESERVED_TAGS}promoted_at"
TARGET = f"{RESERVED_TAGS}target"

_BROKEN = "broke glass"


@dataclass(frozen=True, slots=True)
class Lie:
    """A reserved tag that says something else than the chain."""

    key: str
    expected: str | None
    actual: str | None


def to_tags(
    held: Mapping[Target, Change], digest: Digest | None, names: Mapping[Address, str]
) -> dict[str, str]:
    """The reserved tags of a version.

    Args:
        held: the targets for which it is current, with what made it so; empty if none.
        digest: of its files, where the log says it.
        names: what people are called.
    """
    if not held:
        return {}
    latest = _latest(held)
    tags = {
        PROPOSAL: to_hex(latest.proposal),
        APPROVALS: _approvals(latest, names),
        PROMOTED_AT: _time(latest),
        TARGET: _targets(held),
    }
    if digest is not None:
        tags[DIGEST] = to_hex(digest)
    return tags


def find_lies(
    found: Mapping[str, str],
    held: Mapping[Target, Change],
    is_digest: Callable[[bytes], bool],
    names: Mapping[Address, Collection[str]],
) -> Iterator[Lie]:
    """Reserved tags of a version that do not say what the chain says.

    Args:
        found: its reserved tags by key.
        held: as in `to_tags`.
        is_digest: whether a digest is the one that the chain holds for the version.
        names: everything that people were ever called; their address is always right too.
    """
    expected = to_tags(held, None, {})
    for key in sorted({*expected, *found}):
        actual = found.get(key)
        if key == DIGEST and held:
            if not _is_digest(actual, is_digest):
                yield Lie(key, None, actual)
        elif key == APPROVALS and held:
            if not _agrees(actual or "", _latest(held), names):
                yield Lie(key, expected[key], actual)
        elif actual != expected.get(key):
            yield Lie(key, expected.get(key), actual)


def _latest(held: Mapping[Target, Change]) -> Change:
    return max(held.items(), key=lambda item: (item[1].block_number, str(item[0])))[1]


def _targets(held: Mapping[Target, Change]) -> str:
    return ", ".join(sorted(map(str, held)))


def _time(change: Change) -> str:
    return datetime.fromtimestamp(change.at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _approvals(change: Change, names: Mapping[Address, str]) -> str:
    if change.cause is Cause.BROKE_GLASS:
        breaker = change.breaker
        return f"{_BROKEN}: {'' if breaker is None else _shown(breaker, names)}"
    people = ", ".join(_shown(address, names) for address in change.approvers)
    return f"{len(change.approvers)} of {change.needed}: {people}"


def _shown(address: Address, names: Mapping[Address, str]) -> str:
    name = names.get(address, "")
    # A name with a comma would read as two people.
    return to_hex(address) if not name or "," in name else name


def _agrees(text: str, change: Change, names: Mapping[Address, Collection[str]]) -> bool:
    """Whether a text names these approvers, by whatever name they ever had."""
    expected, _, _ = _approvals(change, {}).partition(": ")
    head, _, people = text.partition(": ")
    if change.cause is Cause.BROKE_GLASS:
        who: tuple[Address, ...] = () if change.breaker is None else (change.breaker,)
    else:
        who = change.approvers
    said = people.split(", ") if people else []
    return (
        head == expected
        and len(said) == len(who)
        and all(
            name == to_hex(address) or name in names.get(address, ())
            for name, address in zip(said, who)
        )
    )


def _is_digest(text: str | None, is_digest: Callable[[bytes], bool]) -> bool:
    if text is None:
        return True  # the log may not have said it when the version was promoted
    try:
        return is_digest(from_hex(text, size=32))
    except InvalidInput:
        return False
