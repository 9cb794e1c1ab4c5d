"""Where endpoints are and how we show ourselves to them, read from settings. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from chain_client.errors import ConfigurationError

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*:[ \t]*([\x21-\x7e][\x20-\x7e]*)")


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """One endpoint.

    Args:
        shown: ``https://host:port``, all that may stand in a text: a path may be an API key.
        url: the whole address, without user and password.
        headers: to send with every request.
    """

    shown: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


def parse_endpoints(url: str, headers: str = "") -> list[EndpointAddress]:
    """The endpoints of `ledger.url`, with the headers of `ledger.headers`.

    Raises:
        ConfigurationError: one is no address, stands there twice, or a line is no header; the
            text shows no part of it.
    """
    shared = parse_headers(headers)
    found: list[EndpointAddress] = []
    for number, text in enumerate(url.split(","), 1):
        endpoint = _parse_endpoint(text.strip(), shared)
        if endpoint is None:
            raise ConfigurationError(
                f"ledger.url: endpoint {number} is no address; expected https://host:port/path"
            )
        if any(endpoint.url == other.url for other in found):
            raise ConfigurationError(f"ledger.url: {endpoint.shown} stands there twice")
        found.append(endpoint)
    return found


def parse_headers(text: str) -> dict[str, str]:
    """One ``Name: value`` a line.

    Raises:
        ConfigurationError: a line is something else; the text shows its number only.
    """
    headers = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _HEADER.fullmatch(line.strip())
        if found is None:
            raise ConfigurationError(f"ledger.headers: line {number} is no `Name: value`")
        headers[found[1]] = found[2]
    return headers


def _parse_endpoint(text: str, headers: Mapping[str, str]) -> EndpointAddress | None:
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or parts.fragment:
        return None
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    own = dict(headers)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        own["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    url = urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
    return EndpointAddress(f"{parts.scheme}://{place}", url, own)
