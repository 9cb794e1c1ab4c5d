"""What kind of process this is, and who runs it: read once, at the edge."""

from __future__ import annotations

import functools
import getpass
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from chain_client.events import Actor

_SERVER_VARIABLES = ("_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_BOOT_ID")
"""Set by ``mlflow server`` for its workers and jobs."""

_SERVER_COMMANDS = frozenset({"server", "ui"})


def is_server(environ: Mapping[str, str], argv: Sequence[str]) -> bool:
    """Whether this process is an ``mlflow server``, one of its workers, or a job of it."""
    if any(name in environ for name in _SERVER_VARIABLES):
        return True
    program = PurePath(argv[0]) if argv else PurePath()
    if any("mlflow.server" in word for word in argv[1:]):
        return True
    is_mlflow = program.stem == "mlflow" or program.parent.name == "mlflow"
    return is_mlflow and not _SERVER_COMMANDS.isdisjoint(argv[1:])


def may_create_home() -> bool:
    """Servers never make a home of their own: theirs is made once, by a person."""
    return not is_server(os.environ, sys.argv)


@functools.cache
def process_actor() -> Actor:
    """Who the process says it is."""
    try:
        return Actor(claimed=getpass.getuser())
    except (KeyError, OSError):
        return Actor()
