"""Registered models as governance sees them: incarnations, targets and reserved tags.

A prompt has no files that anybody loads as a model: it is none of them. It counts as one only if
it has MLflow's mark and every version has the source that MLflow itself writes for prompts, so a
mark on a model hides nothing. The gate draws the same line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain_client.hosts import RESERVED_TAGS, ModelIncarnation, ReservedTags, TargetState
from mlflow_chain.mapping.workspaces import to_bare, to_key
from mlflow_chain.reading.reader import Reader
from mlflow_chain.reading.sql import SqlReader

PROMPT_MARK = "mlflow.prompt.is_prompt"
PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})
"""What MLflow writes as the source of a prompt's version; the first one until 3.12."""
_DELETED = "Deleted_Internal"
"""Stage of versions that were deleted: MLflow keeps their rows."""
_STAGES = frozenset({"Staging", "Production", "Archived"})


@dataclass(slots=True)
class GovernedModel:
    """One registered model.

    Args:
        workspace: empty for the default one, which every database has.
        name: as stored there.
        creation_ms: as stored.
        is_marked: whether it carries MLflow's mark of prompts.
        aliases: version by alias.
        stages: stage by version.
        sources: source by version.
        tags: reserved tags by version; only versions that have any.
    """

    workspace: str
    name: str
    creation_ms: int
    is_marked: bool = False
    aliases: dict[str, int] = field(default_factory=dict)
    stages: dict[int, str] = field(default_factory=dict)
    sources: dict[int, str | None] = field(default_factory=dict)
    tags: defaultdict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def is_prompt(self) -> bool:
        """Whether nothing of it can be loaded as a model."""
        return self.is_marked and all(found in PROMPT_SOURCES for found in self.sources.values())

    def incarnation(self, store_id: str) -> ModelIncarnation:
        """What its id on chain follows from."""
        return ModelIncarnation(store_id, self.workspace, self.name, self.creation_ms)

    def targets(self) -> Iterator[TargetState]:
        """Every alias and stage that has a version."""
        held: defaultdict[str, list[int]] = defaultdict(list)
        for alias, version in self.aliases.items():
            held[f"alias:{alias}"].append(version)
        for version, stage in self.stages.items():
            if stage in _STAGES:
                held[f"stage:{stage}"].append(version)
        for target, versions in sorted(held.items()):
            yield TargetState(self.workspace, self.name, target, tuple(sorted(versions)))

    def reserved_tags(self) -> Iterator[ReservedTags]:
        """The reserved tags of every version that has any."""
        for version, tags in sorted(self.tags.items()):
            yield ReservedTags(self.workspace, self.name, version, dict(tags))


def read_models(reader: Reader, names: Sequence[str] | None = None) -> Iterable[GovernedModel]:
    """Every registered model, prompts left out; read in a few queries where there is a database.

    Args:
        reader: of the store.
        names: bare names to read; default: all.

    Raises:
        HostUnavailable: the store can't be read.
    """
    read = _read_rows if isinstance(reader, SqlReader) else _read_views
    return [model for model in read(reader, names) if not model.is_prompt]


def _read_rows(reader: Any, names: Sequence[str] | None) -> Iterator[GovernedModel]:
    from mlflow.store.model_registry.dbmodels import models as tables

    def rows(table: Any, *columns: str, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        wanted = [getattr(table, column) for column in ("workspace", "name", *columns)]
        if names is not None:
            where = (table.name.in_(list(names)), *where)
        return list(reader.grouped(*wanted, by=tuple(wanted), where=where))

    found = {
        (workspace, name): GovernedModel(to_bare(workspace), name, int(created or 0))
        for workspace, name, created in rows(tables.SqlRegisteredModel, "creation_time")
    }
    mark: Any = tables.SqlRegisteredModelTag.key == PROMPT_MARK
    for workspace, name, value in rows(tables.SqlRegisteredModelTag, "value", where=(mark,)):
        if (workspace, name) in found:
            found[workspace, name].is_marked = value == "true"
    versions = rows(tables.SqlModelVersion, "version", "current_stage", "source")
    for workspace, name, version, stage, source in versions:
        if (workspace, name) in found and stage != _DELETED:
            found[workspace, name].stages[version] = stage or ""
            found[workspace, name].sources[version] = source
    for workspace, name, alias, version in rows(tables.SqlRegisteredModelAlias, "alias", "version"):
        if (workspace, name) in found:
            found[workspace, name].aliases[alias] = version
    ours: Any = tables.SqlModelVersionTag.key.like(f"{_escaped(RESERVED_TAGS)}%", escape="!")
    tags = rows(tables.SqlModelVersionTag, "version", "key", "value", where=(ours,))
    for workspace, name, version, key, value in tags:
        if (workspace, name) in found and version in found[workspace, name].sources:
            found[workspace, name].tags[version][key] = value or ""
    yield from found.values()


def _escaped(prefix: str) -> str:
    return prefix.replace("_", "!_")


def _read_views(reader: Reader, names: Sequence[str] | None) -> Iterator[GovernedModel]:
    for key in reader.registered_model_names():
        if names is not None and key not in names:
            continue
        view = reader.find_registered_model(key)
        if view is None:
            continue
        created: Any = view.fields.get("creation_timestamp") or 0
        model = GovernedModel("", key, int(created))
        model.is_marked = view.tags.get(PROMPT_MARK) == "true"
        model.aliases = dict(view.aliases)
        for version in view.versions:
            source: Any = version.fields.get("source")
            model.stages[version.version] = str(version.fields.get("current_stage") or "")
            model.sources[version.version] = source
            for name, value in version.tags.items():
                if name.startswith(RESERVED_TAGS):
                    model.tags[version.version][name] = value or ""
        yield model


def shown_name(workspace: str, name: str) -> str:
    """A model as people name it over all workspaces."""
    return to_key(workspace, name)
