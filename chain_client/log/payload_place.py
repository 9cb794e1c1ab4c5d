"""Where a log keeps what its events say, if that is not its database. What is there: see
`payload_objects`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chain_client.config import Settings

if TYPE_CHECKING:
    from chain_client.payloads.base import PayloadStore


@dataclass(frozen=True, slots=True)
class PayloadPlace:
    """A payload store, and what of a log goes there. Names it only: it can be sent to a process.

    Args:
        uri: such as ``file:<folder>``, as `log.payloads` has it.
        base: folder from which relative paths are taken.
        from_bytes: events of fewer bytes stay in the database.
    """

    uri: str = field(repr=False)
    base: Path
    from_bytes: int = 0

    @classmethod
    def of(cls, settings: Settings) -> PayloadPlace | None:
        """The place that settings name; None for the database."""
        if not settings.log_payloads:
            return None
        return cls(settings.log_payloads, settings.home, settings.log_payloads_from_bytes)

    def open(self) -> PayloadStore:
        """The store; not asked anything yet.

        Raises:
            ConfigurationError: no store of that scheme is known here, or its URI is wrong.
        """
        from chain_client.payloads import open_payload_store

        return open_payload_store(self.uri, base=self.base)
