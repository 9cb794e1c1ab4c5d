"""Folders in which a real Airflow runs, each with a metadata database of its own.

Airflow is best run in processes of its own, as users run it; that is what `AirflowHome` is for::

    def test_a_task_is_recorded(airflow_home, home):           # both fixtures: a fresh copy
        airflow_home.put_dag("shop.py", DAG_TEXT)              # a file in its folder of DAGs
        done = dag_test(airflow_home, "shop", home)            # dag.test() in a process of its own
        assert done.state == "success", done.output
        assert done.tasks[("train", -1)].state == "success"
        assert [e.type for e in done.events] == ["source.opened", "dag_run.started", ...]

    airflow_home.run_airflow("providers", "list").stdout       # the command line of Airflow
    airflow_home.run_python("import airflow.sdk; print(1)")    # any code, or a file (`Path`)
    airflow_home.rows("select state from task_instance")       # its metadata database
    airflow_home.configured(home=home, listener=False)         # keys of [mlops_chain]

The folder is copied from one that was made and migrated once for all of pytest's workers (3.5 s),
so a fresh one costs milliseconds; a process that imports Airflow costs 1.6 s, a first
``dag.test()`` about 5 s: put many checks on one run, with fixtures of the module's scope::

    @pytest.fixture(scope="module")
    def done(airflow_template, founded_home, tmp_path_factory):
        folder = tmp_path_factory.mktemp("airflow")
        airflow_home = airflow_template.copied(folder / "airflow")
        home = shutil.copytree(founded_home, folder / "home")
        airflow_home.put_dag("shop.py", DAG_TEXT)
        return dag_test(airflow_home, "shop", home)

A test that needs Airflow's modules in pytest's own process (to build an operator, say) asks for
the fixture ``airflow_in_process`` **and imports Airflow inside its functions**, never at the
module's level: the import reads ``AIRFLOW_HOME`` once and makes files there.

A whole deployment (scheduler, API server, DAG processor, triggerer) is in
`tests/airflow_deployment.py`.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chain_client import ChainClient, Settings
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.verify import read_spooled

PATIENCE_S = 180
"""For one command of Airflow, on a busy machine."""

_RUNNER = Path(__file__).with_name("airflow_runner.py")

Sections = Mapping[str, Mapping[str, object]]
"""Of ``airflow.cfg``."""


@dataclass(frozen=True)
class AirflowHome:
    """A folder that is an ``AIRFLOW_HOME``, and how processes are run there.

    Args:
        folder: ``AIRFLOW_HOME``; holds ``airflow.cfg``, ``airflow.db``, ``dags`` and ``plugins``.
        variables: of every process besides; see `configured`.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def dags(self) -> Path:
        """The folder of DAG files."""
        return self.folder / "dags"

    @property
    def database(self) -> Path:
        """The metadata database's file."""
        return self.folder / "airflow.db"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of this Airflow."""
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.folder),
            "SCARF_ANALYTICS": "false",
            "DO_NOT_TRACK": "true",
            "NO_COLOR": "1",
            **self.variables,
        }

    def write(self, changes: Sections | None = None) -> None:
        """Make the folders and the configuration; the database is made by `migrate`.

        Args:
            changes: of the configuration.
        """
        for folder in (self.folder, self.dags, self.folder / "plugins"):
            folder.mkdir(exist_ok=True)
        # Written down, not given by variables: those are cleaned away before each test.
        written = configparser.ConfigParser(interpolation=None)
        written.read_dict(self._sections())
        for section, options in (changes or {}).items():
            escaped = {key: str(value).replace("%", "%%") for key, value in options.items()}
            written.read_dict({section: escaped})
        with (self.folder / "airflow.cfg").open("w") as file:
            written.write(file)

    def _sections(self) -> Sections:
        manager = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        return {
            "core": {
                "dags_folder": self.dags,
                "plugins_folder": self.folder / "plugins",
                "load_examples": False,
                "auth_manager": manager,
                "simple_auth_manager_all_admins": True,
                "fernet_key": secrets.token_urlsafe(32) + "=",
                "parallelism": 4,
            },
            "database": {"sql_alchemy_conn": f"sqlite:///{self.database}"},
            "api": {"secret_key": secrets.token_hex(16)},
            "api_auth": {"jwt_secret": secrets.token_hex(32)},
            "logging": {
                "base_log_folder": self.folder / "logs",
                "logging_level": "WARNING",
                "colored_console_log": False,
            },
            "usage_data_collection": {"enabled": False},
        }

    def migrate(self) -> None:
        """Make the metadata database, or bring it up to date."""
        self.run_airflow("db", "migrate")

    def copied(self, folder: Path) -> AirflowHome:
        """A copy of the whole folder; its keys and paths are its own."""
        shutil.copytree(
            self.folder, folder, ignore=shutil.ignore_patterns("logs", "made", "__pycache__")
        )
        made = replace(self, folder=folder)
        made.write()
        return made

    def with_variables(self, **variables: object) -> AirflowHome:
        """The same folder, with more variables for its processes."""
        more = {name: str(value) for name, value in variables.items()}
        return replace(self, variables=self.variables | more)

    def configured(self, **options: object) -> AirflowHome:
        """The same folder, with keys of Airflow's section ``[mlops_chain]`` for its processes."""
        return self.with_variables(
            **{f"AIRFLOW__MLOPS_CHAIN__{name.upper()}": value for name, value in options.items()}
        )

    def put_dag(self, name: str, text: str | Path) -> Path:
        """A file in the folder of DAGs, from a text or from another file."""
        target = self.dags / name
        target.write_text(text.read_text() if isinstance(text, Path) else text)
        return target

    def run_airflow(
        self, *words: str, check: bool = True, timeout_s: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Airflow to its end; it must succeed unless told otherwise."""
        return self._run("-m", "airflow", *words, check=check, timeout_s=timeout_s)

    def run_python(
        self, code: str | Path, *words: str, check: bool = True, timeout_s: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run code, or the file of it, in a process of its own; it must succeed unless told."""
        first = (str(code),) if isinstance(code, Path) else ("-c", code)
        return self._run(*first, *words, check=check, timeout_s=timeout_s)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What stands in the metadata database."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=60)) as database:
            return database.execute(query, values).fetchall()

    def _run(self, *words: str, check: bool, timeout_s: float) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done


@dataclass(frozen=True)
class Task:
    """A task instance as the metadata database has it after a run."""

    state: str | None
    try_number: int
    operator: str
    ti_id: str


@dataclass(frozen=True)
class Tested:
    """What ``dag.test()`` left behind.

    Args:
        run_id: of its DAG run.
        state: of its DAG run at its end.
        tasks: by task id and map index, which is -1 for what is not mapped.
        events: everything in the log of the home that was given, oldest first.
        output: of the process.
    """

    run_id: str
    state: str
    tasks: dict[tuple[str, int], Task]
    events: list[Event]
    output: str

    def events_of(self, kind: str) -> list[Event]:
        """The events whose type begins with a kind, such as ``task_instance``."""
        return [event for event in self.events if event.type.startswith(f"{kind}.")]


def dag_test(
    airflow_home: AirflowHome,
    dag_id: str,
    home: Path | None = None,
    *,
    conf: dict[str, Any] | None = None,
    timeout_s: float = PATIENCE_S,
    **options: object,
) -> Tested:
    """Run ``dag.test()`` of a DAG in the folder of DAGs, in a process of its own.

    Args:
        airflow_home: where the DAG's file is.
        dag_id: of the DAG.
        home: the home that our provider is configured with; without one it is not configured,
            and there are no events. A relay has seen everything when this returns.
        conf: of the DAG run.
        timeout_s: how long it may take.
        options: further keys of ``[mlops_chain]``.
    """
    if home is not None:
        options = {"home": home, **options}
    result = airflow_home.folder / f"tested-{secrets.token_hex(4)}.json"
    words = [dag_id, str(result), json.dumps(conf or {})]
    done = airflow_home.configured(**options).run_python(_RUNNER, *words, timeout_s=timeout_s)
    found = json.loads(result.read_text())
    return Tested(
        run_id=found["run_id"],
        state=found["state"],
        tasks={(task, index): Task(*rest) for task, index, *rest in found["tasks"]},
        events=[] if home is None else relayed_events(home),
        output=done.stdout + done.stderr,
    )


def relayed_events(home: Path, *, relay: bool = True) -> list[Event]:
    """Everything recorded in a home, in the order of the log, after a relay has seen it.

    Args:
        home: with a chain that answers.
        relay: False: as it stands, with what still lies in spools at the end.
    """
    client = open_chain(home)
    try:
        if relay:
            service = client.relay()
            service.start()
            try:
                service.drain(patience_s=60)
            finally:
                service.close()
        entries = client.log.entries()
        logged = [decode_event(entry.event) for entry in entries if entry.event is not None]
        spooled = read_spooled(client.folder.spool, client.log).events.values()
        return [*logged, *spooled]
    finally:
        client.close()


def open_chain(home: Path) -> ChainClient:
    """The home, for this process; it starts no relay."""
    variables = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    return ChainClient.open(Settings.from_environment(variables, home.parent, home=home))


def shared_template(folder: Path) -> AirflowHome:
    """A migrated folder, made once and shared by all that ask for the same path.

    Args:
        folder: nothing, or the folder, or the folder that another process is making.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder / "made"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        template = AirflowHome(folder)
        if not made.exists():
            template.write()
            template.migrate()
            made.touch()
    return template


def import_here(airflow_home: AirflowHome) -> None:
    """Import Airflow in this process, of this home for ever; logging stays as it is.

    Its configuration is read once a process: only the first home that is given counts.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    os.environ["AIRFLOW_HOME"] = str(airflow_home.folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Airflow 3.1 warns of its own imports
            import airflow.sdk  # noqa: F401 - the import is what is wanted
            from airflow.models import import_all_models

            import_all_models()  # else SQLAlchemy does, whoever uses it first in this process
    finally:
        del os.environ["AIRFLOW_HOME"]
        root.handlers[:] = handlers
        root.setLevel(level)
