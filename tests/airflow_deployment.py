"""A whole Airflow in processes of its own: as people run it, on a database of Postgres.

::

    with running_airflow(airflow_template, folder, postgres, home=home) as airflow:
        airflow.home.put_dag("shop.py", DAG_TEXT)
        run_id = airflow.ada.start("shop", {"grams": 3})
        wait_until(lambda: airflow.ada.run_state("shop", run_id) == "success", 120, airflow.logs)
        airflow.scheduler.kill()                  # SIGKILL to it and all that it started
        airflow.scheduler.start()

Scheduler (LocalExecutor), API server, DAG processor and triggerer each lead a session of their
own; with the block all of it ends, what they started included. People have names and passwords.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import requests
import sqlalchemy

from tests.airflow_home import AirflowHome, Sections
from tests.mlflow_server import wait_until
from tests.postgres import Postgres

START_S = 240
"""For all of it, on a busy machine."""
_STOP_S = 60

PEOPLE = ("ada", "olga")
"""Who may sign in: both are admins of this Airflow."""


@dataclass
class Service:
    """A process that leads a session of its own.

    Args:
        name: of its log.
        words: of its command line.
        environment: of the process.
        folder: where it works, and where its log is.
    """

    name: str
    words: Sequence[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process itself, which was started and has not ended."""
        assert self.process is not None, f"{self.name} was not started"
        assert self.process.poll() is None, self.log_text()
        return self.process.pid

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.log"

    def log_text(self) -> str:
        """The end of what it says."""
        return f"--- {self.name}\n{self.log.read_text('utf-8', 'replace')[-6000:]}"

    def start(self) -> None:
        """Start it, in a session of its own."""
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *self.words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it as a service manager does: SIGTERM, then SIGKILL to what is left of its tree."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when its machine dies."""
        if self.process is None:
            return
        children = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for child in children:  # a task leads a group of its own
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=_STOP_S)
        self.process.wait(_STOP_S)
        self.process = None


