"""What only MLflow knows of a model: its incarnation, its versions, what stands on them.

Read by SQL from the primary database, in one session: a replica may lag behind what is decided.
"""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chain_client.hosts import ModelIncarnation
from chain_client.registry.targets import STAGES, Target
from mlflow_chain.mapping.workspaces import DEFAULT, to_bare

_BLIND_TO_CASE = frozenset({"mysql", "mariadb", "mssql"})
"""Databases in whose usual collations ``CHAMPION``, and often ``châmpion``, is ``champion``."""

_PLACEHOLDERS = frozenset({"dummy-source", "prompt-template"})
"""Sources of versions that are prompts (MLflow 3.12 has no constant for them)."""


def prompt_marker() -> str:
    """MLflow's tag that makes a registered model, or a version, a prompt."""
    from mlflow.prompt.constants import IS_PROMPT_TAG_KEY

    return str(IS_PROMPT_TAG_KEY)


def spellings(alias: str, *, is_blind: bool) -> list[str]:
    """The aliases that a database may take for the given one; the given one first."""
    if not is_blind:
        return [alias]
    plain = unicodedata.normalize("NFKD", alias)
    stripped = "".join(char for char in plain if not unicodedata.combining(char))
    return list(dict.fromkeys((alias, alias.lower(), stripped.lower())))


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version as it stands in the database.

    Args:
        number: of the version.
        stage: its stage, as MLflow writes it.
        location: where its files are, as the version names it.
        is_prompt: whether there is nothing to load: MLflow's marker and its placeholder.
    """

    number: int
    stage: str
    location: str
    is_prompt: bool


@dataclass(frozen=True, slots=True)
class ModelView:
    """A registered model as it stands in the database.

    Args:
        incarnation: what its id on chain follows from.
        aliases: versions by alias, as stored.
        stages: versions by stage, ascending; those in no stage are left out.
        prompts: numbers of versions that have nothing to load.
    """

    incarnation: ModelIncarnation
    aliases: dict[str, int]
    stages: dict[str, list[int]]
    prompts: frozenset[int] = frozenset()

    def standing(self, version: int | None = None) -> dict[Target, tuple[int, ...]]:
        """The targets that hold a version with files, and which; those of one version only."""
        found: dict[Target, set[int]] = {}
        for alias, number in self.aliases.items():
            found.setdefault(Target("alias", alias), set()).add(number)
        for stage, numbers in self.stages.items():
            found.setdefault(Target("stage", stage), set()).update(numbers)
        kept = {target: sorted(numbers - self.prompts) for target, numbers in found.items()}
        return {
            target: tuple(numbers)
            for target, numbers in sorted(kept.items())
            if numbers and (version is None or version in numbers)
        }


class RegistryView:
    """The models of one store.

    Args:
        store: MLflow's registry or workspace store, whichever holds the database.
        store_id: of the database.
    """

    def __init__(self, store: Any, store_id: str) -> None:
        self.store = store
        """The store itself; what is called of it is recorded."""
        self._store_id = store_id

    @property
    def workspace(self) -> str:
        """The active one, as MLflow names it."""
        active = getattr(self.store, "_get_active_workspace", None)
        return DEFAULT if active is None else str(active())

    @property
    def engine(self) -> Any:
        """The primary database's."""
        return getattr(self.store, "engine", None) or self.store._engine

    @property
    def is_blind_to_case(self) -> bool:
        """Whether the database may take one alias for another."""
        return self.engine.dialect.name in _BLIND_TO_CASE

    def find_model(self, name: str, workspace: str | None = None) -> ModelView | None:
        """The model that MLflow takes for ``name``, in the active workspace."""
        from mlflow.store.model_registry.dbmodels import models as db

        place = self.workspace if workspace is None else workspace
        with self._session() as session:
            model = db.SqlRegisteredModel
            columns = (model.name, model.creation_time)
            row = session.query(*columns).filter(*_is(model, name, place)).first()
            if row is None:
                return None
            return self._to_view(session, place, *row)

    def find_version(self, name: str, number: int) -> VersionView | None:
        """A version of a model in the active workspace."""
        from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
        from mlflow.store.model_registry.dbmodels import models as db

        place = self.workspace
        with self._session() as session:
            version = db.SqlModelVersion
            row = (
                session.query(version.current_stage, version.storage_location, version.source)
                .filter(
                    *_is(version, name, place),
                    version.version == number,
                    version.current_stage != STAGE_DELETED_INTERNAL,
                )
                .first()
            )
            if row is None:
                return None
            stage, storage, source = row
            location = storage or source or ""
            is_prompt = number in self._prompts(session, place, name, [number])
            return VersionView(number, stage, location, is_prompt)

    def models_in(self, workspace: str) -> list[ModelView]:
        """Every model of a workspace."""
        from mlflow.store.model_registry.dbmodels import models as db

        model = db.SqlRegisteredModel
        with self._session() as session:
            rows = (
                session.query(model.name, model.creation_time)
                .filter(model.workspace == workspace)
                .order_by(model.name)
                .all()
            )
            return [self._to_view(session, workspace, *row) for row in rows]

    def find_value(self, column: Any, *where: Any) -> Any:
        """The value of one column of one row; None if there is no such row."""
        with self._session() as session:
            return session.query(column).filter(*where).limit(1).scalar()

    def _to_view(self, session: Any, place: str, name: str, creation_ms: int) -> ModelView:
        from mlflow.store.model_registry.dbmodels import models as db

        alias, version = db.SqlRegisteredModelAlias, db.SqlModelVersion
        aliases = session.query(alias.alias, alias.version).filter(*_is(alias, name, place)).all()
        staged = (
            session.query(version.current_stage, version.version)
            .filter(*_is(version, name, place), version.current_stage.in_(STAGES))
            .order_by(version.version)
            .all()
        )
        stages: dict[str, list[int]] = {}
        for stage, number in staged:
            stages.setdefault(stage, []).append(number)
        numbers = {number for _, number in (*aliases, *staged)}
        return ModelView(
            ModelIncarnation(self._store_id, to_bare(place), name, creation_ms),
            dict(map(tuple, aliases)),
            stages,
            self._prompts(session, place, name, numbers),
        )

    def _prompts(
        self, session: Any, place: str, name: str, numbers: Iterable[int]
    ) -> frozenset[int]:
        """Which versions have nothing to load: model and version are marked, and it has no source.

        All three, for a marker alone is set by anybody, and a source alone may name a folder. And
        only where no version of the model has files: else an alias could be moved off one.
        """
        from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
        from mlflow.store.model_registry.dbmodels import models as db

        marker = prompt_marker()
        model_tag, tag, version = (
            db.SqlRegisteredModelTag,
            db.SqlModelVersionTag,
            db.SqlModelVersion,
        )
        of_model = session.query(model_tag.value).filter(
            *_is(model_tag, name, place), model_tag.key == marker
        )
        if not _is_true(of_model.scalar()):
            return frozenset()
        with_files = session.query(version.version).filter(
            *_is(version, name, place),
            version.source.not_in(sorted(_PLACEHOLDERS)),
            version.current_stage != STAGE_DELETED_INTERNAL,
        )
        if with_files.first() is not None:
            return frozenset()
        chosen = sorted(set(numbers))
        tags = (
            session.query(tag.version, tag.value)
            .filter(*_is(tag, name, place), tag.key == marker, tag.version.in_(chosen))
            .all()
        )
        sources = dict(
            session.query(version.version, version.source)
            .filter(*_is(version, name, place), version.version.in_(chosen))
            .all()
        )
        return frozenset(
            number
            for number, value in tags
            if _is_true(value) and sources.get(number) in _PLACEHOLDERS
        )

    @contextmanager
    def _session(self) -> Iterator[Any]:
        make = self.store.ManagedSessionMaker
        # With a read replica MLflow sends sessions there that do not say that they write.
        routed = "read_only" in inspect.signature(make).parameters
        with make(read_only=False) if routed else make() as session:
            yield session


def _is(table: Any, name: str, place: str) -> list[Any]:
    return [table.workspace == place, table.name == name]


def _is_true(value: object) -> bool:
    return isinstance(value, str) and value.lower() == "true"
