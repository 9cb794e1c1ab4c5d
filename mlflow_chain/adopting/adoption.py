"""Adoption: whose database this is, and what it held when it came to us.

The deployment's id stands in MLflow's database, so that a database never starts a second,
empty history in another home. The home knows its databases too: what one says of itself can be
changed by whoever may write to it, and must not make it a new one.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy

from chain_client.errors import ChainError, ConfigurationError, HomeMismatch, HostUnavailable
from chain_client.hosts import StoreBinding, to_database_address
from mlflow_chain.adopting.copies import find_other_name, refuse_copy
from mlflow_chain.adopting.once import ADAPTER, alone, record_baseline, was_recorded
from mlflow_chain.adopting.row import AdoptionRow, read_adoption
from mlflow_chain.stores.marker import DEPLOYMENT, MARKERS, METADATA
from mlflow_chain.uri import is_private_memory

if TYPE_CHECKING:
    from chain_client.client import ChainClient

_STORE_ID = re.compile("[0-9a-f]{32}")
"""The home names a file by it, and the database's administrator may have written it."""


class Adoption:
    """Makes a database belong to a home, once.

    Guarantee: when `ensure` returns, the database names this home's deployment, a whole baseline
    is recorded, and the home knows how to reach the database; of several processes that come at
    once, one records the baseline and the others wait. No database that the home knows is
    adopted again, whatever it says of itself, and no copy takes the place of its original.

    Args:
        engine: of the store that is wrapped.
        db_uri: how a reader reaches the same database.
        client: the home.
    """

    def __init__(self, engine: sqlalchemy.Engine, db_uri: str, client: ChainClient) -> None:
        self._engine = engine
        self._db_uri = db_uri
        self._client = client
        self._is_private = is_private_memory(db_uri)

    def ensure(self) -> AdoptionRow:
        """Adopt the database if nobody has.

        Raises:
            HomeMismatch: it belongs to another deployment, is a copy, or no longer says that it
                is the one that this home knows.
            HomeNotWritable: the baseline, or the home's note of it, can't be written.
            ConfigurationError: the database's user may not do what it takes.
            HostUnavailable: the database does not answer.
        """
        row = read_adoption(self._engine)
        if row is not None and row.adopted and self._is_known(self._checked(row)):
            self._make_tables([MARKERS])
            return row
        with alone(self._client.home):
            row = read_adoption(self._engine)
            is_new = False
            if row is None:
                self._refuse_known()
                row, is_new = self._claim()
                if is_new:
                    self._refuse_other_name(row)
            self._checked(row)
            if not is_new:
                self._make_tables([MARKERS])
            if is_new or not (
                row.adopted or self._is_known(row) or self._was_recorded(row.store_id)
            ):
                record_baseline(self._client, self._db_uri, row.store_id)
            self._bind(row.store_id)
            if not row.adopted:
                self._set_adopted(row.store_id)
        return AdoptionRow(row.deployment_id, row.store_id, adopted=True)

    def _checked(self, row: AdoptionRow) -> AdoptionRow:
        ours = self._client.deployment_id
        if row.deployment_id != ours:
            raise HomeMismatch(
                f"this database belongs to deployment {row.deployment_id}, but the home "
                f"{self._client.home} is of deployment {ours}: set MLOPS_CHAIN_HOME to the home "
                "that was used when this database was first recorded"
            )
        if not _STORE_ID.fullmatch(row.store_id):
            raise HomeMismatch(
                "the store id in the table mlops_chain_deployment is none of ours: somebody "
                "changed it; run `mlops-chain verify`, and put the row back"
            )
        self._refuse_known(but=row.store_id)
        return row

    def _refuse_known(self, but: str | None = None) -> None:
        """Refuse if the home knows another database at the same place."""
        here = to_database_address(self._db_uri)
        for binding in self._bindings():
            if to_database_address(binding.uri) == here and binding.store_id != but:
                says = "no longer says so" if but is None else f"now says that it is {but}"
                raise self._known(binding.store_id, says)

    def _refuse_other_name(self, row: AdoptionRow) -> None:
        """Take the claim back if the home knows the database by another name of its server."""
        known = find_other_name(self._engine, self._bindings())
        if known is not None:
            with _answering(), self._engine.begin() as connection:
                connection.execute(DEPLOYMENT.delete().where(DEPLOYMENT.c.store_id == row.store_id))
            raise self._known(known, "no longer says so")

    def _known(self, store_id: str, says: str) -> HomeMismatch:
        return HomeMismatch(
            f"the home {self._client.home} knows this database as store {store_id}, but its table "
            f"mlops_chain_deployment {says}. If somebody changed it, run `mlops-chain verify`, and "
            "put the table back. If it is a new database in the place of the old one, remove "
            f"{self._client.folder.stores / store_id}.json and open it again"
        )

    def _bindings(self) -> list[StoreBinding]:
        return [] if self._is_private else self._client.folder.addresses()

    def _is_known(self, row: AdoptionRow) -> bool:
        """Whether the home knows it here; a database in memory is known to itself only."""
        if self._is_private:
            return row.adopted
        return StoreBinding(row.store_id, ADAPTER, self._db_uri) in self._bindings()

    def _was_recorded(self, store_id: str) -> bool:
        """Whether a whole baseline was recorded, and only the note of it was lost."""
        if any(binding.store_id == store_id for binding in self._bindings()):
            return True
        return was_recorded(self._client, store_id)

    def _bind(self, store_id: str) -> None:
        """Let the home know the database; from then on it is never adopted again.

        Raises:
            HomeMismatch: it knows another one by that id, which is still there.
        """
        if self._is_private:
            return
        for binding in self._bindings():
            if binding.store_id == store_id and binding.uri != self._db_uri:
                refuse_copy(self._engine, binding, self._client.home)
        self._client.bind_store(StoreBinding(store_id, ADAPTER, self._db_uri))

    def _claim(self) -> tuple[AdoptionRow, bool]:
        """What the database says from now on, and whether we were the first to write it."""
        row = AdoptionRow(self._client.deployment_id, uuid.uuid4().hex, adopted=False)
        self._make_tables([DEPLOYMENT, MARKERS])
        try:
            with _answering(), self._engine.begin() as connection:
                connection.execute(
                    DEPLOYMENT.insert(),
                    {"id": 1, "deployment_id": row.deployment_id, "store_id": row.store_id},
                )
        except sqlalchemy.exc.IntegrityError:
            # Another home was faster; what it wrote decides.
            found = read_adoption(self._engine)
            if found is None:
                raise
            return found, False
        return row, True

    def _make_tables(self, tables: list[sqlalchemy.Table]) -> None:
        """Make those that are missing; training goes on if somebody dropped the markers."""
        try:
            METADATA.create_all(self._engine, tables=tables)
        except sqlalchemy.exc.SQLAlchemyError as exc:
            if not self._has(tables):
                raise _refused(exc, "can't be made", "to create them") from exc
            # Another machine was faster.
        self._try_marking()

    def _try_marking(self) -> None:
        """Better now than in the middle of a training: each recorded write needs this right."""
        if self._engine.dialect.name == "sqlite":
            return  # it has no rights for single tables
        values = {"event_id": uuid.uuid4().hex, "commit_no": 0, "created_ms": 0, "written": "[]"}
        try:
            with self._engine.connect() as connection:
                connection.execute(MARKERS.insert(), values)
                connection.rollback()
        except sqlalchemy.exc.SQLAlchemyError as exc:
            raise _refused(exc, "can't be written", "to read, insert and delete there") from exc

    def _has(self, tables: list[sqlalchemy.Table]) -> bool:
        with _answering():
            found = sqlalchemy.inspect(self._engine)
            return all(found.has_table(table.name) for table in tables)

    def _set_adopted(self, store_id: str) -> None:
        with _answering(), self._engine.begin() as connection:
            connection.execute(
                DEPLOYMENT.update().where(DEPLOYMENT.c.store_id == store_id),
                {"adopted_us": time.time_ns() // 1000},
            )


def _refused(exc: Exception, what: str, right: str) -> ChainError:
    text = (
        f"the tables mlops_chain_deployment and mlops_chain_markers {what} in MLflow's database "
        f"({type(exc).__name__}); its user needs the right {right}"
    )
    is_refusal = isinstance(exc, sqlalchemy.exc.ProgrammingError)
    return ConfigurationError(text) if is_refusal else HostUnavailable(text)


@contextmanager
def _answering() -> Iterator[None]:
    """Say `HostUnavailable` of a database that does not answer; a conflict stays what it is."""
    try:
        yield
    except sqlalchemy.exc.IntegrityError:
        raise
    except sqlalchemy.exc.SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database does not answer ({type(exc).__name__})") from exc
