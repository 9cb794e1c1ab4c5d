"""An Airflow connection of type ``mlops_chain``, as settings and keys. Knows no Airflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from airflow_chain.form import CONN_TYPE, FIELDS
from chain_client.config import Settings, setting_keys, variable_of
from chain_client.errors import ConfigurationError
from chain_client.types import TxHash, to_hex

if TYPE_CHECKING:
    from chain_client.signing import Signer

_PREFIX = f"extra__{CONN_TYPE}__"
_HEADERS = "secret_ledger_headers"
_TX = "{tx_hash}"


class StoredConnection(Protocol):
    """What is needed of an Airflow connection."""

    conn_type: str | None
    password: str | None

    @property
    def extra_dejson(self) -> Any:
        """The extra as a dict."""


@dataclass(frozen=True, slots=True)
class ChainConnection:
    """What a connection says. Its repr holds no secret.

    Args:
        conn_id: what Airflow calls it.
        home: absolute path of the home.
        overrides: values of settings that are not as the home says, by key.
        requester_key: URI of the key that asks for promotions; None if there is none here.
        breaker_key: URI of the key that revokes; None if there is none here.
        is_home_named: whether the connection itself names the home.
        password: of these keys; None: from the file beside each.
        tracking_uri: database in which models are looked for; None: all of the home.
        explorer_url: of the block explorer; None if there is none.
    """

    conn_id: str
    home: Path
    overrides: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_home_named: bool = True
    requester_key: str | None = field(default=None, repr=False)
    breaker_key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tracking_uri: str | None = field(default=None, repr=False)
    explorer_url: str | None = None

    def to_settings(self) -> Settings:
        """The settings of the home, with what the connection says otherwise.

        The environment of the process says nothing here, so that several deployments stand side
        by side. No relay is ever started: in Airflow it is a service.

        Raises:
            ConfigurationError: a value is of the wrong kind; the text names it.
        """
        environ = {variable_of(key): value for key, value in self.overrides.items()}
        try:
            found = Settings.from_environment(environ, self.home, home=self.home)
        except ConfigurationError as exc:
            raise ConfigurationError(f"connection {self.conn_id!r}: {exc}") from exc
        return replace(found, relay_autostart=False)

    def tell_no_home(self) -> str:
        """That there is no home where it should be, who says so, and what to do."""
        named = (
            f"its field {FIELDS['home'].label!r}"
            if self.is_home_named
            else ("[mlops_chain] home, or MLOPS_CHAIN_HOME, as it names none itself")
        )
        return (
            f"connection {self.conn_id!r}: there is no home at {self.home}, of which it knows by "
            f"{named}: correct that; or make the home, by `mlops-chain join` on a machine that "
            "takes part in a deployment, else by `mlops-chain init`, or `mlops-chain deploy` for "
            "a network"
        )

    def open_requester(self) -> Signer:
        """The key that asks for promotions; nothing is read yet.

        Raises:
            ConfigurationError: the connection names none, or in no known way.
        """
        return self._open("requester_key", self.requester_key, "asks for promotions")

    def open_breaker(self) -> Signer:
        """The key that revokes versions; nothing is read yet.

        Raises:
            ConfigurationError: the connection names none, or in no known way.
        """
        return self._open("breaker_key", self.breaker_key, "revokes versions")

    def link_of(self, tx_hash: TxHash) -> str | None:
        """Where a browser shows a transaction; None if no explorer is configured."""
        if self.explorer_url is None:
            return None
        shown = to_hex(tx_hash)
        if _TX in self.explorer_url:
            return self.explorer_url.replace(_TX, shown)
        return f"{self.explorer_url.rstrip('/')}/tx/{shown}"

    def _open(self, name: str, uri: str | None, what: str) -> Signer:
        if uri is None:
            raise ConfigurationError(
                f"connection {self.conn_id!r} names no key that {what}: put its URI, such as "
                f"keystore:/path/to/key.json, into the field {FIELDS[name].label!r} (extra "
                f"{name!r})"
            )
        from chain_client.signing import open_signer

        try:
            return open_signer(uri, base=self.home, password=self.password)
        except ConfigurationError as exc:
            raise ConfigurationError(
                f"connection {self.conn_id!r}, field {FIELDS[name].label!r}: {exc}"
            ) from exc


def read_connection(
    conn_id: str, stored: StoredConnection, default_home: Path | None
) -> ChainConnection:
    """What a connection says; reads nothing else.

    Args:
        conn_id: what Airflow calls it.
        stored: as Airflow gives it, wherever it was kept.
        default_home: home of a connection that names none.

    Raises:
        ConfigurationError: it is of another type, or a field is unknown, of the wrong kind, or
            says two things; the text names connection and field, and never a hidden value.
    """
    where = f"connection {conn_id!r}"
    if stored.conn_type and stored.conn_type != CONN_TYPE:
        raise ConfigurationError(
            f"{where} is of type {stored.conn_type[:80]!r}; expected one of type {CONN_TYPE!r}"
        )
    texts = _texts(where, stored.extra_dejson)
    named_home = texts.pop("home", "")
    home = _home(where, named_home, default_home)
    if "ledger_url" in texts and "secret_ledger_url" in texts:
        raise ConfigurationError(
            f"{where}: give {FIELDS['ledger_url'].label!r} or "
            f"{FIELDS['secret_ledger_url'].label!r}, not both"
        )
    overrides = {key: value for key, value in texts.items() if key in setting_keys()}
    for name, item in FIELDS.items():
        if item.setting and name in texts:
            overrides[item.setting] = texts[name]
    if _HEADERS in texts:
        overrides[FIELDS[_HEADERS].setting] = _to_lines(where, texts[_HEADERS])
    return ChainConnection(
        conn_id,
        home,
        overrides,
        bool(named_home),
        texts.get("requester_key"),
        texts.get("breaker_key"),
        stored.password or None,
        texts.get("tracking_uri"),
        _explorer(where, texts.get("explorer_url")),
    )


def _texts(where: str, extra: Any) -> dict[str, str]:
    """The fields that say something, by name."""
    if not isinstance(extra, Mapping):
        raise ConfigurationError(f"{where}: expected an object of fields as its extra")
    found: dict[str, str] = {}
    for key, value in extra.items():
        name = str(key).removeprefix(_PREFIX)
        if name not in FIELDS and name not in setting_keys():
            raise ConfigurationError(
                f"{where} has the unknown field {name[:80]!r}; expected {', '.join(FIELDS)}, or a "
                "setting of the home such as gate.finality"
            )
        if value is None or value == "":
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str | int | float):
            raise ConfigurationError(f"{where}, field {name!r}: expected a text")
        found[name] = str(value)
    return found


def _home(where: str, text: str, default: Path | None) -> Path:
    if not text:
        if default is None:
            raise ConfigurationError(
                f"{where} names no home folder, and neither [mlops_chain] home nor "
                "MLOPS_CHAIN_HOME does: give the absolute path of the deployment's home"
            )
        return default.resolve()
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ConfigurationError(
            f"{where}: the home folder has to be an absolute path, for workers run in other "
            f"folders; got {text[:200]!r}"
        )
    return path.resolve()


def _to_lines(where: str, text: str) -> str:
    """Headers as the setting takes them; the form has one line, in which an object has room."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(
        isinstance(value, str) and not (set("\r\n") & set(name + value))
        for name, value in found.items()
    ):
        raise ConfigurationError(
            f"{where}, field {FIELDS[_HEADERS].label!r}: expected `Name: value`, or several as a "
            'JSON object of texts, {"Name": "value"}'
        )
    return "\n".join(f"{name}: {value}" for name, value in found.items())


def _explorer(where: str, url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            f"{where}: the explorer URL has to begin with https:// and hold no user name or "
            "password; expected something like https://etherscan.io"
        )
    return url
