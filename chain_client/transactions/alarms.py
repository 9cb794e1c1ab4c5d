"""Alarms of one key: raised once each time they begin, ended when they end."""

from __future__ import annotations

import logging
from collections.abc import Callable

from chain_client.types import Address, to_hex

_logger = logging.getLogger(__name__)

FOREIGN_NONCE = "foreign_nonce"
FEE_CAP_REACHED = "fee_cap_reached"
GAS_BUDGET_SPENT = "gas_budget_spent"
NONCE_GAP = "nonce_gap"
REORG = "reorg"


class KeyAlarms:
    """What a person should see about one key.

    Args:
        key: its address.
        raise_alarm: called with (kind, subject, detail), such as `Log.raise_alarm`.
        clear_alarm: called with (kind, subject), such as `Log.clear_alarm`.
    """

    def __init__(
        self,
        key: Address,
        raise_alarm: Callable[[str, str, str], None] | None,
        clear_alarm: Callable[[str, str], None] | None,
    ) -> None:
        self._subject = to_hex(key)
        self._raise = raise_alarm
        self._clear = clear_alarm
        self._stands: dict[str, str] = {}
        self._over: set[str] = set()

    def start(self, kind: str, detail: str) -> None:
        """Let it stand, and log it; the same text again is not counted."""
        self._over.discard(kind)
        if self._stands.get(kind) == detail:
            return
        _logger.warning("%s of %s: %s", kind, self._subject, detail)
        if self._raise is not None:
            self._raise(kind, self._subject, detail)
        self._stands[kind] = detail

    def end(self, kind: str) -> None:
        """End it, also one that an earlier process left; the database is asked once."""
        if kind in self._over:
            return
        if self._clear is not None:
            self._clear(kind, self._subject)
        self._stands.pop(kind, None)
        self._over.add(kind)

    def stands(self, kind: str) -> bool:
        """Whether this process let it stand, and did not end it."""
        return kind in self._stands
