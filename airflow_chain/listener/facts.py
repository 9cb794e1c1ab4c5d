"""What Airflow's task instances tell, of what they have loaded: no query is ever sent for it."""

from __future__ import annotations

from typing import Any

from airflow_chain import versions
from airflow_chain.keys import UNMAPPED, TaskKey
from airflow_chain.mapping.final_states import to_text, to_us
from airflow_chain.mapping.tasks import TaskFacts


def is_row(task_instance: Any) -> bool:
    """Whether it is a row of the metadata database; a task's own process has no rows."""
    return hasattr(type(task_instance), "__mapper__")


def read_facts(task_instance: Any) -> TaskFacts:
    """The facts of either kind of task instance."""
    loaded = vars(task_instance)
    map_index = loaded.get("map_index")
    task = loaded.get("task")
    row = is_row(task_instance)
    operator = loaded.get("operator")
    if operator is None and task is not None:
        operator = getattr(task, "task_type", None)
    return TaskFacts(
        TaskKey(
            str(loaded["dag_id"]),
            str(loaded["run_id"]),
            str(loaded["task_id"]),
            UNMAPPED if map_index is None else int(map_index),
        ),
        ti_id=_text(_id_of_try(loaded) if row else loaded.get("id")),
        try_number=loaded.get("try_number"),
        state=to_text(loaded.get("state")),
        operator=_text(operator),
        operator_module=None if row or task is None else type(task).__module__,
        max_tries=loaded.get("max_tries"),
        dag_version_id=_text(loaded.get("dag_version_id")),
        started_us=to_us(loaded.get("start_date")),
        ended_us=to_us(loaded.get("end_date")),
        next_method=None if row else versions.next_method(task_instance),
        reschedules=0 if row else versions.reschedules(task_instance),
    )


def _id_of_try(loaded: dict[str, Any]) -> Any:
    """Of a row; where another try follows, Airflow has given it the id of that one already."""
    if to_text(loaded.get("state")) != "up_for_retry":
        return loaded.get("id")
    state = loaded.get("_sa_instance_state")
    return getattr(state, "committed_state", {}).get("id")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
