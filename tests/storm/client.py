"""A client process of the storm: it writes until it is killed, or told to stop."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._model_registry.utils import _get_store_registry

from tests.storm import model_writes as m
from tests.storm import run_writes as r
from tests.storm.names import CONTENDED, Names
from tests.storm.writer import Shared, Writer

THREADS = 8
"""Threads that set one tag at once."""
WRITERS = 3
"""Threads that write on their own, in every other life of a client."""
THREAD_SLOT = 10
"""Names of a client's further writers are those of slots from here on, and from twice that."""
CHILD_SLOT = 50
"""From here on slots are of spawned and forked children."""
_NICENESS = 3
"""Behind the server, which else takes minutes to start, and behind the one who kills."""
_REST_S = 1.0
_STOP = "stop"
_forks = count()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one client process is to do.

    Args:
        folder: the storm's folder; a file ``stop`` in it ends the clients.
        uri: MLflow's tracking URI.
        seed: of the storm.
        slot: which client.
        life: how often this one was started before.
        shared: what all of them write to.
        environment: variables.
        writes: after how many operations it ends by itself; 0: never.
    """

    folder: Path
    uri: str
    seed: int
    slot: int
    life: int
    shared: Shared | None
    environment: dict[str, str]
    writes: int = 0

    @property
    def is_direct(self) -> bool:
        """Whether it opens the database itself."""
        return not self.uri.startswith("http")


Operation = Callable[[Writer], None]
Family = Callable[[Plan, Writer], None]

OPERATIONS: dict[Operation, int] = {
    r.create_run: 4,
    r.log_metric: 16,
    r.log_batch: 4,
    r.log_batch_that_is_refused: 1,
    r.log_param: 4,
    r.change_param: 1,
    r.set_tag: 5,
    r.set_contended_tag: 6,
    r.set_and_delete_tag: 2,
    r.delete_contended_tag: 2,
    r.rename_run: 2,
    r.end_run: 2,
    r.delete_run: 1,
    r.log_inputs: 2,
    r.log_outputs: 1,
    r.log_files: 3,
    r.change_experiment: 1,
    r.tag_experiment: 2,
    m.log_model: 2,
    m.log_model_metric: 2,
    m.note_model: 1,
    m.register: 1,
    m.add_version: 1,
    m.change_version: 2,
    m.move_version: 2,
    m.set_alias: 2,
    m.set_contended_alias: 3,
    m.change_model: 1,
    m.set_contended_model_tag: 2,
    m.add_contended_version: 1,
    m.rename_model: 1,
    m.delete_version: 1,
    m.delete_model: 1,
}
"""Each operation, and how likely it is."""


def run_client(plan: Plan) -> None:
    """The main function of a client process: one writer, or several threads that write."""
    os.setsid()
    os.nice(_NICENESS)
    _prepare(plan)
    if plan.is_direct and plan.life == 0 and plan.slot == 0:
        _spawn(plan)
    client = MlflowClient()
    # MLflow makes its table of registries at first use, and a second thread may see half of it.
    _get_store_registry()
    if plan.slot < CHILD_SLOT and (plan.slot + plan.life) % 2:
        plans = [replace(plan, slot=plan.slot + THREAD_SLOT * n) for n in range(WRITERS)]
        threads = [threading.Thread(target=_write, args=(own, client)) for own in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        # Nobody knows what a forked child of several threads may still do: this one has one.
        _write(plan, client, [_set_from_threads, _fork] if plan.is_direct else [_set_from_threads])


def _write(plan: Plan, client: MlflowClient, family: Sequence[Family] = ()) -> None:
    writer = _writer(plan, client)
    rng = Random(f"{plan.seed}/{plan.slot}/{plan.life}/operations")
    done = 0
    while not (plan.folder / _STOP).exists() and (not plan.writes or done < plan.writes):
        done += 1
        if family and rng.random() < 0.02:
            rng.choice(family)(plan, writer)
            continue
        (operation,) = rng.choices(list(OPERATIONS), list(OPERATIONS.values()))
        _carry_out(plan, operation, writer)


def found_shared(plan: Plan) -> None:
    """Make what all clients write to, and note it in ``shared.json``."""
    _prepare(plan)
    client = MlflowClient()
    experiment_id = client.create_experiment(CONTENDED)
    run = client.create_run(experiment_id, run_name=CONTENDED)
    client.create_registered_model(CONTENDED)
    versions = 3
    for _ in range(versions):
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(CONTENDED, source, run.info.run_id)
    made = {"experiment_id": experiment_id, "run_id": run.info.run_id}
    made |= {"model": CONTENDED, "versions": versions}
    (plan.folder / "shared.json").write_text(json.dumps(made))


def stop(folder: Path) -> None:
    """Tell the clients of a storm to end."""
    (folder / _STOP).touch()


def _prepare(plan: Plan) -> None:
    warnings.simplefilter("ignore")
    output = os.open(
        plan.folder / f"client-{plan.slot}.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.chdir(plan.folder)
    os.environ.update(plan.environment)
    mlflow.set_tracking_uri(plan.uri)


def _writer(plan: Plan, client: MlflowClient) -> Writer:
    assert plan.shared is not None
    return Writer(
        client=client,
        rng=Random(f"{plan.seed}/{plan.slot}/{plan.life}"),
        names=Names(plan.slot, plan.life),
        shared=plan.shared,
        folder=plan.folder / "files" if plan.is_direct else None,
    )


def _carry_out(plan: Plan, operation: Operation, writer: Writer) -> None:
    """Carry out one operation; that a call fails is honest, and noted."""
    try:
        operation(writer)
    except MlflowException as exc:
        code = str(exc.error_code)
        _note(plan, operation.__name__, code, str(exc))
        if code == "INTERNAL_ERROR" and not plan.is_direct:
            time.sleep(_REST_S)  # the server is being started again
    except Exception as exc:
        _note(plan, operation.__name__, f"!{type(exc).__name__}", traceback.format_exc())


def _note(plan: Plan, operation: str, kind: str, text: str) -> None:
    line = json.dumps([plan.slot, plan.life, operation, kind, text[-2000:]]) + "\n"
    note = os.open(plan.folder / "failures.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(note, line.encode())
    finally:
        os.close(note)


def _set_from_threads(plan: Plan, writer: Writer) -> None:
    """One tag of one run, set from many threads at once."""
    client, run_id, names = writer.client, writer.shared.run_id, writer.names

    def set_once(_: Writer) -> None:
        client.set_tag(run_id, f"{CONTENDED}-0", names.fresh("value"))

    def write() -> None:
        for _ in range(3):
            _carry_out(plan, set_once, writer)

    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _fork(plan: Plan, writer: Writer) -> None:
    """A forked child that goes on with the stores of its parent."""
    own = replace(plan, slot=(plan.slot + 1) * 1000 + plan.life, life=next(_forks))
    if writer.rng.random() < 0.5:
        ordered = multiprocessing.get_context("fork").Process(
            target=_write_as_child, args=(own, writer)
        )
        ordered.start()
        ordered.join()
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        _write_as_child(own, writer)
    finally:
        os._exit(0)  # its source stays without a closing record, as after a crash


def _write_as_child(own: Plan, writer: Writer) -> None:
    for store in _stores(writer):
        store.engine.dispose(close=False)
    writer.names = Names(own.slot, own.life)
    for _ in range(5):
        (operation,) = writer.rng.choices(list(OPERATIONS), list(OPERATIONS.values()))
        _carry_out(own, operation, writer)


def _spawn(plan: Plan) -> None:
    """A child with an interpreter of its own."""
    own = replace(plan, slot=plan.slot + CHILD_SLOT, writes=20)
    child = multiprocessing.get_context("spawn").Process(target=run_client, args=(own,))
    child.start()


def _stores(writer: Writer) -> list[Any]:
    client: Any = writer.client
    return [client._tracking_client.store, client._get_registry_client().store]
