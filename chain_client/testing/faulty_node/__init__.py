"""A JSON-RPC node that goes wrong: an HTTP server in front of a real node, which injects faults.

For tests of whatever talks to an EVM chain, also by authors of plugins::

    script = FaultPlan.of(
        on("eth_sendRawTransaction", fault=ConnectionReset(forwarded=True)),  # the reply is lost
        on("eth_getTransactionReceipt", fault=HtmlPage(503), times=2),
    )
    with FaultyNode("http://127.0.0.1:8545", script) as node:
        ...  # a client of node.url
        print(node.journal)

`FaultPlan.from_seed` chooses faults by a seed; every text about a plan names it. A fault of your
own is a frozen dataclass below `Fault` with a method ``inject``.
"""

from __future__ import annotations

from chain_client.testing.faulty_node.catalogue import RECOVERABLE, SENDING, Kind
from chain_client.testing.faulty_node.chain_faults import (
    BaseFeeSpike,
    DroppedTransaction,
    Reorg,
    Snapshot,
)
from chain_client.testing.faulty_node.exchange import Answer, Request, Response, RpcCall
from chain_client.testing.faulty_node.fault import Fault, Passage
from chain_client.testing.faulty_node.journal import Injection, Journal
from chain_client.testing.faulty_node.node import FaultyNode
from chain_client.testing.faulty_node.plan import FaultPlan, Rule, on
from chain_client.testing.faulty_node.refusals import (
    CLIENTS,
    WORDINGS,
    ErrorReply,
    LimitExceeded,
    Refused,
)
from chain_client.testing.faulty_node.transport import (
    ConnectionReset,
    Delayed,
    DeliveredTwice,
    HtmlPage,
    NoReply,
    PartialBatch,
    Reordered,
    ReplyTwice,
    StaleReply,
    TooManyRequests,
    TruncatedJson,
)
from chain_client.testing.faulty_node.views import (
    FakeCall,
    FakeHead,
    FakeReceipt,
    Lagging,
    StalledFinality,
    WrongChain,
)

__all__ = [
    "CLIENTS",
    "RECOVERABLE",
    "SENDING",
    "WORDINGS",
    "Answer",
    "BaseFeeSpike",
    "ConnectionReset",
    "Delayed",
    "DeliveredTwice",
    "DroppedTransaction",
    "ErrorReply",
    "FakeCall",
    "FakeHead",
    "FakeReceipt",
    "Fault",
    "FaultPlan",
    "FaultyNode",
    "HtmlPage",
    "Injection",
    "Journal",
    "Kind",
    "Lagging",
    "LimitExceeded",
    "NoReply",
    "PartialBatch",
    "Passage",
    "Refused",
    "Reordered",
    "Reorg",
    "ReplyTwice",
    "Request",
    "Response",
    "RpcCall",
    "Rule",
    "Snapshot",
    "StaleReply",
    "StalledFinality",
    "TooManyRequests",
    "TruncatedJson",
    "WrongChain",
    "on",
]
