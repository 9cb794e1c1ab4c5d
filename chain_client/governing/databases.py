"""The databases of a home by their URI, however it is spelt."""

from __future__ import annotations

from pathlib import Path

from chain_client.client import ChainClient
from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.hosts import StoreBinding, to_database_address, to_server_uri
from chain_client.shown_uri import to_shown_uri

_SHOWN = 50
_SQLITE = "sqlite:///"


def bindings_at(client: ChainClient, uri: str) -> list[StoreBinding]:
    """The databases at a URI that record into the home; never none.

    Args:
        client: of the home.
        uri: with or without ``chain+``, whatever the driver.

    Raises:
        InvalidInput: it is no URI.
        ConfigurationError: none records into the home.
    """
    if "://" not in uri:
        raise InvalidInput(
            f"--tracking-uri takes a URI such as chain+sqlite:///mlflow.db, got {uri[:80]!r}"
        )
    known = client.folder.bindings()
    found = find_among(uri, known)
    if not found:
        raise ConfigurationError(tell_unknown(uri, known, client.home))
    return found


def find_among(uri: str, known: list[StoreBinding]) -> list[StoreBinding]:
    """Those of the databases that are at a URI."""
    wanted = to_one_spelling(uri)
    return [binding for binding in known if to_one_spelling(binding.uri) == wanted]


def tell_unknown(uri: str, known: list[StoreBinding], home: Path) -> str:
    """Which database was asked for, why it may not be known, and which are."""
    text = f"{to_shown_uri(uri)} does not record into {home}"
    file = file_of(uri)
    if file is not None:
        text += f": it is the file {file}, "
        if file.exists():
            text += (
                "which never recorded here, or not at this place; if it was moved there, open it "
                f"once with chain+{_SQLITE}{file}"
            )
        else:
            text += "which does not exist; a relative path counts from the folder you are in"
    names = ", ".join(binding.to_shown_uri() for binding in known[:_SHOWN])
    return f"{text}. Databases that record there: {names or 'none yet'}"


def to_absolute(uri: str) -> str:
    """The URI as the adapter takes it, from whatever folder."""
    file = file_of(uri)
    return _without_prefix(uri) if file is None else f"{_SQLITE}{file}"


def file_of(uri: str) -> Path | None:
    """The file of an SQLite database; None for any other."""
    plain = _without_prefix(uri)
    if not plain.startswith(_SQLITE):
        return None
    return Path(plain.removeprefix(_SQLITE)).resolve()


def to_one_spelling(uri: str) -> str:
    """One spelling of it: no prefix, driver or credentials, absolute SQLite paths."""
    plain = _without_prefix(uri)
    if plain.lower().startswith(("http://", "https://")):
        return to_server_uri(plain)
    if plain.startswith(_SQLITE):
        return _SQLITE + str(Path(plain.removeprefix(_SQLITE)).resolve())
    return to_database_address(plain)


def _without_prefix(uri: str) -> str:
    return uri.removeprefix("chain+").removeprefix("chain:")
