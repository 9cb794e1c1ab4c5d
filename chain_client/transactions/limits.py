"""How much a key may spend, and how long a transaction waits before it is replaced."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.config import Settings

_GWEI = 10**9
_EMBEDDED = "embedded:"


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """Limits of one key.

    Args:
        max_fee_wei: most that is ever offered for a unit of gas, tip included.
        bump_after_s: a transaction that no block takes for so long is replaced by one that
            offers more.
        gas_per_hour: gas that the key may use in an hour; None: as much as it likes.
    """

    max_fee_wei: int = 500 * _GWEI
    bump_after_s: float = 60
    gas_per_hour: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings, ledger_url: str | None = None) -> TransactionLimits:
        """The limits of a home's keys; gas costs nothing on an embedded chain.

        Args:
            settings: of the home.
            ledger_url: the chain that the key is for; by default the home's.
        """
        url = settings.ledger_url if ledger_url is None else ledger_url
        return cls(
            max_fee_wei=round(settings.transactions_max_fee_gwei * _GWEI),
            bump_after_s=settings.transactions_bump_after_s,
            gas_per_hour=None if url.startswith(_EMBEDDED) else settings.transactions_gas_per_hour,
        )
