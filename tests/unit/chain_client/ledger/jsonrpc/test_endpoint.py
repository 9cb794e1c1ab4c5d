"""One endpoint: whatever it answers, we fail with a clear text, and show nothing of its address."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest

from chain_client.ledger.jsonrpc.address import parse_endpoints
from chain_client.ledger.jsonrpc.endpoint import Endpoint, EndpointFailed, ReadRefused, SendRefused
from tests.forked import in_fork
from tests.scripted_node import CHAIN_ID, HangUp, Http, Refuse, ScriptedNode, scripted_node

SECRETS = ("apikey", "hunter2", "topsecret", "token")


class Clock(Protocol):
    now_s: float

    def time_us(self) -> int: ...
    def monotonic_us(self) -> int: ...


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    with scripted_node() as found:
        yield found


@pytest.fixture
def connect(clock: Clock) -> Iterator[Callable[..., Endpoint]]:
    opened: list[Endpoint] = []

    def connect(url: str, headers: str = "", timeout_s: float = 5) -> Endpoint:
        address = parse_endpoints(url, headers)[0]
        opened.append(Endpoint(address, timeout_s=timeout_s, clock=clock))
        return opened[-1]

    yield connect
    for endpoint in opened:
        endpoint.close()


Connect = Callable[..., Endpoint]


def answer(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 0, **fields}).encode()


ODD = {
    "HTML of a proxy": Http(502, b"<html><body>Bad Gateway apikey</body></html>"),
    "HTML with status 200": Http(200, b"  <!DOCTYPE html><html></html>"),
    "truncated JSON": Http(200, b'{"jsonrpc": "2.0", "id": 0, "resu'),
    "nothing": Http(200, b""),
    "no JSON-RPC": Http(200, b'{"status": "ok"}'),
    "a number": Http(200, b"5"),
    "bytes that are no text": Http(200, b"\xff\xfe\x00"),
    "a deep nest": Http(200, b"[" * 100_000),
    "a reply to another question": Http(200, answer(id=999, result="0x1")),
    "neither result nor error": Http(200, answer()),
    "a result with a bad status": Http(500, answer(result="0x1")),
    "a batch of none": Http(200, b"[]"),
    "a batch of two": Http(200, b"[" + answer(result="0x1") + b"," + answer(result="0x2") + b"]"),
    "a redirect": Http(307, b"", {"Location": "http://127.0.0.1:9/apikey"}),
    "a login page": Http(401, b"apikey is not valid"),
    "part of the body": Http(200, b'{"jsonrpc"', {"X-Length": "5000"}),
    "a hang-up": HangUp(),
    "an internal error": Refuse(-32603, "internal error", status=500),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_answer_that_makes_no_sense_is_a_failure_that_shows_the_host_only(
    node: ScriptedNode, connect: Connect, odd: str
) -> None:
    node.answers["eth_chainId"] = ODD[odd]
    endpoint = connect(f"{node.url}/v2/apikey?token=hunter2", "X-Key: topsecret")
    with pytest.raises(EndpointFailed) as caught:
        endpoint.read("eth_chainId")
    text = "".join(traceback.format_exception(caught.value))
    assert node.url in str(caught.value)
    assert not [secret for secret in SECRETS if secret in text]
    assert caught.value.reached
    assert endpoint.is_resting()


def test_a_single_answer_in_a_batch_is_understood(node: ScriptedNode, connect: Connect) -> None:
    node.answers["eth_chainId"] = Http(200, b"[" + answer(result="0x1") + b"]")
    assert connect(node.url).read("eth_chainId") == "0x1"


def test_null_is_an_answer(node: ScriptedNode, connect: Connect) -> None:
    assert connect(node.url).read("eth_getTransactionByHash", "0x") is None


@pytest.mark.parametrize("error", ["no such thing", 5, {"message": None}, {"code": "x"}, [1]])
def test_an_error_of_any_shape_is_a_refusal(
    node: ScriptedNode, connect: Connect, error: object
) -> None:
    node.answers["eth_chainId"] = Http(200, answer(error=error))
    with pytest.raises(ReadRefused):
        connect(node.url).read("eth_chainId")


def test_silence_ends_after_the_timeout_and_may_have_been_heard(
    node: ScriptedNode, connect: Connect
) -> None:
    go_on = threading.Event()
    node.answers["eth_chainId"] = lambda params: go_on.wait(30)
    with pytest.raises(
        EndpointFailed, match=r"no reply within 0\.2 s \(asked for eth_chainId\)"
    ) as caught:
        connect(node.url, timeout_s=0.2).read("eth_chainId")
    go_on.set()
    assert caught.value.reached


def test_a_reply_that_drips_ends_after_the_timeout(node: ScriptedNode, connect: Connect) -> None:
    go_on = threading.Event()

    def drip() -> bytes:
        go_on.wait(0.05)
        return b" " * 70_000

    node.answers["eth_chainId"] = Http(pieces=(drip,) * 14)
    with pytest.raises(EndpointFailed, match="no reply within"):
        connect(node.url, timeout_s=0.2).read("eth_chainId")
    go_on.set()


def test_an_endless_reply_is_not_read(
    node: ScriptedNode, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_client.ledger.jsonrpc.provider.MAX_REPLY_BYTES", 100_000)
    node.answers["eth_getLogs"] = Http(200, b" " * 1_000_000)
    with pytest.raises(ReadRefused) as caught:
        connect(node.url).read("eth_getLogs", {})
    assert caught.value.verdict.kind == "range_too_large"


def test_a_number_is_not_read_for_long(node: ScriptedNode, connect: Connect) -> None:
    many = b"[" + b"[]," * 200_000 + b"[]]"
    reply = Http(200, b'{"jsonrpc": "2.0", "id": 0, "result": ' + many + b"}")
    node.answers |= {"eth_blockNumber": reply, "eth_getLogs": reply}
    endpoint = connect(node.url)
    assert len(endpoint.read("eth_getLogs", {})) == 200_001
    node.answers["eth_blockNumber"] = Http(200, reply.body.replace(b'"id": 0', b'"id": 1'))
    with pytest.raises(ReadRefused, match="more than can be read"):
        endpoint.read("eth_blockNumber")


def test_where_nobody_listens_nothing_was_heard(connect: Connect) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        endpoint = connect(f"{url}/apikey")
        with pytest.raises(
            EndpointFailed, match=r"no connection \(asked for eth_chainId\)"
        ) as caught:
            endpoint.read("eth_chainId")
    assert not caught.value.reached
    assert "apikey" not in "".join(traceback.format_exception(caught.value))


def test_an_endpoint_without_tls_is_told(node: ScriptedNode, connect: Connect) -> None:
    with pytest.raises(EndpointFailed, match="TLS") as caught:
        connect(node.url.replace("http:", "https:")).read("eth_chainId")
    assert not caught.value.reached


@pytest.mark.parametrize(
    "refusal",
    [
        Http(429, b"slow down", {"Retry-After": "7"}),
        Http(503, b"<html>", {"Retry-After": "7"}),
        Http(
            429,
            b"",
            {"Retry-After": "Tue, 14 Nov 2023 22:13:27 GMT"},
        ),
        Refuse(-32005, "daily request count exceeded", {"rate": {"backoff_seconds": 7}}),
    ],
)
def test_an_endpoint_that_asks_for_rest_is_not_asked_before(
    node: ScriptedNode, connect: Connect, clock: Clock, refusal: object
) -> None:
    node.answers["eth_chainId"] = refusal
    endpoint = connect(node.url)
    with pytest.raises(EndpointFailed) as caught:
        endpoint.read("eth_chainId")
    assert caught.value.retry_after_s == pytest.approx(7)
    clock.now_s += 6.5
    with pytest.raises(EndpointFailed, match=r"another 0\.5 s") as caught:
        endpoint.read("eth_chainId")
    assert not caught.value.reached
    assert node.asked == ["eth_chainId"]
    clock.now_s += 0.6
    del node.answers["eth_chainId"]
    assert endpoint.read("eth_chainId") == hex(CHAIN_ID)
    assert endpoint.must_rest_s() == 0


def test_without_a_wish_the_rest_grows_and_is_only_a_preference(
    node: ScriptedNode, connect: Connect, clock: Clock
) -> None:
    endpoint = connect(node.url)
    node.answers["eth_chainId"] = Http(429)
    for rest_s in (1, 2, 4, 8, 16, 30, 30):
        with pytest.raises(EndpointFailed):
            endpoint.read("eth_chainId")
        clock.now_s += rest_s - 0.1
        assert endpoint.is_resting()
        assert endpoint.must_rest_s() == 0
        clock.now_s += 0.2
        assert not endpoint.is_resting()


def test_a_limit_refuses_a_transaction_without_having_taken_it(
    node: ScriptedNode, connect: Connect
) -> None:
    node.answers["eth_sendRawTransaction"] = Refuse(-32005, "rate limit")
    with pytest.raises(EndpointFailed) as caught:
        connect(node.url).send(b"\x02")
    assert not caught.value.reached
    node.answers["eth_sendRawTransaction"] = Refuse(-32000, "nonce too low")
    with pytest.raises(SendRefused) as refused:
        connect(node.url).send(b"\x02")
    assert refused.value.verdict.kind == "nonce_too_low"


def test_headers_and_login_are_sent_and_never_shown(
    node: ScriptedNode, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = node.url.replace("http://", "http://me:hunter2@")
    endpoint = connect(f"{url}/v2/apikey?token=hunter2", "X-Key: topsecret")
    assert endpoint.read("eth_chainId") == hex(CHAIN_ID)
    assert node.headers[0]["X-Key"] == "topsecret"
    assert node.headers[0]["Authorization"] == "Basic bWU6aHVudGVyMg=="
    shown = caplog.text + repr(endpoint) + endpoint.shown
    assert "127.0.0.1" in shown
    assert not [secret for secret in (*SECRETS, "bWU6") if secret in shown]


def test_threads_and_forked_children_share_an_endpoint(
    node: ScriptedNode, connect: Connect
) -> None:
    endpoint = connect(node.url)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: endpoint.read("eth_chainId"), range(40)))
    assert set(found) == {hex(CHAIN_ID)}
    ours = set(node.client_ports)
    assert in_fork(lambda: str(endpoint.read("eth_chainId"))) == hex(CHAIN_ID)
    assert node.client_ports[-1] not in ours  # two processes on one connection mix their replies
    assert endpoint.read("eth_chainId") == hex(CHAIN_ID)
    assert node.client_ports[-1] in ours
