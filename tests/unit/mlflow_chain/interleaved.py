"""A simulated MLflow that several processes write to at once, and what they record of it.

The simulation carries calls out one after another, in an order that nobody records. What is
recorded are the brackets around the calls, source by source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from chain_client.events import Actor, Event, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.types import SourceId
from mlflow_chain.reading.entities import RegisteredModelView, VersionView
from mlflow_chain.verifying.order import TOLERANCE_US

STORE = "0" * 32
NAMES = ("m", "n")
RUN = "r"


@dataclass(slots=True, repr=False)
class Call:
    """One call, in true time, which nobody records as such.

    Args:
        source: which process makes it.
        start: before it commits.
        commit: when the database carries it out.
        end: after it committed.
        doubtful: whether its outcome is lost.
    """

    type: str
    subject_kind: str
    name: str
    payload: dict[str, Any]
    source: int
    start: int
    commit: int
    end: int
    doubtful: bool
    status: OutcomeStatus = OutcomeStatus.FAILED
    subject_id: str = ""
    result: dict[str, Any] | None = None
    applied: bool = False

    def __repr__(self) -> str:
        doubt = "?" if self.doubtful else ""
        times = f"{self.start} < {self.commit} < {self.end}"
        return f"{self.type}({self.name}, {self.payload}){doubt} by {self.source} at {times}"


@dataclass(slots=True)
class Model:
    """A registered model of the simulation."""

    fields: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    count: int = 0


@dataclass(slots=True)
class Database:
    """The simulation's database."""

    models: dict[str, Model] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def apply(self, call: Call) -> None:
        """Carry a call out, as MLflow does; a call that is not possible changes nothing."""
        done = getattr(self, "_" + call.type.replace(".", "_"))(call)
        call.applied = bool(done)
        if call.applied:
            call.status = OutcomeStatus.DONE
        if call.doubtful:
            call.status = OutcomeStatus.UNDETERMINED
            call.result = None

    def view(self, name: str) -> RegisteredModelView | None:
        """As a reader shows a model."""
        model = self.models.get(name)
        if model is None:
            return None
        versions = [
            VersionView(number, {k: v for k, v in row.items() if k != "tags"}, dict(row["tags"]))
            for number, row in model.versions.items()
        ]
        return RegisteredModelView(
            name, dict(model.fields), dict(model.tags), dict(model.aliases), versions
        )

    def _run_tag_set(self, call: Call) -> bool:
        ((key, value),) = call.payload["tags"]
        self.tags[key] = value
        return True

    def _run_tag_deleted(self, call: Call) -> bool:
        return self.tags.pop(call.payload["key"], None) is not None

    def _registered_model_created(self, call: Call) -> bool:
        if call.name in self.models:
            return False
        times = {"creation_timestamp": call.commit, "last_updated_timestamp": call.commit}
        self.models[call.name] = Model({"description": call.payload["description"], **times})
        call.result = dict(times)
        return True

    def _registered_model_deleted(self, call: Call) -> bool:
        return self.models.pop(call.name, None) is not None

    def _registered_model_renamed(self, call: Call) -> bool:
        new = call.payload["name"]
        if call.name not in self.models or new in self.models:
            return False
        model = self.models[new] = self.models.pop(call.name)
        model.fields["last_updated_timestamp"] = call.commit
        for row in model.versions.values():
            row["last_updated_timestamp"] = call.commit
        call.result = {"last_updated_timestamp": call.commit}
        return True

    def _registered_model_updated(self, call: Call) -> bool:
        model = self.models.get(call.name)
        if model is None:
            return False
        model.fields |= {
            "description": call.payload["description"],
            "last_updated_timestamp": call.commit,
        }
        call.result = {"last_updated_timestamp": call.commit}
        return True

    def _registered_model_tag_set(self, call: Call) -> bool:
        model = self.models.get(call.name)
        if model is None:
            return False
        model.tags |= dict(call.payload["tags"])
        return True

    def _registered_model_alias_set(self, call: Call) -> bool:
        model = self.models.get(call.name)
        if model is None or call.payload["version"] not in model.versions:
            return False
        model.aliases[call.payload["alias"]] = call.payload["version"]
        return True

    def _registered_model_alias_deleted(self, call: Call) -> bool:
        model = self.models.get(call.name)
        if model is None:
            return False
        model.aliases.pop(call.payload["alias"], None)
        return True

    def _model_version_created(self, call: Call) -> bool:
        model = self.models.get(call.name)
        if model is None or call.doubtful:
            return False
        model.count += 1
        minted = {
            "creation_timestamp": call.commit,
            "last_updated_timestamp": call.commit,
            "source": "s",
            "storage_location": "s",
            "run_id": None,
            "current_stage": "None",
            "status": "READY",
        }
        constant = {"description": None, "run_link": None, "user_id": None, "status_message": None}
        model.versions[model.count] = {**minted, **constant, "tags": {}}
        model.fields["last_updated_timestamp"] = call.commit
        call.result = {"version": model.count, **minted}
        call.subject_id = f"{call.name}/{model.count}"
        return True

    def _model_version_stage_set(self, call: Call) -> bool:
        model = self.models.get(call.name)
        number = call.payload["number"]
        if model is None or number not in model.versions:
            return False
        touched = [number]
        if call.payload["archive"]:
            touched += [
                other
                for other, row in model.versions.items()
                if other != number and row["current_stage"] == call.payload["stage"]
            ]
        for found in touched:
            stage = call.payload["stage"] if found == number else "Archived"
            model.versions[found] |= {"current_stage": stage, "last_updated_timestamp": call.commit}
        model.fields["last_updated_timestamp"] = call.commit
        call.result = {
            "versions": [[n, model.versions[n]["current_stage"], call.commit] for n in touched],
            "model_last_updated_timestamp": call.commit,
        }
        return True

    def _model_version_deleted(self, call: Call) -> bool:
        model = self.models.get(call.name)
        number = call.payload["number"]
        if model is None or model.versions.pop(number, None) is None:
            return False
        model.aliases = {a: n for a, n in model.aliases.items() if n != number}
        model.fields["last_updated_timestamp"] = call.commit
        call.result = {"versions": [], "model_last_updated_timestamp": call.commit}
        return True


