"""What Airflow's audit log says was deleted on purpose, by its API or by its commands. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_chain.mapping.final_states import to_us
from chain_client.events import Json

DELETING = (
    "delete_dag_run",
    "bulk_dag_runs",
    "delete_dag",
    "cli_dag_delete",
    "delete_task_instance",
    "bulk_task_instances",
    "cli_cleanup_tables",
)
"""Names of the endpoints and of the commands' functions, which are what the audit log notes."""

_ANY = "~"
_BEFORE = re.compile(r"--clean-before-timestamp['\", =]+([^'\",\s]+(?: [\d:.+-]+)?)")
_TABLES = re.compile(r"(?:--tables|-t)['\", =]+([^'\"\s]+)")


def to_deletions(
    event: str,
    moment: datetime | str | None,
    dag_id: str | None,
    run_id: str | None,
    task_id: str | None,
    owner: str | None,
    extra: str | None,
) -> Iterator[dict[str, Json]]:
    """What one row of the audit log says was deleted; nothing if it was something else.

    Args:
        event: one of `DELETING`.
        moment: when; a text where the database lost the column's type.
        dag_id: of what was deleted.
        run_id: likewise.
        task_id: likewise.
        owner: who did it.
        extra: JSON: the body of a request, or a command's words.
    """
    told = _to_object(extra)
    found: dict[str, Json] = {"time_us": _to_us(moment), "who": owner}
    if event == "cli_cleanup_tables":
        before = _to_before_us(str(told.get("full_command", "")))
        tables = _TABLES.search(str(told.get("full_command", "")))
        if before is not None:
            names: list[Json] = list(tables[1].split(",")) if tables else []
            yield {**found, "before_us": before, "tables": names}
    elif event in ("delete_dag", "cli_dag_delete"):
        if dag_id:
            yield {**found, "dag_id": dag_id}
    elif event == "delete_dag_run":
        if dag_id and run_id:
            yield {**found, "dag_id": dag_id, "run_id": run_id}
    elif event == "delete_task_instance":
        if dag_id and run_id and task_id:
            yield {**found, "dag_id": dag_id, "run_id": run_id, "task_id": task_id}
    else:
        for entity in _deleted_in_bulk(told):
            named = entity if isinstance(entity, dict) else {}
            one: dict[str, Json] = {
                "dag_id": named.get("dag_id") or (dag_id if dag_id != _ANY else None),
                "run_id": named.get("dag_run_id") or (run_id if run_id != _ANY else None),
            }
            if event == "bulk_dag_runs" and isinstance(entity, str):
                one["run_id"] = entity
            if event == "bulk_task_instances":
                one["task_id"] = named.get("task_id") or (entity if entity != named else None)
            if all(isinstance(value, str) for value in one.values()):
                yield {**found, **one}


def _deleted_in_bulk(told: dict[str, Any]) -> Iterator[Any]:
    actions = told.get("actions")
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict) and action.get("action") == "delete":
            entities = action.get("entities")
            yield from entities if isinstance(entities, list) else ()


def _to_before_us(command: str) -> int | None:
    """Up to when a clean-up deleted; None if its words do not say so."""
    match = _BEFORE.search(command)
    return None if match is None else _to_us(match[1])


def _to_us(moment: datetime | str | None) -> int | None:
    """Microseconds since the epoch; of a time without a zone as of one in UTC."""
    try:
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:
        return None
    if found is not None and found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return to_us(found)


def _to_object(extra: str | None) -> dict[str, Any]:
    try:
        found = json.loads(extra or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
