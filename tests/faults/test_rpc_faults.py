"""Every fault of a JSON-RPC endpoint, once, through the whole product: nothing lost or doubled.

A host's events go by recorder, relay and anchor, and an approver is seated by the registry's
client; both meet the fault. The oracle then asks the real node.
"""

from __future__ import annotations

import pytest

from chain_client.testing.faulty_node import (
    CLIENTS,
    BaseFeeSpike,
    ConnectionReset,
    Delayed,
    DeliveredTwice,
    DroppedTransaction,
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
    "a send is delivered twice": (on(SEND, fault=DeliveredTwice(), times=2),),
    "replies come twice": (on(fault=ReplyTwice(), times=30),),
    "replies come for other requests": (on(fault=StaleReply(), times=6),),
    "replies are late": (on(fault=Delayed(0.1, after=True), times=5),),
    "a send comes after later requests": (on(SEND, fault=Reordered(by=4, hold_s=1)),),
    "batches are partial": (on(fault=PartialBatch(), times=None),),
    "a page with 200": (on(SEND, fault=HtmlPage(200, forwarded=True)), on(fault=HtmlPage(200))),
    "a page with 502": (on(SEND, fault=HtmlPage(502, forwarded=True)), on(fault=HtmlPage(502))),
    "a page with 503": (on(SEND, fault=HtmlPage(503)), on(RECEIPT, fault=HtmlPage(503))),
    "truncated JSON": (on(SEND, fault=TruncatedJson(0.7)), on(fault=TruncatedJson(0.3), times=3)),
    "429 with seconds": (on(SEND, fault=TooManyRequests(1)), on(RECEIPT, fault=TooManyRequests(1))),
    "429 with a date": (on(SEND, fault=TooManyRequests(1, as_date=True)),),
    "-32005": (on(SEND, fault=LimitExceeded()), on(RECEIPT, fault=LimitExceeded(1))),
    "a transaction is swallowed": (on(SEND, fault=DroppedTransaction()),),
    "a transaction is dropped": (on(SEND, fault=DroppedTransaction(forwarded=True)),),
    "the base fee rises twentyfold": (on(SEND, fault=BaseFeeSpike(20)),),
    "the node lags by five blocks": (on(fault=Lagging(blocks=5), times=60),),
    "the node stands still": (on(fault=Lagging(), times=40),),
    "finality stalls": (on(fault=StalledFinality(), times=60),),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_loses_and_doubles_nothing(world: World, name: str) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node):
        through(world, node, *FAULTS[name])
        assert node.journal.injections or "batch" in name


@pytest.mark.parametrize("client", CLIENTS)
def test_the_words_of_a_client_lose_and_double_nothing(world: World, client: str) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node):
        for kind in ("already_known", "nonce_too_low", "underpriced"):
            through(world, node, on(SEND, fault=Refused(kind, client)))
            assert node.journal.injected(Refused)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100))
def test_pairs_of_faults_lose_and_double_nothing(world: World, seed: int) -> None:
    from chain_client.testing.faulty_node import FaultPlan

    plan = FaultPlan.from_seed(seed)
    with FaultyNode(world.anvil.url, FaultPlan(seed=seed)) as node, judged(world, node):
        through(world, node, *plan.rules)


def through(world: World, node: FaultyNode, *rules: Rule) -> None:
    """Let an approver be seated and events be anchored, each through the faults."""
    with world.opened(node.url) as client:
        node.follow(*rules)
        world.appoint(client)
        world.record(client)
        node.follow(*rules)
        world.relay(client)
        node.follow()
