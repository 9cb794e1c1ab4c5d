"""What the core asks of MLflow: resolving what is in doubt, and comparing entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

import sqlalchemy

from chain_client.errors import HostUnavailable
from chain_client.events import Event
from chain_client.hosts import (
    Finding,
    Progress,
    Remark,
    Resolution,
    Scope,
    StoreBinding,
    Unchecked,
)
from mlflow_chain.reading.opening import open_reader
from mlflow_chain.reading.reader import Reader
from mlflow_chain.reading.sql import SqlReader
from mlflow_chain.resolving import Markers, Resolving
from mlflow_chain.stores.marker import MARKERS, read_markers
from mlflow_chain.verifying.comparison import Comparison
from mlflow_chain.verifying.replay import replay


class MlflowHost:
    """`chain_client.hosts.Host` for MLflow's SQL stores."""

    name = "mlflow"

    def resolve(self, store: StoreBinding, in_doubt: Sequence[Event]) -> list[Resolution]:
        """Look at markers and entities; see `chain_client.hosts.Host`."""
        with closing(open_reader(store.uri)) as reader:
            resolving = Resolving(reader, _read_markers(reader, in_doubt))
            return [resolving.resolve(event) for event in in_doubt]

    def compare(
        self, store: StoreBinding, events: Iterable[Event], scope: Scope, progress: Progress
    ) -> Iterator[Finding | Unchecked | Remark]:
        """Compare all that is in the scope; see `chain_client.hosts.Host`."""
        state = replay(events, scope)
        yield from state.findings
        with closing(open_reader(store.uri)) as reader:
            yield from Comparison(state, reader, progress).find(scope)


def _read_markers(reader: Reader, events: Sequence[Event]) -> Markers | None:
    assert isinstance(reader, SqlReader)
    try:
        with reader.tracking.engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table(MARKERS.name):
                return None
            return read_markers(connection, [bytes(event.event_id) for event in events])
    except sqlalchemy.exc.SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database can't be read ({type(exc).__name__})") from exc
