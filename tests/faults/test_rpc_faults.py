"""Every fault of a JSON-RPC endpoint, once, through the whole product: nothing lost or doubled.

A host's events go by recorder, relay and anchor, and an approver is seated by the registry's
client; both meet the fault. The oracle then asks the real node.
"""

from __future__ import annotations

import pytest

from chain_client.testing.faulty_node import (
    CLIENTS,
    WORDINGS,
    BaseFeeSpike,
    ConnectionReset,
    Delayed,
    DeliveredTwice,
    DroppedTransaction,
    FaultPlan,
    FaultyNode,
    HtmlPage,
    Lagging,
    LimitExceeded,
    NoReply,
    PartialBatch,
    Refused,
    Reordered,
    ReplyTwice,
    Rule,
    StaleReply,
    StalledFinality,
    TooManyRequests,
    TruncatedJson,
    on,
)
from tests.faults.chain_home import World
from tests.faults.oracle import judged

SEND, RECEIPT = "eth_sendRawTransaction", "eth_getTransactionReceipt"

FAULTS: dict[str, tuple[Rule, ...]] = {
    "the reply to a send is lost": (on(SEND, fault=ConnectionReset(forwarded=True)),),
    "a send does not arrive": (on(SEND, fault=ConnectionReset()),),
    "the reply to a send never comes": (on(SEND, fault=NoReply(hold_s=4)),),
    "every seventh request is reset": tuple(
        on(fault=ConnectionReset(forwarded=skip % 2 == 0), skip=skip) for skip in range(0, 42, 7)
    ),
    "sends and replies come twice": (
        on(SEND, fault=DeliveredTwice(), times=2),
        on(fault=ReplyTwice(), times=30),
    ),
    "replies come for other requests": (on(fault=StaleReply(), times=4),),
    "replies are late, batches partial": (
        on(fault=Delayed(0.1, after=True), times=5),
        on(fault=PartialBatch(), times=None),
    ),
    "a send comes after later requests": (on(SEND, fault=Reordered(by=4, hold_s=1)),),
    "proxies answer with pages": (
        on(SEND, fault=HtmlPage(200, forwarded=True)),
        on(SEND, fault=HtmlPage(502, forwarded=True), skip=1),
        on(SEND, fault=HtmlPage(503), skip=2),
        *(on(RECEIPT, fault=HtmlPage(s), skip=i) for i, s in enumerate((200, 502, 503))),
    ),
    "JSON is truncated": (
        on(SEND, fault=TruncatedJson(0.7)),
        on(fault=TruncatedJson(0.3), times=3),
    ),
    "the node has enough of us": (
        on(SEND, fault=TooManyRequests(1)),
        on(SEND, fault=LimitExceeded(), skip=1),
        on(RECEIPT, fault=TooManyRequests(1, as_date=True)),
        on(RECEIPT, fault=LimitExceeded(1), skip=1),
    ),
    "transactions are swallowed and dropped": (
        on(SEND, fault=DroppedTransaction()),
        on(SEND, fault=DroppedTransaction(forwarded=True), skip=1),
    ),
    "the base fee rises twentyfold": (on(SEND, fault=BaseFeeSpike(20)),),
    "the node lags by five blocks": (on(fault=Lagging(blocks=5), times=40),),
    "the node stands still": (on(fault=Lagging(), times=25),),
    "finality stalls": (on(fault=StalledFinality(), times=30),),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_loses_and_doubles_nothing(world: World, name: str) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node):
        through(world, node, *FAULTS[name])
        assert node.journal.injections


@pytest.mark.parametrize("client", CLIENTS)
def test_the_words_of_a_client_lose_and_double_nothing(world: World, client: str) -> None:
    words = [on(SEND, fault=Refused(k, client), skip=i) for i, k in enumerate(sorted(WORDINGS))]
    with FaultyNode(world.anvil.url) as node, judged(world, node), world.opened(node.url) as home:
        node.follow(*words)
        world.appoint(home)
        world.appoint(home)
        world.record(home)
        world.relay(home)
        assert node.journal.injected(Refused) == len(words)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100))
def test_pairs_of_faults_lose_and_double_nothing(world: World, seed: int) -> None:
    plan = FaultPlan.from_seed(seed)
    with FaultyNode(world.anvil.url, FaultPlan(seed=seed)) as node, judged(world, node):
        through(world, node, *plan.rules)


def through(world: World, node: FaultyNode, *rules: Rule) -> None:
    """Let an approver be seated and events be anchored, each through the faults."""
    with world.opened(node.url, ledger_timeout_s=1.5) as client:
        node.follow(*rules)
        world.appoint(client)
        world.record(client)
        node.follow(*rules)
        world.relay(client)
        node.follow()
