"""One HTTP exchange with a JSON-RPC endpoint, over web3's provider.

Import this module only when an endpoint is asked: it loads web3.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3 import Timeout

from chain_client.ledger.jsonrpc.transport import BoundedAdapter, nothing_logged
from chain_client.signing.recursion_limit import unchanged_recursion_limit

with unchanged_recursion_limit():  # else a reply that nests deep ends the process
    from web3.providers.rpc import HTTPProvider
    from web3.types import RPCEndpoint

MAX_REPLY_BYTES = 4 * 1024 * 1024
"""JSON may take fifty times as much memory when it is read."""
_MAX_NUMBER_BYTES = 256 * 1024
_NUMBERS = frozenset(
    {
        "eth_blockNumber",
        "eth_chainId",
        "eth_estimateGas",
        "eth_gasPrice",
        "eth_getBalance",
        "eth_getTransactionCount",
        "eth_maxPriorityFeePerGas",
        "eth_sendRawTransaction",
        "web3_clientVersion",
    }
)
"""Methods whose answer is short; an error may hold a little more."""
_CHUNK_BYTES = 64 * 1024


class NoReply(Exception):
    """There is no reply.

    Args:
        text: why; it shows nothing of the endpoint's address.
        reached: whether the endpoint may have taken the request all the same.
    """

    def __init__(self, text: str, *, reached: bool) -> None:
        super().__init__(text)
        self.reached = reached


class TooLarge(Exception):
    """The reply is larger than anything that is read."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back. ``id``: of the request; ``retry_after``: the header as it stands."""

    id: int
    status: int
    body: bytes
    retry_after: str | None


class Provider(HTTPProvider):
    """web3's provider without its retries, its caches, and its log lines, which show addresses.

    It follows no redirect: headers that authenticate us, and transactions, go nowhere else.

    Args:
        url: without user and password.
        headers: to send with every request.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._session = requests.Session()
        # Nothing of ~/.netrc: it would take the place of the headers that were configured.
        self._session.auth = _unchanged
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, BoundedAdapter())
        with nothing_logged():
            super().__init__(url, session=self._session, exception_retry_configuration=None)
        self._url = url
        self._headers = {**self.get_request_headers(), **headers}

    def exchange(self, method: str, params: list[Any], timeout_s: float) -> HttpReply:
        """Ask once.

        Raises:
            NoReply: nothing, or only a part, came back in time.
            TooLarge: more than `MAX_REPLY_BYTES` came back, or much for a mere number.
        """
        request = self.encode_rpc_request(RPCEndpoint(method), params)
        most_bytes = _MAX_NUMBER_BYTES if method in _NUMBERS else MAX_REPLY_BYTES
        return self._exchange(request, json.loads(request)["id"], timeout_s, most_bytes)

    def exchange_batch(self, methods: list[str], timeout_s: float) -> HttpReply:
        """Ask several questions without parameters in one request; errors as `exchange`."""
        asked: list[tuple[RPCEndpoint, Any]] = [(RPCEndpoint(method), []) for method in methods]
        return self._exchange(self.encode_batch_rpc_request(asked), 0, timeout_s, _MAX_NUMBER_BYTES)

    def _exchange(
        self, request: bytes, request_id: int, timeout_s: float, most_bytes: int
    ) -> HttpReply:
        deadline = time.monotonic() + timeout_s
        try:
            with nothing_logged():
                status, body, retry_after = self._post(request, timeout_s, deadline, most_bytes)
            return HttpReply(request_id, status, body, retry_after)
        except requests.ConnectTimeout:
            problem = NoReply(f"no connection within {timeout_s:g} s", reached=False)
        except requests.Timeout:
            problem = NoReply(f"no reply within {timeout_s:g} s", reached=True)
        except requests.exceptions.SSLError:
            problem = NoReply("its TLS certificate or connection is refused", reached=False)
        except requests.ConnectionError as exc:
            refused = "NewConnectionError" in repr(exc) or "NameResolutionError" in repr(exc)
            text = "no connection" if refused else "the connection broke"
            if not refused and time.monotonic() >= deadline:
                text = f"no reply within {timeout_s:g} s"
            problem = NoReply(text, reached=not refused)
        except (requests.RequestException, OSError, ValueError) as exc:
            problem = NoReply(f"no reply ({type(exc).__name__})", reached=True)
        raise problem  # outside of the handler: requests' errors show the whole address

    def _post(
        self, request: bytes, timeout_s: float, deadline: float, most_bytes: int
    ) -> tuple[int, bytes, str | None]:
        timeout: Any = Timeout(total=timeout_s)
        with self._session.post(
            self._url,
            data=request,
            headers=self._headers,
            timeout=timeout,
            stream=True,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK_BYTES):
                body += chunk
                if time.monotonic() > deadline:
                    raise requests.Timeout
                if len(body) > most_bytes:
                    raise TooLarge
            return response.status_code, bytes(body), response.headers.get("Retry-After")

    def close(self) -> None:
        """Close the connections; the next request opens another."""
        with nothing_logged():
            self._session.close()


def _unchanged(request: Any) -> Any:
    return request
