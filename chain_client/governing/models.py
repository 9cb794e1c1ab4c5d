"""Registered models by name: in the hosts' databases, or, without them, in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.errors import UnknownName
from chain_client.governing.databases import model_databases, tell_no_database
from chain_client.hosts import Governs, ModelIncarnation, StoreBinding
from chain_client.registry.client import RegistryClient
from chain_client.registry.proposals import show_model
from chain_client.types import Digest


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A registered model, and the database that it is in."""

    binding: StoreBinding
    host: Governs
    model: ModelIncarnation


def split_name(text: str) -> tuple[str, str]:
    """Workspace and name of ``fraud`` or ``workspace/fraud``."""
    workspace, _, name = text.rpartition("/")
    return workspace, name


def find_model(client: ChainClient, text: str, tracking_uri: str | None) -> FoundModel:
    """The model of that name, in whichever database has it.

    Args:
        client: of the home.
        text: ``fraud`` or ``workspace/fraud``.
        tracking_uri: the database; default: all that record into the home.

    Raises:
        UnknownName: none has it, or several have.
        HostUnavailable: a database does not answer.
    """
    found = list(_find(client, text, tracking_uri))
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(one.binding.to_shown_uri() for one in found)
        raise UnknownName(
            f"there is a model {text!r} in several databases ({shown}): name one by "
            "the tracking URI"
        )
    asked = model_databases(client, tracking_uri)
    if not asked:
        raise UnknownName(f"there is no model {text!r}: {tell_no_database(client.home)}")
    shown = ", ".join(binding.to_shown_uri() for binding, _ in asked)
    hint = "; in a workspace, name it workspace/name" if "/" not in text else ""
    raise UnknownName(
        f"there is no registered model {text!r} in the databases that record into "
        f"{client.home} ({shown}){hint}"
    )


def model_now(
    client: ChainClient, text: str, tracking_uri: str | None, store_id: str | None = None
) -> ModelIncarnation | None:
    """The incarnation that has the name now; None if none has, for a model can be deleted.

    Where no database of models records into the home, it is the newest that governance ever met.

    Args:
        client: of the home.
        text: ``fraud`` or ``workspace/fraud``.
        tracking_uri: the database; default: all that record into the home.
        store_id: the database, where several may have such a model.

    Raises:
        UnknownName: several databases have one.
        HostUnavailable: a database does not answer.
    """
    if model_databases(client, tracking_uri):
        found = [one.model for one in _find(client, text, tracking_uri)]
    else:
        place, known = split_name(text), client.registry.names().models.values()
        newest: dict[str, ModelIncarnation] = {}
        for model in sorted(known, key=lambda one: one.creation_ms):
            if (model.workspace, model.name) == place:
                newest[model.store_id] = model
        found = list(newest.values())
    found = [model for model in found if store_id in (None, model.store_id)]
    if len(found) > 1:
        raise UnknownName(
            f"several databases have a model {text!r}: name one by the tracking URI, or the "
            "proposal by its id"
        )
    return found[0] if found else None


def find_models(
    client: ChainClient, names: Iterable[str], tracking_uri: str | None
) -> dict[str, ModelIncarnation]:
    """Those of the models that there are, by the given names.

    Raises:
        UnknownName: several databases have one of them.
        HostUnavailable: a database does not answer.
    """
    found: dict[str, ModelIncarnation] = {}
    for name in names:
        if list(_find(client, name, tracking_uri)):
            found[name] = find_model(client, name, tracking_uri).model
    return found


def known_incarnations(registry: RegistryClient, text: str) -> dict[Digest, ModelIncarnation]:
    """Every incarnation of a model of that name that governance ever met, from the log alone.

    Raises:
        UnknownName: it never met one.
    """
    workspace, name = split_name(text)
    models = registry.names().models
    found = {
        key: model
        for key, model in models.items()
        if (model.workspace, model.name) == (workspace, name)
    }
    if not found:
        known = ", ".join(sorted({show_model(model) for model in models.values()})) or "none yet"
        raise UnknownName(
            f"nothing was ever proposed, registered or set for a model {text!r} (known: {known}); "
            "mlops-chain model propose makes the first proposal"
        )
    return found


def _find(client: ChainClient, text: str, tracking_uri: str | None) -> Iterator[FoundModel]:
    workspace, name = split_name(text)
    for binding, host in model_databases(client, tracking_uri):
        model = host.find_model(binding, name, workspace)
        if model is not None:
            yield FoundModel(binding, host, model)
