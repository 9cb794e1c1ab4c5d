"""Rows of Airflow's metadata database as plain lines; only columns are asked for, in parts.

Runs in the process of ``python -m airflow_chain.reading`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_chain import versions
from airflow_chain.mapping.dag_runs import to_dag_run_item
from airflow_chain.mapping.disclosing import digest_disclosed, disclose
from airflow_chain.mapping.final_states import COLUMNS, to_item
from airflow_chain.reading.deletions import DELETING, to_deletions
from airflow_chain.rules import Extent, Policy
from chain_client.events import Json

Line = list[Json]
"""``[kind, …]``; the kinds are in `airflow_chain.reading.database`."""

_DAG_RUN = (
    "id",
    "dag_id",
    "run_id",
    "state",
    "run_type",
    "triggered_by",
    "triggering_user_name",
    "bundle_version",
    "partition_key",
    "clear_number",
    "backfill_id",
    "created_dag_version_id",
    "logical_date",
    "run_after",
    "queued_at",
    "start_date",
    "end_date",
    "data_interval_start",
    "data_interval_end",
)
_AT_ONCE = 2000
_ARCHIVED = "_airflow_deleted__"
_TOLD_BY = {
    "dag_run": ("dag_id", "run_id"),
    "task_instance": ("id",),
    "task_instance_history": ("task_instance_id",),
    "log": ("event", "dttm", "dag_id", "run_id", "task_id", "owner", "extra"),
}
"""Columns that tell of deletions, by table; of those that were put aside, too."""


def read_lines(
    connection: Any, policy: Policy, *, dag_id: str | None, since_us: int | None
) -> Iterator[Line]:
    """Everything that verification compares: what was deleted first, then runs, then tasks.

    Args:
        connection: SQLAlchemy's, to the metadata database.
        policy: what Airflow's configuration says now.
        dag_id: of one DAG only.
        since_us: leaves out runs that had ended before, in µs since the epoch.
    """
    from airflow.models.log import Log

    yield from _deletions(connection, Log.__table__)
    yield from _archived(connection)
    yield from _dag_runs(connection, policy, dag_id, since_us)
    yield from _tasks(connection, policy, dag_id, since_us, history=True)
    yield from _tasks(connection, policy, dag_id, since_us, history=False)


def _chosen(query: Any, dag_id: str | None, since_us: int | None) -> Any:
    from datetime import UTC, datetime

    from airflow.models.dagrun import DagRun
    from sqlalchemy import or_

    columns = DagRun.__table__.c
    if dag_id is not None:
        query = query.where(columns.dag_id == dag_id)
    if since_us is not None:
        since = datetime.fromtimestamp(since_us / 1e6, UTC)
        query = query.where(or_(columns.end_date.is_(None), columns.end_date >= since))
    return query


def _dag_runs(
    connection: Any, policy: Policy, dag_id: str | None, since_us: int | None
) -> Iterator[Line]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    table = DagRun.__table__
    names = [name for name in _DAG_RUN if name in table.c]
    query = _chosen(select(*(table.c[name] for name in names), table.c["conf"]), dag_id, since_us)
    for row in _rows(connection, query.order_by(table.c.id)):
        item = to_dag_run_item(dict(zip(names, row)))
        denied = not policy.decide(str(item["dag_id"])).record
        yield ["dag_run", item, denied, _digests(row[-1])]


def _digests(conf: Any) -> list[Json]:
    """Of a run's conf, masked as a hook masks it, and as it is: what is masked, may differ."""
    found: list[Json] = []
    for mask in (versions.mask, lambda value, name: value):
        told = disclose(conf, Extent.HASHES, "conf", mask)
        digest = None if told is None else digest_disclosed(told)
        if digest is not None and digest not in found:
            found.append(digest)
    return found


def _tasks(
    connection: Any, policy: Policy, dag_id: str | None, since_us: int | None, *, history: bool
) -> Iterator[Line]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from sqlalchemy import and_, select

    runs = DagRun.__table__
    table = TaskInstanceHistory.__table__ if history else TaskInstance.__table__
    first = "task_instance_id" if history else "id"
    columns = [table.c[first], *(table.c[name] for name in COLUMNS[1:])]
    query = select(table.c.dag_id, table.c.run_id, *columns)
    if dag_id is not None or since_us is not None:
        same = and_(runs.c.dag_id == table.c.dag_id, runs.c.run_id == table.c.run_id)
        query = _chosen(query.select_from(table.join(runs, same)), dag_id, since_us)
    kind = "history" if history else "task"
    for row in _rows(connection, query):
        found = dict(zip(COLUMNS, row[2:]))
        decision = policy.decide(row[0], found["task_id"], found["operator"])
        yield [kind, row[0], row[1], to_item(found), not decision.record]


def _archived(connection: Any) -> Iterator[Line]:
    """What ``airflow db clean`` has put aside, by the tables that it makes for it."""
    from sqlalchemy import column, inspect, select, table

    for name in sorted(inspect(connection).get_table_names()):
        of = name.removeprefix(_ARCHIVED).split("__")[0]
        if not name.startswith(_ARCHIVED) or of not in _TOLD_BY:
            continue
        # Without types: a table that was made of a query has others than the one it is of.
        aside = table(name, column("id"), *(column(one) for one in _TOLD_BY[of] if one != "id"))
        if of == "log":
            yield from _deletions(connection, aside)
            continue
        for row in _rows(connection, select(*(aside.c[one] for one in _TOLD_BY[of]))):
            if of == "dag_run":
                yield ["archived_dag_run", *row]
            else:
                yield ["archived_task", _to_id(row[0])]


def _to_id(value: Any) -> str:
    """An id of a task instance; a table that was copied has lost the column's type."""
    import uuid

    return str(uuid.UUID(str(value)))


def _deletions(connection: Any, table: Any) -> Iterator[Line]:
    """What the audit log tells, or a part of it that was put aside."""
    from airflow.cli import cli_config
    from sqlalchemy import select

    parse: Any = vars(cli_config)["parsedate"]

    columns = [table.c[name] for name in _TOLD_BY["log"]]
    query = select(*columns).where(table.c.event.in_(DELETING)).order_by(table.c.id)
    for row in _rows(connection, query):
        for deletion in to_deletions(*row, parse=parse):
            yield ["deletion", deletion]


def _rows(connection: Any, query: Any) -> Iterator[Any]:
    result = connection.execution_options(yield_per=_AT_ONCE).execute(query)
    for part in result.partitions():
        yield from part
