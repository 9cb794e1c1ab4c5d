"""Several endpoints: each is checked before it is used, and what one showed the next must know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from chain_client.errors import (
    ContractMissing,
    HistoryMissing,
    InvalidInput,
    LedgerUnavailable,
    TransactionRejected,
    WrongChain,
)
from chain_client.ledger import Call, ExpectedChain, JsonRpcLedger
from chain_client.ledger.jsonrpc.endpoints import CHECK_S
from chain_client.signing import TransactionFields, sign_transaction
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest
from tests.embedded_chains import OWNER
from tests.scripted_node import (
    CHAIN_ID,
    HEAD,
    HangUp,
    Http,
    Refuse,
    ScriptedNode,
    block,
)

CONTRACT = Address(b"\x0c" * 20)
EXPECTED = ExpectedChain(CHAIN_ID, {CONTRACT: Digest(keccak256(b"\x60"))})
CHECK = ["eth_chainId", "eth_blockNumber", "eth_getCode"]
BALANCE = "eth_getBalance"


Connect = Callable[..., JsonRpcLedger]
Nodes = tuple[ScriptedNode, ScriptedNode]


class Clock(Protocol):
    now_s: float


@pytest.fixture
def connect(connect: Connect) -> Connect:
    """The same, with the contract that is expected there."""
    return lambda *nodes, **options: connect(*nodes, **{"expected": EXPECTED, **options})


def raw_for(chain_id: int = CHAIN_ID) -> bytes:
    fields = TransactionFields(chain_id, 0, 10, 1, 21_000, CONTRACT, b"")
    return sign_transaction(OWNER, fields).raw


def test_nothing_is_asked_before_the_chain_and_the_code_are_checked(
    nodes: Nodes, connect: Connect, clock: Clock
) -> None:
    ledger = connect(*nodes)
    assert nodes[0].asked == []
    for _ in range(2):
        assert ledger.balance_wei(CONTRACT) == 5
    assert nodes[0].asked == [*CHECK, BALANCE, BALANCE]
    clock.now_s += CHECK_S + 1
    nodes[0].head += 1  # else the others are asked whether it stands still
    ledger.balance_wei(CONTRACT)
    ledger.close()
    ledger.balance_wei(CONTRACT)
    assert nodes[0].asked[5:] == [*CHECK, BALANCE, *CHECK, BALANCE]
    assert nodes[1].asked == []


def test_the_next_endpoint_takes_over_after_its_own_check_and_keeps_on(
    nodes: Nodes, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = nodes
    ledger = connect(*nodes)
    ledger.balance_wei(CONTRACT)
    one.answers[BALANCE] = Http(502, b"<html>")
    assert ledger.balance_wei(CONTRACT) == 5
    assert other.asked == [*CHECK, BALANCE]
    assert f"now asked at {other.url}" in caplog.text
    del one.answers[BALANCE]
    count = len(one.asked)
    ledger.balance_wei(CONTRACT)
    assert len(one.asked) == count
    other.answers[BALANCE] = HangUp()
    one.answers[BALANCE] = "0x6"
    assert ledger.balance_wei(CONTRACT) == 6
    assert one.asked[count:] == [*CHECK, BALANCE]


def test_an_endpoint_that_was_right_just_now_is_checked_again_when_it_takes_over(
    nodes: Nodes, connect: Connect
) -> None:
    one, other = nodes
    ledger = connect(*nodes)
    ledger.balance_wei(CONTRACT)
    ledger.endpoints.check(ledger.endpoints.all[1])  # as for a second look
    other.answers["eth_chainId"] = "0x1"
    one.answers[BALANCE] = HangUp()
    with pytest.raises(LedgerUnavailable, match="is of chain 1"):
        ledger.balance_wei(CONTRACT)
    assert BALANCE not in other.asked


def test_all_that_failed_is_told_with_the_shortest_rest(nodes: Nodes, connect: Connect) -> None:
    for node, rest_s in zip(nodes, ("9", "4")):
        node.answers["eth_chainId"] = Http(429, b"", {"Retry-After": rest_s})
    with pytest.raises(LedgerUnavailable) as caught:
        connect(*nodes).balance_wei(CONTRACT)
    assert all(node.url in str(caught.value) for node in nodes)
    assert caught.value.retry_after_s == 4


@pytest.mark.parametrize(
    ("answers", "error", "text"),
    [
        ({"eth_chainId": "0x1"}, WrongChain, "is of chain 1, but chain 77 is expected"),
        ({"eth_getCode": "0x"}, ContractMissing, "there is no contract"),
        ({"eth_getCode": "0x6001"}, ContractMissing, "has the code"),
    ],
)
def test_a_wrong_endpoint_is_asked_nothing_and_sent_nothing_until_it_is_right(
    nodes: Nodes, connect: Connect, answers: dict[str, Any], error: type[Exception], text: str
) -> None:
    one, other = nodes
    one.answers |= answers
    ledger = connect(*nodes)
    assert ledger.balance_wei(CONTRACT) == 5
    ledger.send(raw_for())
    assert BALANCE not in one.asked
    assert one.sent == []
    other.answers |= answers
    ledger.close()
    for act in (
        ledger.block,
        ledger.fees,
        ledger.chain_id,
        lambda: ledger.balance_wei(CONTRACT),
        lambda: ledger.send(raw_for()),
        lambda: ledger.call(Call(CONTRACT, b"")),
    ):
        with pytest.raises(error, match=text):
            act()
    assert one.sent == []
    assert set(one.asked) <= set(CHECK)
    one.answers = {BALANCE: "0x7"}
    assert ledger.balance_wei(CONTRACT) == 7


def test_one_wrong_and_one_silent_endpoint_are_worth_another_try(
    nodes: Nodes, connect: Connect
) -> None:
    nodes[0].answers["eth_chainId"] = "0x1"
    nodes[1].answers["eth_chainId"] = HangUp()
    with pytest.raises(LedgerUnavailable, match=r"is of chain 1.*the connection broke"):
        connect(*nodes).block()


def test_the_chain_is_looked_at_before_each_transaction(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    ledger = connect(one)
    ledger.block()
    one.answers["eth_chainId"] = "0x1"  # such as a balancer that now leads elsewhere
    with pytest.raises(WrongChain):
        ledger.send(raw_for())
    with pytest.raises(WrongChain):
        ledger.balance_wei(CONTRACT)
    assert one.sent == []


def test_another_chains_transaction_never_leaves(nodes: Nodes, connect: Connect) -> None:
    with pytest.raises(TransactionRejected) as caught:
        connect(nodes[0]).send(raw_for(1))
    assert caught.value.reason == "wrong_chain"
    assert nodes[0].sent == []


def test_without_an_expectation_all_must_be_of_the_first_ones_chain(
    nodes: Nodes, connect: Connect
) -> None:
    one, other = nodes
    ledger = connect(*nodes, expected=None)
    assert ledger.chain_id() == CHAIN_ID
    assert "eth_getCode" not in one.asked
    one.answers["eth_getBalance"] = HangUp()
    other.answers["eth_chainId"] = "0x1"
    with pytest.raises(LedgerUnavailable, match="is of chain 1"):
        ledger.balance_wei(CONTRACT)


def test_an_endpoint_that_lags_behind_what_was_seen_is_not_believed(
    nodes: Nodes, connect: Connect
) -> None:
    one, other = nodes
    ledger = connect(*nodes)
    assert ledger.block().number == HEAD
    other.head = HEAD - 1
    one.answers[BALANCE] = HangUp()
    with pytest.raises(LedgerUnavailable, match=f"lags behind: it is at block {HEAD - 1}"):
        ledger.balance_wei(CONTRACT)
    assert BALANCE not in other.asked
    other.head = HEAD
    assert ledger.balance_wei(CONTRACT) == 5


def test_an_endpoint_may_go_behind_what_it_showed_itself(nodes: Nodes, connect: Connect) -> None:
    one, _ = nodes
    ledger = connect(one)
    ledger.block()
    one.head -= 7
    for number in (HEAD, HEAD - 6):
        with pytest.raises(InvalidInput, match=f"no block {number} yet; the newest is {HEAD - 7}"):
            ledger.block(number)
    assert ledger.block().number == HEAD - 7
    assert ledger.block(HEAD - 7).number == HEAD - 7


def test_a_block_that_was_seen_is_missed_where_another_endpoint_lags(
    nodes: Nodes, connect: Connect
) -> None:
    one, other = nodes
    ledger = connect(*nodes)
    ledger.block()
    ledger.endpoints.check(ledger.endpoints.all[1])
    other.head -= 1
    one.answers["eth_getBlockByNumber"] = HangUp()
    with pytest.raises(LedgerUnavailable, match="lags behind"):
        ledger.block(HEAD)


@pytest.mark.parametrize("lost", [HangUp(), Http(502, b"<html>"), Http(200, b"{")])
def test_a_transaction_whose_reply_is_lost_is_sent_nowhere_again(
    nodes: Nodes, connect: Connect, lost: object
) -> None:
    one, other = nodes
    one.answers["eth_sendRawTransaction"] = lost
    with pytest.raises(LedgerUnavailable, match=one.url):
        connect(*nodes).send(raw_for())
    assert one.counts()["eth_sendRawTransaction"] == 1
    assert other.asked == []


def test_a_transaction_that_was_certainly_not_taken_goes_to_the_next_endpoint(
    nodes: Nodes, connect: Connect
) -> None:
    one, other = nodes
    one.answers["eth_chainId"] = HangUp()
    ledger = connect(*nodes)
    ledger.send(raw_for())
    one.answers = {"eth_sendRawTransaction": Refuse(-32005, "rate limit")}
    ledger = connect(*nodes)
    ledger.send(raw_for())
    assert other.sent == [raw_for()] * 2


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refuse(-32601, "the method eth_sendRawTransaction does not exist"), "other"),
        (Refuse(-32000, "read only endpoint"), "other"),
        (Refuse(-32000, "insufficient funds for gas * price + value"), "insufficient_funds"),
    ],
)
def test_a_transaction_is_refused_only_if_no_endpoint_takes_it(
    nodes: Nodes, connect: Connect, refusal: Refuse, reason: str
) -> None:
    one, other = nodes
    one.answers["eth_sendRawTransaction"] = refusal
    assert connect(*nodes).send(raw_for()) == keccak256(raw_for())
    assert other.sent == [raw_for()]
    for theirs in (refusal, Refuse(-32005, "rate limit")):
        other.answers["eth_sendRawTransaction"] = theirs
        with pytest.raises(TransactionRejected, match=one.url) as caught:
            connect(*nodes).send(raw_for())
        assert caught.value.reason == reason
    other.answers["eth_sendRawTransaction"] = HangUp()  # that one may have it
    with pytest.raises(LedgerUnavailable, match=other.url):
        connect(*nodes).send(raw_for())


def test_a_refusal_for_the_bytes_sake_is_not_tried_elsewhere(
    nodes: Nodes, connect: Connect
) -> None:
    one, other = nodes
    one.answers["eth_sendRawTransaction"] = Refuse(-32000, "replacement transaction underpriced")
    with pytest.raises(TransactionRejected):
        connect(*nodes).send(raw_for())
    assert other.asked == []


def test_a_refusal_of_a_transaction_that_the_node_has_is_success(
    nodes: Nodes, connect: Connect
) -> None:
    one, _ = nodes
    raw = raw_for()
    one.answers["eth_sendRawTransaction"] = Refuse(-32000, "nonce too low")
    ledger = connect(one)
    with pytest.raises(TransactionRejected) as caught:
        ledger.send(raw)
    assert caught.value.reason == "nonce_too_low"
    one.answers["eth_getTransactionByHash"] = lambda params: {"hash": params[0]}
    assert ledger.send(raw) == keccak256(raw)


def test_a_node_that_took_other_bytes_is_not_believed(nodes: Nodes, connect: Connect) -> None:
    nodes[0].answers["eth_sendRawTransaction"] = "0x" + "11" * 32
    with pytest.raises(LedgerUnavailable, match="took another transaction"):
        connect(nodes[0]).send(raw_for())


def test_history_that_no_endpoint_keeps_is_told_and_an_archive_is_found(
    nodes: Nodes, connect: Connect
) -> None:
    _, other = nodes
    for node in nodes:
        node.answers["eth_call"] = Refuse(-32000, "missing trie node 0xabc")
    ledger = connect(*nodes)
    with pytest.raises(HistoryMissing, match="only an archive node keeps"):
        ledger.call(Call(CONTRACT, b""), at=3)
    other.answers["eth_call"] = "0x0a"
    assert ledger.call(Call(CONTRACT, b""), at=3) == b"\x0a"
    count = len(other.asked)
    ledger.balance_wei(CONTRACT)
    assert len(other.asked) == count  # the preferred one is still preferred
    other.answers["eth_call"] = HangUp()
    with pytest.raises(LedgerUnavailable):
        ledger.call(Call(CONTRACT, b""), at=3)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("eth_getBlockByNumber", {"number": "0x64"}),
        ("eth_getBlockByNumber", "0x1"),
        ("eth_getBlockByNumber", block(HEAD) | {"timestamp": "soon"}),
        ("eth_getBlockByNumber", block(HEAD) | {"hash": "0x12"}),
        ("eth_getBlockByNumber", block(HEAD) | {"number": 100}),
        ("eth_getBlockByNumber", block(HEAD) | {"number": "0x" + "f" * 65}),
    ],
)
def test_a_block_that_makes_no_sense_is_a_failure(
    nodes: Nodes, connect: Connect, method: str, answer: object
) -> None:
    nodes[0].answers[method] = answer
    with pytest.raises(LedgerUnavailable, match="makes no sense"):
        connect(nodes[0]).block()


def test_blocks_with_the_extra_data_of_proof_of_authority_are_read(
    nodes: Nodes, connect: Connect
) -> None:
    nodes[0].answers["eth_getBlockByNumber"] = block(HEAD) | {"extraData": "0x" + "aa" * 225}
    assert connect(nodes[0]).block().number == HEAD
