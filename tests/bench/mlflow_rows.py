"""Rows of MLflow's stores: wrapped against plain, without and with a relay beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.bench_home import (
    Options,
    copy_home,
    opened,
    wait_for_relay,
    wait_until_anchored,
)
from tests.bench.comparing import Call, Comparison, compare
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.fsyncs import FsyncCount

_STARTED_MS = 1_700_000_000_000
_MODEL = "bench"
_KEYS = 10
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class _Stores:
    """The two stores of a database, with what the calls need."""

    tracking: Any
    registry: Any
    run_id: str


@dataclass(frozen=True, slots=True)
class _Work:
    name: str
    work: str
    target: float
    make_call: Callable[[_Stores], Call]
    round_s: float


def mlflow_rows(options: Options, syncs: FsyncCount) -> list[Row]:
    """The rows of this module that are wanted."""
    wanted = [work for work in _WORKS if work.name in options.rows]
    if not wanted:
        return []
    template = mlflow_template(options)
    alone = _compare_all(options, syncs, wanted, template, relay=False)
    beside = _compare_all(options, syncs, wanted, template, relay=True)
    return [_row(work, beside[work.name], alone[work.name], syncs) for work in wanted]


def _compare_all(
    options: Options, syncs: FsyncCount, works: list[_Work], template: Path, *, relay: bool
) -> dict[str, Comparison]:
    import mlflow_chain

    variant = "beside" if relay else "alone"
    copies = [options.work / f"{variant}-{side}.db" for side in ("plain", "wrapped")]
    for copy in copies:
        shutil.copyfile(template, copy)
    found = {}
    with opened(copy_home(options, variant), relay=relay) as client:
        plain, wrapped = (_open_stores(copy) for copy in copies)
        mlflow_chain.wrap(wrapped.tracking, client)
        mlflow_chain.wrap(wrapped.registry, client)
        if relay:
            wait_for_relay(client)

        def settle() -> None:
            if not options.quick or work is works[0]:
                wait_until_anchored(client)

        for work in works:
            found[work.name] = compare(
                work.make_call(plain),
                work.make_call(wrapped),
                rounds=1 if options.quick else 8,
                round_s=0.05 if options.quick else work.round_s,
                syncs=syncs,
                settle=settle if relay else lambda: None,
            )
    return found


def _row(work: _Work, beside: Comparison, alone: Comparison, syncs: FsyncCount) -> Row:
    times = beside.wrapped.all_s, beside.plain.all_s
    syncs_text = f"{beside.wrapped.fsyncs_a_call:.2f} / {beside.plain.fsyncs_a_call:.2f} a call"
    if syncs.covers == "spool":
        syncs_text = f"{beside.wrapped.fsyncs_a_call:.2f} a call (spool)"
    return Row(
        work.name,
        f"{work.work}, wrapped / plain",
        f"≤{work.target:.2f}",
        f"{beside.ratio_p50:.3f}",
        beside.ratio_p50 <= work.target,
        p50=" / ".join(map(time_text, map(p50, times))),
        p90=" / ".join(map(time_text, map(p90, times))),
        spread=span_text(beside.round_ratios),
        fsyncs=syncs_text,
        notes=[
            f"p90 {beside.ratio_p90:.3f}. Without a relay beside it: p50 {alone.ratio_p50:.3f}, "
            f"p90 {alone.ratio_p90:.3f}, rounds {span_text(alone.round_ratios)}."
        ],
        raw={"with_relay": beside.to_json(), "without_relay": alone.to_json()},
    )


def mlflow_template(options: Options) -> Path:
    """A database of MLflow, with a model of two versions, of which all others are copies."""
    path = options.work / "template.db"
    if not path.exists():
        stores = _open_stores(path)
        stores.registry.create_registered_model(_MODEL)
        for _ in range(2):
            stores.registry.create_model_version(_MODEL, "source", stores.run_id)
    return path


def _open_stores(path: Path) -> _Stores:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    uri = f"sqlite:///{path}"
    tracking = Tracking(uri, (path.parent / "artifacts").as_uri())
    return _Stores(tracking, Registry(uri), _create_run(tracking, 0))


def _create_run(tracking: Any, number: int) -> str:
    from mlflow.entities import RunTag

    tags = [
        RunTag("mlflow.user", "bench"),
        RunTag("mlflow.source.name", "train.py"),
        RunTag("mlflow.source.type", "LOCAL"),
    ]
    run = tracking.create_run("0", "bench", _STARTED_MS + number, tags, f"run-{number}")
    run_id: str = run.info.run_id
    return run_id


def _new_run(stores: _Stores) -> Call:
    return lambda number: _create_run(stores.tracking, number)


def _log_metric(stores: _Stores) -> Call:
    from mlflow.entities import Metric

    def call(number: int) -> None:
        metric = Metric("train_loss", 1.0 / (number + 1.5), _STARTED_MS + number, number)
        stores.tracking.log_metric(stores.run_id, metric)

    return call


def _log_batch(stores: _Stores) -> Call:
    from mlflow.entities import Metric

    def call(number: int) -> None:
        metrics = [
            Metric(f"metric_{n % _KEYS}", n / 7, _STARTED_MS + number, number * _BATCH + n)
            for n in range(_BATCH)
        ]
        stores.tracking.log_batch(stores.run_id, metrics, (), ())

    return call


def _set_alias(stores: _Stores) -> Call:
    def call(number: int) -> None:
        stores.registry.set_registered_model_alias(_MODEL, "champion", str(number % 2 + 1))

    return call


_WORKS = (
    _Work("log_metric", "log_metric on local SQLite (power)", 1.15, _log_metric, 1.0),
    _Work("log_batch", f"log_batch of {_BATCH:,} metrics (power)", 1.05, _log_batch, 1.5),
    _Work("create_run", "create_run (power)", 1.25, _new_run, 1.0),
    _Work("set_alias", "set_registered_model_alias, ungated (power)", 1.25, _set_alias, 1.0),
)
