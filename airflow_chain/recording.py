"""The recorder of the configured home in this process, whichever of Airflow's processes it is.

Nothing here raises, waits for a lock of another process, forks or uses a network. It opens no
chain, no log and no database: it writes to the spool, and to nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chain_client.events import Actor, Json
    from chain_client.recorder import Recorder


def prepare() -> None:
    """Import and read what recording needs, so that the first record of the process is quick."""
    find_recorder()


def find_recorder() -> Recorder | None:
    """The recorder of this process for the configured home; None if there is none to be had.

    It is the one that MLflow code in the same process uses (`ChainClient.recorder`).
    """
    return None


def note(
    type: str,
    kind: str,
    id: str,
    payload: Mapping[str, Json],
    *,
    component: str,
    actor: Actor | None = None,
) -> bool:
    """Record what has happened; the observer is added to the payload.

    Args:
        type: one of `keys`.
        kind: of the subject.
        id: of the subject.
        payload: its parts.
        component: which of Airflow's components saw it, such as ``task`` or ``scheduler``.
        actor: who did it, if that is known.

    Returns:
        whether it stands in the spool.
    """
    return False


def close() -> None:
    """Close the source of this process, so that a relay sees that it is finished."""
