"""The graph of a DAG version, from the serialized DAG, in a form whose bytes are canonical. Pure.

Works on anything that has Airflow's attributes: the scheduler's serialized DAG of 3.1 to 3.3, and
the DAG that a task has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_chain.keys import DAG_VERSION, DAG_VERSION_RECORDED, DagVersionKey
from airflow_chain.mapping.mapped import Mapped
from chain_client import canonical
from chain_client.events import Json

FORMAT = 1
"""Of the graph; part of what is hashed."""


def to_graph(
    dag: Any, *, bundle_name: str | None = None, bundle_version: str | None = None
) -> dict[str, Json]:
    """Tasks, edges and task groups of a DAG, each list in one order.

    Args:
        dag: Airflow's DAG; nothing of it is changed, and nothing is loaded.
        bundle_name: of the bundle that the DAG is in.
        bundle_version: such as a commit; None where the bundle has no versions.
    """
    tasks = [dag.task_dict[task_id] for task_id in sorted(dag.task_dict)]
    edges: list[Json] = [
        [task.task_id, below] for task in tasks for below in sorted(task.downstream_task_ids)
    ]
    graph: dict[str, Json] = {
        "format": FORMAT,
        "dag_id": str(dag.dag_id),
        "bundle": {"name": bundle_name, "version": bundle_version},
        "tasks": [_to_task(task) for task in tasks],
        "edges": edges,
    }
    groups = sorted(_groups(getattr(dag, "task_group", None)), key=lambda group: str(group["id"]))
    if groups:
        graph["groups"] = list(groups)
    return graph


def digest_graph(graph: Mapping[str, Json]) -> str:
    """SHA-256 of the graph's RFC 8785 bytes, 64 hexadecimal digits."""
    return hashlib.sha256(canonical.encode(dict(graph))).hexdigest()


def map_dag_version(
    graph: Mapping[str, Json], *, version_number: int | None = None, version_id: str | None = None
) -> Mapped:
    """The event that records a graph.

    Args:
        graph: as `to_graph` gives it.
        version_number: of Airflow's own DAG version.
        version_id: likewise.
    """
    digest = digest_graph(graph)
    payload: dict[str, Json] = {"graph": dict(graph), "sha256": digest}
    if version_number is not None:
        payload["version_number"] = version_number
    if version_id is not None:
        payload["dag_version_id"] = version_id
    key = DagVersionKey(str(graph["dag_id"]), digest)
    return Mapped(DAG_VERSION_RECORDED, DAG_VERSION, key.to_id(), payload)


def _to_task(task: Any) -> dict[str, Json]:
    """What is the same in each of Airflow's forms of an operator; flags only where they are set."""
    kind = getattr(task, "task_type", None) or getattr(task, "operator_name", "")
    module = getattr(task, "_task_module", "") or ""
    rule = getattr(task, "trigger_rule", "all_success")
    found: dict[str, Json] = {
        "id": str(task.task_id),
        "operator": f"{module}.{kind}" if module else str(kind),
        "trigger_rule": str(getattr(rule, "value", rule)),
    }
    flags = {
        "setup": getattr(task, "is_setup", False),
        "teardown": getattr(task, "is_teardown", False),
        "mapped": getattr(task, "is_mapped", False),
        "empty": getattr(task, "inherits_from_empty_operator", False),
        "starts_in_trigger": _starts_in_trigger(task),
    }
    found.update({name: True for name, is_set in flags.items() if is_set})
    if found.get("teardown") and getattr(task, "on_failure_fail_dagrun", False):
        found["on_failure_fail_dagrun"] = True
    retries = getattr(task, "retries", 0)
    if isinstance(retries, int) and retries:
        found["retries"] = retries
    return found


def _starts_in_trigger(task: Any) -> bool:
    """Whether Airflow hands it to a trigger before any process runs it."""
    partial = getattr(task, "partial_kwargs", None) or {}
    default = getattr(task, "start_from_trigger", False)
    return bool(partial.get("start_from_trigger", default))


def _groups(group: Any, parent: str | None = None) -> Iterator[dict[str, Json]]:
    """Every named group below one, with what is directly in it."""
    if group is None:
        return
    name = group.group_id
    children = getattr(group, "children", {})
    if name is not None:
        found: dict[str, Json] = {"id": str(name), "children": [str(c) for c in sorted(children)]}
        if parent is not None:
            found["parent"] = parent
        if getattr(group, "is_mapped", False) or hasattr(group, "_expand_input"):
            found["mapped"] = True
        yield found
    for child in children.values():
        if hasattr(child, "children") and hasattr(child, "group_id"):
            yield from _groups(child, None if name is None else str(name))
