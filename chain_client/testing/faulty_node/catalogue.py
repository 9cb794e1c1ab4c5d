"""Kinds of faults that a plan from a seed chooses from."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from chain_client.testing.faulty_node.chain_faults import BaseFeeSpike, DroppedTransaction, Reorg
from chain_client.testing.faulty_node.fault import Fault
from chain_client.testing.faulty_node.refusals import CLIENTS, LimitExceeded, Refused
from chain_client.testing.faulty_node.transport import (
    ConnectionReset,
    Delayed,
    DeliveredTwice,
    HtmlPage,
    PartialBatch,
    Reordered,
    ReplyTwice,
    StaleReply,
    TooManyRequests,
    TruncatedJson,
)
from chain_client.testing.faulty_node.views import Lagging, StalledFinality

SENDING = frozenset({"eth_sendRawTransaction"})
"""Where a transaction is handed in."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault, and how a seed chooses its details.

    Args:
        make: gives a fault.
        methods: which requests it is about; empty for all.
        most: how often it happens at most.
    """

    make: Callable[[random.Random], Fault]
    methods: frozenset[str] = frozenset()
    most: int = 3


RECOVERABLE: tuple[Kind, ...] = (
    Kind(lambda r: ConnectionReset(forwarded=r.random() < 0.5)),
    Kind(lambda r: ConnectionReset(forwarded=True), SENDING),
    Kind(lambda r: Delayed(r.uniform(0.05, 0.5), after=r.random() < 0.5)),
    Kind(lambda r: Reordered(by=r.randint(1, 4)), SENDING),
    Kind(lambda r: DeliveredTwice(r.choice(["first", "second"])), SENDING),
    Kind(lambda r: ReplyTwice()),
    Kind(lambda r: StaleReply()),
    Kind(lambda r: HtmlPage(r.choice([200, 502, 503]), forwarded=r.random() < 0.5)),
    Kind(lambda r: TruncatedJson(r.uniform(0, 0.99))),
    Kind(lambda r: TooManyRequests(1, as_date=r.random() < 0.5)),
    Kind(lambda r: PartialBatch()),
    Kind(lambda r: LimitExceeded(r.choice([None, 1]))),
    Kind(lambda r: Refused("already_known", r.choice(CLIENTS)), SENDING),
    Kind(lambda r: Refused("nonce_too_low", r.choice(CLIENTS)), SENDING, most=1),
    Kind(lambda r: Refused("underpriced", r.choice(CLIENTS)), SENDING, most=1),
    Kind(lambda r: DroppedTransaction(forwarded=r.random() < 0.5), SENDING),
    Kind(lambda r: Lagging(blocks=r.randint(1, 5)), most=20),
    Kind(lambda r: StalledFinality(), most=20),
    Kind(lambda r: Reorg(r.choice([1, 2, 3]), r.choice(["kept", "dropped"])), most=1),
    Kind(lambda r: BaseFeeSpike(20), most=1),
)
"""What a client has to survive with nothing lost and nothing doubled, once the faults end."""
