"""What goes over the wire: within its time, and without a word in anybody's log."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chain_client.clock import SystemClock
from chain_client.ledger.jsonrpc.address import parse_endpoints
from chain_client.ledger.jsonrpc.endpoint import Endpoint, EndpointFailed
from tests.scripted_node import CHAIN_ID, scripted_node

SECRET = "SECRET"
BODY = b'{"jsonrpc":"2.0","id":0,"result":"0x4d"}'
BEGIN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(BODY)


def endpoint_at(url: str, headers: str = "", timeout_s: float = 5) -> Endpoint:
    return Endpoint(parse_endpoints(url, headers)[0], timeout_s=timeout_s, clock=SystemClock())


@contextmanager
def raw_server(*pieces: bytes, pause_s: float = 0) -> Iterator[str]:
    """Writes the pieces to each client, with pauses, until the client or the block ends."""
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(65536)
                    for piece in pieces:
                        client.sendall(piece)
                        is_over.wait(pause_s)
                except OSError:
                    pass

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            is_over.set()
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests", "web3"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


@pytest.mark.parametrize(
    "place",
    ["/v3/SECRET%7eKEY", "/v3/x?k=SECRET|KEY", "/v3/../SECRETKEY", "//SECRET//", "/v3/%53ECRET"],
)
def test_no_log_shows_a_path_however_it_is_rewritten(
    place: str, everything_logged: pytest.LogCaptureFixture
) -> None:
    with scripted_node() as node:
        url = node.url.replace("http://", f"http://me{SECRET}:{SECRET}@")
        endpoint = endpoint_at(url + place, f"X-Key: {SECRET}")
        assert endpoint.read("eth_chainId") == hex(CHAIN_ID)
        assert not endpoint.takes_batches()
        endpoint.close()
    assert SECRET not in everything_logged.text


def test_no_log_shows_a_path_behind_a_proxy(
    everything_logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_node() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        endpoint = endpoint_at(f"http://node.example/v3/{SECRET}")
        assert endpoint.read("eth_chainId") == hex(CHAIN_ID)
        endpoint.close()
    assert SECRET not in everything_logged.text


def test_no_log_shows_the_address_of_a_node_that_sends_bad_headers(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    with raw_server(BEGIN + b"this line is no header\r\nX: y\r\n\r\n" + BODY) as url:
        endpoint = endpoint_at(f"{url}/v3/{SECRET}")
        assert endpoint.read("eth_chainId") == hex(CHAIN_ID)
        endpoint.close()
    assert SECRET not in everything_logged.text


def test_what_others_log_meanwhile_and_later_is_kept(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    with scripted_node() as node:

        def answer(params: object) -> str:  # in the server's thread
            logger.debug("of another thread")
            return hex(CHAIN_ID)

        node.answers["eth_chainId"] = answer
        endpoint = endpoint_at(node.url)
        endpoint.read("eth_chainId")
        endpoint.close()
    logger.debug("of this thread, later")
    assert "of another thread" in everything_logged.text
    assert "of this thread, later" in everything_logged.text


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"],
    ids=["status", "headers", "body"],
)
def test_a_reply_that_drips_byte_by_byte_ends_after_the_timeout(first: bytes) -> None:
    with raw_server(first, *[b"1"] * 200, pause_s=0.05) as url:
        endpoint = endpoint_at(url, timeout_s=0.3)
        endpoint.takes_batches()  # loads what it needs
        begin = time.monotonic()
        with pytest.raises(EndpointFailed, match=r"no reply within 0\.3 s") as caught:
            endpoint.read("eth_chainId")
        assert time.monotonic() - begin < 2
        assert caught.value.reached
        endpoint.close()


def test_endless_interim_replies_end_after_the_timeout() -> None:
    with raw_server(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 200, pause_s=0.05) as url:
        endpoint = endpoint_at(url, timeout_s=0.3)
        with pytest.raises(EndpointFailed, match="no reply within"):
            endpoint.read("eth_chainId")
        endpoint.close()


def test_a_connection_serves_the_next_request_with_its_whole_time() -> None:
    with scripted_node() as node:

        def answer(params: object) -> str:
            time.sleep(0.15)  # five of them are longer than the timeout
            return "0x1"

        node.answers["eth_chainId"] = answer
        endpoint = endpoint_at(node.url, timeout_s=0.5)
        for _ in range(5):
            assert endpoint.read("eth_chainId") == "0x1"
        assert len(set(node.client_ports)) == 1
        endpoint.close()
