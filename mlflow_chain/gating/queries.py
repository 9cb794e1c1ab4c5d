"""What is asked of MLflow's tables, written once: a statement takes longer to write than to run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from chain_client.registry.targets import STAGES
from mlflow_chain.reading.governed import PROMPT_MARK

_DELETED = "Deleted_Internal"
"""MLflow's stage of versions that are deleted, whose rows stay."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Statements; all take ``place`` and ``name`` of a model.

    Args:
        model: its name as stored, and creation time.
        aliases: with their versions.
        stages: stages with their versions, ascending.
        version: stage and both places of files of the version ``number``.
        prompt_mark: the value of MLflow's marker on the model.
        sources: versions with both places of their files.
        marked_versions: those of ``numbers`` that have the marker, with its value.
    """

    model: Any
    aliases: Any
    stages: Any
    version: Any
    prompt_mark: Any
    sources: Any
    marked_versions: Any


@cache
def queries() -> Queries:
    """The statements of MLflow's tables."""
    from mlflow.store.model_registry.dbmodels import models as db

    model, version = db.SqlRegisteredModel, db.SqlModelVersion
    alias, of_model, tag = (
        db.SqlRegisteredModelAlias,
        db.SqlRegisteredModelTag,
        db.SqlModelVersionTag,
    )
    there = (*_is(version), version.current_stage != _DELETED)
    return Queries(
        model=select(model.name, model.creation_time).where(*_is(model)),
        aliases=select(alias.alias, alias.version).where(*_is(alias)),
        stages=select(version.current_stage, version.version)
        .where(*_is(version), version.current_stage.in_(STAGES))
        .order_by(version.version),
        version=select(version.current_stage, version.storage_location, version.source).where(
            *there, version.version == bindparam("number")
        ),
        prompt_mark=select(of_model.value).where(*_is(of_model), of_model.key == PROMPT_MARK),
        sources=select(version.version, version.storage_location, version.source).where(*there),
        marked_versions=select(tag.version, tag.value).where(
            *_is(tag),
            tag.key == PROMPT_MARK,
            tag.version.in_(bindparam("numbers", expanding=True)),
        ),
    )


def _is(table: Any) -> tuple[Any, Any]:
    return table.workspace == bindparam("place"), table.name == bindparam("name")
