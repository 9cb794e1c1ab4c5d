"""What became of a call whose outcome nobody wrote down: by its marker, or by looking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain_client.events import Event, Json, OutcomeStatus
from chain_client.hosts import Resolution
from mlflow_chain.files.repositories import DELETED, LOGGED
from mlflow_chain.files.stored import find_stored_file
from mlflow_chain.reading.reader import Reader
from mlflow_chain.stores.capture import Row
from mlflow_chain.stores.methods import BY_TYPE, Recovery
from mlflow_chain.stores.recording import UNMAPPED
from mlflow_chain.verifying.state import pack_point

Markers = Mapping[bytes, list[Row]]


class Resolving:
    """Resolves events against one database.

    Args:
        reader: of the database.
        markers: captured rows of the events that have a marker; None if there is no such table.
    """

    def __init__(self, reader: Reader, markers: Markers | None) -> None:
        self._reader = reader
        self._markers = markers

    def resolve(self, event: Event) -> Resolution:
        """What became of one event."""
        if event.type == LOGGED:
            return self._look_at_files(event)
        if event.type == DELETED:
            return self._look_for_removal(event)
        method = BY_TYPE.get(event.type)
        if method is None or UNMAPPED in event.payload or self._markers is None:
            return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
        if method.recovery is Recovery.MARKER:
            rows = self._markers.get(event.event_id)
            if rows is None:
                return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
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
        return _by_parts(event, looks[event.type](event))

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

    def _look_at_files(self, event: Event) -> Resolution:
        same: list[Json] = []
        torn: list[Json] = []
        missing = 0
        for path, size, digest in _part(event, "files"):
            stored = find_stored_file(event.subject.id, path)
            if stored is None:
                missing += 1
            elif stored == (size, digest):
                same.append([path, size, digest])
            else:
                torn.append([path, *stored])
        if not missing and not torn:
            return Resolution(event.event_id, OutcomeStatus.RECOVERED)
        if not same and not torn:
            return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
        detail: dict[str, Json] = {"files": same, "torn": torn}
        return Resolution(event.event_id, OutcomeStatus.PARTLY_APPLIED, detail=detail)

    def _look_for_removal(self, event: Event) -> Resolution:
        # Part of a folder may be gone: nobody can tell, and verification accepts either.
        return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)


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
