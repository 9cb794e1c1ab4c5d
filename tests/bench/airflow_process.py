"""Airflow at work in a process of its own: ``python -m tests.bench.airflow_process WHAT …``.

What it measured goes to its standard output as JSON lines; whatever Airflow says, to its errors.
``AIRFLOW_HOME`` and the keys of ``[mlops_chain]`` are in its environment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.machine import SyncProbe

_OURS = "airflow_chain"


def main() -> None:
    """Measure one thing."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    parser = argparse.ArgumentParser()
    what = parser.add_subparsers(dest="what", required=True)
    for name, measure in (
        ("task_hooks", _task_hooks),
        ("run_ends", _run_ends),
        ("dag_tests", _dag_tests),
        ("parse", _parse),
    ):
        measured = what.add_parser(name)
        measured.add_argument("words", nargs="*")
        measured.set_defaults(measure=measure)
    given = parser.parse_args()
    for found in given.measure(*given.words):
        answers.write(json.dumps(found) + "\n")


def _task_hooks(calls: str, probed: str) -> Iterator[dict[str, Any]]:
    """Hooks of a task instance, called as the task runner calls them.

    Args:
        calls: how many after the first one.
        probed: a folder on whose disk a bare fsync is taken before each call; or nothing: then
            it is a bare computation.
    """
    from airflow.sdk.execution_time.task_runner import TaskRunnerMarker
    from airflow.sdk.listener import get_listener_manager

    manager = get_listener_manager()
    with _without_ours(manager):
        instance = _a_task_instance(manager)
    hooks = _hooks_of_a_task(manager, instance)
    start_s = _seconds(partial(manager.hook.on_starting, component=TaskRunnerMarker()))
    first_s = _seconds(hooks[0])
    taken: list[float] = []
    cpu: list[float] = []
    bare: list[float] = []
    with ExitStack() as stack:
        if probed:
            beside = stack.enter_context(SyncProbe(Path(probed))).take_s
        else:
            beside = partial(_seconds, _compute)
        for number in range(int(calls)):
            bare.append(beside())
            cpu_began = time.thread_time()
            taken.append(_seconds(hooks[number % len(hooks)]))
            cpu.append(time.thread_time() - cpu_began)
    yield {"start_s": start_s, "first_s": first_s, "calls_s": taken, "cpu_s": cpu, "bare_s": bare}


def _compute() -> None:
    """About as long as a hook: what it takes tells of the machine and its load only."""
    sum(range(6_000))


def _hooks_of_a_task(manager: Any, instance: Any) -> list[Callable[[], object]]:
    from airflow.sdk import TaskInstanceState

    hook, running = manager.hook, TaskInstanceState.RUNNING
    error = ValueError("the licence has run out")
    return [
        lambda: hook.on_task_instance_running(
            previous_state=TaskInstanceState.QUEUED, task_instance=instance
        ),
        lambda: hook.on_task_instance_success(previous_state=running, task_instance=instance),
        lambda: hook.on_task_instance_failed(
            previous_state=running, task_instance=instance, error=error
        ),
    ]


@contextmanager
def _without_ours(manager: Any) -> Iterator[None]:
    """Our listener sees nothing of the block, so that its first call comes after it."""
    from airflow.listeners.listener import get_listener_manager

    managers = (manager, get_listener_manager())
    taken = [
        (each, plugin)
        for each in managers
        for plugin in each.pm.get_plugins()
        if _module_of(plugin).startswith(_OURS)
    ]
    if not taken:
        raise RuntimeError("our listener is not registered")
    for each, plugin in taken:
        each.pm.unregister(plugin)
    yield
    for each, plugin in taken:
        each.pm.register(plugin)


def _module_of(plugin: Any) -> str:
    return str(getattr(plugin, "__name__", type(plugin).__module__))


def _a_task_instance(manager: Any) -> Any:
    """What the task runner gave to the hooks of a task that ran."""
    from airflow.listeners import hookimpl

    seen = []

    class Watching:
        @hookimpl
        def on_task_instance_success(self, previous_state: object, task_instance: object) -> None:
            seen.append(task_instance)

    watching = Watching()
    manager.pm.register(watching)
    _dag("five").test()
    manager.pm.unregister(watching)
    return seen[-1]


def _run_ends(calls: str, *sizes: str) -> Iterator[dict[str, Any]]:
    """The hook at the end of DAG runs of so many tasks, called as the scheduler calls it."""
    from airflow.listeners.listener import get_listener_manager
    from airflow.utils.session import create_session

    hook = get_listener_manager().hook
    for size in sizes:
        with create_session() as session:
            run = _finished_run(session, f"wide_{size}")
            end = partial(hook.on_dag_run_success, dag_run=run, msg="")
            ended = [_seconds(end) for _ in range(int(calls) + 1)]
            session.rollback()
        yield {"tasks": int(size), "first_s": ended[0], "calls_s": ended[1:]}


def _finished_run(session: Any, dag_id: str) -> Any:
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import timezone
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import update

    dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(_dag(dag_id)))
    now = timezone.utcnow()
    run = dag.create_dagrun(
        run_id=f"bench__{now.isoformat()}",
        logical_date=now,
        data_interval=(now, now),
        run_after=now,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )
    session.flush()
    mine = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run.run_id)
    ended = {"state": TaskInstanceState.SUCCESS, "start_date": now, "end_date": now}
    session.execute(update(TaskInstance).where(*mine).values(try_number=1, **ended))
    run.state = DagRunState.SUCCESS
    run.dag = dag
    session.commit()
    return run


def _dag_tests() -> Iterator[dict[str, Any]]:
    """``dag.test()`` of five tasks, once for each line of the standard input."""
    dag = _dag("five")
    for _ in sys.stdin:
        began = time.perf_counter()
        run = dag.test()
        if str(run.state) != "success":
            raise RuntimeError(f"the DAG run ended as {run.state}")
        yield {"seconds": time.perf_counter() - began}


def _parse(file: str) -> Iterator[dict[str, Any]]:
    """One file of DAGs, by a process that has Airflow and its standard operators already."""
    import airflow.providers.standard.operators.empty
    import airflow.providers.standard.operators.python
    import airflow.sdk  # noqa: F401
    from airflow.dag_processing.dagbag import DagBag

    before = len(sys.modules)
    began = time.perf_counter()
    bag = DagBag(file)
    seconds = time.perf_counter() - began
    if bag.import_errors or not bag.dags:
        raise RuntimeError(f"{file}: {bag.import_errors}")
    yield {"seconds": seconds, "modules": len(sys.modules) - before}


def _dag(dag_id: str) -> Any:
    """A DAG of the folder of DAGs, which the database knows when this returns."""
    from airflow.configuration import conf
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.session import create_session

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
    bag = DagBag(conf.get("core", "dags_folder"), bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags[dag_id]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
