"""What Airflow's audit log says was deleted on purpose, by its API or by its commands. Pure."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

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
    "cli_drop_archived",
    "cli_export_archived",
)
"""Names of the endpoints and of the commands' functions, which are what the audit log notes."""

_ANY = "~"
Parse = Callable[[str], datetime]
"""Reads a time as Airflow's commands do; may raise anything."""


def to_deletions(
    event: str,
    moment: datetime | str | None,
    dag_id: str | None,
    run_id: str | None,
    task_id: str | None,
    owner: str | None,
    extra: str | None,
    *,
    parse: Parse = datetime.fromisoformat,
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
        parse: reads the times that a command was given.
    """
    told = _to_object(extra)
    found: dict[str, Json] = {"time_us": _to_us(moment), "who": owner}
    if event == "cli_cleanup_tables":
        cleaned = _to_cleaned(_words_after("clean", told), parse)
        if cleaned is not None:
            yield {**found, **cleaned}
    elif event in ("cli_drop_archived", "cli_export_archived"):
        # Of several tables, or of all: whether this one was among them is not asked.
        if event == "cli_drop_archived" or _drops(_words_after("export-archived", told)):
            yield {**found, "dropped": True}
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


def _words_after(command: str, told: dict[str, Any]) -> list[str]:
    """The options that a command was given; the audit log has its words as Python's text."""
    try:
        words = ast.literal_eval(str(told.get("full_command")))
        return [str(word) for word in words[words.index(command) + 1 :]]
    except (ValueError, SyntaxError, TypeError, AttributeError, MemoryError, RecursionError):
        return []


class _Options(argparse.ArgumentParser):
    """Takes options as Airflow's own parser does: shortened, too."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _to_cleaned(words: list[str], parse: Parse) -> dict[str, Json] | None:
    """What ``airflow db clean`` was told; None if it was to delete nothing, or it is not clear."""
    options = _Options(add_help=False)
    for name in ("--clean-before-timestamp", "--batch-size"):
        options.add_argument(name)
    for names in (("-t", "--tables"), ("--dag-ids",), ("--exclude-dag-ids",)):
        options.add_argument(*names, type=_to_names, default=[])
    for names in (("-y", "--yes"), ("-v", "--verbose"), ("--dry-run",), ("--skip-archive",)):
        options.add_argument(*names, action="store_true")
    options.add_argument("--error-on-cleanup-failure", action="store_true")
    try:
        given = options.parse_args(words)
        before_us = _to_us(parse(given.clean_before_timestamp))
    except Exception:
        return None
    if before_us is None or given.dry_run:
        return None
    return {
        "before_us": before_us,
        "tables": given.tables,
        "dag_ids": given.dag_ids,
        "excluded": given.exclude_dag_ids,
        "is_sure": given.yes or given.skip_archive,
    }


def _to_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _drops(words: list[str]) -> bool:
    return any(len(word) > len("--") and "--drop-archives".startswith(word) for word in words)


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