_TEXTS = st.sampled_from(["u", "v", "w", "x", "y", "z"])
_NUMBERS = st.sampled_from([1, 2])

_CALLS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "run.tag_set": st.builds(lambda k, v: {"tags": [[k, v]]}, st.sampled_from("ab"), _TEXTS),
    "run.tag_deleted": st.builds(lambda k: {"key": k}, st.sampled_from("ab")),
    "registered_model.created": st.builds(lambda v: {"description": v}, _TEXTS),
    "registered_model.deleted": st.just({}),
    "registered_model.renamed": st.builds(lambda v: {"name": v}, st.sampled_from(NAMES)),
    "registered_model.updated": st.builds(lambda v: {"description": v}, _TEXTS),
    "registered_model.tag_set": st.builds(lambda v: {"tags": [["t", v]]}, _TEXTS),
    "registered_model.alias_set": st.builds(lambda v: {"alias": "a", "version": v}, _NUMBERS),
    "registered_model.alias_deleted": st.just({"alias": "a"}),
    "model_version.created": st.just({"description": None, "run_link": None}),
    "model_version.stage_set": st.builds(
        lambda n, a: {"stage": "Production", "archive": a, "number": n}, _NUMBERS, st.booleans()
    ),
    "model_version.deleted": st.builds(lambda n: {"number": n}, _NUMBERS),
}


@st.composite
def histories(draw: st.DrawFn, kinds: Sequence[str] = tuple(_CALLS)) -> list[Call]:
    """Calls of up to four processes, some of them at once, carried out by nobody yet."""
    unit = draw(st.sampled_from([1, TOLERANCE_US // 400]))
    calls: list[Call] = []
    began = 0
    for index in range(draw(st.integers(4, 14))):
        began += draw(st.integers(0, 4)) * unit * 10
        type_ = draw(st.sampled_from(list(kinds)))
        commit = began + draw(st.integers(1, 9)) * unit
        calls.append(
            Call(
                type_,
                type_.partition(".")[0],
                RUN if type_.startswith("run.") else draw(st.sampled_from(NAMES)),
                dict(draw(_CALLS[type_])),
                draw(st.integers(0, 3)),
                # No two moments are the same: the database carries out one after another.
                began * 100 + index * 3,
                commit * 100 + index * 3 + 1,
                (commit + draw(st.integers(0, 9)) * unit) * 100 + index * 3 + 2,
                draw(st.integers(0, 9)) == 0,
            )
        )
    return calls


def carry_out(calls: Sequence[Call]) -> Database:
    """Carry all calls out, in the order of their commits."""
    database = Database()
    for call in sorted(calls, key=lambda call: call.commit):
        database.apply(call)
    return database


def record(calls: Sequence[Call], order: Sequence[int]) -> list[Event]:
    """What the processes record, in an order of the log that keeps each source's own.

    Args:
        calls: carried out.
        order: which source's next event comes next, over and over, until all are empty.
    """
    sources: dict[int, list[Event]] = {}
    for source in range(4):
        own = sorted((c for c in calls if c.source == source), key=lambda call: call.start)
        boot = source // 2
        shift = boot * 7_000_000_000
        skew = boot * TOLERANCE_US // 2
        opened = _event("source.opened", source, 0, Subject(STORE, "source", str(source)), boot, 0)
        sources[source] = [opened]
        for sequence, call in enumerate(own, 1):
            given = 1 + sum(other.start < call.end for other in own)
            doubtful = call.status is OutcomeStatus.UNDETERMINED
            timing = Timing(
                call.start + shift,
                None if doubtful else call.end + shift,
                None if doubtful else given,
            )
            sources[source].append(_recorded(call, source, sequence, timing, call.start + skew))
    events: list[Event] = []
    for source in order:
        if sources[source]:
            events.append(sources[source].pop(0))
    for rest in sources.values():
        events.extend(rest)
    return events


def _recorded(call: Call, source: int, sequence: int, timing: Timing, time_us: int) -> Event:
    payload = {key: value for key, value in call.payload.items() if key != "number"}
    subject_id = call.subject_id or call.name
    if call.subject_kind == "model_version" and "number" in call.payload:
        subject_id = f"{call.name}/{call.payload['number']}"
    elif call.type == "model_version.created" and not call.subject_id:
        subject_id = ""
    return Event(
        event_id=new_event_id(),
        type=call.type,
        source_id=SourceId(bytes([source]) * 16),
        sequence=sequence,
        time_us=time_us,
        status=call.status,
        subject=Subject(STORE, call.subject_kind, subject_id),
        actor=Actor(),
        timing=timing,
        payload=payload,
        result=call.result,
    )


def _event(type_: str, source: int, sequence: int, subject: Subject, boot: int, now: int) -> Event:
    return Event(
        event_id=new_event_id(),
        type=type_,
        source_id=SourceId(bytes([source]) * 16),
        sequence=sequence,
        time_us=now,
        status=OutcomeStatus.DONE,
        subject=subject,
        actor=Actor(),
        timing=Timing(now, now, 1),
        payload={"boot": f"boot {boot}"},
    )
