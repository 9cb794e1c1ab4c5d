"""Tries of tasks as things of a lineage, and what a claim leaves out: found in the log.

A process that a task started with an environment of its own knows neither the Airflow's name nor
the map index: then the log may know only one that fits. `UNKNOWN` stands for what nobody knows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from chain_client.events import Subject
from chain_client.running_in import (
    DAG_RUN as DAG_RUN_KIND,
)
from chain_client.running_in import (
    TASK_INSTANCE,
    RunningIn,
    dag_run_id,
    split_task_instance_id,
)
from chain_client.traces import DAG_RUN, TASK_TRY, Gap, Link, Logged, Node, Traced

UNKNOWN: Final = "?"


def task_try(running_in: RunningIn) -> Node:
    """The try that a process ran in, as far as it knows."""
    place = dag_run_id(running_in.dag_id, running_in.run_id)
    map_index = UNKNOWN if running_in.map_index is None else str(running_in.map_index)
    try_number = UNKNOWN if running_in.try_number is None else str(running_in.try_number)
    return Node(
        TASK_TRY,
        running_in.name or UNKNOWN,
        f"{place}/{running_in.task_id}/{map_index}#{try_number}",
    )


def try_of(store: str, task_instance: str, try_number: int) -> Node:
    """A try of a task instance, by the id of its subject."""
    return Node(TASK_TRY, store, f"{task_instance}#{try_number}")


def split_try(node: Node) -> tuple[str, int | None]:
    """Id of the task instance, and the try; None if nobody knows which."""
    instance, _, try_number = node.id.rpartition("#")
    return instance, int(try_number) if try_number.isdecimal() else None


def dag_run_of(node: Node) -> Node:
    """The DAG run of a try."""
    instance, _ = split_try(node)
    return Node(DAG_RUN, node.store, instance.rsplit("/", 2)[0])


def complete(traced: Traced, logged: Logged) -> Traced:
    """The same, with what only the log knows of the tries in it."""
    if isinstance(traced, Link):
        later, earlier = _complete(traced.later, logged), _complete(traced.earlier, logged)
        if (later, earlier) == (traced.later, traced.earlier):
            return traced
        return replace(traced, later=later, earlier=earlier)
    if isinstance(traced, Gap):
        return traced
    return replace(traced, node=_complete(traced.node, logged))


def _complete(node: Node, logged: Logged) -> Node:
    if node.kind not in (TASK_TRY, DAG_RUN) or not _is_open(node):
        return node
    stores = [node.store] if node.store != UNKNOWN else list(logged.stores())
    if node.kind == DAG_RUN:
        fitting = {
            subject.store
            for store in stores
            for subject in logged.subjects(Subject(store, DAG_RUN_KIND, node.id))
            if subject.id == node.id
        } or {
            subject.store
            for store in stores
            for subject in logged.subjects(Subject(store, TASK_INSTANCE, f"{node.id}/"))
        }
        return replace(node, store=fitting.pop()) if len(fitting) == 1 else node
    instance, _, try_number = node.id.rpartition("#")
    place, _, map_index = instance.rpartition("/")
    found = [
        subject
        for store in stores
        for subject in logged.subjects(Subject(store, TASK_INSTANCE, f"{place}/"))
        if _is_instance_of(subject.id, place) and map_index in (UNKNOWN, _index(subject.id))
    ]
    if len(found) == 1:
        return Node(TASK_TRY, found[0].store, f"{found[0].id}#{try_number}")
    return node


def _is_open(node: Node) -> bool:
    if node.store == UNKNOWN:
        return True
    return node.kind == TASK_TRY and node.id.rpartition("#")[0].endswith(f"/{UNKNOWN}")


def _index(task_instance: str) -> str:
    return task_instance.rpartition("/")[2]


def _is_instance_of(task_instance: str, place: str) -> bool:
    try:
        split_task_instance_id(task_instance)
    except ValueError:
        return False
    return task_instance.rpartition("/")[0] == place
