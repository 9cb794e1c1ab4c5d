"""How findings name DAG runs and tasks: from the whole to the part, so that prefixes choose."""

from __future__ import annotations

from airflow_chain.keys import DAG_RUN, TASK_INSTANCE, UNMAPPED, DagRunKey, TaskKey
from chain_client.events import Event, Json


def name_run(key: DagRunKey) -> str:
    """Such as ``dag train/run manual__2026``."""
    return f"dag {key.dag_id}/run {key.run_id}"


def name_task(key: TaskKey, try_number: int | None = None) -> str:
    """Such as ``dag train/run manual__2026/task fit[3]/try 2``."""
    mapped = "" if key.map_index == UNMAPPED else f"[{key.map_index}]"
    tried = "" if try_number is None else f"/try {try_number}"
    return f"{name_run(key.dag_run)}/task {key.task_id}{mapped}{tried}"


def to_parts(key: TaskKey, try_number: int | None, **more: Json) -> dict[str, Json]:
    """The same for programs."""
    return {
        "dag_id": key.dag_id,
        "run_id": key.run_id,
        "task_id": key.task_id,
        "map_index": key.map_index,
        "try_number": try_number,
        **more,
    }


def name_event(event: Event) -> str:
    """Such as ``task_instance.started of dag train/run manual__2026/task fit/try 2``."""
    subject = event.subject
    try:
        if subject.kind == TASK_INSTANCE:
            tried = event.payload.get("try_number")
            number = tried if isinstance(tried, int) else None
            return f"{event.type} of {name_task(TaskKey.from_id(subject.id), number)}"
        if subject.kind == DAG_RUN:
            return f"{event.type} of {name_run(DagRunKey.from_id(subject.id))}"
    except ValueError:
        pass  # what was edited has any form
    return f"{event.type} of {subject.to_key()}"
