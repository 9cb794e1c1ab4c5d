"""What things and links are called for people. Pure; whoever shows it escapes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from chain_client.events import Json
from chain_client.lineage.confirming import BEGAN, ENDED
from chain_client.lineage.graph import Graph
from chain_client.lineage.tasks import UNKNOWN, split_try
from chain_client.running_in import UNMAPPED
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    TASK_TRY,
    Link,
    LoggedEvent,
    Node,
)

INVERSE: Final[Mapping[str, str]] = {
    "points to": "had by",
    "made of": "became",
    "made by": "made",
    "logged by": "logged",
    "nested in": "had inside",
    "copied from": "was copied to",
    "named before": "is named now",
    "read": "was read by",
    "used": "was used by",
    "ran in": "started",
    "part of": "ran",
    "had the graph": "was run as",
}
"""The relations in words from the earlier thing."""

KIND_NAMES: Final[Mapping[str, str]] = {
    TARGET: "target",
    MODEL_VERSION: "version",
    LOGGED_MODEL: "logged model",
    RUN: "run",
    DATASET: "dataset",
    TASK_TRY: "task",
    DAG_RUN: "DAG run",
    DAG_VERSION: "graph",
}


def to_title(node: Node, facts: Mapping[str, Json]) -> str:
    """A thing in a few words, without its kind."""
    if node.kind == TARGET:
        model, _, target = node.id.rpartition("/")
        kind, _, name = target.partition(":")
        return f"{model}@{name}" if kind == "alias" else f"{model}, stage {name}"
    if node.kind == MODEL_VERSION:
        model, _, number = node.id.rpartition("/")
        return f"{model} version {number}"
    if node.kind == DATASET:
        return f"{facts.get('name') or node.id}, digest {facts.get('digest') or '?'}"
    if node.kind == TASK_TRY:
        return _task_title(node)
    if node.kind == DAG_RUN:
        dag_id, _, run_id = node.id.partition("/")
        return f"{dag_id}, {run_id}"
    if node.kind == DAG_VERSION:
        dag_id, _, sha256 = node.id.partition("/")
        return f"of {dag_id}, {sha256[:16]}…" if len(sha256) > 16 else f"of {dag_id}, {sha256}"
    called = facts.get("name")
    return f"{node.id} ({called})" if called else node.id


def _task_title(node: Node) -> str:
    instance, try_number = split_try(node)
    place, _, map_index = instance.rpartition("/")
    task_id = place.rpartition("/")[2]
    mapped = "" if map_index == str(UNMAPPED) else f"[{map_index}]"
    return f"{task_id}{mapped}, try {UNKNOWN if try_number is None else try_number}"


def to_details(node: Node, facts: Mapping[str, Json]) -> list[str]:
    """What is known of a thing, a line each."""
    lines = []
    approval = facts.get("approval")
    if isinstance(approval, dict):
        lines.append(str(approval["text"]))
    if facts.get("removed"):
        lines.append(f"{facts['removed']} since")
    if facts.get("is_revoked"):
        lines.append("REVOKED on chain")
    said = [str(facts[name]) for name in ("state", "status", "error_class") if facts.get(name)]
    if facts.get("marked"):
        said.append(f"marked {facts['marked']} by {facts.get('marked_by') or 'a person'}")
    elif facts.get("marked_by"):
        said.append(f"marked by {facts['marked_by']}")
    began, ended = facts.get(BEGAN), facts.get(ENDED)
    if isinstance(began, int) and isinstance(ended, int):
        said.append(f"ran {(ended - began) / 1e6:,.1f} s")
    for fact, text in _SAID.items():
        value = facts.get(fact)
        if fact == "operator" and isinstance(value, str):
            value = _DECORATORS.get(value, value)
        if value is not None and value is not False and value != "":
            said.append(text.format(value).removesuffix("s" if value == 1 else ""))
    if said:
        lines.append(", ".join(said))
    return lines


_SAID: Final[Mapping[str, str]] = {
    "user": "by {}",
    "set_by": "set by {}",
    "renamed_by": "renamed by {}",
    "operator": "{}",
    "run_type": "{}",
    "triggering_user_name": "triggered by {}",
    "tasks": "{} tasks",
    "edges": "{} edges",
    "bundle": "bundle {}",
    "bundle_version": "at {}",
    "source_type": "from {}",
    "model_type": "{}",
    "before_adoption": "older than the adoption of its database",
}


_DECORATORS: Final[Mapping[str, str]] = {
    "_PythonDecoratedOperator": "@task",
    "_BranchPythonDecoratedOperator": "@task.branch",
    "_ShortCircuitDecoratedOperator": "@task.short_circuit",
    "_PythonVirtualenvDecoratedOperator": "@task.virtualenv",
    "_PythonExternalDecoratedOperator": "@task.external_python",
    "_BashDecoratedOperator": "@task.bash",
    "DecoratedSensorOperator": "@task.sensor",
}
"""By what those who write a DAG know an operator, whose class they never saw."""


def to_time(time_us: int) -> str:
    """A time to the second, in UTC."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def to_evidence(found: LoggedEvent, status: str) -> str:
    """Which entry says it, when, and how far it has come."""
    parts = [f"entry {found.index}"]
    if found.event is not None:
        parts.append(to_time(found.event.time_us))
    return ", ".join([*parts, status])


def shown_links(graph: Graph) -> list[Link]:
    """The links in one order, without those that say nothing new beside a longer way.

    A version that was made of a logged model was made by the run which logged that.
    """
    logged_by: dict[Node, set[Node]] = {}
    for link in graph.links.values():
        if link.relation == "logged by":
            logged_by.setdefault(link.later, set()).add(link.earlier)
    around = {
        (link.later, run)
        for link in graph.links.values()
        if link.relation == "made of"
        for run in logged_by.get(link.earlier, ())
    }
    return [
        link
        for link in graph.ordered_links()
        if link.relation != "made by" or (link.later, link.earlier) not in around
    ]
