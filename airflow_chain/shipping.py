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
        timeout_s: longest time in seconds for handing over.
    """
    own = None
    try:
        if recorder is not None:
            own = recorder.source_id
            recorder.close()
    except Exception as exc:
        _logger.warning("mlops-chain: the spool of this task was not closed: %s", _said(exc))
    if not ship_to:
        return
    deadline = time.monotonic() + timeout_s
    # A thread, as a file system that is away may not answer at all. It dies with the process.
    thread = threading.Thread(
        target=_ship, args=(settings, ship_to, own, deadline), name="mlops-chain-ship", daemon=True
    )
    try:
        thread.start()
    except RuntimeError as exc:
        _logger.warning("mlops-chain: the spool of this task stays here: %s", exc)
        return
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        _logger.warning(
            "mlops-chain: the spool of this task was not handed over in %.1f s and stays in %s; "
            "if this machine is thrown away now, what the task recorded is lost",
            timeout_s,
            settings.spool_path,
        )


def _ship(settings: Settings, ship_to: str, own: SourceId | None, deadline: float) -> None:
    from chain_client.shipping import open_shipper, ship_sources

    try:
        shipper = open_shipper(ship_to, base=settings.home)
        sent = ship_sources(
            settings.spool_path, shipper, lambda: time.monotonic() >= deadline, first=own
        )
    except BaseException as exc:  # also what a plugin's shipper may raise to end a process
        _logger.warning("mlops-chain: the spool of this task stays here: %s", _said(exc))
        return
    if sent.left:
        _logger.warning(
            "mlops-chain: %d sources stay in the spool, %d were handed over: %s",
            len(sent.left),
            len(sent.shipped),
            "; ".join(sorted(set(sent.left.values()))),
        )


def _said(exc: BaseException) -> str:
    """Our own errors hold nothing secret; of others only the class is told."""
    return str(exc) if isinstance(exc, ChainError) else type(exc).__name__
