"""The one oracle of the faults suite.

Every acknowledged event is provable exactly once and final, nothing was sent twice, and the host
equals the log. It asks the real node, past all faults, and believes neither relay nor queue.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import text

from chain_client import ChainClient
from chain_client.event_codec import decode_event
from chain_client.events import APPLIED
from chain_client.hosts import Scope
from chain_client.ledger.event_log import Head
from chain_client.merkle.verification import verify_inclusion
from chain_client.testing.faulty_node import FaultyNode
from chain_client.types import EventId, LeafHash, to_hex
from chain_client.verify import Evidence, Verdict, read_spooled, verify
from tests.faults.chain_home import PATIENCE_S, World, until
from tests.faults.toy_host import Toy, ToyHost
from tests.running_nodes import RunningNode

STANDING_ALARMS = ("chain", "head", "reorg", "foreign_nonce", "fee_cap_reached")
"""None of these may stand once the faults have ended and all is well."""


@contextmanager
def judged(world: World, *nodes: FaultyNode) -> Iterator[None]:
    """Do something under faults, then `assert_all_is_well`; a failure names plans and seeds."""
    try:
        yield
        let_reorgs_end(world)
        assert_all_is_well(world)
    except BaseException as exc:
        exc.add_note("\n".join(repr(node) for node in nodes))
        raise


def let_reorgs_end(world: World) -> None:
    """A relay sees what other keys sent through; it has no work of its own while that takes."""

    def stands(client: ChainClient) -> bool:
        return any(alarm.kind == "reorg" for alarm in client.log.alarms())

    with world.opened() as client:
        if stands(client):
            with world.relaying(client):
                until(lambda: not stands(client), "what the reorg touched is final")


def assert_all_is_well(world: World) -> None:
    """See that nothing was lost, doubled, or believed that is not so."""
    with world.opened() as client:
        head = final_head(client)
        assert head.size == client.log.size() == client.contract.head(client.deployment.log_id).size
        assert_events_are_provable_once(client, head, world.acknowledged)
        assert_nothing_was_sent_twice(world.anvil, client, head)
        _assert_host_equals_log(world, client)
        for account in world.approvers:
            group = client.registry.group_id("risk")
            assert client.model_registry.is_approver(group, account)
        standing = [alarm for alarm in client.log.alarms() if alarm.kind in STANDING_ALARMS]
        assert standing == []


def final_head(client: ChainClient, patience_s: float = PATIENCE_S) -> Head:
    """The chain's final head, once blocks enough are on top of the last one."""
    deadline = time.monotonic() + patience_s
    log_id = client.deployment.log_id
    while True:
        head = client.contract.head(log_id, at="finalized")
        if head.size == client.contract.head(log_id).size or time.monotonic() > deadline:
            return head
        time.sleep(0.05)


def assert_events_are_provable_once(
    client: ChainClient, head: Head, acknowledged: Sequence[EventId]
) -> None:
    """Each event of the log is there once, with a proof; nothing acknowledged is missing."""
    entries = [entry for entry in client.log.entries() if entry.event is not None]
    found = Counter(decode_event(entry.event).event_id for entry in entries if entry.event)
    assert max(found.values(), default=1) == 1, "an event stands in the log twice"
    missing = [event_id for event_id in acknowledged if event_id not in found]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged events are lost"
    for entry in entries:
        proof = client.log.inclusion_proof(entry.index, head.size)
        verify_inclusion(entry.leaf_hash, entry.index, head.size, proof, head.root)
    for entry in entries[-1:]:  # the contract agrees with our own verification
        proof = client.log.inclusion_proof(entry.index, head.size)
        leaf = LeafHash(entry.leaf_hash)
        assert client.contract.verify_inclusion(client.deployment.log_id, leaf, entry.index, proof)


def assert_nothing_was_sent_twice(node: RunningNode, client: ChainClient, head: Head) -> None:
    """On chain each purpose has one transaction, each nonce of ours is used, and heads grow."""
    with client.log.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT id, sender, nonce, purpose, tx_hash, status FROM transactions ORDER BY id")
        ).all()
        attempts = connection.execute(text("SELECT transaction_id, tx_hash FROM attempts")).all()
    for purpose, count in Counter(row.purpose for row in rows).items():
        assert count == 1, f"{purpose} has {count} transactions"
    on_chain = _transactions_on_chain(node, {to_hex(row.sender) for row in rows})
    for sender in {row.sender for row in rows}:
        mine = sorted((row for row in rows if row.sender == sender), key=lambda row: row.nonce)
        assert [row.nonce for row in mine] == list(range(len(mine)))
        included = on_chain[to_hex(sender)]
        assert sorted(int(tx["nonce"], 16) for tx in included) == [row.nonce for row in mine]
        # What only uses up a nonce has no input.
        payloads = Counter((tx["to"], tx["input"]) for tx in included if tx["input"] != "0x")
        assert max(payloads.values(), default=1) == 1, f"one call is on chain twice: {payloads}"
    hashes = {tx["hash"] for included in on_chain.values() for tx in included}
    for row in rows:
        ours = {to_hex(row.tx_hash)}
        ours |= {to_hex(one.tx_hash) for one in attempts if one.transaction_id == row.id}
        assert len(ours & hashes) == 1, f"{row.purpose} is on chain {len(ours & hashes)} times"
    sizes = [
        anchored.head.size
        for anchored in client.contract.heads(
            client.deployment.log_id, client.deployment.block_number, node.block_number()
        )
    ]
    assert sizes == sorted(set(sizes))
    assert sizes[-1:] == ([head.size] if head.size else [])
    anchors = [row for row in rows if row.purpose.startswith("anchor:")]
    assert len(anchors) == len(sizes)
    statuses = {row.status for row in anchors}
    assert statuses <= {"included", "finalized"}, statuses


def _transactions_on_chain(node: RunningNode, senders: set[str]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {sender: [] for sender in senders}
    for number in range(node.block_number() + 1):
        block = node.rpc("eth_getBlockByNumber", hex(number), True)
        for tx in block["transactions"]:
            if tx["from"] in found:
                receipt = node.rpc("eth_getTransactionReceipt", tx["hash"])
                assert receipt["status"] == "0x1", f"a transaction of ours failed: {tx}"
                found[tx["from"]].append(tx)
    return found


def _assert_host_equals_log(world: World, client: ChainClient) -> None:
    if world.acknowledged:
        toy = Toy(world.database)
        committed = Counter(toy.trace())
        toy.close()
        entries = (decode_event(e.event) for e in client.log.entries() if e.event is not None)
        events = [e for e in entries if e.type == "item.put"]
        claimed = Counter(
            (e.subject.id, str(e.payload["value"])) for e in events if e.status in APPLIED
        )
        assert claimed == committed
    report = verify(
        Evidence(
            client.deployment,
            client.ledger,
            client.log,
            lambda: read_spooled(client.folder.spool, client.log),
            client.folder.bindings(),
            lambda name: ToyHost(),
            salt=lambda: client.salt,
        ),
        Scope(),
        lambda what, done, total: None,
    )
    assert report.verdict is Verdict.HOLDS, report.to_json()
