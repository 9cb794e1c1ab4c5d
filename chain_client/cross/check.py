"""Whether the log, the first chain and the head on the second chain belong together."""

from __future__ import annotations

from chain_client.errors import ChainBehindLog, LogBehindChain, LogMismatch
from chain_client.ledger.event_log import Head
from chain_client.log import Log
from chain_client.types import to_hex


def check_cross_head(log: Log, there: Head, first_size: int | None) -> None:
    """See that the log reproduces the head on the second chain, and the first chain reaches it.

    Only final heads of the first chain are ever brought to the second one. So neither the log nor
    the first chain can be behind it, unless somebody put an older or another one in their place.

    Args:
        log: the log.
        there: head on the second chain.
        first_size: entries under the first chain's head, read after ``there``; None if it could
            not be asked.

    Raises:
        LogBehindChain: the log is shorter.
        LogMismatch: it has another root at that size.
        ChainBehindLog: the first chain holds fewer entries.
    """
    size = log.size()
    if there.size > size:
        raise LogBehindChain(
            f"the second chain holds a head of {there.size} entries, the log has only {size}: it "
            "was cut, or log and first chain were replaced by older copies. Put the newest copies "
            "back; nothing is written over that head",
            {"size": there.size, "root": to_hex(there.root)},
            {"size": size},
        )
    if there.size and (root := log.root(there.size)) != there.root:
        raise LogMismatch(
            f"the log's root at {there.size} entries is not the one on the second chain: its "
            "entries were written anew, and the first chain too if it agrees with them",
            {"size": there.size, "root": to_hex(there.root)},
            {"size": there.size, "root": to_hex(root)},
        )
    if first_size is not None and first_size < there.size:
        raise ChainBehindLog(
            f"the second chain holds a head of {there.size} entries, which were final on the "
            f"first one, but that one's head is at {first_size}: the first chain was replaced or "
            "restored from an old copy",
            {"size": there.size},
            {"size": first_size},
        )
