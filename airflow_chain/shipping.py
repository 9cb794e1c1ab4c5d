"""Handing a task's spool over before its process, and perhaps its machine, is gone.

Called in the task runner's `before_stopping`, which is Airflow's last word to a listener. Nothing
else of the provider uses a network.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from chain_client.errors import ChainError

if TYPE_CHECKING:
    from chain_client.config import Settings
    from chain_client.recorder import Recorder
    from chain_client.types import SourceId

_logger = logging.getLogger(__name__)


def ship_before_stopping(
    recorder: Recorder | None, settings: Settings, *, ship_to: str, timeout_s: float
) -> None:
    """Close this process's source, and hand over what lies in its spool.

    Guarantee: returns within ``timeout_s`` and a moment, also if the destination hangs; raises
    nothing, and changes nothing for the task. What was not handed over by then stays in the spool,
    is named in the task's log, and is handed over by the next task that stops in this spool.

    Args:
        recorder: of this process; None if it has recorded nothing.
        settings: of the home that it records in.
        ship_to: URI of the destination, such as ``folder:/mnt/inbox``; empty: the source is only
            closed, for a relay that reads this spool.
        timeout_s: longest time in seconds for all of it.
    """
    if not ship_to:
        _close(recorder)
        return
    deadline = time.monotonic() + timeout_s
    # A thread, as a file system that is away may not answer at all. It dies with the process.
    thread = threading.Thread(
        target=_close_and_ship,
        args=(recorder, settings, ship_to, deadline),
        name="mlops-chain-ship",
        daemon=True,
    )
    try:
        thread.start()
    except RuntimeError as exc:  # no thread can start any more
        _logger.warning("mlops-chain: the spool of this task is not handed over: %s", exc)
        _close(recorder)
        return
    thread.join(max(0.0, timeout_s))
    if thread.is_alive():
        _logger.warning(
            "mlops-chain: the spool of this task was not handed over in %.1f s and stays in %s; "
            "if this machine is thrown away now, what the task recorded is lost",
            timeout_s,
            settings.spool_path,
        )


def _close(recorder: Recorder | None) -> SourceId | None:
    """Close the source of this process; its id."""
    own = None
    try:
        if recorder is not None:
            own = recorder.source_id
            recorder.close()
    except Exception as exc:
        _logger.warning("mlops-chain: the spool of this task was not closed: %s", _said(exc))
    return own


def _close_and_ship(
    recorder: Recorder | None, settings: Settings, ship_to: str, deadline: float
) -> None:
    try:
        from chain_client.plugin_host import own_plugins_first
        from chain_client.shipping import open_shipper, ship_sources

        own = _close(recorder)
        with own_plugins_first():
            shipper = open_shipper(ship_to, base=settings.home)
        sent = ship_sources(
            settings.spool_path,
            shipper,
            lambda: time.monotonic() >= deadline,
            first=own,
        )
    except BaseException as exc:  # also what a plugin's shipper may raise to end a process
        _logger.warning("mlops-chain: the spool of this task stays here: %s", _said(exc))
        return
    if sent.left:
        _logger.warning(
            "mlops-chain: %d sources were handed over, %d stay in %s: %s",
            len(sent.shipped),
            len(sent.left),
            settings.spool_path,
            "; ".join(sorted(set(sent.left.values()))),
        )


def _said(exc: BaseException) -> str:
    """Our own errors hold nothing secret; of others only the class is told."""
    return str(exc) if isinstance(exc, ChainError) else type(exc).__name__
