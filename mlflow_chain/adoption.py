"""Adoption: whose database this is, and what it held when it came to us.

The deployment's id stands in MLflow's database, so that a database never starts a second,
empty history in another home.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from chain_client.errors import HomeMismatch, HomeNotWritable, HostUnavailable
from chain_client.events import Json, Subject
from mlflow_chain.baseline import FINISHED, STARTED, baseline_notes
from mlflow_chain.marker import DEPLOYMENT, METADATA
from mlflow_chain.reader import Reader

if TYPE_CHECKING:
    from chain_client.client import ChainClient

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AdoptionRow:
    """What a database says about itself.

    Args:
        deployment_id: the deployment that it belongs to.
        store_id: its own id, in every subject.
        adopted: whether its baseline is whole.
    """

    deployment_id: str
    store_id: str
    adopted: bool


def read_adoption(engine: sqlalchemy.Engine) -> AdoptionRow | None:
    """What the database says; None if it was never adopted.

    Raises:
        HostUnavailable: it does not answer.
    """
    try:
        if not sqlalchemy.inspect(engine).has_table(DEPLOYMENT.name):
            return None
        with engine.connect() as connection:
            row = connection.execute(sqlalchemy.select(DEPLOYMENT)).first()
    except sqlalchemy.exc.SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database does not answer ({type(exc).__name__})") from exc
    if row is None:
        return None
    return AdoptionRow(row.deployment_id, row.store_id, row.adopted_us is not None)


class Adoption:
    """Makes a database belong to a home, once.

    Guarantee: when `ensure` returns, the database names this home's deployment and a whole
    baseline is recorded; of several processes that come at once, one records it and the others
    wait.

    Args:
        engine: of the store that is wrapped.
        db_uri: how a reader reaches the same database.
        client: the home.
    """

    def __init__(self, engine: sqlalchemy.Engine, db_uri: str, client: ChainClient) -> None:
        self._engine = engine
        self._db_uri = db_uri
        self._client = client

    def ensure(self) -> AdoptionRow:
        """Adopt the database if nobody has.

        Raises:
            HomeMismatch: it belongs to another deployment.
            HomeNotWritable: the baseline can't be recorded.
            HostUnavailable: the database does not answer.
        """
        row = read_adoption(self._engine)
        if row is not None and row.adopted:
            return self._checked(row)
        with self._alone():
            row = read_adoption(self._engine) or self._claim()
            self._checked(row)
            if not row.adopted:
                self._record_baseline(row.store_id)
        return AdoptionRow(row.deployment_id, row.store_id, adopted=True)

    def _checked(self, row: AdoptionRow) -> AdoptionRow:
        ours = self._client.deployment_id
        if row.deployment_id != ours:
            raise HomeMismatch(
                f"this database belongs to deployment {row.deployment_id}, but the home "
                f"{self._client.home} is of deployment {ours}: set MLOPS_CHAIN_HOME to the home "
                "that was used when this database was first recorded"
            )
        return row

    def _claim(self) -> AdoptionRow:
        row = AdoptionRow(self._client.deployment_id, uuid.uuid4().hex, adopted=False)
        try:
            METADATA.create_all(self._engine)
            with self._engine.begin() as connection:
                connection.execute(
                    DEPLOYMENT.insert(),
                    {"id": 1, "deployment_id": row.deployment_id, "store_id": row.store_id},
                )
        except sqlalchemy.exc.IntegrityError:
            # Another home was faster; what it wrote decides.
            found = read_adoption(self._engine)
            if found is None:
                raise
            return found
        except sqlalchemy.exc.SQLAlchemyError as exc:
            raise HostUnavailable(
                "the tables mlops_chain_deployment and mlops_chain_markers can't be made in "
                f"MLflow's database ({type(exc).__name__}); its user needs the right to create them"
            ) from exc
        return row

    def _record_baseline(self, store_id: str) -> None:
        recorder = self._client.recorder
        baseline_id = uuid.uuid4().hex
        store = Subject(store_id, "store", store_id)
        recorder.note(STARTED, store, {"baseline": baseline_id}, required=True)
        count = 0
        with closing(Reader(self._db_uri)) as reader:
            for type_, kind, subject_id, payload in baseline_notes(reader, baseline_id):
                recorder.note(type_, Subject(store_id, kind, subject_id), payload)
                count += 1
        done: dict[str, Json] = {"baseline": baseline_id, "notes": count}
        recorder.note(FINISHED, store, done, required=True)
        with self._engine.begin() as connection:
            connection.execute(
                DEPLOYMENT.update().where(DEPLOYMENT.c.store_id == store_id),
                {"adopted_us": time.time_ns() // 1000},
            )
        _logger.info("adopted MLflow's database as store %s: %d entities", store_id, count)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        path = self._client.home / "adoption.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
