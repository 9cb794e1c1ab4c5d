"""`mlops-chain` as a program whose processes are forks of one that has all imports.

Each command is still a process of its own, with its own words, folder, environment, input, output,
signals and exit code; only the seconds in which Python imports MLflow and the chain are spent once.
That a fresh interpreter does the same is seen where tests start `mlops-chain` itself.

    python -m tests.forked_commands FOLDER    serves FOLDER/mlops-chain until it is ended
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_SOCKET = "forks"
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
_PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys
ours = socket.socket(socket.AF_UNIX)
ours.connect({address!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(ours, [len(request).to_bytes(8, "big")], [0, 1, 2])
ours.sendall(request)
answers = ours.makefile("rb")
child = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda got, _: os.kill(child, got))
os._exit(int(answers.readline() or 137))
"""


@contextmanager
def forked_commands(folder: Path) -> Iterator[Path]:
    """Within, ``mlops-chain`` in this folder is such a program.

    Args:
        folder: empty; with a path of less than 90 characters, as addresses of sockets are short.
    """
    command = [sys.executable, "-m", "tests.forked_commands", str(folder)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield folder
        finally:
            server.terminate()


def _serve(folder: Path) -> None:
    """Fork for each command that is asked for."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / _SOCKET))
        listener.listen(16)
        program = folder / "mlops-chain"
        program.write_text(_PROGRAM.format(python=sys.executable, address=str(folder / _SOCKET)))
        program.chmod(0o755)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own imports warn about its dependencies
            for name in _IMPORTED:
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # what is here is in no child's way
        print("ready", flush=True)
        while True:
            asked, _ = listener.accept()
            with asked:
                _fork(listener, asked)
            _reap()


def _fork(listener: socket.socket, asked: socket.socket) -> None:
    size, files, _, _ = socket.recv_fds(asked, 8, 3)
    try:
        request = asked.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
        if os.fork():
            return
        listener.close()
        code = 1
        try:
            code = _run(asked, files, *json.loads(request))
        finally:
            asked.sendall(b"%d\n" % code)
            os._exit(code)
    finally:
        for file in files:
            os.close(file)


def _run(
    asked: socket.socket, files: list[int], words: list[str], cwd: str, environment: dict[str, str]
) -> int:
    """A command, as a fresh interpreter would run it."""
    asked.sendall(b"%d\n" % os.getpid())
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    found = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in found if path and path not in sys.path]
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.argv = ["mlops-chain", *words]
    code: Any = 0
    try:
        runpy.run_module("chain_client.cli", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    # What an interpreter does when it ends.
    interpreter: Any = (threading, atexit)
    interpreter[0]._shutdown()
    interpreter[1]._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def _reap() -> None:
    """Let ended children go."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _serve(Path(sys.argv[1]))
