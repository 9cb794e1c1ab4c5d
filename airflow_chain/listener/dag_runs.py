"""DAG runs begin, end, or are marked by a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow_chain import acting_user, keys, recording, versions
from airflow_chain.dag_versions import GraphOfRun
from airflow_chain.guard import Guard
from airflow_chain.listener import components
from airflow_chain.mapping.dag_runs import key_of, map_dag_run
from airflow_chain.mapping.disclosing import disclose
from airflow_chain.mapping.final_states import FinalStates, read_final_states
from airflow_chain.recording import Recording
from airflow_chain.rules import Extent
from chain_client.events import Actor, Json

_TYPES = {
    "running": keys.DAG_RUN_STARTED,
    "success": keys.DAG_RUN_SUCCEEDED,
    "failed": keys.DAG_RUN_FAILED,
}


def change(dag_run: Any, state: str, msg: str) -> None:
    """A DAG run has another state.

    Args:
        dag_run: Airflow's object, in an open session.
        state: ``running``, ``success`` or ``failed``, as the hook is called.
        msg: why, in Airflow's words.
    """
    key = key_of(dag_run)
    now = recording.get_recording()
    decision = now.policy.decide(key.dag_id)
    if not decision.record:
        return
    component = components.component_with_rows()
    with Guard("which Airflow records here"):
        recording.bind()
    graph: GraphOfRun | None = None
    with Guard("graph of a DAG"):
        graph = now.dag_versions.find(dag_run)
        if (
            graph is not None
            and graph.new is not None
            and recording.note(graph.new, component=component)
        ):
            now.dag_versions.confirm(graph)
    states: FinalStates | None = None
    if state != "running":
        with Guard("final states of tasks"):
            states = read_final_states(dag_run)
    marked = component == components.API_SERVER
    mapped = map_dag_run(
        dag_run,
        keys.DAG_RUN_MARKED if marked else _TYPES[state],
        msg=msg,
        graph=None if graph is None else graph.sha256,
        states=states,
        allows=_allows(now, key.dag_id),
    )
    more: dict[str, Json] = {}
    with Guard("conf of a DAG run"):
        more.update(_conf(dag_run, decision.conf))
    user = acting_user.current_user() if marked else None
    if marked:
        more["state"] = state
    if user is not None and user.id is not None:
        more["user_id"] = user.id
    recording.note(
        replace(mapped, payload={**mapped.payload, **more}),
        component=component,
        actor=None if user is None else Actor(authenticated=user.name),
    )


def _allows(now: Recording, dag_id: str) -> Callable[[str, str | None], bool]:
    return lambda task_id, operator: now.policy.decide(dag_id, task_id, operator).record


def _conf(dag_run: Any, extent: Extent) -> dict[str, Json]:
    conf = vars(dag_run).get("conf")
    told = disclose(conf, extent, "conf", versions.mask) if conf else None
    return {} if told is None else {"conf": told}