@dataclass
class Person:
    """Somebody at the REST API, by name and password.

    Args:
        name: one of `PEOPLE`.
        password: theirs.
        url: of the API server.
    """

    name: str
    password: str
    url: str

    @cached_property
    def _token(self) -> str:
        body = {"username": self.name, "password": self.password}
        answer = requests.post(f"{self.url}/auth/token", json=body, timeout=60)
        answer.close()
        assert answer.status_code == 201, answer.text
        return str(answer.json()["access_token"])

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request below ``/api/v2/``; the answer must be good."""
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = requests.request(
            method, f"{self.url}/api/v2/{path}", json=body, headers=headers, timeout=60
        )
        answer.close()
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG processor has brought a DAG to the database; no file may be wrong."""
        wrong = self.ask("GET", "importErrors")["import_errors"]
        assert not wrong, "\n".join(str(each["stack_trace"]) for each in wrong)
        found = self.ask("GET", f"dags?dag_id_pattern={dag_id}&exclude_stale=true")
        return any(dag["dag_id"] == dag_id for dag in found["dags"])

    def start(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Start a DAG run by hand; its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self.ask("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Of a DAG run, such as ``running``."""
        return str(self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The states of a run's tasks, by task id."""
        found = self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] for task in found["task_instances"]}

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Give a task a state by hand."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.ask("PATCH", path, {"new_state": state})


@dataclass
class Deployment:
    """Everything that runs.

    Args:
        home: its ``AIRFLOW_HOME``.
        database: its metadata database, as SQLAlchemy knows it.
        url: of its API server.
        passwords: of `PEOPLE`.
    """

    home: AirflowHome
    database: str
    url: str
    passwords: dict[str, str]
    services: dict[str, Service] = field(default_factory=dict)

    @cached_property
    def ada(self) -> Person:
        """An engineer, who starts DAGs."""
        return Person("ada", self.passwords["ada"], self.url)

    @cached_property
    def olga(self) -> Person:
        """An operator, who sets things right by hand."""
        return Person("olga", self.passwords["olga"], self.url)

    @property
    def scheduler(self) -> Service:
        """Runs the tasks, too."""
        return self.services["scheduler"]

    def add(self, name: str, *words: str) -> Service:
        """A further service of this deployment, started; it ends with it."""
        service = Service(name, words, self.home.environment, self.home.folder)
        self.services[name] = service
        service.start()
        return service

    def pids(self) -> dict[str, int]:
        """Of the processes that lead the services; all of them run."""
        return {name: service.pid for name, service in self.services.items()}

    def is_healthy(self) -> bool:
        """Whether API server, scheduler, DAG processor and triggerer all say so."""
        self.pids()
        with contextlib.suppress(requests.ConnectionError):
            answer = requests.get(f"{self.url}/api/v2/monitor/health", timeout=60)
            answer.close()
            found = answer.json() if answer.ok else {}
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return all(found.get(part, {}).get("status") == "healthy" for part in parts)
        return False

    def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """What stands in the metadata database."""
        engine = sqlalchemy.create_engine(self.database, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(query), values)]

    def logs(self) -> str:
        """The ends of all logs, for a failure's text."""
        return "\n".join(service.log_text() for service in self.services.values())

    def wait(self, reached: Callable[[], bool], patience_s: float) -> None:
        """Look until it is so; while it is not, all services have to live."""

        def look() -> bool:
            self.pids()
            return reached()

        wait_until(look, patience_s, self.logs, every_s=0.3)  # looks take its processes' time

    def stop(self) -> None:
        """End everything: first whoever starts things."""
        for service in self.services.values():
            if service.process is not None:
                service.process.terminate()
        for service in self.services.values():
            service.stop()
        for process in self._left():
            process.kill()

    def _left(self) -> list[psutil.Process]:
        """Processes of this deployment whose parents are dead; known by their variables."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("AIRFLOW_HOME") == str(self.home.folder):
                    found.append(process)
        return found


@contextlib.contextmanager
def running_airflow(
    template: AirflowHome,
    folder: Path,
    postgres: Postgres,
    changes: Sections | None = None,
    **variables: object,
) -> Iterator[Deployment]:
    """A deployment that is healthy, ended with the block.

    Args:
        template: of its ``AIRFLOW_HOME``.
        folder: that ``AIRFLOW_HOME``; it is made.
        postgres: where its metadata database is made.
        changes: of its configuration, such as ``{"mlops_chain": {"home": home}}``.
        variables: of every process.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    home = template.copied(folder).with_variables(**variables)
    uri, url = postgres.uri(postgres.create(), "psycopg2"), f"http://127.0.0.1:{port}"
    passwords = {name: secrets.token_hex(16) for name in PEOPLE}
    home.write(_merged(_sections(uri, url, folder), changes or {}))
    (folder / "passwords.json").write_text(json.dumps(passwords))
    home.migrate()
    airflow = Deployment(home, uri, url, passwords)
    api = ("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    try:
        airflow.add("api-server", "-m", "airflow", *api)
        airflow.add("scheduler", "-m", "airflow", "scheduler", "--skip-serve-logs")
        airflow.add("dag-processor", "-m", "airflow", "dag-processor")
        airflow.add("triggerer", "-m", "airflow", "triggerer", "--skip-serve-logs")
        airflow.wait(airflow.is_healthy, START_S)
        yield airflow
    finally:
        airflow.stop()


def _sections(uri: str, url: str, folder: Path) -> dict[str, dict[str, object]]:
    return {
        "core": {
            "executor": "LocalExecutor",
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_all_admins": False,
            "simple_auth_manager_users": ",".join(f"{name}:admin" for name in PEOPLE),
            "simple_auth_manager_passwords_file": folder / "passwords.json",
            "dags_are_paused_at_creation": False,
            "min_serialized_dag_update_interval": 0,
        },
        "database": {
            "sql_alchemy_conn": uri,
            "sql_alchemy_conn_async": uri.replace("+psycopg2:", "+psycopg:"),
        },
        "api": {"base_url": url},
        "logging": {"logging_level": "INFO"},
        # Whoever dies is missed soon: seconds, not minutes.
        "scheduler": {
            "job_heartbeat_sec": 1,
            "scheduler_heartbeat_sec": 1,
            "scheduler_idle_sleep_time": 0.2,
            "scheduler_health_check_threshold": 10,
            "orphaned_tasks_check_interval": 3,
            "task_instance_heartbeat_timeout": 30,
            "task_instance_heartbeat_timeout_detection_interval": 3,
        },
        "workers": {"min_heartbeat_interval": 1},
        "triggerer": {"job_heartbeat_sec": 1},
        "dag_processor": {
            "refresh_interval": 1,
            "bundle_refresh_check_interval": 1,
            "min_file_process_interval": 600,
        },
    }


def _merged(first: Sections, second: Sections) -> Sections:
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}
