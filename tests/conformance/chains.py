"""The ledgers that the conformance suite runs on, and what is found out about each of them.

``python -m tests.conformance`` prints it as a table and ``make ledgers`` writes that into
``docs/reference/ledgers.md``; a test sees that it is still true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from chain_client.errors import HistoryMissing, LedgerUnavailable
from chain_client.ledger import Call, JsonRpcLedger, Ledger
from chain_client.ledger.jsonrpc import parse_endpoints
from chain_client.ledger.jsonrpc.address import EndpointAddress
from chain_client.ledger.jsonrpc.probe import probe
from chain_client.testing.ledger_suite import NOWHERE, sign
from tests.embedded_chains import OWNER, make_chain
from tests.running_nodes import RunningNode, running_anvil, running_hardhat

T = TypeVar("T")

OLD_BLOCKS = 300


@dataclass(frozen=True)
class Facts:
    """One row of the table, below `TITLES`."""

    ledger: str
    client: str
    fees: str
    final: str
    one_endpoint: str
    two_endpoints: str
    past: str
    batches: str


TITLES = (
    "Ledger",
    "Calls itself",
    "Fees",
    "A block is final",
    "Second look by one endpoint",
    "by two",
    "Past state",
    "Batches",
)
_KINDS = {"proof": "proof", "endpoint": "the other endpoint", "none": "none", None: "none"}


def wait_for(look: Callable[[], T | None], patience_s: float = 10) -> T:
    """What ``look`` finds, as soon as it does."""
    deadline = time.monotonic() + patience_s
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def endpoints_at(url: str, count: int = 1) -> list[EndpointAddress]:
    """So many endpoints of one node, by different names."""
    names = [url, url.replace("127.0.0.1", "localhost")]
    return parse_endpoints(",".join(names[:count]))


def all_facts(folder: Path) -> Iterator[Facts]:
    """Find out about every ledger, in the order of the table."""
    yield _embedded(folder / "chain.db")
    nodes: list[tuple[str, Any]] = [
        ("anvil", running_anvil(funded=[OWNER.address()])),
        (
            "anvil, as before London",
            running_anvil("--hardfork", "berlin", funded=[OWNER.address()]),
        ),
        ("anvil, no archive", running_anvil("--prune-history", "5", funded=[OWNER.address()])),
        ("hardhat", running_hardhat(funded=[OWNER.address()])),
    ]
    for name, running in nodes:
        with running as node:
            yield _of_node(name, node)


def to_table(rows: list[Facts]) -> str:
    """As Markdown."""
    lines = ["| " + " | ".join(TITLES) + " |", "|" + "---|" * len(TITLES)]
    for row in rows:
        lines.append("| " + " | ".join(getattr(row, item.name) for item in fields(row)) + " |")
    return "\n".join(lines) + "\n"


def _embedded(path: Path) -> Facts:
    ledger = make_chain(path)
    ledger.send(sign(ledger, OWNER, Call(NOWHERE, b"")))
    is_final = ledger.block("finalized") == ledger.block()
    found = Facts(
        ledger="embedded",
        client="–",
        fees=_fees(ledger),
        final="at once" if is_final else "later",
        one_endpoint="needs none",
        two_endpoints="–",
        past=_past(ledger, 0),
        batches="–",
    )
    ledger.close()
    return found


def _of_node(name: str, node: RunningNode) -> Facts:
    with _connected(node, 1) as ledger:
        one = _second_look(ledger)
    with _connected(node, 2) as ledger:
        two = _second_look(ledger)
        node.mine(OLD_BLOCKS)
        report = probe(ledger.endpoints.all[0])
        past = _past(ledger, 1)
        assert report.is_archive == (past == "kept")
        return Facts(
            ledger=name,
            client=f"`{report.client}`",
            fees=_fees(ledger),
            final=_final(report.final_lag_blocks),
            one_endpoint=one,
            two_endpoints=two,
            past=past,
            batches="answered" if report.takes_batches else "refused",
        )


@contextmanager
def _connected(node: RunningNode, endpoints: int) -> Iterator[JsonRpcLedger]:
    ledger = JsonRpcLedger(endpoints_at(node.url, endpoints))
    try:
        yield ledger
    finally:
        ledger.close()


def _second_look(ledger: JsonRpcLedger) -> str:
    tx_hash = ledger.send(sign(ledger, OWNER, Call(NOWHERE, b"")))
    wait_for(lambda: ledger.receipt(tx_hash))
    return _KINDS[ledger.second_look.last_kind]


def _fees(ledger: Ledger) -> str:
    return "gas price" if ledger.fees().is_legacy else "EIP-1559"


def _final(lag_blocks: int | None) -> str:
    if lag_blocks is None:
        return "by `ledger.finality` only"
    return "at once (tag)" if lag_blocks == 0 else f"{lag_blocks} blocks later (tag)"


def _past(ledger: Ledger, number: int) -> str:
    try:
        ledger.call(Call(NOWHERE, b""), at=number)
    except (HistoryMissing, LedgerUnavailable):
        return "not kept"
    return "kept"
