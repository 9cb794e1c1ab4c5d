"""Calls that made something, and of which nobody knows what became of them. Pure but for reading.

Over a server's API a call that died on its way back leaves no trace of the id that was minted. So
an entity that nobody recorded is no finding if exactly such a call would have made it; each call
explains one entity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from chain_client.events import Event, Json, OutcomeStatus
from chain_client.hosts import Finding, Remark, Unchecked
from mlflow_chain.reading.reader import Reader
from mlflow_chain.stores.recording import UNMAPPED
from mlflow_chain.verifying.order import TOLERANCE_US

LONGEST_MS = 1_800_000
"""How long after its intent a call's last request may be carried out."""

Found = Finding | Unchecked | Remark


class UnsettledCreations:
    """Collects such calls, and takes the entities that they explain out of the findings."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Event]] = {}

    def note(self, event: Event) -> None:
        """Look at one event of the store."""
        if (
            event.status is OutcomeStatus.UNDETERMINED
            and event.type in _PREFIXES
            and not event.subject.id
            and UNMAPPED not in event.payload
        ):
            self._waiting.setdefault(event.type, []).append(event)

    def explain(self, found: Iterator[Found], reader: Reader) -> Iterator[Found]:
        """The same findings, with a remark in the place of each that is explained.

        Raises:
            HostUnavailable: the host does not answer.
        """
        for item in found:
            if isinstance(item, Finding) and self._take(item, reader):
                yield Remark(
                    item.subject,
                    "nobody recorded its id, but a call whose outcome is not known would have "
                    "made it; what is in it was not compared",
                )
            else:
                yield item

    def _take(self, finding: Finding, reader: Reader) -> bool:
        type_ = _KINDS.get(finding.kind)
        waiting = self._waiting.get(type_ or "", [])
        if type_ is None or not waiting:
            return False
        fields = _READ[type_](reader, finding.subject.removeprefix(_PREFIXES[type_]))
        for event in waiting:
            if fields is not None and _would_make(event, fields):
                waiting.remove(event)
                return True
        return False


def _would_make(event: Event, fields: Mapping[str, Json]) -> bool:
    """Whether the call asked for what is there, at about that time."""
    payload = event.payload
    for name in _COMPARED[event.type]:
        wanted = payload.get(name)
        if name == "name" and not wanted:
            continue  # then MLflow makes one up
        if (wanted or None) != (fields.get(name) or None):
            return False
    if payload.get("start_time") is not None:
        return payload["start_time"] == fields.get("start_time")
    made_ms = fields.get("creation_timestamp", fields.get("creation_time"))
    if not isinstance(made_ms, int):
        return True
    since_ms = made_ms - event.time_us // 1_000
    return -TOLERANCE_US // 1_000 <= since_ms <= LONGEST_MS + TOLERANCE_US // 1_000


def _experiment(reader: Reader, experiment_id: str) -> Mapping[str, Json] | None:
    for view in reader.experiments():
        if view.id == experiment_id:
            return view.fields
    return None


def _run(reader: Reader, run_id: str) -> Mapping[str, Json] | None:
    view = reader.find_run(run_id)
    return None if view is None else view.fields


def _logged_model(reader: Reader, model_id: str) -> Mapping[str, Json] | None:
    view = reader.find_logged_model(model_id)
    return None if view is None else view.fields


def _version(reader: Reader, place: str) -> Mapping[str, Json] | None:
    name, _, number = place.rpartition("/version ")
    view = reader.find_version(name, int(number)) if number.isdecimal() else None
    return None if view is None else {**view.fields, "name": name}


_KINDS = {
    "experiment_unexpected": "experiment.created",
    "run_unexpected": "run.created",
    "logged_model_unexpected": "logged_model.created",
    "version_unexpected": "model_version.created",
}
"""What a finding's entity would be made by."""

_PREFIXES = {
    "experiment.created": "experiment ",
    "run.created": "run ",
    "logged_model.created": "logged model ",
    "model_version.created": "model ",
}
"""How the subject of its finding begins."""

_READ: dict[str, Callable[[Reader, str], Mapping[str, Json] | None]] = {
    "experiment.created": _experiment,
    "run.created": _run,
    "logged_model.created": _logged_model,
    "model_version.created": _version,
}

_COMPARED: dict[str, tuple[str, ...]] = {
    "experiment.created": ("name",),
    "run.created": ("experiment_id", "user_id", "name"),
    "logged_model.created": ("experiment_id", "name", "source_run_id", "model_type"),
    "model_version.created": ("name", "source", "run_link"),
}
"""What the call asked for, and the entity keeps."""
