"""The row of artifacts: a large file through MLflow's own client."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from chain_client import ChainClient, Settings
from chain_client.config import HOME_VARIABLE, variable_of
from tests.bench.bench_home import Options, copy_home, stop_relay
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.mlflow_rows import mlflow_template

_TARGET = 1.1
_MIB = 1 << 20


def artifact_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    if "log_artifact" not in options.rows:
        return []
    size = 2 * _MIB if options.quick else 64 * _MIB
    file = options.work / "weights.bin"
    file.write_bytes(os.urandom(_MIB) * (size // _MIB))
    template = mlflow_template(options)
    alone = _measure(options, file, template, relay=False)
    beside = _measure(options, file, template, relay=True)
    plain, wrapped = beside["plain_s"], beside["wrapped_s"]
    return [
        Row(
            "log_artifact",
            f"log_artifact of {size // _MIB} MiB, wrapped / (plain + hashlib)",
            f"≤{_TARGET:.2f}",
            f"{_ratio(beside):.3f}",
            _ratio(beside) <= _TARGET,
            p50=f"{time_text(p50(wrapped))} / {time_text(p50(plain) + p50(beside['hash_s']))}",
            p90=f"{time_text(p90(wrapped))} / {time_text(p90(plain) + p90(beside['hash_s']))}",
            spread=span_text(_round_ratios(beside)),
            notes=[
                f"Without a relay beside it: p50 {_ratio(alone):.3f}, rounds "
                f"{span_text(_round_ratios(alone))}. hashlib alone: "
                f"{time_text(p50(beside['hash_s']))}."
            ],
            raw={"with_relay": beside, "without_relay": alone, "size": size},
        )
    ]


def _ratio(times: dict[str, list[float]]) -> float:
    return p50(times["wrapped_s"]) / (p50(times["plain_s"]) + p50(times["hash_s"]))


def _round_ratios(times: dict[str, list[float]]) -> list[float]:
    turns = zip(times["wrapped_s"], times["plain_s"], times["hash_s"], strict=True)
    return [wrapped / (plain + hashed) for wrapped, plain, hashed in turns]


def _measure(
    options: Options, file: Path, template: Path, *, relay: bool
) -> dict[str, list[float]]:
    home = copy_home(options, f"artifacts-{relay}")
    os.environ[HOME_VARIABLE] = str(home)
    os.environ[variable_of("relay.autostart")] = str(relay).lower()
    databases = [home.with_suffix(f".{side}.db") for side in ("plain", "wrapped")]
    for database in databases:
        shutil.copyfile(template, database)
    plain = _logging(f"sqlite:///{databases[0]}", file)
    wrapped = _logging(f"chain+sqlite:///{databases[1]}", file)

    def hashed() -> float:
        started = time.perf_counter()
        with file.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
        return time.perf_counter() - started

    turns = {"plain_s": plain, "hash_s": hashed, "wrapped_s": wrapped}
    for take in turns.values():
        take()
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(2 if options.quick else 15):
        for name, take in turns.items():
            times[name].append(take())
    client = ChainClient.open(Settings.from_environment(os.environ, options.work))
    client.recorder.close()
    if relay:
        stop_relay(client)
    client.close()
    return times


def _logging(uri: str, file: Path) -> Callable[[], float]:
    from mlflow import MlflowClient

    client: Any = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("files", (file.parent / "artifacts").as_uri())
    run = client.create_run(experiment)
    stored = Path(url2pathname(urlparse(run.info.artifact_uri).path)) / file.name

    def take() -> float:
        started = time.perf_counter()
        client.log_artifact(run.info.run_id, str(file))
        elapsed_s = time.perf_counter() - started
        stored.unlink()  # so that no turn pays for what another wrote
        return elapsed_s

    return take
