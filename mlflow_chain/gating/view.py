"""What only MLflow knows of a model: its incarnation, its versions, what stands on them.

Read by SQL from the primary database: a replica may lag behind what is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from chain_client.hosts import ModelIncarnation
from chain_client.registry.targets import Target
from mlflow_chain.gating.queries import queries
from mlflow_chain.gating.spellings import spellings
from mlflow_chain.mapping.workspaces import DEFAULT, to_bare
from mlflow_chain.reading.governed import PROMPT_SOURCES

_BLIND_TO_CASE = frozenset({"mysql", "mariadb", "mssql"})
"""Databases in whose usual collations ``CHAMPION`` is ``champion``; see `spellings`."""


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
        known_aliases: gives the aliases that may be gated, under whatever spelling; asked only
            where a database is blind to case.
    """

    def __init__(
        self,
        store: Any,
        store_id: str,
        known_aliases: Callable[[], Iterable[str]] = lambda: (),
    ) -> None:
        self.store = store
        """The store itself; what is called of it is recorded."""
        self._store_id = store_id
        self._known_aliases = known_aliases

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

    def spellings(self, model: ModelView, alias: str) -> list[str]:
        """What an alias of a model may be known by on chain, the given spelling first."""
        if not self.is_blind_to_case:
            return [alias]
        return spellings(alias, (*model.aliases, *self._known_aliases()))

    def find_model(self, name: str) -> ModelView | None:
        """The model that MLflow takes for ``name``, in the active workspace."""
        with self.engine.connect() as connection:
            return self._find_model(connection, name)

    def find_version(self, name: str, number: int) -> tuple[ModelView, VersionView] | None:
        """A version of a model in the active workspace, with its model; None if either is gone."""
        with self.engine.connect() as connection:
            model = self._find_model(connection, name, number)
            if model is None:
                return None
            place = {"place": self.workspace, "name": name, "number": number}
            row = connection.execute(queries().version, place).first()
        if row is None:
            return None
        stage, storage, source = row
        found = VersionView(number, stage, storage or source or "", number in model.prompts)
        return model, found

    def models_in(self, workspace: str) -> list[ModelView]:
        """Every model of a workspace."""
        from mlflow.store.model_registry.dbmodels import models as db

        model = db.SqlRegisteredModel
        query: Any = select(model.name, model.creation_time).where(model.workspace == workspace)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(model.name)).all()
            return [self._to_view(connection, workspace, *row) for row in rows]

    def find_value(self, column: Any, *where: Any) -> Any:
        """The value of one column of one row; None if there is no such row."""
        with self.engine.connect() as connection:
            return connection.execute(select(column).where(*where).limit(1)).scalar()

    def _find_model(self, connection: Connection, name: str, *more: int) -> ModelView | None:
        place = self.workspace
        row = connection.execute(queries().model, {"place": place, "name": name}).first()
        return None if row is None else self._to_view(connection, place, *row, *more)

    def _to_view(
        self, connection: Connection, place: str, name: str, creation_ms: int | None, *more: int
    ) -> ModelView:
        of_model = {"place": place, "name": name}
        aliases = dict(map(tuple, connection.execute(queries().aliases, of_model).all()))
        stages: dict[str, list[int]] = {}
        for stage, number in connection.execute(queries().stages, of_model).all():
            stages.setdefault(stage, []).append(number)
        numbers = {*aliases.values(), *more}.union(*stages.values())
        return ModelView(
            ModelIncarnation(self._store_id, to_bare(place), name, int(creation_ms or 0)),
            aliases,
            stages,
            _prompts(connection, place, name, numbers),
        )


def _prompts(
    connection: Connection, place: str, name: str, numbers: Iterable[int]
) -> frozenset[int]:
    """Which versions have nothing to load: model and version are marked, and it has no source.

    All three, for a marker alone is set by anybody, and a source alone may name a folder. And
    only where no version of the model has files: else an alias could be moved off one.
    """
    of_model: dict[str, Any] = {"place": place, "name": name}
    if not _is_true(connection.execute(queries().prompt_mark, of_model).scalar()):
        return frozenset()
    for _, storage, source in connection.execute(queries().sources, of_model).all():
        if source not in PROMPT_SOURCES or (storage and storage not in PROMPT_SOURCES):
            return frozenset()
    asked = of_model | {"numbers": sorted(set(numbers))}
    marked = connection.execute(queries().marked_versions, asked).all()
    return frozenset(number for number, value in marked if _is_true(value))


def _is_true(value: object) -> bool:
    return isinstance(value, str) and value.lower() == "true"
