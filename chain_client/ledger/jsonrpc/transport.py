"""HTTP under a deadline, and without a word about where it goes.

`requests` bounds each wait for a byte, not the reply: who sends a byte now and then is read for
ever. And urllib3 logs whole addresses, whose paths are API keys. Import this module only when an
endpoint is asked.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_LIBRARIES = ("urllib3", "requests", "web3")


class BoundedAdapter(HTTPAdapter):  # type: ignore[misc]  # requests has no types
    """Connections whose replies come whole, headers and body, within a request's timeout.

    Give requests an ``urllib3.Timeout(total=…)``: what was left of it when the request had been
    sent is the time for the reply.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bind(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return _bind(super().proxy_manager_for(proxy, **kwargs))


def _bind(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager


class _Bounded(io.RawIOBase):
    """What a socket receives until a deadline."""

    def __init__(self, received: Any, sock: socket.socket) -> None:
        self._received = received
        self._sock = sock
        timeout_s = sock.gettimeout()
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the reply took too long")
            self._sock.settimeout(left_s)
        got: int | None = self._received.readinto(buffer)
        return got

    def close(self) -> None:
        super().close()
        self._received.close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        received: Any = self.fp
        self.fp = io.BufferedReader(_Bounded(received.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response
    debuglevel = 0  # not what somebody set for all: it prints the request with its headers


class _TlsConnection(HTTPSConnection):
    response_class = _Response
    debuglevel = 0


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Silence(logging.Filter):
    """Drops what the libraries log in a thread while it asks an endpoint of ours.

    Nothing is compared with an address: these libraries rewrite it, quote it and put it into
    errors. What matters of it stands in our own errors.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self._thread, "depth", 0)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While the block runs."""
        self._thread.depth = getattr(self._thread, "depth", 0) + 1
        try:
            yield
        finally:
            self._thread.depth -= 1


_silence = _Silence()


@contextmanager
def nothing_logged() -> Iterator[None]:
    """While the block runs, urllib3, requests and web3 log nothing in this thread."""
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_silence)  # once: it looks whether it is there
    with _silence.kept():
        yield
