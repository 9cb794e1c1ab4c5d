"""Replies that keep a pace, or are broken off.

botocore bounds each wait for a byte, not the reply: who sends a byte now and then is read for ever.
Here all waiting for one reply, its headers and its body, has a limit as well, and what arrives buys
a little more of it: so a large object may take as long as it needs, and a small answer has to be
there soon. What passes between two reads is nobody's waiting.

Import this module only when a client is made.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import time
from functools import partial
from typing import Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

_logger = logging.getLogger(__name__)

SLOWEST: Final = 16 << 10
"""Bytes a second; below that the patience with a reply is used up."""


def keep_pace(client: Any, reply_s: float) -> None:
    """From now on this client gives up replies that come too slowly, as a read that timed out.

    Args:
        client: of boto3.
        reply_s: of waiting for one reply.
    """
    response = staticmethod(partial(_Response, reply_s=reply_s))
    pools = {
        scheme: type(
            pool.__name__,
            (pool,),
            {"ConnectionCls": type(used.__name__, (used,), {"response_class": response})},
        )
        for scheme, pool, used in (
            ("http", AWSHTTPConnectionPool, AWSHTTPConnection),
            ("https", AWSHTTPSConnectionPool, AWSHTTPSConnection),
        )
    }
    try:
        session = client._endpoint.http_session
        session._pool_classes_by_scheme.update(pools)
        session._manager.pool_classes_by_scheme.update(pools)
    except AttributeError:
        _logger.warning(
            "this botocore is built otherwise than those that are known here: a reply of AWS that "
            "comes byte by byte is not broken off"
        )


class _Paced(io.RawIOBase):
    """What a socket receives, while the sender keeps its pace."""

    def __init__(self, received: Any, sock: socket.socket, reply_s: float) -> None:
        self._received = received
        self._sock = sock
        self._read_s = sock.gettimeout() or reply_s
        self._most_s = self._left_s = reply_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._left_s <= 0:
            raise TimeoutError("the reply came too slowly")
        self._sock.settimeout(min(self._left_s, self._read_s))
        began = time.monotonic()
        got: int | None = self._received.readinto(buffer)
        left_s = self._left_s - (time.monotonic() - began) + (got or 0) / SLOWEST
        self._left_s = min(left_s, self._most_s)
        return got

    def close(self) -> None:
        super().close()
        self._received.close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, reply_s: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        received: Any = self.fp
        self.fp = io.BufferedReader(_Paced(received.detach(), sock, reply_s))
