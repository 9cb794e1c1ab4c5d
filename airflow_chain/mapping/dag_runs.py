"""DAG runs, as Airflow's hooks give them, as events.

Of Airflow's object only what is loaded is read: asking it for more could send a query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_chain.keys import DAG_RUN, DagRunKey
from airflow_chain.mapping.final_states import FinalStates, to_text, to_us
from airflow_chain.mapping.mapped import Mapped
from chain_client.events import Json

_TEXTS = ("run_type", "triggered_by", "triggering_user_name", "bundle_version", "partition_key")
_TIMES = {
    "logical_date": "logical_us",
    "run_after": "run_after_us",
    "queued_at": "queued_us",
    "start_date": "started_us",
    "end_date": "ended_us",
    "data_interval_start": "interval_start_us",
    "data_interval_end": "interval_end_us",
}


def key_of(dag_run: Any) -> DagRunKey:
    """Which DAG run it is; nothing is loaded."""
    loaded = vars(dag_run)
    return DagRunKey(loaded["dag_id"], loaded["run_id"])


def map_dag_run(
    dag_run: Any,
    type: str,
    *,
    msg: str = "",
    graph: str | None = None,
    states: FinalStates | None = None,
    allows: Callable[[str, str | None], bool] | None = None,
) -> Mapped:
    """What is recorded of a DAG run that has begun, ended or got its state from a person.

    Args:
        dag_run: Airflow's object, as a hook gets it.
        type: one of the ``DAG_RUN_…`` of `keys`.
        msg: why, in Airflow's words: ``started``, ``task_failure``, ``timed_out`` …
        graph: SHA-256 of its graph in hexadecimal digits, if known (`dag_versions`).
        states: of its task instances, at its end.
        allows: whether a task (id, operator) may be recorded; default: every one.
    """
    loaded = vars(dag_run)
    return map_dag_run_row(loaded, type, msg=msg, graph=graph, states=states, allows=allows)


def map_dag_run_row(
    row: Mapping[str, Any],
    type: str,
    *,
    msg: str = "",
    graph: str | None = None,
    states: FinalStates | None = None,
    allows: Callable[[str, str | None], bool] | None = None,
) -> Mapped:
    """The same from a row's columns by name; those that are missing are left out."""
    key = DagRunKey(row["dag_id"], row["run_id"])
    payload: dict[str, Json] = {"dag_run": to_dag_run_item(row)}
    if msg:
        payload["message"] = msg
    if graph is not None:
        payload["graph"] = graph
    if states is not None:
        payload.update(_to_parts(states, allows))
    return Mapped(type, DAG_RUN, key.to_id(), payload)


def to_dag_run_item(row: Mapping[str, Any]) -> dict[str, Json]:
    """Identifiers, state and times of a run; what is missing or empty is left out."""
    item: dict[str, Json] = {"dag_id": row["dag_id"], "run_id": row["run_id"]}
    state = row.get("_state", row.get("state"))
    if state is not None:
        item["state"] = to_text(state)
    for name in _TEXTS:
        if row.get(name) is not None:
            item[name] = to_text(row[name])
    for name in ("id", "clear_number", "backfill_id"):
        if row.get(name) is not None:
            item["row_id" if name == "id" else name] = int(row[name])
    if row.get("created_dag_version_id") is not None:
        item["dag_version_id"] = str(row["created_dag_version_id"])
    for column, name in _TIMES.items():
        if row.get(column) is not None:
            item[name] = to_us(row[column])
    return item


def _to_parts(
    states: FinalStates, allows: Callable[[str, str | None], bool] | None
) -> dict[str, Json]:
    parts: dict[str, Json] = {"states_read_us": states.read_us}
    if states.unread:
        parts["task_instances_unread"] = True
        return parts
    items = [item for item in states.items if allows is None or allows(*_task_of(item))]
    if len(items) < len(states.items):
        parts["task_instances_denied"] = len(states.items) - len(items)
    parts["task_instances"] = list(items)
    return parts


def _task_of(item: Mapping[str, Json]) -> tuple[str, str | None]:
    operator = item["operator"]
    return str(item["task_id"]), None if operator is None else str(operator)
