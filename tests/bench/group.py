"""One group of rows in a process of its own: ``python -m tests.bench.group NAME …``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.bench.bench_home import Options
from tests.bench.figures import Row
from tests.bench.fsyncs import FsyncCount

GROUPS: dict[str, tuple[str, ...]] = {
    "mlflow": ("log_metric", "log_batch", "create_run", "set_alias", "log_artifact"),
    "server": (
        "server_log_metric",
        "server_log_batch",
        "server_create_run",
        "server_set_alias",
        "server_log_artifact",
        "client_log_metric",
    ),
    "recorder": ("recorder_process", "recorder_power"),
    "relay": ("relay_events", "relay_metrics", "relay_lag"),
    "payloads": ("relay_payloads",),
    "postgres": ("postgres_events", "postgres_metrics", "postgres_lag", "postgres_memory"),
    "anvil": ("anvil_events", "anvil_lag"),
    "gate": ("gate_check",),
    "registry": ("gas_register", "gas_promote"),
    "airflow": (
        "airflow_hook_process",
        "airflow_hook_power",
        "airflow_run_end",
        "airflow_dag_test",
        "airflow_parse",
    ),
    "million": ("log_disk", "relay_memory", "gas", "verify"),
}
"""Rows by group, in the order of the table."""


def measure(name: str, options: Options, syncs: FsyncCount) -> list[Row]:
    """The wanted rows of a group."""
    if name == "mlflow":
        from tests.bench.artifact_rows import artifact_rows
        from tests.bench.mlflow_rows import mlflow_rows

        return mlflow_rows(options, syncs) + artifact_rows(options)
    if name == "server":
        from tests.bench.server_rows import server_rows

        return server_rows(options, syncs)
    if name == "recorder":
        from tests.bench.recorder_rows import recorder_rows

        return recorder_rows(options, syncs)
    if name == "relay":
        from tests.bench.relay_rows import relay_rows

        return relay_rows(options)
    if name == "payloads":
        from tests.bench.payload_rows import payloads_row

        return [payloads_row(options)]
    if name == "postgres":
        from tests.bench.postgres_rows import postgres_rows

        return postgres_rows(options)
    if name == "anvil":
        from tests.bench.anvil_rows import anvil_rows

        return anvil_rows(options)
    if name == "gate":
        from tests.bench.gate_rows import gate_rows

        return gate_rows(options, syncs)
    if name == "registry":
        from tests.bench.registry_rows import registry_rows

        return registry_rows(options)
    if name == "airflow":
        from tests.bench.airflow_rows import airflow_rows

        return airflow_rows(options)
    from tests.bench.million_rows import million_rows

    return million_rows(options)


def main() -> None:
    """Measure, and write the rows as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=GROUPS)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--library", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    syncs = FsyncCount()
    options = Options(given.work, given.quick, frozenset(given.rows.split(",")), given.library)
    rows = measure(given.name, options, syncs)
    given.out.write_text(json.dumps([row.to_json() for row in rows]), encoding="utf-8")


if __name__ == "__main__":
    main()
