"""Whether the log writer can pay for what it is going to send."""

from __future__ import annotations

from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.ledger.base import Ledger
from chain_client.types import Address, to_hex

ALARM = "low_balance"
_LOOK_US = 60_000_000
_ANCHOR_GAS = 100_000
"""Gas of an anchor with room to spare; measured: 55,000 to 75,000."""


class Purse:
    """The balance of the log writer's key, looked at once a minute.

    Args:
        ledger: the chain, used by the thread that calls.
        owner: the writer's address at the founding; its alarm ends when another key writes.
        anchors: for how many anchors it must suffice.
        clock: time.
        raise_alarm: called with (kind, subject, detail).
        clear_alarm: called with (kind, subject).
    """

    def __init__(
        self,
        ledger: Ledger,
        owner: Address,
        anchors: int,
        clock: Clock,
        raise_alarm: Callable[[str, str, str], None],
        clear_alarm: Callable[[str, str], None],
    ) -> None:
        self._ledger = ledger
        self._owner = owner
        self._anchors = anchors
        self._clock = clock
        self._raise = raise_alarm
        self._clear = clear_alarm
        self._look_at_us = 0
        self._told: bool | None = None
        self.balance_wei: int | None = None
        """As last seen."""

    @property
    def is_due(self) -> bool:
        """Whether the alarm stands and it is time to see whether it is cured."""
        return self._told is True and self._clock.monotonic_us() >= self._look_at_us

    def look_when_due(self, owner: Address) -> None:
        """Look, if the last look is a minute ago or was at another key.

        Args:
            owner: address of the key that writes now.

        Raises:
            LedgerUnavailable: the chain does not answer.
            LogUnavailable: the alarm can't be written.
        """
        now_us = self._clock.monotonic_us()
        if owner != self._owner:
            self._clear(ALARM, to_hex(self._owner))
            self._owner, self._told = owner, None
        elif now_us < self._look_at_us:
            return
        self.balance_wei = self._ledger.balance_wei(self._owner)
        cost_wei = self._ledger.fees().max_fee_wei * _ANCHOR_GAS
        self._look_at_us = now_us + _LOOK_US
        is_low = self.balance_wei < cost_wei * self._anchors
        if is_low and not self._told:
            self._raise(ALARM, to_hex(self._owner), self._text(cost_wei))
        elif not is_low and self._told is not False:
            # Also one that an earlier relay raised.
            self._clear(ALARM, to_hex(self._owner))
        self._told = is_low

    def _text(self, cost_wei: int) -> str:
        assert self.balance_wei is not None
        return (
            f"the log writer has {self.balance_wei / 1e18:.6f} of the chain's coin, enough for "
            f"{self.balance_wei // cost_wei} anchors at today's fees, and the alarm is set at "
            f"{self._anchors}; send coin to its address"
        )
