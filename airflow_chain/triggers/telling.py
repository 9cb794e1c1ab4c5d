"""Which decisions are to be told next, and what is kept so that none is lost or told twice. Pure.

A cursor is stored before anything of it is told, with what is told in it (``pending``), and once
more when Airflow has it. Who finds something pending after a restart can't know whether Airflow
has it, and tells it once more, marked (``again``), under the id that it had.

Others may write where cursors are kept (any task, to an asset's state store): a cursor holds ids
only, and what is told is always made anew of what the chain shows.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from chain_client.errors import InvalidInput
from chain_client.registry.decisions import NAMED_IN_S, Decision, DecisionKind, Look
from chain_client.types import to_hex

Payload = dict[str, Any]
"""A decision as Airflow gets it; see `Look.to_json`."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What somebody wants to be told.

    Args:
        events: kinds of decisions.
        model_name: ``fraud`` or ``workspace/fraud``; None: of every model.
        target: canonical; None: of every target. What concerns a version as such passes.
    """

    events: frozenset[str] = frozenset(kind.value for kind in DecisionKind)
    model_name: str | None = None
    target: str | None = None

    def passes(self, payload: Payload) -> bool:
        """Whether a decision is wanted."""
        return (
            payload["event"] in self.events
            and self.model_name in (None, payload["model_name"])
            and (payload["target_id"] is None or self.target in (None, payload["target"]))
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far somebody was told.

    Args:
        block: everything up to this block was told, or is pending.
        told: ids of approvals that were told while their proposals are open.
        pending: ids of what was told, or was about to be, and may not have reached Airflow.
    """

    block: int
    told: frozenset[str] = frozenset()
    pending: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        return {"block": self.block, "told": sorted(self.told), "pending": list(self.pending)}

    @classmethod
    def from_json(cls, document: Any) -> Cursor:
        """The cursor that `to_json` gave, also as a text.

        Raises:
            InvalidInput: it is none.
        """
        try:
            found = json.loads(document) if isinstance(document, str) else document
            block, told, pending = found["block"], found["told"], found["pending"]
        except (KeyError, TypeError, ValueError, RecursionError):
            raise InvalidInput("what is stored as a cursor is none") from None
        if type(block) is not int or not _are_texts(told) or not _are_texts(pending):
            raise InvalidInput("what is stored as a cursor is none")
        return cls(block, frozenset(told), tuple(pending))

    def confirmed(self, ids: Iterable[str]) -> Cursor:
        """The cursor once Airflow has these."""
        known = set(ids)
        return replace(self, pending=tuple(one for one in self.pending if one not in known))


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


def begin(look: Look, from_block: int | None = None) -> Cursor:
    """Where somebody begins who was never told anything.

    Args:
        look: what is known now.
        from_block: tell what was decided from this block on; None: from now on.
    """
    if from_block is not None:
        return Cursor(from_block - 1)
    return Cursor(look.block_number, frozenset(decision.id for decision in look.ripe))


def resume(cursor: Cursor, look: Look, wanted: Filter) -> tuple[Cursor, tuple[Payload, ...]]:
    """The cursor after a restart, and what has to be told once more.

    What the chain does not show is not told; an approval that is none any more comes when it is
    one again.
    """
    pending, approved = set(cursor.pending), DecisionKind.APPROVED
    # An approval is known before the chain's events tell of it; what else is later is news.
    shown = {
        one.id: one
        for one in (*look.decisions, *look.ripe)
        if one.id in pending and (one.kind is approved or one.block_number <= cursor.block)
    }
    payloads = tuple(
        {**look.to_json(shown[key]), "again": True} for key in cursor.pending if key in shown
    )
    repeated = tuple(payload for payload in payloads if wanted.passes(payload))
    told = (cursor.told - pending) | {one.id for one in shown.values() if one.kind is approved}
    left = Cursor(cursor.block, told, tuple(str(payload["event_id"]) for payload in repeated))
    return left, repeated


def advance(cursor: Cursor, look: Look, wanted: Filter) -> tuple[Cursor, tuple[Payload, ...]]:
    """The cursor after everything new was told, and what is to be told, in the order of blocks.

    A model's name may come to the log a little later than its transaction to the chain: a block
    that tells of a model whose name is not known waits for it, `NAMED_IN_S` long.
    """
    after = bisect_right(look.decisions, cursor.block, key=lambda one: one.block_number)
    fresh = look.decisions[after:]
    nameless = [one.block_number for one in fresh if _waits_for_its_name(one, look)]
    block = min([look.block_number, *(number - 1 for number in nameless)])
    told = set(cursor.told)
    payloads = []
    ripe = [one for one in look.ripe if not _waits_for_its_name(one, look)]
    for decision in (*(one for one in fresh if one.block_number <= block), *ripe):
        if decision.kind is DecisionKind.APPROVED:
            if decision.id in told:
                continue
            told.add(decision.id)
        payload: Payload = {**look.to_json(decision), "again": False}
        if wanted.passes(payload):
            payloads.append(payload)
    # An approval may be seen again while its proposal is open, and in a block to come.
    again = {f"{DecisionKind.APPROVED.value}/{to_hex(key)}" for key in look.open}
    again |= {one.id for one in fresh if one.block_number > block}
    moved = Cursor(
        max(block, cursor.block),
        frozenset(told & again),
        (*cursor.pending, *(payload["event_id"] for payload in payloads)),
    )
    return moved, tuple(payloads)


def _waits_for_its_name(decision: Decision, look: Look) -> bool:
    return decision.model not in look.models and look.now_s < decision.at_s + NAMED_IN_S
