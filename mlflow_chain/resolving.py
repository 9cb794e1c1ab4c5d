"""What became of a call whose outcome nobody wrote down: by its marker, or by looking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain_client.clock import Clock
from chain_client.events import Event, Json, OutcomeStatus
from chain_client.hosts import Resolution
from chain_client.types import EventId
from mlflow_chain.files.bracket import KIND
from mlflow_chain.files.in_doubt import FilesInDoubt
from mlflow_chain.files.locations import Storage
from mlflow_chain.reading.reader import Reader
from mlflow_chain.stores.capture import Row
from mlflow_chain.stores.extras import find_extra
from mlflow_chain.stores.methods import BY_TYPE, Recovery
from mlflow_chain.stores.recording import UNDETERMINED, UNMAPPED
from mlflow_chain.verifying.state import pack_point

Markers = Mapping[bytes, list[Row]]


class Resolving:
    """Resolves events against one database.

    Args:
        reader: of the database.
        markers: captured rows of the events that have a marker; None if there is no such table.
        storage: where the files are kept.
        is_remote: whether only a server's API can be asked: then what overwrites or mints can't
            be known, whatever is there now.
    """

    def __init__(
        self,
        reader: Reader,
        markers: Markers | None,
        storage: Storage,
        *,
        is_remote: bool = False,
    ) -> None:
        self._reader = reader
        self._markers = markers
        self._is_remote = is_remote
        self._files = FilesInDoubt(storage)

    def resolve(self, event: Event) -> Resolution:
        """What became of one event."""
        if event.subject.kind == KIND:
            return self._files.resolve(event)
        method = BY_TYPE.get(event.type) or find_extra(event.type)
        if method is None or UNMAPPED in event.payload:
            return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
        is_marked = method.recovery is Recovery.MARKER
        if self._markers is None and (is_marked or not self._is_remote):
            return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
        if self._markers is not None and is_marked:
            rows = self._markers.get(event.event_id)
            if rows is None:
                return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
            if method.multi_commit:
                # The marker went with the first commit; whether others followed, nobody knows.
                return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
            minted = method.result(rows, dict(event.payload))
            return Resolution(
                event.event_id, OutcomeStatus.RECOVERED, minted.subject_id, minted.result
            )
        looks: dict[str, Callable[[Event], dict[str, list[Any]] | None]] = {
            "run.metric_logged": self._found_in_run,
            "run.param_logged": self._found_in_run,
            "run.batch_logged": self._found_in_run,
            "run.inputs_logged": self._found_inputs,
            "run.outputs_logged": self._found_inputs,
            "logged_model.params_logged": self._found_model_params,
        }
        found = looks[event.type](event)
        if self._is_remote and found is not None and _part(event, "tags"):
            return _but_for_tags(event, found)
        return _by_parts(event, found)

    def _found_in_run(self, event: Event) -> dict[str, list[Any]] | None:
        run = self._reader.find_run(event.subject.id)
        if run is None:
            return None
        found: dict[str, list[Any]] = {}
        histories: dict[str, set[bytes]] = {}
        for point in _part(event, "metrics"):
            key = point[0]
            if key not in histories:
                points = self._reader.history(event.subject.id, key)
                histories[key] = {pack_point(*shown) for shown in points}
            if pack_point(*point[1:4]) in histories[key]:
                found.setdefault("metrics", []).append(point)
        for point in _part(event, "model_metrics"):
            if self._model_has(point, event.subject.id):
                found.setdefault("model_metrics", []).append(point)
        for pair in _part(event, "params"):
            if pair[0] in run.params and run.params[pair[0]] == pair[1]:
                found.setdefault("params", []).append(pair)
        if _part(event, "tags"):
            rows = (self._markers or {}).get(event.event_id, [])
            written = {row["key"] for kind, row in rows if kind == "tag" and isinstance(row, dict)}
            tags = [pair for pair in _part(event, "tags") if pair[0] in written]
            if tags:
                found["tags"] = tags
        return found

    def _model_has(self, point: Any, run_id: str) -> bool:
        key, value, timestamp, step, model_id = point[:5]
        model = self._reader.find_logged_model(model_id)
        if model is None:
            return False
        wanted = [key, value + 0.0, timestamp, step, run_id]
        return any(isinstance(m, list) and m[:5] == wanted for m in model.metrics)

    def _found_inputs(self, event: Event) -> dict[str, list[Any]] | None:
        run = self._reader.find_run(event.subject.id)
        if run is None:
            return None
        shown = {(d[0], d[1]) for d in run.datasets if isinstance(d, list)}
        found: dict[str, list[Any]] = {
            "datasets": [d for d in _part(event, "datasets") if (d[0], d[1]) in shown],
            "models": [m for m in _part(event, "models") if m in run.models],
            "outputs": [o for o in _part(event, "outputs") if o in run.outputs],
        }
        return {name: items for name, items in found.items() if items}

    def _found_model_params(self, event: Event) -> dict[str, list[Any]] | None:
        model = self._reader.find_logged_model(event.subject.id)
        if model is None:
            return None
        params = [p for p in _part(event, "params") if model.params.get(p[0]) == p[1]]
        return {"params": params} if params else {}


def _part(event: Event, name: str) -> list[Any]:
    items = event.payload.get(name)
    return list(items) if isinstance(items, list | tuple) else []


_PARTS = ("metrics", "model_metrics", "params", "tags", "datasets", "models", "outputs")


def _by_parts(event: Event, found: dict[str, list[Any]] | None) -> Resolution:
    if found is None:
        return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
    asked = {name: len(_part(event, name)) for name in _PARTS if _part(event, name)}
    have = {name: len(items) for name, items in found.items()}
    if have == asked:
        return Resolution(event.event_id, OutcomeStatus.RECOVERED)
    if not have:
        return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
    return Resolution(event.event_id, OutcomeStatus.PARTLY_APPLIED, detail=dict(found))


def _but_for_tags(event: Event, found: dict[str, list[Any]]) -> Resolution:
    """A batch whose tags nobody can tell from what stood there before, or came later."""
    if not found:
        return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
    detail: dict[str, Json] = {**found, UNDETERMINED: {"tags": _part(event, "tags")}}
    return Resolution(event.event_id, OutcomeStatus.PARTLY_APPLIED, detail=detail)


SERVER_PATIENCE_S = 120.0
"""How long a server may still carry out a request whose client is gone: as long as MLflow's
clients wait for an answer (``MLFLOW_HTTP_REQUEST_TIMEOUT``)."""

LONGEST_CALL_S = 1_500.0
"""How long after its intent a call may send its last request: with MLflow's defaults eight tries
of 120 s, and four minutes of pauses between them."""


class Patience:
    """Tells when a server can no longer be carrying out a call that is in doubt.

    A call that is in doubt sends nothing any more: its process died, or it raised. So the time is
    counted from when it was first seen; and for relays that never live so long, from its intent.

    Args:
        patience_s: how long a server may take.
        clock: time.
    """

    def __init__(self, patience_s: float, clock: Clock) -> None:
        self._patience_us = int(patience_s * 1e6)
        self._clock = clock
        self._seen_us: dict[EventId, int] = {}

    def see(self, event: Event) -> bool:
        """Note that the call is in doubt; whether that is new."""
        if event.event_id in self._seen_us:
            return False
        self._seen_us[event.event_id] = self._clock.monotonic_us()
        return True

    def is_over(self, event: Event) -> bool:
        """Whether nothing of a call that was seen can still be under way."""
        waited_us = self._clock.monotonic_us() - self._seen_us[event.event_id]
        age_us = self._clock.time_us() - event.time_us
        return waited_us >= self._patience_us or age_us >= LONGEST_CALL_S * 1e6 + self._patience_us

    def forget(self, event_id: EventId) -> None:
        """The call is resolved."""
        self._seen_us.pop(event_id, None)
