"""Rows of a tracking server with one worker: a recorded one against a plain one, by plain HTTP."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from chain_client import ChainClient
from tests.bench.bench_home import Options, copy_home, opened, wait_until_anchored
from tests.bench.comparing import Call, Comparison, compare
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.fsyncs import FsyncCount
from tests.bench.mlflow_rows import mlflow_template
from tests.mlflow_server import Site, serving

_STARTED_MS = 1_700_000_000_000
_BATCH = 1_000
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class _Client:
    """A client of one server, over a connection that stays open.

    Args:
        url: of the server.
        session: keeps the connection.
        file: what is logged as an artifact.
        run: a run of the server; its folder for files.
    """

    url: str
    session: requests.Session
    file: bytes
    run: dict[str, Any]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.session.post(f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@dataclass(frozen=True, slots=True)
class _Work:
    name: str
    work: str
    target: float
    make_call: Callable[[_Client], Call]
    round_s: float


def server_rows(options: Options, syncs: FsyncCount) -> list[Row]:
    """The rows of this module that are wanted."""
    wanted = [work for work in _WORKS if work.name in options.rows]
    rows = []
    if wanted:
        size = _MIB if options.quick else 64 * _MIB
        with _two_servers(options, size) as (client, plain, wrapped):
            for work in wanted:
                found = _compare(options, syncs, work, client, plain, wrapped)
                rows.append(
                    _artifact_row(work, found, plain.file) if _is_file(work) else _row(work, found)
                )
    if _OF_CLIENTS in options.rows:
        rows.append(_client_row(options, syncs))
    return rows


def _is_file(work: _Work) -> bool:
    return work.make_call is _log_artifact


def _compare(
    options: Options,
    syncs: FsyncCount,
    work: _Work,
    client: ChainClient,
    plain: _Client,
    wrapped: _Client,
) -> Comparison:
    return compare(
        work.make_call(plain),
        work.make_call(wrapped),
        rounds=1 if options.quick else 8,
        round_s=0.05 if options.quick else work.round_s,
        syncs=syncs,
        settle=partial(wait_until_anchored, client),
    )


@contextmanager
def _two_servers(options: Options, size: int) -> Iterator[tuple[ChainClient, _Client, _Client]]:
    template = mlflow_template(options)
    file = os.urandom(_MIB) * (size // _MIB)
    home = copy_home(options, "server-home")
    with ExitStack() as stack:
        client = stack.enter_context(opened(home, relay=True))
        clients = []
        for side, prefix in (("plain", ""), ("wrapped", "chain+")):
            site = _site(options, side, home, template, prefix)
            server = stack.enter_context(serving(site, workers=1))
            session = stack.enter_context(requests.Session())
            first = _Client(server.url, session, file, {})
            run = first.post("runs/create", {"experiment_id": "0"})["run"]["info"]
            experiment = first.post("experiments/create", {"name": "files"})["experiment_id"]
            of_files = first.post("runs/create", {"experiment_id": experiment})["run"]["info"]
            run["artifact_uri"] = of_files["artifact_uri"]
            clients.append(_Client(server.url, session, file, run))
        yield client, clients[0], clients[1]


def _site(options: Options, side: str, home: Path, template: Path, prefix: str) -> Site:
    folder = options.work / f"server-{side}"
    folder.mkdir()
    site = Site(folder, home, {"MLOPS_CHAIN_RELAY_AUTOSTART": "true"}, prefix)
    shutil.copyfile(template, site.database)
    return site


def _row(work: _Work, found: Comparison) -> Row:
    times = found.wrapped.all_s, found.plain.all_s
    return Row(
        work.name,
        f"{work.work}, recorded / plain server",
        f"≤{work.target:.2f}",
        f"{found.ratio_p50:.3f}",
        found.ratio_p50 <= work.target,
        p50=" / ".join(map(time_text, map(p50, times))),
        p90=" / ".join(map(time_text, map(p90, times))),
        spread=span_text(found.round_ratios),
        notes=[f"p90 {found.ratio_p90:.3f}."],
        raw=found.to_json(),
    )


def _artifact_row(work: _Work, found: Comparison, file: bytes) -> Row:
    hashed = []
    for _ in range(5):
        started = time.perf_counter()
        hashlib.sha256(file)
        hashed.append(time.perf_counter() - started)
    plain = p50(found.plain.all_s) + p50(hashed)
    ratio = p50(found.wrapped.all_s) / plain
    return Row(
        work.name,
        f"{work.work.format(len(file) // _MIB)}, recorded / (plain server + hashlib)",
        f"≤{work.target:.2f}",
        f"{ratio:.3f}",
        ratio <= work.target,
        p50=f"{time_text(p50(found.wrapped.all_s))} / {time_text(plain)}",
        p90=time_text(p90(found.wrapped.all_s)),
        spread=span_text(found.round_ratios),
        notes=[f"hashlib alone: {time_text(p50(hashed))}; without it: {found.ratio_p50:.3f}."],
        raw={**found.to_json(), "hash_s": hashed, "size": len(file)},
    )


_OF_CLIENTS = "client_log_metric"


def _client_row(options: Options, syncs: FsyncCount) -> Row:
    """A recording client against a plain one, of the same plain server."""
    from mlflow.entities import Metric
    from mlflow.store.tracking.rest_store import RestStore
    from mlflow.utils.rest_utils import MlflowHostCreds

    import mlflow_chain

    template = mlflow_template(options)
    home = copy_home(options, "client-home")
    site = _site(options, "of-clients", home, template, "")
    with opened(home, relay=True) as client, serving(site, workers=1) as server:

        def make(*, recorded: bool) -> Call:
            store: Any = RestStore(lambda: MlflowHostCreds(server.url))
            run_id = store.create_run("0", "bench", _STARTED_MS, [], "run").info.run_id
            if recorded:
                mlflow_chain.wrap(store, client)

            def call(number: int) -> None:
                metric = Metric("loss", 1.0 / (number + 1.5), _STARTED_MS + number, number)
                store.log_metric(run_id, metric)

            return call

        found = compare(
            make(recorded=False),
            make(recorded=True),
            rounds=1 if options.quick else 8,
            round_s=0.05 if options.quick else 1.5,
            syncs=syncs,
            settle=partial(wait_until_anchored, client),
        )
    times = found.wrapped.all_s, found.plain.all_s
    return Row(
        _OF_CLIENTS,
        "log_metric by chain+http / by http, plain server",
        "for information",
        f"{found.ratio_p50:.3f}",
        None,
        p50=" / ".join(map(time_text, map(p50, times))),
        p90=" / ".join(map(time_text, map(p90, times))),
        spread=span_text(found.round_ratios),
        raw=found.to_json(),
    )


def _log_metric(client: _Client) -> Call:
    def call(number: int) -> None:
        body = {"key": "loss", "value": 1.0 / (number + 1.5), "timestamp": _STARTED_MS + number}
        client.post("runs/log-metric", {**body, "run_id": client.run["run_id"], "step": number})

    return call


def _log_batch(client: _Client) -> Call:
    def call(number: int) -> None:
        metrics = [
            {
                "key": f"metric_{n % 10}",
                "value": n / 7,
                "timestamp": _STARTED_MS + number,
                "step": number * _BATCH + n,
            }
            for n in range(_BATCH)
        ]
        client.post("runs/log-batch", {"run_id": client.run["run_id"], "metrics": metrics})

    return call


def _create_run(client: _Client) -> Call:
    def call(number: int) -> None:
        tags = [{"key": "mlflow.user", "value": "bench"}]
        body = {"experiment_id": "0", "start_time": _STARTED_MS + number, "tags": tags}
        client.post("runs/create", {**body, "run_name": f"run-{number}"})

    return call


def _set_alias(client: _Client) -> Call:
    def call(number: int) -> None:
        body = {"name": "bench", "alias": "champion", "version": str(number % 2 + 1)}
        client.post("registered-models/alias", body)

    return call


def _log_artifact(client: _Client) -> Call:
    root = client.run["artifact_uri"].removeprefix("mlflow-artifacts:")
    url = f"{client.url}/api/2.0/mlflow-artifacts/artifacts{root}/weights.bin"

    def call(number: int) -> None:
        client.session.put(url, data=client.file, timeout=120).raise_for_status()

    return call


_WORKS = (
    _Work("server_log_metric", "log_metric over REST", 1.15, _log_metric, 1.5),
    _Work("server_log_batch", f"log_batch of {_BATCH:,} metrics over REST", 1.05, _log_batch, 2.0),
    _Work("server_create_run", "create_run over REST", 1.25, _create_run, 1.5),
    _Work("server_set_alias", "set alias over REST", 1.25, _set_alias, 1.5),
    _Work(
        "server_log_artifact", "log_artifact of {} MiB through the server", 1.1, _log_artifact, 2.0
    ),
)
