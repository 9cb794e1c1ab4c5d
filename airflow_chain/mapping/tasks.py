"""Task instances as events. Pure: from facts, which `listener` reads of Airflow's objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_chain import keys
from airflow_chain.keys import TaskKey
from airflow_chain.mapping.mapped import Mapped
from chain_client.events import Json

_ENDED = {
    "success": keys.TASK_SUCCEEDED,
    "skipped": keys.TASK_SKIPPED,
    "failed": keys.TASK_FAILED,
    "up_for_retry": keys.TASK_RETRY_SCHEDULED,
}
_PAUSED = {
    "deferred": keys.TASK_DEFERRED,
    "awaiting_input": keys.TASK_DEFERRED,
    "up_for_reschedule": keys.TASK_RESCHEDULED,
}


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A try of a task instance, as Airflow's object tells it; what is not known is None.

    Args:
        key: which task instance.
        ti_id: Airflow's UUID of the try.
        try_number: from 1.
        state: in Airflow's words.
        operator: class name.
        operator_module: of the class; only a task's own process knows it.
        max_tries: how many more may follow the first.
        dag_version_id: Airflow's UUID of the DAG version.
        started_us: in µs since the epoch.
        ended_us: likewise.
        next_method: what is called now that a deferral has ended; None in a first call.
        reschedules: how often this try has asked to be called again.
    """

    key: TaskKey
    ti_id: str | None = None
    try_number: int | None = None
    state: str | None = None
    operator: str | None = None
    operator_module: str | None = None
    max_tries: int | None = None
    dag_version_id: str | None = None
    started_us: int | None = None
    ended_us: int | None = None
    next_method: str | None = None
    reschedules: int = 0


@dataclass(frozen=True, slots=True)
class TaskError:
    """With what a task failed.

    Args:
        name: of the error's class; None where Airflow gives a text only.
        text: what is recorded of its text, by the policy; None for nothing.
    """

    name: str | None = None
    text: Mapping[str, Json] | None = field(default=None, repr=False)


def map_start(facts: TaskFacts, rendered: Mapping[str, Json] | None = None) -> Mapped:
    """A try begins to run its code, or goes on with it.

    Args:
        facts: of the try.
        rendered: what is recorded of each rendered template field, by the policy.
    """
    if facts.next_method:
        type_ = keys.TASK_RESUMED
    elif facts.reschedules:
        type_ = keys.TASK_POKED
    else:
        type_ = keys.TASK_STARTED
    payload = _payload(facts)
    if facts.next_method:
        payload["next_method"] = facts.next_method
    if facts.reschedules:
        payload["reschedules"] = facts.reschedules
    if rendered:
        payload["rendered"] = dict(rendered)
    return Mapped(type_, keys.TASK_INSTANCE, facts.key.to_id(), payload)


def map_end(facts: TaskFacts, state: str, error: TaskError | None = None) -> Mapped:
    """A try has ended.

    Args:
        facts: of the try.
        state: ``success``, ``skipped``, ``failed`` or ``up_for_retry``.
        error: with what it failed.
    """
    payload = _payload(facts)
    payload["state"] = state
    if error is not None and error.name is not None:
        payload["error_class"] = error.name
    if error is not None and error.text is not None:
        payload["error_text"] = dict(error.text)
    return Mapped(_ENDED[state], keys.TASK_INSTANCE, facts.key.to_id(), payload)


def map_pause(facts: TaskFacts) -> Mapped | None:
    """The task's process ends, and the same try goes on later; None if it does not."""
    type_ = _PAUSED.get(facts.state or "")
    if type_ is None:
        return None
    payload = _payload(facts)
    payload["state"] = facts.state
    return Mapped(type_, keys.TASK_INSTANCE, facts.key.to_id(), payload)


def map_mark(facts: TaskFacts, state: str, user_id: str | None = None) -> Mapped:
    """A person gave it a state.

    Args:
        facts: of its newest try.
        state: which.
        user_id: the auth manager's own id of who did it, where it has one.
    """
    payload = _payload(facts)
    payload["state"] = state
    if user_id is not None:
        payload["user_id"] = user_id
    return Mapped(keys.TASK_MARKED, keys.TASK_INSTANCE, facts.key.to_id(), payload)


def _payload(facts: TaskFacts) -> dict[str, Json]:
    values: dict[str, Json] = {
        "ti_id": facts.ti_id,
        "try_number": facts.try_number,
        "max_tries": facts.max_tries,
        "operator": facts.operator,
        "operator_module": facts.operator_module,
        "dag_version_id": facts.dag_version_id,
        "started_us": facts.started_us,
        "ended_us": facts.ended_us,
    }
    return {name: value for name, value in values.items() if value is not None}
