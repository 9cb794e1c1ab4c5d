"""Whether the log and the chain's head belong together."""

from __future__ import annotations

import contextlib
from typing import NoReturn

from chain_client.errors import (
    ChainBehindLog,
    ContractMissing,
    ContractReverted,
    LedgerUnavailable,
    LogBehindChain,
    LogMismatch,
)
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import EntryStatus, Log, LogHead
from chain_client.types import LogId, to_hex


def read_checked_head(log: Log, contract: EventLogContract, log_id: LogId) -> Head:
    """The chain's head of a log, once it is seen that the log reproduces it.

    One answer of one node is no contradiction: the final head must show it too.

    Raises:
        LogMismatch: or a child of it, as `check_head`; the chain's final head says the same.
        LedgerUnavailable: the chain does not answer, the node lags behind what was final, or it
            shows a newest head that the log does not reproduce and that is not final.
        LogUnavailable: the log's database does not answer.
    """
    # A relay may work beside us, so what was final is read first: the chain must have it by now.
    final = log.latest_head(EntryStatus.FINALIZED)
    head = contract.head(log_id)
    try:
        check_head(log, head, final)
    except LogMismatch as exc:
        is_behind = isinstance(exc, ChainBehindLog)
        if is_behind and final is not None and contract.lags_behind(final.block_number):
            raise LedgerUnavailable(
                f"the chain does not have block {final.block_number} yet, in which a head of this "
                "log was final: the node lags behind, or the chain was replaced by an older copy. "
                "Nothing is sent to it"
            ) from exc
        _confirm(log, contract, log_id, final, head, exc)
    return head


def _confirm(
    log: Log,
    contract: EventLogContract,
    log_id: LogId,
    final: LogHead | None,
    head: Head,
    found: LogMismatch,
) -> NoReturn:
    # A contract may be so young that the final block does not know it.
    with contextlib.suppress(ContractReverted, ContractMissing):
        check_head(log, contract.head(log_id, at="finalized"), final)
    raise LedgerUnavailable(
        f"the node shows a head of {head.size} entries in its newest block, which the log does not "
        "reproduce, and no such head in the chain's final block: it is asked again before that is "
        "believed"
    ) from found


def check_head(log: Log, head: Head, final: LogHead | None) -> None:
    """See that the log reproduces a head on chain, and that the chain lost no final head.

    Args:
        log: the log.
        head: the chain's head, read after ``final``.
        final: the greatest head that the log knew as final before.

    Raises:
        LogBehindChain: the log is shorter than the head on chain.
        LogMismatch: it has another root at that size.
        ChainBehindLog: the chain's head is older than one that was final.
    """
    size = log.size()
    if head.size > size:
        raise LogBehindChain(
            f"the chain holds a head of {head.size} entries, the log has only {size}: it was "
            "truncated or restored from an old copy. Put the newest copy back; nothing is "
            "written over the chain's head",
            {"size": head.size},
            {"size": size},
        )
    if head.size and (root := log.root(head.size)) != head.root:
        raise LogMismatch(
            f"the log's root at {head.size} entries is not the one on chain: entries were "
            "edited. Run: mlops-chain verify",
            {"size": head.size, "root": to_hex(head.root)},
            {"size": head.size, "root": to_hex(root)},
        )
    if final is not None and final.size > head.size:
        raise ChainBehindLog(
            f"the log was final at {final.size} entries, but the chain's head is at "
            f"{head.size}: the chain was replaced or restored from an old copy",
            {"size": final.size},
            {"size": head.size},
        )
