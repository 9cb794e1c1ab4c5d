"""What kind of process this is, and who runs it: read once, at the edge."""

from __future__ import annotations

import functools
import getpass
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from chain_client.events import Actor
from chain_client.shown_uri import to_shown_uri

_BACKEND_VARIABLE = "_MLFLOW_SERVER_FILE_STORE"
_REGISTRY_VARIABLE = "_MLFLOW_SERVER_REGISTRY_STORE"
_SERVER_VARIABLES = (_BACKEND_VARIABLE, "_MLFLOW_SERVER_BOOT_ID")
"""Set by ``mlflow server`` for its workers and jobs."""

_JOB_VARIABLE = "_MLFLOW_IN_JOB_EXECUTOR"

_SERVING_VARIABLE = "_MLFLOW_SERVER_SERVE_ARTIFACTS"
_KEPT_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"

_SERVER_COMMANDS = frozenset({"server", "ui"})

_RUNNERS = frozenset(
    {"daphne", "flask", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress", "waitress-serve"}
)
"""Programs that serve an application which is named on their command line."""

_APPLICATION = re.compile(r"(--app=)?mlflow\.server(\.\w+)*(:\w+(\(.*\))?)?")


def is_server(environ: Mapping[str, str], argv: Sequence[str]) -> bool:
    """Whether this process is an ``mlflow server``, one of its workers, or a job of it."""
    if any(name in environ for name in _SERVER_VARIABLES):
        return True
    program = PurePath(argv[0]) if argv else PurePath()
    names = {program.stem, program.parent.name}
    if "mlflow" in names:
        return not _SERVER_COMMANDS.isdisjoint(argv[1:])
    # A script may have an argument that only looks like it.
    return not _RUNNERS.isdisjoint(names) and any(map(_APPLICATION.fullmatch, argv[1:]))


def find_backend(environ: Mapping[str, str]) -> str | None:
    """URI of the backend store, if this process is a worker of a server; a job of it is none."""
    if environ.get(_JOB_VARIABLE, "").lower() in ("true", "1"):
        return None
    return environ.get(_BACKEND_VARIABLE) or None


def find_registry(environ: Mapping[str, str]) -> str | None:
    """URI of the model registry's store, as `find_backend`."""
    backend = find_backend(environ)
    return environ.get(_REGISTRY_VARIABLE) or backend if backend else None


def served_backend() -> str | None:
    """`find_backend` for this process."""
    return find_backend(os.environ)


def served_registry() -> str | None:
    """`find_registry` for this process."""
    return find_registry(os.environ)


@functools.cache
def serves() -> bool:
    """`is_server` for this process."""
    return is_server(os.environ, sys.argv)


def kept_artifacts(environ: Mapping[str, str]) -> str | None:
    """Where this process, a worker of a server, keeps the files that its clients send it."""
    if find_backend(environ) is None or environ.get(_SERVING_VARIABLE) != "true":
        return None
    return environ.get(_KEPT_VARIABLE) or None


def served_artifacts() -> str | None:
    """`kept_artifacts` for this process."""
    return kept_artifacts(os.environ)


def may_create_home() -> bool:
    """Servers never make a home of their own: theirs is made once, by a person."""
    return not serves()


@functools.cache
def process_actor() -> Actor:
    """Who the process says it is."""
    try:
        return Actor(claimed=getpass.getuser())
    except (KeyError, OSError):
        return Actor()


class _Masking(logging.Filter):
    """Masks one URI in whatever is logged."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._uri = uri

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if self._uri in text:
            record.msg, record.args = text.replace(self._uri, to_shown_uri(self._uri)), ()
        return True


def hide_in_server_log(uri: str) -> None:
    """Mask a URI where ``mlflow server`` would print it, password and all, for its odd scheme."""
    logger = logging.getLogger("mlflow.server")
    if to_shown_uri(uri) != uri and not any(f.name == uri for f in _filters(logger)):
        logger.addFilter(_Masking(uri))


def _filters(logger: logging.Logger) -> list[_Masking]:
    return [found for found in logger.filters if isinstance(found, _Masking)]
