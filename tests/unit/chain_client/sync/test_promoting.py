"""The relay's pass promotes what people approved: whose text is true, in order, whatever fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from chain_client.events import Actor, Json, Subject
from chain_client.hosts import ModelIncarnation, load_host
from chain_client.ledger.base import Call
from chain_client.registry import documents
from chain_client.registry.proposals import ProposalDocument, ProposalNames
from chain_client.registry.summaries import complete_proposal, new_salt_line
from chain_client.registry.targets import Target
from chain_client.sync import promoting
from chain_client.sync.syncing import ALARM, Syncer
from chain_client.types import Digest, to_hex
from tests.embedded_chains import transact
from tests.unit.chain_client.registry.office import ALICE, BOB, CAROL, CHAMPION, FRAUD, Office


class Nowhere:
    """Records that no relay ever takes to the log."""

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = Actor(),  # noqa: B008 - frozen
        required: bool = False,
    ) -> None:
        """Lose it."""


@pytest.fixture
def syncer(office: Office) -> Iterator[Syncer]:
    """What a relay runs, in a home without any database."""
    chain = office.chain
    found = Syncer(
        chain.settings, chain.deployment, chain.ledger, chain.log, load_host, lambda: office.records
    )
    yield found
    found.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is waited for."""
    monkeypatch.setattr(promoting, "_YOUNG_S", -1.0)


def approve(office: Office, document: ProposalDocument) -> None:
    """By two; straight by the contract, and nobody promotes."""
    for key in (BOB, CAROL):
        call = office.client.contract.approve_call(document.fields)
        assert transact(office.chain.ledger, key, call).succeeded


def current(office: Office) -> int:
    client = office.client
    found = client.contract.current(client.model_id(FRAUD), client.target_id(CHAMPION))
    return found.version


def alarms(office: Office) -> list[str]:
    return [alarm.subject for alarm in office.log.alarms() if alarm.kind == ALARM]


def test_ready_proposals_are_promoted_in_the_order_in_which_they_were_made(
    office: Office, syncer: Syncer
) -> None:
    # Of several, at least one pair is made in another order than that of its ids.
    made = [office.propose(version) for version in range(1, 6)]
    ids = [document.id for document in made]
    number = 6
    while ids == sorted(ids):
        made.append(office.propose(number))
        ids, number = [document.id for document in made], number + 1
    for document in made:
        approve(office, document)
    report = syncer.run()
    assert report.troubles == []
    assert report.promoted == ids
    assert current(office) == made[-1].version


def test_one_that_the_chain_refuses_at_last_stops_no_other(
    office: Office, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = office.propose(1), office.propose(2)
    for document in (first, second):
        approve(office, document)
    send: Callable[[Call, str], object] = syncer._send

    def late(call: Call, action: str) -> object:
        """The requester withdraws the first at the very last moment."""
        if call == office.client.contract.promote_call(first.fields):
            office.client.withdraw(first, signer=ALICE)
        return send(call, action)

    monkeypatch.setattr(syncer, "_send", late)
    report = syncer.run()
    assert report.promoted == [second.id]
    assert [trouble.subject for trouble in report.troubles] == [f"proposal {to_hex(first.id)}"]
    assert current(office) == 2
    assert syncer.run().troubles == []


@pytest.mark.usefixtures("impatient")
def test_a_text_that_lies_is_never_promoted(office: Office, syncer: Syncer) -> None:
    office.register(6)
    true = office.write(6)
    toy = ModelIncarnation(FRAUD.store_id, "", "toy", FRAUD.creation_ms)
    names = ProposalNames(toy, Target.parse("@sandbox"), Digest(b"\1" * 32), "alice")
    lie = complete_proposal(true.domain, true.fields, names, true.terms, new_salt_line())
    call = office.client.contract.propose_call(lie.fields)
    assert transact(office.chain.ledger, ALICE, call).succeeded
    documents.note_document(office.records, lie)
    approve(office, lie)
    good = office.propose(7)
    approve(office, good)
    report = syncer.run()
    assert report.promoted == [good.id]
    (trouble,) = report.troubles
    assert "says something else than what would be promoted" in trouble.text
    assert alarms(office) == [f"proposal {to_hex(lie.id)}"]
    assert current(office) == 7


def test_an_unknown_text_is_waited_for_then_told_and_can_be_brought(
    office: Office, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, office.records = office.records, Nowhere()  # type: ignore[assignment]
    document = office.propose(1)
    office.records = kept
    approve(office, document)
    report = syncer.run()
    assert report.promoted == []
    assert "the log does not hold the text" in report.troubles[0].text
    assert alarms(office) == []
    assert report.due_s is not None
    assert report.due_s < time.time() + 5
    monkeypatch.setattr(promoting, "_YOUNG_S", -1.0)
    assert syncer.run().promoted == []
    assert alarms(office) == [f"proposal {to_hex(document.id)}"]
    office.client.propose(document, signer=ALICE)
    assert syncer.run().promoted == [document.id]
    assert alarms(office) == []
