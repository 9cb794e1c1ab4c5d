"""Task instances begin, end, pause, or are marked by a person."""

from __future__ import annotations

from typing import Any

from airflow_chain import acting_user, recording, versions
from airflow_chain.guard import Guard
from airflow_chain.listener import components, task_environment
from airflow_chain.listener.facts import is_row, read_facts
from airflow_chain.mapping import Mapped
from airflow_chain.mapping.disclosing import disclose
from airflow_chain.mapping.tasks import (
    TaskError,
    TaskFacts,
    map_end,
    map_mark,
    map_pause,
    map_start,
)
from airflow_chain.rules import Decision, Extent
from chain_client.events import Actor, Json

_running: Any = None
"""The task instance that this process runs, until an end of it was told."""


def begin(task_instance: Any) -> None:
    """A task's process is about to run it, or to go on with it."""
    global _running
    facts = read_facts(task_instance)
    with Guard("environment of a task"):
        task_environment.export(facts)
    decision = _decide(facts)
    if not decision.record:
        return
    _running = task_instance
    rendered: dict[str, Json] = {}
    with Guard("rendered template fields"):
        rendered = _rendered(task_instance.task, decision.rendered)
    recording.note(map_start(facts, rendered), component=components.TASK)


def end(task_instance: Any, state: str, error: Any, previous_state: Any) -> None:
    """A task's process has ended it; or the scheduler saw it fail; or a person gave it a state.

    Args:
        task_instance: Airflow's object.
        state: ``success``, ``skipped`` or ``failed``, as the hook is called.
        error: with what it failed; a text where the scheduler saw it.
        previous_state: None if a person gave the state.
    """
    global _running
    _running = None
    facts = read_facts(task_instance)
    decision = _decide(facts)
    if not decision.record:
        return
    if not is_row(task_instance):
        component = components.TASK
    else:
        component = components.component_with_rows()
        if component == components.API_SERVER or previous_state is None:
            _mark(facts, state, component)
            return
    if state == "failed" and facts.state == "up_for_retry":
        state = "up_for_retry"
    recording.note(_ended(facts, state, error, decision), component=component)


def pause() -> None:
    """The task's process stops: its task may go on later, in another one."""
    global _running
    task_instance, _running = _running, None
    if task_instance is None:
        return
    mapped = map_pause(read_facts(task_instance))
    if mapped is not None:
        recording.note(mapped, component=components.TASK)


def _decide(facts: TaskFacts) -> Decision:
    key = facts.key
    return recording.get_recording().policy.decide(key.dag_id, key.task_id, facts.operator)


def _mark(facts: TaskFacts, state: str, component: str) -> None:
    user = acting_user.current_user()
    recording.note(
        map_mark(facts, state, None if user is None else user.id),
        component=component,
        actor=None if user is None else Actor(authenticated=user.name),
    )


def _ended(facts: TaskFacts, state: str, error: Any, decision: Decision) -> Mapped:
    told: TaskError | None = None
    if state in ("failed", "up_for_retry") and error is not None:
        with Guard("error of a task"):
            told = _told(error, decision.error_text)
    return map_end(facts, state, told)


def _told(error: Any, extent: Extent) -> TaskError:
    name = type(error).__name__ if isinstance(error, BaseException) else None
    if extent is Extent.NONE:
        return TaskError(name)
    return TaskError(name, disclose(str(error), extent, "error_text", versions.mask))


def _rendered(task: Any, extent: Extent) -> dict[str, Json]:
    if extent is Extent.NONE:
        return {}
    found: dict[str, Json] = {}
    for name in getattr(task, "template_fields", ()):
        value = getattr(task, name, None)
        if value is not None:
            found[str(name)] = disclose(value, extent, str(name), versions.mask)
    return found
