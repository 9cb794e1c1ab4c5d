"""Making MLflow equal to the chain: aliases, stages and reserved tags, through the gated store.

Nothing here decides: the store's own gate allows what the chain says, and refuses the rest, so a
caller that is wrong about the chain changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from chain_client.errors import HostUnavailable, InvalidInput, PromotionConflict, PromotionDenied
from chain_client.hosts import RESERVED_TAGS, StoreBinding
from chain_client.steps import step
from mlflow_chain.building import open_client, wrap_store
from mlflow_chain.gating.tags import setting_reserved_tags
from mlflow_chain.mapping.workspaces import DEFAULT
from mlflow_chain.reading.governed import GovernedModel, read_models, shown_name
from mlflow_chain.reading.opening import open_reader
from mlflow_chain.reading.server_uri import is_server_uri

_LEFT_FOR = {"Production": "Archived", "Staging": "Archived", "Archived": "None"}
"""Stage to which a version goes that leaves one."""
_ARCHIVING = ("Production", "Staging")
"""Stages from which MLflow archives others by itself."""


def set_target(
    binding: StoreBinding,
    name: str,
    workspace: str,
    target: str,
    version: int | None,
    tags: Mapping[str, str],
    home: Path,
) -> None:
    """See `chain_client.hosts.Governs.set_target`."""
    with _governed(binding, name, workspace, home) as (model, store):
        if version is not None and version not in model.stages:
            raise InvalidInput(f"model {shown_name(workspace, name)} has no version {version}")
        kind, _, wanted = target.partition(":")
        if kind == "alias":
            _set_alias(store, model, wanted, version)
        else:
            _set_stage(store, model, wanted, version)
        step("sync.target.written")
        if version is not None:
            _set_tags(store, model, version, tags)


def set_reserved_tags(
    binding: StoreBinding,
    name: str,
    workspace: str,
    version: int,
    tags: Mapping[str, str],
    home: Path,
) -> None:
    """See `chain_client.hosts.Governs.set_reserved_tags`."""
    with _governed(binding, name, workspace, home) as (model, store):
        if version not in model.stages:
            raise InvalidInput(f"model {shown_name(workspace, name)} has no version {version}")
        _set_tags(store, model, version, tags)


def _set_alias(store: Any, model: GovernedModel, alias: str, version: int | None) -> None:
    if model.aliases.get(alias) == version:
        return
    if version is None:
        store.delete_registered_model_alias(model.name, alias)
    else:
        store.set_registered_model_alias(model.name, alias, version)


def _set_stage(store: Any, model: GovernedModel, stage: str, version: int | None) -> None:
    move = store.transition_model_version_stage
    others = [number for number, held in model.stages.items() if held == stage]
    if version in others:
        others.remove(version)
    elif version is not None:
        move(model.name, version, stage, archive_existing_versions=stage in _ARCHIVING)
        if stage in _ARCHIVING:
            return
    for number in others:
        move(model.name, number, _LEFT_FOR[stage], archive_existing_versions=False)


def _set_tags(store: Any, model: GovernedModel, version: int, tags: Mapping[str, str]) -> None:
    from mlflow.entities.model_registry import ModelVersionTag

    found = model.tags.get(version, {})
    foreign = [key for key in tags if not key.startswith(RESERVED_TAGS)]
    if foreign:
        raise InvalidInput(f"{foreign[0]} is no reserved tag")
    with setting_reserved_tags():
        for key, value in tags.items():
            if found.get(key) != value:
                store.set_model_version_tag(model.name, version, ModelVersionTag(key, value))
                step("sync.tag.written")
        for key in sorted(found.keys() - tags.keys()):
            store.delete_model_version_tag(model.name, version, key)


@contextmanager
def _governed(
    binding: StoreBinding, name: str, workspace: str, home: Path
) -> Iterator[tuple[GovernedModel, Any]]:
    """The model as it is now, and the gated store of its workspace."""
    with closing(open_reader(binding.uri)) as reader:
        found = [m for m in read_models(reader, [name]) if m.workspace == workspace]
    if not found:
        raise InvalidInput(f"there is no model {shown_name(workspace, name)} in this database")
    with _mapped_errors(), _store(binding, workspace, home) as store:
        yield found[0], store


@contextmanager
def _store(binding: StoreBinding, workspace: str, home: Path) -> Iterator[Any]:
    """A recorded and gated registry store in one workspace."""
    client = open_client(home)
    if is_server_uri(binding.uri):
        from mlflow.store.model_registry.rest_store import RestStore
        from mlflow.utils.credentials import get_default_host_creds

        if workspace:
            raise InvalidInput("a server's other workspaces are set by the relay of its own home")
        yield wrap_store(RestStore(lambda: get_default_host_creds(binding.uri)), client)
        return
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    store: Any = _governing_class(SqlAlchemyStore)(binding.uri)
    try:
        store._get_active_workspace = lambda: workspace or DEFAULT
        yield wrap_store(store, client)
    finally:
        store.engine.dispose()


def _governing_class(plain: Any) -> Any:
    """A store class for one workspace at a time, with connections of its own.

    MLflow's class for one tenant refuses a database that has other workspaces.
    """
    members: dict[str, Any] = {"_initialize_store_state": lambda store: None, "_engine_map": {}}
    return type("GoverningStore", (plain,), members)


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Raise our errors in the place of MLflow's."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as exc:
        code: Any = getattr(exc, "error_code", None)
        if code == "PERMISSION_DENIED":
            raise PromotionDenied(str(exc.message)) from exc
        if code == "RESOURCE_CONFLICT":
            raise PromotionConflict(str(exc.message)) from exc
        if code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise InvalidInput(str(exc.message)) from exc
        raise HostUnavailable(f"MLflow did not take it ({code})") from exc
    except SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database did not take it ({type(exc).__name__})") from exc
