"""Faults of the way: each happens to the requests it is meant for, and to no other."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest

from chain_client.testing.faulty_node import (
    ConnectionReset,
    Delayed,
    DeliveredTwice,
    FaultPlan,
    FaultyNode,
    HtmlPage,
    NoReply,
    PartialBatch,
    Reordered,
    ReplyTwice,
    StaleReply,
    TooManyRequests,
    TruncatedJson,
    on,
)
from tests.running_nodes import RunningNode
from tests.unit.chain_client.faulty_node.asking import ask, call, payment, post, result


def keeping(node: FaultyNode) -> http.client.HTTPConnection:
    parts = urlsplit(node.url)
    assert parts.hostname is not None
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)


def test_without_a_fault_requests_and_replies_pass(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url) as node:
        assert result(node, "eth_chainId") == anvil.rpc("eth_chainId")
        assert ask(node, "eth_nonsense")["error"]["code"] == -32601
        batch = [call("eth_chainId"), call("eth_blockNumber")]
        answers = json.loads(post(node.url, json.dumps(batch).encode())[2])
        assert [answer["id"] for answer in answers] == [asked["id"] for asked in batch]
        assert node.journal.injections == ()
        assert node.journal.asked("eth_chainId") == 2


def test_connections_are_kept_alive_and_several_are_served_at_once(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url) as node:
        connections = [keeping(node) for _ in range(3)]
        for _ in range(3):
            for connection in connections:
                connection.request("POST", "/", json.dumps(call("eth_chainId")))
                assert b"0x7a69" in connection.getresponse().read()
        for connection in connections:
            connection.close()


def test_nothing_is_left_of_a_node_that_ended_while_requests_were_held(anvil: RunningNode) -> None:
    before = threading.active_count()
    with FaultyNode(anvil.url, FaultPlan.of(NoReply())) as node:
        idle, held = keeping(node), keeping(node)
        idle.connect()
        held.request("POST", "/", json.dumps(call("eth_chainId")))
        deadline = time.monotonic() + 10
        while not node.journal.injections and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert threading.active_count() == before
    with pytest.raises(ConnectionError):
        held.getresponse()
    idle.close()
    held.close()


def test_a_dead_node_behind_shows_as_a_reset(anvil: RunningNode) -> None:
    with FaultyNode("http://127.0.0.1:1") as node, pytest.raises(ConnectionError):
        ask(node, "eth_chainId")


def test_a_body_that_is_no_request_is_refused(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url) as node:
        assert post(node.url, b"<html>")[0] == 400
        assert post(node.url, b"[]")[0] == 400


@pytest.mark.parametrize("forwarded", [False, True])
def test_a_reset_tells_nothing_of_whether_the_node_has_the_bytes(
    anvil: RunningNode, forwarded: bool
) -> None:
    raw = payment(anvil)
    lost = on("eth_sendRawTransaction", fault=ConnectionReset(forwarded))
    with FaultyNode(anvil.url, FaultPlan.of(lost)) as node:
        with pytest.raises(ConnectionError):
            ask(node, "eth_sendRawTransaction", raw)
        again = ask(node, "eth_sendRawTransaction", raw)
    assert ("error" in again) is forwarded
    anvil.mine()


def test_a_rule_counts_only_requests_of_its_methods(anvil: RunningNode) -> None:
    plan = FaultPlan.of(on("eth_chainId", fault=HtmlPage(503), skip=1, times=2))
    with FaultyNode(anvil.url, plan) as node:
        seen = []
        for _ in range(5):
            assert result(node, "eth_blockNumber")
            seen.append(post(node.url, json.dumps(call("eth_chainId")).encode())[0])
        assert seen == [200, 503, 503, 200, 200]
        assert [one.number for one in node.journal.injections] == [4, 6]


@pytest.mark.parametrize("status", [200, 502, 503])
def test_a_page_is_no_json(anvil: RunningNode, status: int) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(HtmlPage(status))) as node:
        found, headers, body = post(node.url, json.dumps(call("eth_chainId")).encode())
    assert (found, headers["Content-Type"]) == (status, "text/html")
    assert body.startswith(b"<!DOCTYPE html>")


def test_truncated_json_has_a_length_that_fits(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(TruncatedJson(0.5))) as node:
        status, headers, body = post(node.url, json.dumps(call("eth_chainId")).encode())
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_limit_tells_when_to_come_back_in_seconds_or_as_a_date(anvil: RunningNode) -> None:
    body = json.dumps(call("eth_chainId")).encode()
    with FaultyNode(anvil.url) as node:
        node.follow(TooManyRequests(7))
        status, headers, _ = post(node.url, body)
        assert (status, headers["Retry-After"]) == (429, "7")
        node.follow(TooManyRequests(7, as_date=True))
        late = parsedate_to_datetime(post(node.url, body)[1]["Retry-After"]).timestamp()
        assert 5 <= late - time.time() <= 8
        node.follow(TooManyRequests(None))
        assert post(node.url, body)[1]["Retry-After"] is None


def test_a_partial_batch_lacks_answers_and_has_another_order(anvil: RunningNode) -> None:
    batch = [call("eth_chainId"), call("eth_blockNumber"), call("eth_gasPrice")]
    with FaultyNode(anvil.url, FaultPlan.of(PartialBatch(missing=1))) as node:
        answers = json.loads(post(node.url, json.dumps(batch).encode())[2])
        assert result(node, "eth_chainId") == "0x7a69"
    assert [answer["id"] for answer in answers] == [batch[1]["id"], batch[0]["id"]]


def test_a_request_delivered_twice_answers_as_the_second_or_the_first(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url) as node:
        node.follow(DeliveredTwice("first"))
        assert "result" in ask(node, "eth_sendRawTransaction", payment(anvil))
        node.follow(DeliveredTwice("second"))
        assert "already" in ask(node, "eth_sendRawTransaction", payment(anvil))["error"]["message"]
    anvil.mine()


def test_a_reply_may_come_twice_on_its_connection(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(on(fault=ReplyTwice()))) as node:
        body = json.dumps(call("eth_chainId")).encode()
        parts = urlsplit(node.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(body) + body)
            with connection.makefile("rb") as stream:
                assert stream.read().count(b"0x7a69") == 2


def test_a_stale_reply_has_the_id_of_the_request_before(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(StaleReply())) as node:
        first, second = call("eth_chainId"), call("eth_blockNumber")
        assert json.loads(post(node.url, json.dumps(first).encode())[2])["id"] == first["id"]
        assert json.loads(post(node.url, json.dumps(second).encode())[2])["id"] == first["id"]


@pytest.mark.parametrize("after", [False, True])
def test_a_delay_holds_the_request_or_the_reply(anvil: RunningNode, after: bool) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(on(fault=Delayed(0.2, after=after)))) as node:
        started = time.monotonic()
        assert result(node, "eth_chainId") == "0x7a69"
        assert 0.2 <= time.monotonic() - started < 5


def test_a_reordered_request_reaches_the_node_after_later_ones(anvil: RunningNode) -> None:
    first, second = payment(anvil), payment(anvil, offset=1)
    plan = FaultPlan.of(on("eth_sendRawTransaction", fault=Reordered(by=1, hold_s=20)))
    with FaultyNode(anvil.url, plan) as node:
        with pytest.raises(ConnectionError):
            ask(node, "eth_sendRawTransaction", first)
        assert anvil.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}
        assert "result" in ask(node, "eth_sendRawTransaction", second)
        deadline = time.monotonic() + 10
        while anvil.rpc("txpool_status")["pending"] != "0x2" and time.monotonic() < deadline:
            time.sleep(0.01)
    assert anvil.rpc("txpool_status") == {"pending": "0x2", "queued": "0x0"}
    anvil.mine()


def test_a_client_may_wait_for_a_request_that_is_overtaken(anvil: RunningNode) -> None:
    plan = FaultPlan.of(on("eth_chainId", fault=Reordered(by=2, hold_s=20, is_reset=False)))
    with FaultyNode(anvil.url, plan) as node:
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(result(node, "eth_chainId")))
        waiting.start()
        deadline = time.monotonic() + 10
        while not node.journal.injections and time.monotonic() < deadline:
            time.sleep(0.01)
        result(node, "eth_blockNumber")
        assert found == []
        result(node, "eth_blockNumber")
        waiting.join(10)
        assert found == ["0x7a69"]


def test_a_request_that_is_delivered_twice_may_be_overtaken_twice(anvil: RunningNode) -> None:
    plan = FaultPlan.of(
        on("eth_chainId", fault=DeliveredTwice()),
        on("eth_chainId", fault=Reordered(by=1, hold_s=20), times=2),
    )
    with FaultyNode(anvil.url, plan) as node:
        with pytest.raises(ConnectionError):
            ask(node, "eth_chainId")
        result(node, "eth_blockNumber")
    assert not node.journal.failures
    assert len(node.journal.injections) == 3


def test_two_nodes_before_one_chain_fail_apart(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(HtmlPage(503))) as one, FaultyNode(anvil.url) as other:
        assert post(one.url, json.dumps(call("eth_chainId")).encode())[0] == 503
        assert result(other, "eth_chainId") == "0x7a69"
