"""The recorder of the configured home in this process, whichever of Airflow's processes it is.

It opens no chain, no log and no database, and asks no other process: it writes to the spool and to
nothing else, beside small files of the home. It may raise: each hook has a guard around it.
"""

from __future__ import annotations

import codecs
import logging
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_chain import config
from airflow_chain.rules import IDENTIFIERS_ONLY, Policy, parse_policy
from chain_client.errors import ChainError, ConfigurationError, HomeMissing, Unavailable

if TYPE_CHECKING:
    from airflow_chain.dag_versions import DagVersions
    from airflow_chain.mapping import Mapped
    from chain_client.client import ChainClient
    from chain_client.config import Settings
    from chain_client.events import Actor, Json
    from chain_client.recorder import Recorder

_logger = logging.getLogger(__name__)

TRY_AGAIN_S = 10.0
"""A home that could not be opened is looked at again after this time, not at each hook."""


@dataclass(slots=True)
class Recording:
    """What a process records with.

    Args:
        client: the home; never asked for its chain or log.
        name: of this Airflow, the `store` of its subjects.
        policy: what is recorded.
        policy_error: why `policy` is not the configured one; None if it is.
        dag_versions: which graphs this home knows.
        pid: of the process in which `recorder` may be used.
        recorder: of that process.
    """

    client: ChainClient
    name: str
    policy: Policy
    policy_error: ConfigurationError | None
    dag_versions: DagVersions
    pid: int
    recorder: Recorder
    is_bound: bool = False

    @property
    def settings(self) -> Settings:
        """Of the home."""
        return self.client.settings


_lock = threading.Lock()
_LOCK_PATIENCE_S = 1.0
_current: Recording | None = None
_failed: tuple[int, float, ChainError] | None = None


def prepare() -> None:
    """Import and read what recording needs, so that the first record of the process is quick.

    Raises:
        ChainError: as `get_recording`.
    """
    codecs.lookup("ascii")  # in which a source's first record reads what boot this is
    _observed_host()
    get_recording()


def get_recording() -> Recording:
    """What this process records with; made when it is first asked for, and anew after a fork.

    So a task, which Airflow runs in a process of its own, has the settings and rules of its time.

    The recorder is the one that MLflow code in the same process uses (`ChainClient.recorder`).

    Raises:
        ConfigurationError: the section or the home's settings are wrong.
        HomeMissing: there is no home where the section says.
        Unavailable: another thread has been opening it for too long.
    """
    global _current
    found = _current
    if found is not None and found.pid == os.getpid():
        return found
    if not _lock.acquire(timeout=_LOCK_PATIENCE_S):
        raise Unavailable("another thread is still opening the home")
    try:
        if _current is None or _current.pid != os.getpid():
            _current = _open()
        return _current
    finally:
        _lock.release()


def find_recorder() -> Recorder | None:
    """The recorder of this process, if it has recorded or was prepared to; opens nothing."""
    found = _current
    return found.recorder if found is not None and found.pid == os.getpid() else None


def note(mapped: Mapped, *, component: str, actor: Actor | None = None) -> bool:
    """Record what has happened; the observer is added to the payload.

    Args:
        mapped: what, for the policy has allowed it.
        component: which of Airflow's components saw it, such as ``task`` or ``scheduler``.
        actor: who did it, if that is known.

    Returns:
        whether it stands in the spool; what does not is counted there later.

    Raises:
        ChainError: as `get_recording`; and the spool can't be written where the home's settings
            say ``refuse``.
    """
    from chain_client.events import Actor, Subject

    recording = get_recording()
    payload: dict[str, Json] = {**mapped.payload, "observer": observer(component)}
    if recording.policy_error is not None:
        payload["policy"] = "unreadable"
    lost = recording.recorder.lost_count
    recording.recorder.note(
        mapped.type,
        Subject(recording.name, mapped.kind, mapped.id),
        payload,
        actor=actor or Actor(),
    )
    return recording.recorder.lost_count == lost


def observer(component: str) -> dict[str, Json]:
    """Who saw it: the payload's part ``observer``."""
    return {"component": component, "pid": os.getpid(), "host": _observed_host()}


def bind() -> None:
    """Tell the home which Airflow its events come from, unless it knows.

    Raises:
        ChainError: as `get_recording`; and the home can't be written.
    """
    from chain_client.hosts import StoreBinding

    recording = get_recording()
    if recording.is_bound:
        return
    folder = recording.client.folder
    if not (folder.stores / f"{recording.name}.json").exists():
        uri = f"airflow://{config.airflow_home()}"
        folder.put_store(StoreBinding(recording.name, "airflow", uri))
    recording.is_bound = True


def close() -> None:
    """Close the source of this process, so that a relay sees that it is finished.

    Raises:
        SpoolUnavailable: its last record could not be written.
    """
    recorder = find_recorder()
    if recorder is not None:
        recorder.close()


def _open() -> Recording:
    global _failed
    if _failed is not None and _failed[0] == os.getpid():
        _, at, error = _failed
        if time.monotonic() - at < TRY_AGAIN_S:
            raise error
    try:
        found = _open_home()
    except ChainError as exc:
        _failed = (os.getpid(), time.monotonic(), exc)
        raise
    _failed = None
    return found


def _open_home() -> Recording:
    from airflow_chain.dag_versions import DagVersions
    from chain_client.client import ChainClient, no_home
    from chain_client.home import Home
    from chain_client.ledger.deployment_file import Deployment

    path = config.home()
    if path is None:
        raise ConfigurationError(f"[{config.SECTION}] home is not set, nor MLOPS_CHAIN_HOME")
    name = config.name()
    settings = config.settings(path)
    home = Home(settings.home)
    if not home.exists():
        raise HomeMissing(f"{no_home(settings)}; Airflow never makes one")
    client = ChainClient(settings, Deployment.read(home.deployment_file))
    policy, error = _read_policy()
    versions = DagVersions(settings.home / "airflow" / name / "graphs")
    return Recording(client, name, policy, error, versions, os.getpid(), client.recorder)


def _read_policy() -> tuple[Policy, ConfigurationError | None]:
    """The rules; while they can't be read, identifiers only."""
    path = config.policy()
    if path is None:
        return Policy(), None
    try:
        try:
            if not path.is_file():
                raise OSError  # of a pipe, reading might never end
            return parse_policy(path.read_text(encoding="utf-8")), None
        except (OSError, ValueError) as exc:
            raise ConfigurationError("the policy can't be read") from exc
    except ConfigurationError as exc:
        _logger.error(  # noqa: TRY400 - a trace says nothing more, in the log of each task
            "mlops-chain: %s (%s). Until it is mended, identifiers are recorded and nothing else",
            exc,
            path,
        )
        return Policy(default=IDENTIFIERS_ONLY), exc


def _observed_host() -> str:
    global _host
    if _host is None:
        _host = socket.gethostname()
    return _host


_host: str | None = None


def _renew_lock() -> None:
    """In a forked child: a thread that does not exist here may hold the inherited one."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
