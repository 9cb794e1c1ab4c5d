"""Which decisions are told next: none is lost and none told twice, wherever a triggerer dies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_chain.triggers.telling import Cursor, Filter, Payload, advance, begin, resume
from chain_client.errors import InvalidInput
from chain_client.registry.decisions import Decision, DecisionKind, Look, Place
from chain_client.types import Address, Digest, TxHash, to_hex

MODEL, TARGET = Digest(b"\x01" * 32), Digest(b"\x02" * 32)
PLACE = Place(31337, Address(b"\x03" * 20))
ALL = Filter()


def proposal(number: int) -> Digest:
    return Digest(number.to_bytes(32, "big"))


def decided(kind: str, number: int, block: int, *, version: int = 1) -> Decision:
    """A decision about the proposal of that number."""
    return Decision(
        id=f"{kind}/0x{number:064x}",
        kind=DecisionKind(kind),
        cause=kind,
        model=MODEL,
        version=version,
        target=TARGET if kind != "revoked" else None,
        proposal_id=proposal(number),
        block_number=block,
        at_s=1_700_000_000 + block,
        tx_hash=TxHash(b"\x04" * 32),
    )


def look(block: int, *decisions: Decision, ripe: tuple[int, ...] = (), **others: Any) -> Look:
    """A look at a chain where these proposals are open and can be promoted."""
    return Look(
        place=PLACE,
        block_number=block,
        now_s=others.pop("now_s", 1_800_000_000.0),
        decisions=decisions,
        ripe=tuple(decided("approved", number, block) for number in ripe),
        open=frozenset(proposal(n) for n in others.pop("open", ripe)),
        models=others.pop("models", {MODEL: "fraud"}),
        targets={TARGET: "alias:champion"},
    )


def ids(payloads: tuple[Payload, ...]) -> list[str]:
    return [payload["event_id"].split("/")[0] for payload in payloads]


def test_who_begins_is_told_what_comes_from_then_on() -> None:
    before = decided("revoked", 1, 5)
    cursor = begin(look(7, before, ripe=(3,)))
    same, told = advance(cursor, look(7, before, ripe=(3,)), ALL)
    assert (same, told) == (cursor, ())
    _, told = advance(same, look(9, before, decided("rejected", 3, 9)), ALL)
    assert ids(told) == ["rejected"]


def test_who_begins_at_a_block_is_told_everything_from_it_on() -> None:
    now = look(7, decided("revoked", 1, 4), decided("revoked", 2, 5), ripe=(3,))
    _, told = advance(begin(now, from_block=5), now, ALL)
    assert [payload["event_id"][-1] for payload in told] == ["2", "3"]


def test_an_approval_is_told_once_for_each_proposal_however_long_it_stands() -> None:
    cursor, told = advance(Cursor(0), look(1, ripe=(1,)), ALL)
    assert ids(told) == ["approved"]
    cursor, told = advance(cursor, look(2, open=(1,)), ALL)  # an approver left
    assert told == ()
    cursor, told = advance(cursor, look(3, ripe=(1,)), ALL)  # another one came
    assert told == ()
    promoted = (decided("approved", 1, 4), decided("promoted", 1, 4))
    cursor, told = advance(cursor, look(4, *promoted), ALL)
    assert ids(told) == ["promoted"]
    assert cursor.told == frozenset()
    assert advance(cursor, look(5, *promoted), ALL)[1] == ()


def test_a_promotion_that_was_too_fast_to_be_seen_coming_has_its_approval_told_before_it() -> None:
    _, told = advance(Cursor(3), look(4, decided("approved", 1, 4), decided("promoted", 1, 4)), ALL)
    assert ids(told) == ["approved", "promoted"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), ["approved", "promoted", "revoked"]),
        (Filter(events=frozenset({"promoted", "revoked"})), ["promoted", "revoked"]),
        (Filter(model_name="fraud"), ["approved", "promoted", "revoked"]),
        (Filter(model_name="team/fraud"), []),
        (Filter(target="alias:champion"), ["approved", "promoted", "revoked"]),
        (Filter(target="stage:Production"), ["revoked"]),
    ],
)
def test_a_filter_lets_pass_what_was_asked_for(wanted: Filter, expected: list[str]) -> None:
    decisions = (
        decided("approved", 1, 4),
        decided("promoted", 1, 4),
        decided("revoked", 1, 5),
    )
    assert ids(advance(Cursor(3), look(5, *decisions), wanted)[1]) == expected


def test_a_block_whose_model_has_no_name_yet_waits_for_it_and_not_for_ever() -> None:
    told_late = decided("rejected", 1, 5)
    known = decided("revoked", 2, 5)
    other = replace(known, id="revoked/other", model=Digest(b"\x09" * 32))
    young: dict[str, Any] = {"now_s": 1_700_000_005.0 + 59, "models": {other.model: "other"}}
    cursor, told = advance(Cursor(3), look(6, told_late, other, **young), ALL)
    assert (cursor.block, told) == (4, ())
    named: dict[str, Any] = {
        "now_s": young["now_s"],
        "models": {other.model: "other", MODEL: "fraud"},
    }
    assert ids(advance(cursor, look(6, told_late, other, **named), ALL)[1]) == [
        "rejected",
        "revoked",
    ]
    old: dict[str, Any] = {"now_s": 1_700_000_005.0 + 61, "models": {}}
    _, told = advance(cursor, look(6, told_late, other, **old), ALL)
    assert [payload["model_name"] for payload in told] == [None, None]
    assert told[0]["model_id"] == "0x" + "01" * 32


def test_a_cursor_comes_back_from_its_json() -> None:
    cursor, _ = advance(Cursor(0), look(3, decided("revoked", 1, 2), ripe=(2,)), ALL)
    assert Cursor.from_json(cursor.to_json()) == cursor
    again, told = resume(cursor, look(3, decided("revoked", 1, 2), ripe=(2,)), ALL)
    assert again == cursor
    assert [one["again"] for one in told] == [True, True]


def test_what_the_chain_does_not_show_is_not_told_again_whoever_wrote_the_cursor() -> None:
    true = decided("revoked", 1, 2)
    cursor = Cursor(3, frozenset({"approved/0x666"}), (true.id, "approved/0x666", "nonsense"))
    left, told = resume(cursor, look(3, true, decided("revoked", 9, 3)), ALL)
    assert [payload["event_id"] for payload in told] == [true.id]
    assert (left.told, left.pending) == (frozenset(), (true.id,))


def test_nothing_is_told_twice_whoever_wrote_the_cursor() -> None:
    later = decided("revoked", 1, 5)
    forged = Cursor(3, frozenset(), (later.id, f"approved/{to_hex(proposal(1))}"))
    left, again = resume(forged, look(5, later, ripe=(1,)), ALL)
    _, told = advance(left, look(5, later, ripe=(1,)), ALL)
    assert [payload["event_id"] for payload in again] == [f"approved/{to_hex(proposal(1))}"]
    assert [payload["event_id"] for payload in told] == [later.id]


def test_an_approval_that_was_pending_and_is_none_now_is_told_when_it_is_one_again() -> None:
    cursor, told = advance(Cursor(0), look(1, ripe=(1,)), ALL)
    assert ids(told) == ["approved"]
    cursor, told = resume(cursor, look(2, open=(1,)), ALL)  # an approver left meanwhile
    assert told == ()
    _, told = advance(cursor, look(3, ripe=(1,)), ALL)
    assert ids(told) == ["approved"]


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "{}",
        "[]",
        None,
        7,
        {"block": "x", "told": [], "pending": []},
        {"block": 1, "told": []},
        {"block": 1, "told": [], "pending": [{}]},
        {"block": 1, "told": [], "pending": [7]},
        {"block": 1, "told": "abc", "pending": []},
        {"block": 1.0, "told": [], "pending": []},
        {"block": True, "told": [], "pending": []},
        '{"block": 1e999, "told": [], "pending": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_cursor_is_refused(stored: Any) -> None:
    with pytest.raises(InvalidInput):
        Cursor.from_json(stored)


@dataclass
class World:
    """Airflow and a chain around a trigger that dies whenever the test says so."""

    stored: dict[str, Any] | None = None
    memory: Cursor | None = None
    kept: list[Payload] = field(default_factory=list)
    """Asset events in Airflow's database."""

    def round(self, now: Look, dies: str) -> None:
        """One look; ``dies`` says at which step the triggerer is killed, if at all."""
        repeated: tuple[Payload, ...] = ()
        cursor = self.memory
        if cursor is None:
            cursor = begin(now) if self.stored is None else Cursor.from_json(self.stored)
            cursor, repeated = resume(cursor, now, ALL)
        after, payloads = advance(cursor, now, ALL)
        if dies == "before storing":
            return self.restart()
        if payloads or self.stored is None:
            self.stored = after.to_json()
        if dies == "before telling":
            return self.restart()
        told = (*repeated, *payloads)
        if dies == "while telling":
            self.kept.extend(told[: len(told) // 2])
            return self.restart()
        self.kept.extend(told)
        if dies == "before the confirmation":
            return self.restart()
        if told:
            after = after.confirmed(one["event_id"] for one in told)
            self.stored = after.to_json()
        self.memory = after
        return None

    def restart(self) -> None:
        self.memory = None

    def seen(self) -> list[str]:
        """What a DAG sees that asks `promotion_events`."""
        found: list[str] = []
        for payload in self.kept:
            if payload["event_id"] in found:
                assert payload["again"], "told twice, and not marked"
                continue
            found.append(payload["event_id"])
        return found


_DEATHS = ["", "before storing", "before telling", "while telling", "before the confirmation"]


@given(st.lists(st.tuples(st.sampled_from(_DEATHS), st.integers(0, 3), st.booleans()), max_size=12))
def test_nothing_is_lost_and_nothing_unmarked_is_told_twice_wherever_it_dies(
    steps: list[tuple[str, int, bool]],
) -> None:
    world, block, number = World(), 10, 0
    history: list[Decision] = []
    world.round(look(block), "")
    expected: set[str] = set()
    for dies, count, is_seen_ripe in steps:
        numbers = range(number, number + count)
        number += count
        if is_seen_ripe:  # the approvals are seen before the promotions
            block += 1
            world.round(look(block, *history, ripe=tuple(numbers)), dies)
        block += 1
        for one in numbers:
            history += [decided("approved", one, block), decided("promoted", one, block)]
            expected |= {decision.id for decision in history[-2:]}
        world.round(look(block, *history), dies)
    world.round(look(block, *history), "")
    assert sorted(world.seen()) == sorted(expected)
