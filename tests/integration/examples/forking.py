"""Runs an example whose `mlops-chain` commands are forks of a process that has all imports.

    python tests/integration/examples/forking.py EXAMPLE [ARGUMENT…]

Each command is still a process of its own, with its own environment, folder, output and exit code;
only the seconds that Python needs to import MLflow and the chain are spent once. The process that
forks is made before the example begins, so that no command sees anything of it.
"""

from __future__ import annotations

import importlib
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

_COMMAND = [sys.executable, "-m", "chain_client.cli"]
_IMPORTED = (
    "chain_client.cli",
    "chain_client.ledger.embedded",
    "chain_client.ledger.embedded_evm",
    "chain_client.ledger.jsonrpc.provider",
    "chain_client.relay.assembly",
    "chain_client.sync.syncing",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow_chain.host",
)


def _serve(requests: Connection) -> None:
    """Fork for each command that is asked for, and tell its exit code."""
    while True:
        try:
            words, cwd, environment, outputs = requests.recv()
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = _run(words, cwd, environment, outputs)
            finally:
                os._exit(code)
        requests.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _run(words: list[str], cwd: str, environment: dict[str, str], outputs: list[str]) -> int:
    """A command, as a fresh interpreter would run it."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in zip((1, 2), outputs, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["mlops-chain", *words]
    code = 0
    try:
        runpy.run_module("chain_client.cli", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _replace_run(commands: Connection) -> None:
    """Let `subprocess.run` send our commands to the process that forks."""
    run: Any = subprocess.run

    def forked(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if list(command[:3]) != _COMMAND:
            return run(command, **options)  # type: ignore[no-any-return]
        with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
            outputs = [out.name, err.name]
            commands.send((command[3:], str(options["cwd"]), options["env"], outputs))
            code = commands.recv()
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    subprocess.run = forked  # type: ignore[assignment]


def main(example: str, *arguments: str) -> None:
    """Run the example."""
    ours, theirs = Pipe()
    forker = os.fork()
    if forker == 0:
        ours.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own imports warn about its dependencies
            for name in _IMPORTED:
                importlib.import_module(name)
        _serve(theirs)
        os._exit(0)
    theirs.close()
    _replace_run(ours)
    sys.argv = [example, *arguments]
    try:
        runpy.run_path(example, run_name="__main__")
    finally:
        ours.close()
        os.waitpid(forker, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
