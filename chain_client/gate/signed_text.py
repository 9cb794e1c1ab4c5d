"""The text behind what is current: which one it is, and whether it is known and true."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.log import Log
from chain_client.registry.identity import Salt
from chain_client.registry.texts import TextVerdict, is_return_text_true, is_text_true
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest


@dataclass(frozen=True, slots=True)
class SignedText:
    """The text that approvers signed for what is current.

    Args:
        chain_id: of the chain, and
        registry: the address of the registry that a true text names.
        proposal: whose version is current.
        sequence: of the target before a rollback made it so; None: it was promoted.
        summary_hash: of the rollback's text; None: it was promoted.
    """

    chain_id: int
    registry: Address
    proposal: Digest
    sequence: int | None = None
    summary_hash: Digest | None = None

    @property
    def was_promoted(self) -> bool:
        """Whether it is that of a proposal, and no rollback's."""
        return self.sequence is None

    def judge(self, log: Log, salt: Salt) -> TextVerdict:
        """Whether the log holds it, and whether it says what stands on chain."""
        domain = Domain(self.chain_id, self.registry)
        if self.sequence is None or self.summary_hash is None:
            return is_text_true(log, salt, domain, self.proposal)
        return is_return_text_true(
            log, salt, domain, self.proposal, self.sequence, self.summary_hash
        )
