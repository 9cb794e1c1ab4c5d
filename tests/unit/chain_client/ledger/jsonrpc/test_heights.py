"""Endpoints that lag, stand still, or claim to be ahead: none holds up the others for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.ledger import JsonRpcLedger
from chain_client.ledger.jsonrpc.endpoints import CHECK_S
from chain_client.ledger.jsonrpc.finality import GIVE_UP_S
from chain_client.ledger.jsonrpc.heights import FRESH_S, STILL_S
from chain_client.ledger.jsonrpc.second_look import LATE_S
from chain_client.types import Address, TxHash
from tests.scripted_node import HEAD, HangUp, ScriptedNode, block, hash_of

Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]

ANYBODY = Address(b"\x0c" * 20)
TX = TxHash(b"\x07" * 32)
BLOCK_S = 12


class Clock(Protocol):
    now_s: float


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain_client.ledger.jsonrpc.second_look.PATIENCE_S", 0.05)


def die(node: ScriptedNode) -> None:
    for method in ("eth_chainId", "eth_blockNumber", "eth_getBlockByNumber", "eth_getBalance"):
        node.answers[method] = HangUp()


def look_of(ledger: JsonRpcLedger) -> str | None:
    return ledger.second_look.last_kind


def go_on(clock: Clock, *nodes: ScriptedNode, blocks: int = 1) -> None:
    """The nodes get blocks, and time passes."""
    clock.now_s += BLOCK_S * blocks
    for node in nodes:
        node.head += blocks
        node.final += blocks


def test_a_height_that_one_endpoint_alone_showed_bars_the_others_for_a_while_only(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    one, _ = nodes
    ledger = connect(*nodes)
    one.head = 10**9
    ledger.block()
    die(one)
    with pytest.raises(LedgerUnavailable, match="lags behind: it is at block 100"):
        ledger.balance_wei(ANYBODY)
    clock.now_s += FRESH_S - 1
    with pytest.raises(LedgerUnavailable, match="lags behind"):
        ledger.balance_wei(ANYBODY)
    clock.now_s += 2
    assert ledger.balance_wei(ANYBODY) == 5
    with pytest.raises(InvalidInput, match=f"no block {10**9} yet; the newest is {HEAD}"):
        ledger.block(10**9)


def test_closing_forgets_what_was_shown(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    ledger = connect(*nodes)
    one.head = 10**9
    ledger.block()
    die(one)
    ledger.close()
    assert ledger.balance_wei(ANYBODY) == 5


def test_who_lacks_a_block_that_two_endpoints_call_final_lags_however_much_time_passes(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    one, other = nodes
    ledger = connect(*nodes)
    final = ledger.block("finalized").number
    die(one)
    other.head = final - 1  # such as a node that was put back from a copy
    clock.now_s += 10 * FRESH_S
    with pytest.raises(LedgerUnavailable, match=f"lags behind: it is at block {final - 1}"):
        ledger.balance_wei(ANYBODY)
    other.head = final
    assert ledger.balance_wei(ANYBODY) == 5


def test_what_a_second_look_sees_of_another_height_bars_nobody(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    one, other = nodes
    other.head = 10**9
    ledger = connect(*nodes)
    ledger.block("finalized")
    go_on(clock, one, blocks=int(CHECK_S))
    assert ledger.balance_wei(ANYBODY) == 5
    assert other.counts()["eth_getBalance"] == 0


def test_finality_goes_on_without_a_second_endpoint_that_stands_still(
    nodes: Nodes, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, other = nodes
    ledger = connect(*nodes)
    stuck = ledger.block("finalized").number
    for _ in range(int(STILL_S / BLOCK_S)):
        go_on(clock, one)
        assert ledger.block("finalized").number == stuck
    for _ in range(3):
        go_on(clock, one)
        found = ledger.block("finalized").number
    assert found == one.final
    assert look_of(ledger) == "none"
    told = f"{other.url} stands still at block {HEAD}, and"
    assert len([line for line in caplog.messages if told in line]) == 1
    go_on(clock, one)
    other.head, other.final = one.head, one.final
    clock.now_s += 10
    assert ledger.block("finalized").number == one.final
    assert look_of(ledger) == "endpoint"


@pytest.mark.parametrize("mode", ["auto", "endpoint"])
def test_a_receipt_needs_no_endpoint_that_stands_still_unless_one_is_demanded(
    nodes: Nodes, connect: Connect, clock: Clock, mode: str
) -> None:
    one, other = nodes
    one.answers["eth_getTransactionReceipt"] = {
        "transactionHash": "0x" + TX.hex(),
        "blockNumber": hex(HEAD + 1),
        "blockHash": hash_of(HEAD + 1),
        "status": "0x1",
        "gasUsed": "0x5208",
        "logs": [],
    }
    other.answers["eth_getTransactionReceipt"] = None
    ledger = connect(*nodes, second_look=mode)
    for _ in range(int(STILL_S / BLOCK_S)):
        go_on(clock, one)
        with pytest.raises(LedgerUnavailable, match="does not, or not yet"):
            ledger.receipt(TX)
    clock.now_s += 2 * BLOCK_S
    if mode == "auto":
        assert ledger.receipt(TX) is not None
    else:
        with pytest.raises(LedgerUnavailable, match="no other endpoint can be asked"):
            ledger.receipt(TX)


def test_an_endpoint_that_is_behind_and_moves_is_heard(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    one, other = nodes
    one.head, one.final = 10**6, 10**6 - 10  # a lie, perhaps
    ledger = connect(*nodes)
    for _ in range(20):
        go_on(clock, one, other)
        assert ledger.block("finalized").number == other.final


def test_a_contradiction_blocks_however_long_it_lasts(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    one, other = nodes
    other.answers["eth_getBlockByNumber"] = lambda params: block(other.final, b"other")
    ledger = connect(*nodes)
    for _ in range(20):
        go_on(clock, one, other)
        with pytest.raises(LedgerUnavailable, match="contradict each other"):
            ledger.block("finalized")


def test_a_first_endpoint_that_stands_still_makes_way(
    nodes: Nodes, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, other = nodes
    ledger = connect(*nodes)
    ledger.block("finalized")
    for _ in range(int(3 * CHECK_S / BLOCK_S) + 1):
        go_on(clock, other)
        found = ledger.block("finalized").number
    assert found == other.final
    assert f"{one.url} stands still at block {HEAD}" in caplog.text
    assert f"now asked at {other.url}" in caplog.text


def test_a_chain_that_stands_still_is_nobodys_fault(
    nodes: Nodes, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ledger = connect(*nodes)
    for _ in range(20):
        clock.now_s += BLOCK_S
        ledger.block("finalized")
        ledger.block()
    assert ledger.second_look.last_kind == "endpoint"
    assert not caplog.messages


def test_finality_that_another_endpoint_holds_back_is_told_once(
    nodes: Nodes, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    one, other = nodes
    ledger = connect(*nodes)
    final = other.final
    for _ in range(int(2 * LATE_S / BLOCK_S)):
        go_on(clock, one, other)
        other.final = final
        assert ledger.block("finalized").number == final
    (warning,) = caplog.messages
    assert f"for {other.url}, nothing after block {final} has become final" in warning


def show_final(node: ScriptedNode, number: int, salt: bytes) -> None:
    """The node makes up a final block."""

    def answer(params: list[Any]) -> Any:
        if params[0] in ("finalized", hex(number)):
            return block(number, salt)
        return ScriptedNode.eth_getBlockByNumber(node, params)

    node.answers["eth_getBlockByNumber"] = answer


@pytest.mark.parametrize("number", [HEAD - 5, HEAD + 100])
def test_a_final_block_that_was_made_up_is_given_up_when_nothing_shows_it(
    nodes: Nodes, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    one, _ = nodes
    ledger = connect(one)
    show_final(one, number, b"made up")
    assert ledger.block("finalized").number == number
    del one.answers["eth_getBlockByNumber"]
    one.final = HEAD - 3
    for _ in range(int(GIVE_UP_S / BLOCK_S)):
        with pytest.raises(LedgerUnavailable, match=r"lags behind|shows another block"):
            ledger.block("finalized")
        clock.now_s += BLOCK_S
    assert ledger.block("finalized").number == HEAD - 3
    assert f"block {number} was shown as final by one endpoint alone" in caplog.text


def test_a_final_block_that_two_endpoints_confirmed_is_never_given_up(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    ledger = connect(*nodes)
    final = ledger.block("finalized").number
    for node in nodes:
        show_final(node, final, b"replaced")
    for _ in range(3):
        with pytest.raises(LedgerUnavailable, match="shows another block"):
            ledger.block("finalized")
        clock.now_s += GIVE_UP_S


@pytest.mark.parametrize("lie", ["0x7", "0x0"])
def test_a_final_nonce_is_looked_at_twice(nodes: Nodes, connect: Connect, lie: str) -> None:
    one, _ = nodes
    asked: list[Any] = []

    def count(params: list[Any]) -> str:
        asked.append(params[1])
        return "0x5"

    for node in nodes:
        node.answers["eth_getTransactionCount"] = count
    ledger = connect(*nodes)
    assert [ledger.nonce(ANYBODY, "finalized") for _ in range(2)] == [5, 5]
    assert asked == [hex(HEAD - 10)] * 3
    one.answers["eth_getTransactionCount"] = lie
    with pytest.raises(LedgerUnavailable, match="contradict each other about the nonce"):
        ledger.nonce(ANYBODY, "finalized")


def test_who_is_far_behind_is_told_at_a_single_look(nodes: Nodes, connect: Connect) -> None:
    one, other = nodes
    ledger = connect(*nodes)
    assert ledger.late_endpoints() == []
    one.head += 5  # of 10 s each: not much
    assert ledger.late_endpoints() == []
    one.head += 5
    (late,) = ledger.late_endpoints()
    assert late.startswith(f"{other.url} is 10 blocks (100 s) behind {one.url}")
    die(other)
    assert connect(*nodes).late_endpoints() == []
