"""How long what was signed offline excuses a host that is not what the chain says."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chain_client import ChainClient, Settings
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.hosts import Recorded
from chain_client.ledger.model_registry_values import Cause
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import complete_return
from chain_client.registry.typed_data import hash_summary
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain
from chain_client.sync.reading import TimelineReader
from chain_client.sync.timeline import Change, TargetKey, Timeline
from chain_client.types import Address, SourceId, TxHash, to_hex
from chain_client.verify.registry_emergencies import Emergencies, Emergency
from chain_client.verify.registry_evidence import read_emergencies
from tests.unit.chain_client.gate.people import ALICE, BOB, CAROL, OWNER_OF_NOTHING, Governed

KEY: TargetKey = (b"m" * 32, b"t" * 32)


def timeline_of(*changes: tuple[int, int]) -> Timeline:
    """With versions that became current at times."""
    found = Timeline()
    for sequence, (at_s, version) in enumerate(changes, 1):
        found.changes[KEY].append(
            Change(version, sequence, Cause.PROMOTED, b"p" * 32, at_s, at_s, TxHash(bytes(32)))
        )
    return found


def emergency(version: int, sequence: int, at_s: int, deadline_s: int = 1000) -> Emergency:
    return Emergency(KEY, version, sequence, deadline_s, at_s * 1_000_000)


def standing(found: Emergencies, at_s: float) -> int | None:
    top = found.standing(KEY, at_s)
    return None if top is None else top.version


def test_it_counts_from_its_acceptance_to_its_deadline() -> None:
    found = Emergencies(timeline_of((10, 1), (20, 2)), [emergency(1, 2, 50, 90)])
    assert [standing(found, at_s) for at_s in (49, 50, 90, 91)] == [None, 1, 1, None]
    assert [found.allow(KEY, 1, s * 1_000_000, 1) for s in (49, 50, 90, 91)] == [
        *(False, True, True, False)
    ]
    assert not found.allow(KEY, 2, 60_000_000, 1)
    assert list(found.counted(1)) == [emergency(1, 2, 50, 90)]


def test_it_ends_with_the_next_change_on_chain() -> None:
    signed = [emergency(1, 2, 50)]
    found = Emergencies(timeline_of((10, 1), (20, 2), (60, 1), (70, 3)), signed)
    assert [standing(found, at_s) for at_s in (59, 60, 75)] == [1, None, None]
    assert found.allow(KEY, 1, 60_500_000, 1)  # the clocks may be apart
    assert not found.allow(KEY, 1, 62_000_000, 1)


def test_one_that_was_used_up_before_counts_for_nothing() -> None:
    found = Emergencies(timeline_of((10, 1), (20, 2), (30, 1), (40, 3)), [emergency(1, 2, 50)])
    assert standing(found, 55) is None
    assert not found.allow(KEY, 1, 55_000_000, 1)
    assert list(found.counted(1)) == []


def test_one_for_a_later_sequence_counts_for_nothing() -> None:
    found = Emergencies(timeline_of((10, 1), (20, 2)), [emergency(1, 3, 50)])
    assert standing(found, 55) is None
    assert list(found.counted(1)) == []


def test_one_counts_on_top_of_another_as_long_as_that_does() -> None:
    signed = [emergency(1, 2, 50, 90), emergency(0, 3, 60)]
    found = Emergencies(timeline_of((10, 1), (20, 2)), signed)
    assert [standing(found, at_s) for at_s in (55, 60, 90, 91)] == [1, 0, 0, None]
    assert list(found.counted(1)) == signed
    brought = Emergencies(timeline_of((10, 1), (20, 2), (80, 1)), signed)
    assert [standing(brought, at_s) for at_s in (79, 80, 95)] == [0, 0, 0]


def test_a_revoked_version_is_excused_no_more() -> None:
    timeline = timeline_of((10, 1), (20, 2))
    timeline.revoked[KEY[0], 1] = 70
    found = Emergencies(timeline, [emergency(1, 2, 50)])
    assert [standing(found, at_s) for at_s in (69, 70)] == [1, None]


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    """A home where version 1 was current, and 2 is."""
    home = tmp_path_factory.mktemp("signed") / "home"
    ChainClient.open(Settings(home, relay_autostart=False), create=True).close()
    found = Governed(home)
    found.appoint()
    found.set_policy()
    found.promote(1)
    found.promote(2)
    yield found
    found.client.close()


def timeline_now(governed: Governed) -> Timeline:
    first = governed.client.deployment.registry_block or 0
    reader = TimelineReader(governed.client.ledger, governed.contract, first)
    reader.advance()
    return reader.timeline


def noted(governed: Governed, document: ReturnDocument, *signers: Signer) -> Recorded:
    """The event of an emergency that was accepted now."""
    signed: list[Json] = [
        [to_hex(key.address()), to_hex(document.statement().sign(key))] for key in signers
    ]
    event = Event(
        event_id=new_event_id(),
        type="emergency.signed",
        source_id=SourceId(secrets.token_bytes(16)),
        sequence=0,
        time_us=time.time_ns() // 1000,
        status=OutcomeStatus.DONE,
        subject=Subject("", "emergency", document.id.hex()),
        actor=Actor(),
        timing=Timing(0, 0, 1),
        payload={"return": document.to_json(), "signatures": signed},
    )
    return lambda kind, subject_id, below: iter([event])


def read(governed: Governed, recorded: Recorded) -> list[Emergency]:
    salt = governed.client.salt
    return list(read_emergencies(recorded, timeline_now(governed), governed.domain, salt))


def test_signatures_of_enough_members_are_read_with_their_terms(governed: Governed) -> None:
    document = governed.to_return(1, 2)
    (found,) = read(governed, noted(governed, document, ALICE, BOB))
    assert (found.version, found.sequence, found.deadline_s) == (1, 2, document.deadline_s)
    assert found.key == (governed.model, governed.target())
    assert read(governed, noted(governed, document, ALICE)) == []
    assert read(governed, noted(governed, document, ALICE, OWNER_OF_NOTHING)) == []


def test_what_was_signed_for_another_registry_is_passed_over(governed: Governed) -> None:
    domain = Domain(governed.domain.chain_id, Address(b"\7" * 20))
    removal = replace(governed.to_return(None, 2), domain=domain)
    foreign = complete_return(removal, secrets.token_bytes(32))
    assert read(governed, noted(governed, foreign, ALICE, BOB)) == []


def test_a_text_that_lies_is_passed_over(governed: Governed) -> None:
    true = governed.to_return(None, 2)
    model = replace(true.model, name="toy")
    lie = complete_return(replace(true, model=model), secrets.token_bytes(32))
    assert read(governed, noted(governed, lie, ALICE, BOB)) == []


def test_a_version_that_was_never_current_is_passed_over(governed: Governed) -> None:
    governed.propose(4)
    assert read(governed, noted(governed, governed.to_return(4, 2), ALICE, BOB)) == []


def test_who_joined_again_is_no_signer_of_an_earlier_sequence(governed: Governed) -> None:
    contract = governed.contract
    for call in (contract.remove_approver_call, contract.add_approver_call):
        governed.send(governed.owner, call(governed.group, CAROL.address()))
    document = governed.to_return(1, 2)
    assert read(governed, noted(governed, document, ALICE, CAROL)) == []
    assert len(read(governed, noted(governed, document, ALICE, BOB))) == 1


def test_signatures_that_the_chain_used_up_excuse_nothing(governed: Governed) -> None:
    document = governed.to_return(1, 2)
    signed = governed.signed(document, ALICE, BOB)
    call = governed.contract.rollback_call(
        governed.documents[1].fields,
        *(2, document.deadline_s, hash_summary(document.summary)),
        [found.signer for found in signed],  # type: ignore[misc]
        [found.signature for found in signed],  # type: ignore[misc]
    )
    governed.send(CAROL, call)
    governed.promote(3)
    found = read(governed, noted(governed, document, ALICE, BOB))
    emergencies = Emergencies(timeline_now(governed), found)
    assert emergencies.standing((governed.model, governed.target()), time.time() + 1) is None
    assert list(emergencies.counted(0)) == []
