"""The databases of a home by their URI, however it is spelt."""

from __future__ import annotations

from pathlib import Path

from chain_client.client import ChainClient
from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.hosts import (
    Governs,
    StoreBinding,
    load_host,
    to_database_address,
    to_server_uri,
)
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
            "a tracking URI is expected, such as chain+sqlite:///mlflow.db, got "
            f"{to_shown_uri(uri)[:80]!r}"
        )
    known = client.folder.bindings()
    found = find_among(uri, known)
    if not found:
        of_models = [binding for binding, _ in model_databases(client)]
        raise ConfigurationError(tell_unknown(uri, of_models, client.home))
    return found


def model_databases(
    client: ChainClient, tracking_uri: str | None = None
) -> list[tuple[StoreBinding, Governs]]:
    """The databases in which models are looked for, each with who reads it.

    Args:
        client: of the home.
        tracking_uri: the only one; default: all that record into the home, which may be none.

    Raises:
        InvalidInput: the tracking URI is none.
        ConfigurationError: it records no models into the home.
    """
    chosen = bindings_at(client, tracking_uri) if tracking_uri else client.folder.bindings()
    found: list[tuple[StoreBinding, Governs]] = []
    for binding in chosen:
        host = load_host(binding.adapter)
        if isinstance(host, Governs):
            found.append((binding, host))
        elif tracking_uri:
            raise ConfigurationError(
                f"the adapter {binding.adapter!r} has no models that can be governed"
            )
    return found


def tell_no_database(home: Path) -> str:
    """That no database of models records into a home, and how one comes to."""
    return (
        f"no database with models records into {home} yet: let what logs models do it, by its "
        f"tracking URI, such as MLFLOW_TRACKING_URI=chain+{_SQLITE}/srv/mlflow.db or "
        "chain+http://mlflow.example:5000"
    )


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
