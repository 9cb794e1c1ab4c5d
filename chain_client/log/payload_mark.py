"""The mark of a log in its payload store: an object whose digest the log's database notes.

A store without it is not this log's: another folder, a bucket of another deployment, a disk that is
not mounted. Nothing is put there, and nothing that is not there counts as missing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from chain_client.errors import PayloadMissing, PayloadsUnavailable
from chain_client.types import Digest

if TYPE_CHECKING:
    from chain_client.payloads.base import PayloadStore

CURSOR = "payload_store"
"""Name of the cursor that notes the mark."""

_LONGEST = 1 << 10
_TEXT = b"This is the payload store of an mlops-chain log: "


def provide_mark(
    store: PayloadStore, read: Callable[[], str | None], put: Callable[[str], str]
) -> None:
    """See that the store has the log's mark; the first time, make one.

    Args:
        store: the store.
        read: gives the mark that is noted, if one is.
        put: notes a mark unless one is noted; the one that then is.

    Raises:
        PayloadsUnavailable: the store has another log's mark, or none.
        PayloadStoreUnavailable: it does not answer.
    """
    noted = read()
    if noted is None:
        data = _TEXT + os.urandom(16).hex().encode() + b"\n"
        digest = Digest(hashlib.sha256(data).digest())
        store.put(digest, data)
        noted = put(digest.hex())
    check_mark(store, noted)


def check_mark(store: PayloadStore, noted: str | None) -> None:
    """See that the store has the mark that is noted; one without a mark was never used.

    Raises:
        PayloadsUnavailable: it has not.
        PayloadStoreUnavailable: it does not answer.
    """
    if noted is None:
        return
    try:
        store.get(Digest(bytes.fromhex(noted)), _LONGEST)
    except ValueError as exc:
        raise PayloadsUnavailable(
            "what the log's database notes of its payload store was edited; put back its newest "
            "copy"
        ) from exc
    except PayloadMissing as exc:
        raise PayloadsUnavailable(
            f"the payload store {store.uri} is not this log's, or was emptied: the object "
            f"0x{noted} by which it is known is not there. Mount it, put it back, or set "
            "log.payloads to where it is"
        ) from exc
