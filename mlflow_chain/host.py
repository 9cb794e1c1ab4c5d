"""What the core asks of MLflow: resolving what is in doubt, and comparing entities."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy

from chain_client.clock import Clock, SystemClock
from chain_client.errors import HostUnavailable
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import (
    AttestedFiles,
    Finding,
    ModelIncarnation,
    Progress,
    Reading,
    Recorded,
    Remark,
    ReservedTags,
    Resolution,
    Scope,
    StoreBinding,
    TargetEvent,
    TargetState,
    Unchecked,
)
from mlflow_chain import governing
from mlflow_chain.adopting.saying import read_said_store
from mlflow_chain.attesting.attest import attest
from mlflow_chain.attesting.locating import resolve_location
from mlflow_chain.files.bracket import KIND
from mlflow_chain.files.locations import Storage
from mlflow_chain.files.read_back import read_back
from mlflow_chain.loading_mlflow import load_mlflow
from mlflow_chain.mapping.over_http import to_shown
from mlflow_chain.mapping.workspaces import to_bare, to_key
from mlflow_chain.reading.governed import GovernedModel, read_models
from mlflow_chain.reading.opening import open_reader
from mlflow_chain.reading.server_uri import is_server_uri
from mlflow_chain.reading.sql import SqlReader
from mlflow_chain.resolving import SERVER_PATIENCE_S, Markers, Patience, Resolving
from mlflow_chain.stores.marker import MARKERS, read_markers
from mlflow_chain.verifying.comparison import Comparison
from mlflow_chain.verifying.replay import replay
from mlflow_chain.verifying.target_events import KINDS as TARGET_KINDS
from mlflow_chain.verifying.target_events import find_target_events
from mlflow_chain.verifying.unsettled import UnsettledCreations

_logger = logging.getLogger(__name__)


class MlflowHost:
    """`chain_client.hosts.Host` for MLflow's stores, in a database or behind a server.

    Args:
        server_patience_s: how long a server may still carry out a call that is in doubt.
        clock: time.
    """

    name = "mlflow"

    def __init__(
        self, *, server_patience_s: float = SERVER_PATIENCE_S, clock: Clock | None = None
    ) -> None:
        load_mlflow()  # whoever has a host may use it in any thread
        self._patience = Patience(server_patience_s, clock or SystemClock())

    def resolve(self, store: StoreBinding, in_doubt: Sequence[Event]) -> list[Resolution]:
        """Look at markers and entities; see `chain_client.hosts.Host`.

        A call over a server's API of which something is missing is left out until the server
        can't be carrying it out any more.
        """
        if is_server_uri(store.uri):
            return self._resolve_behind_server(store, in_doubt)
        with closing(SqlReader(store.uri)) as reader:
            resolving = Resolving(reader, _read_markers(reader, in_doubt), Storage.of(store))
            answers = (_answer(resolving, event) for event in in_doubt)
            return [answer for answer in answers if answer is not None]

    def _resolve_behind_server(
        self, store: StoreBinding, in_doubt: Sequence[Event]
    ) -> list[Resolution]:
        patience = self._patience
        # Looked at twice: at once, for what is all there is certain, and when it is over.
        due = [event for event in in_doubt if patience.see(event) or patience.is_over(event)]
        if not due:
            return []
        answers = []
        with closing(open_reader(store.uri)) as reader:
            resolving = Resolving(reader, None, Storage.of(store), is_remote=True)
            for event in due:
                answer = _answer(resolving, to_shown(event))
                if answer is None:
                    continue
                if answer.status is OutcomeStatus.RECOVERED or patience.is_over(event):
                    answers.append(answer)
        for answer in answers:
            patience.forget(answer.event_id)
        return answers

    def compare(
        self, store: StoreBinding, events: Iterable[Event], scope: Scope, progress: Progress
    ) -> Iterator[Finding | Unchecked | Remark]:
        """Compare all that is in the scope; see `chain_client.hosts.Host`."""
        unsettled = UnsettledCreations()
        is_remote = is_server_uri(store.uri)

        def noted() -> Iterator[Event]:
            for event in events:
                shown = to_shown(event) if is_remote else event
                unsettled.note(shown)
                yield shown

        state = replay(noted(), scope)
        yield from state.findings
        with closing(open_reader(store.uri)) as reader:
            found = Comparison(state, reader, progress, store).find(scope)
            yield from unsettled.explain(found, reader)
            for blind_spot in reader.blind_spots:
                yield Remark(store.to_shown_uri(), blind_spot)

    def says_store(self, uri: str) -> tuple[str, str] | None:
        """What the database says of itself; see `chain_client.verify.named_store.SaysStore`."""
        return read_said_store(uri)

    def read_back(
        self, store: StoreBinding, wanted: Mapping[str, str], recorded: Recorded
    ) -> Iterator[Reading]:
        """Read what passed none of our processes; see `chain_client.hosts.ReadsBack`."""
        return read_back(wanted, Storage.of(store), lambda: open_reader(store.uri), recorded)

    def models(self, store: StoreBinding) -> Iterator[ModelIncarnation]:
        """Every registered model that is no prompt; see `chain_client.hosts.Governs`."""
        return (model.incarnation(store.store_id) for model in _read(store))

    def find_model(
        self, store: StoreBinding, name: str, workspace: str = ""
    ) -> ModelIncarnation | None:
        """The model of that name; see `chain_client.hosts.Governs`."""
        for model in _read(store, [name]):
            if model.workspace == to_bare(workspace):
                return model.incarnation(store.store_id)
        return None

    def targets(
        self, store: StoreBinding, names: Sequence[str] | None = None
    ) -> Iterator[TargetState]:
        """Every alias and stage that has a version with files; see `chain_client.hosts.Governs`."""
        return (target for model in _read(store, names) for target in model.targets())

    def reserved_tags(
        self, store: StoreBinding, names: Sequence[str] | None = None
    ) -> Iterator[ReservedTags]:
        """What the reserved tags say; see `chain_client.hosts.Governs`."""
        return (tags for model in _read(store, names) for tags in model.reserved_tags())

    def attest(
        self,
        store: StoreBinding,
        name: str,
        version: int,
        workspace: str = "",
        recorded: Recorded | None = None,
    ) -> AttestedFiles:
        """Read every file of a version; see `chain_client.hosts.Governs`."""
        storage = Storage.of(store)
        with closing(open_reader(store.uri)) as reader:
            location = resolve_location(reader, storage, name, version, workspace)
        return attest(location, storage, recorded or _nothing_recorded)

    def find_run(
        self, store: StoreBinding, name: str, version: int, workspace: str = ""
    ) -> str | None:
        """The run that made a version; see `chain_client.hosts.NamesRuns`."""
        with closing(open_reader(store.uri)) as reader:
            found = reader.find_version(to_key(workspace, name), version)
        run_id = None if found is None else found.fields.get("run_id")
        return str(run_id) if run_id else None

    def target_events(self, store: StoreBinding, recorded: Recorded) -> Iterator[TargetEvent]:
        """What recorded calls did to aliases and stages; see `chain_client.hosts.Governs`."""
        return find_target_events(
            event for kind in TARGET_KINDS for event in recorded(kind, "", True)
        )

    def set_target(
        self,
        store: StoreBinding,
        name: str,
        workspace: str,
        target: str,
        version: int | None,
        tags: Mapping[str, str],
        *,
        home: Path,
    ) -> None:
        """Make MLflow equal to the chain; see `chain_client.hosts.Governs`."""
        governing.set_target(store, name, to_bare(workspace), target, version, tags, home)

    def set_reserved_tags(
        self,
        store: StoreBinding,
        name: str,
        workspace: str,
        version: int,
        tags: Mapping[str, str],
        *,
        home: Path,
    ) -> None:
        """Show on a version what the chain says of it; see `chain_client.hosts.Governs`."""
        governing.set_reserved_tags(store, name, to_bare(workspace), version, tags, home)


def _read(store: StoreBinding, names: Sequence[str] | None = None) -> Iterable[GovernedModel]:
    with closing(open_reader(store.uri)) as reader:
        return read_models(reader, names)


def _nothing_recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
    return iter(())


def _answer(resolving: Resolving, event: Event) -> Resolution | None:
    """What became of one event; None if files can't be looked at that others do not need."""
    try:
        return resolving.resolve(event)
    except HostUnavailable as exc:
        if event.subject.kind != KIND:
            raise
        _logger.warning("an event about files stays in doubt: %s", exc)
        return None


def _read_markers(reader: SqlReader, events: Sequence[Event]) -> Markers | None:
    try:
        with reader.tracking.engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table(MARKERS.name):
                return None
            return read_markers(connection, [bytes(event.event_id) for event in events])
    except sqlalchemy.exc.SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database can't be read ({type(exc).__name__})") from exc
