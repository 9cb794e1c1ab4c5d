"""How it stands with the second chain, for `status` and `doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.config import Settings
from chain_client.cross.place import CrossPlace
from chain_client.ledger.deployment import check_event_log
from chain_client.signing import open_signer
from chain_client.types import Address, to_hex

_ANCHOR_GAS = 150_000
"""What one anchor takes at most, its consistency proof included, in a log of 10^9 entries."""
_ETHER = 10**18


@dataclass(frozen=True, slots=True)
class CrossHead:
    """What stands on the second chain.

    Args:
        chain_id: of the second chain.
        size: entries under the head there.
        block_number: block since which it stands.
        since_s: time of that block in seconds since the epoch; None if there is no head yet.
    """

    chain_id: int
    size: int
    block_number: int
    since_s: int | None


def read_cross_head(place: CrossPlace) -> CrossHead:
    """The newest head on the second chain, final or not.

    Raises:
        LedgerUnavailable: the second chain does not answer.
        ConfigurationError: it is another chain, or holds no such contract.
    """
    ledger = place.open_ledger()
    try:
        head = place.contract(ledger).head(place.deployment.log_id)
        since_s = ledger.block(head.block_number).timestamp_s if head.size else None
    finally:
        ledger.close()
    return CrossHead(place.deployment.chain_id, head.size, head.block_number, since_s)


def examine_cross(
    place: CrossPlace, settings: Settings, final_size: int, now_s: float
) -> tuple[bool, str]:
    """A sentence on the second chain, its key and its funds.

    Args:
        place: the second chain.
        settings: of the home.
        final_size: entries that are final on the first chain.
        now_s: seconds since the epoch.

    Returns:
        whether somebody has to do something, and what stands there.

    Raises:
        LedgerUnavailable: the second chain does not answer.
        ConfigurationError: it is another chain, its contract is another, or the key can't be read.
    """
    key = open_signer(settings.cross_key, base=settings.home).address()
    ledger = place.open_ledger()
    try:
        check_event_log(ledger, place.deployment)
        writer = place.contract(ledger).log(place.deployment.log_id).writer
        fee_wei = ledger.fees().max_fee_wei
        balance_wei = ledger.balance_wei(key)
    finally:
        ledger.close()
    found = read_cross_head(place)
    said = f"chain {found.chain_id} holds {found.size} of {final_size} final entries"
    if writer != key:
        return True, f"{said}; {_not_writer(key, writer)}"
    if found.since_s is not None and found.size < final_size:
        late_s = now_s - found.since_s - 2 * settings.cross_every_s
        if late_s > 0:
            return True, (
                f"{said}, since {round(now_s - found.since_s)} s: see that a relay runs, and its "
                "alarms"
            )
    if not fee_wei:
        return False, said
    left = balance_wei // (_ANCHOR_GAS * fee_wei)
    said += f"; {to_hex(key)} has {balance_wei / _ETHER:.4g} ether, for {left} anchors or more"
    return not left, said if left else f"{said}: send it some"


def _not_writer(key: Address, writer: Address | None) -> str:
    held = "nobody: the log there is closed" if writer is None else to_hex(writer)
    return f"its writer is {held}, and cross.key is {to_hex(key)}"
