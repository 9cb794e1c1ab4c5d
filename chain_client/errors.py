"""Every error that leaves this package, arranged by what the caller can do.

::

    ChainError
    ├── Unavailable                 try again
    │   ├── LedgerUnavailable         node or chain file does not answer
    │   │   └── NotOnChainYet             … it does, but holds a transaction of ours not yet
    │   ├── LogUnavailable            log database does not answer, or is locked
    │   │   └── PayloadsUnavailable       … or the payload store that keeps its events
    │   ├── SpoolUnavailable          journal can't be written (disk full, read-only)
    │   ├── PayloadStoreUnavailable   where payloads are stored does not answer, or is full
    │   ├── SignerUnavailable         the service that holds a key does not answer
    │   ├── ShippingUnavailable       where spools are handed over takes nothing now
    │   ├── ReceiverUnavailable       a webhook or mail server takes no message now
    │   ├── HostUnavailable           MLflow's or Airflow's store does not answer
    │   ├── BudgetSpent               a key has used its gas of this hour
    │   └── NotInTime                 what was waited for did not happen
    ├── InvalidInput                mend the input
    │   ├── InvalidEvent
    │   ├── InvalidPolicyFile         names the file, the key and what was expected
    │   ├── UnknownName               a user without an address, a group, a draft …
    │   └── UnknownProposal           neither the log nor a file holds its text
    ├── ConfigurationError          mend the configuration or the deployment
    │   ├── HomeNotWritable
    │   ├── HomeMismatch              the home is not this database's
    │   ├── HomeMissing
    │   ├── SchemaTooNew              written by a newer version of mlops-chain
    │   ├── SchemaTooOld              written by an older one, and not migrated yet
    │   ├── LogCorrupt                the log database is damaged, or no log at all
    │   ├── SourceForked              same source and sequence, other event: a copied spool
    │   ├── ForeignSource             a spool that was copied from another deployment's home
    │   ├── DamagedParcel             a spool that was handed over did not arrive whole
    │   ├── SignerRefused             a key that can't sign, or is not the one that was meant
    │   ├── WrongChain                other chain id than the deployment's
    │   ├── HistoryMissing            no endpoint is an archive, and history is needed
    │   ├── ContractMissing           no code, or other code, at the contract's address
    │   └── AnotherRelay              the lease is held by someone else
    ├── TransactionFailed           the chain refused it
    │   ├── CallReverted              raw revert data, inside the client only
    │   ├── ContractReverted          with the contract's own error name
    │   ├── TransactionRejected       refused for ever: nonce, funds, signature
    │   ├── TransactionCancelled      a person cancelled it; its call never happens
    │   └── ForeignNonce              someone else used our key
    ├── ErasureRefused              wait until its date; erasing the seed needs no date
    ├── PromotionDenied             ask for approval
    │   └── PromotionConflict         the world moved, or can't be seen now: look, and ask again
    └── VerificationFailed          do not trust
        ├── SummaryMismatch           a text that does not say what would be signed
        ├── SignatureRefused          not of whom, or not of what, it says
        ├── ModelMismatch             a model is not the one that was approved
        ├── PayloadMissing            a payload store holds nothing under a digest
        ├── PayloadDamaged            … or other bytes than were stored
        ├── InclusionFailed
        ├── ConsistencyFailed
        ├── LogMismatch               the log is not the one whose head is on chain
        ├── LogBehindChain            … it is shorter than the head on chain
        └── ChainBehindLog            the chain lost heads that were final

No key, salt or payload ever stands in a message.
"""

from __future__ import annotations

from datetime import datetime


class ChainError(Exception):
    """Root of every error raised by mlops-chain."""


class Unavailable(ChainError):
    """Try again: something outside does not answer now."""


class LedgerUnavailable(Unavailable):
    """The node, or the embedded chain's file, does not answer.

    Args:
        text: what happened.
        retry_after_s: how long the node asked to be left alone, if it did.
    """

    def __init__(self, text: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NotOnChainYet(LedgerUnavailable):
    """The chain answers, and does not hold a stored transaction yet, or not finally."""


class LogUnavailable(Unavailable):
    """The log database does not answer or stays locked."""


class PayloadsUnavailable(LogUnavailable):
    """The payload store that keeps a log's events does not answer, or is not the log's."""


class SpoolUnavailable(Unavailable):
    """The journal file can't be written."""


class SignerUnavailable(Unavailable):
    """The service that holds a key does not answer, or is busy; nothing was signed."""


class ShippingUnavailable(Unavailable):
    """A spool can't be handed over now; it stays where it was."""


class PayloadStoreUnavailable(Unavailable):
    """A payload store does not answer, or takes nothing now; it says nothing on any payload."""


class ReceiverUnavailable(Unavailable):
    """Whoever is to be told something does not answer, or not now."""


class HostUnavailable(Unavailable):
    """The host's own store (MLflow, Airflow) does not answer."""


class NotInTime(Unavailable):
    """What was waited for did not happen in time; the text says how it stands."""


class BudgetSpent(Unavailable):
    """A key has used the gas that it may use in an hour; nothing was signed."""


class InvalidInput(ChainError, ValueError):
    """Mend the input: the text says what was expected."""


class InvalidEvent(InvalidInput):
    """An event that can't be brought into canonical form."""


class InvalidPolicyFile(InvalidInput):
    """A policy file that can't be applied; the text names file, key and what was expected."""


class UnknownName(InvalidInput):
    """A name that stands for nothing here; the text says which names are known."""


class UnknownProposal(InvalidInput):
    """A proposal whose readable side is nowhere to be found."""


class ConfigurationError(ChainError):
    """Mend the configuration or the deployment; nothing was written."""


class HomeNotWritable(ConfigurationError):
    """The home folder can't be written."""


class HomeMissing(ConfigurationError):
    """The home folder does not exist, and may not be created here."""


class HomeMismatch(ConfigurationError):
    """The home belongs to another deployment than the database."""


class SchemaTooNew(ConfigurationError):
    """The home was written by a newer version of mlops-chain."""


class SchemaTooOld(ConfigurationError):
    """The log was written by an older version of mlops-chain; migrating it mends that."""


class LogCorrupt(ConfigurationError):
    """The log database is damaged, or is no log at all."""


class SourceForked(ConfigurationError):
    """A source gave the same sequence to another event: a copied spool or a restored snapshot.

    Nothing of it was written to the log. The relay compares the whole spool with the log then, and
    takes what differs in as a source of its own.

    Args:
        source_id: the source, 16 bytes.
        sequence: a sequence that differs.
    """

    def __init__(self, source_id: bytes, sequence: int) -> None:
        super().__init__(
            f"source {source_id.hex()} gave sequence {sequence} to another event than the log "
            "holds: its spool was copied, or the machine was restored from a snapshot. Nothing "
            "of this batch was written to the log"
        )
        self.source_id = source_id
        self.sequence = sequence


class ForeignSource(ConfigurationError):
    """A spool says that it was recorded for another deployment; it is never ingested as our own.

    Args:
        source_id: the source, 16 bytes.
        deployment_id: whose it says it is.
    """

    def __init__(self, source_id: bytes, deployment_id: str) -> None:
        super().__init__(
            f"source {source_id.hex()} was recorded for deployment {deployment_id[:64]!r}: its "
            "spool was copied from another home. Nothing of it was written to the log; bring it "
            "back to that home's folder spool, and its relay takes in what it lacks"
        )
        self.source_id = source_id
        self.deployment_id = deployment_id


class DamagedParcel(ConfigurationError):
    """A spool that was handed over is not what was sent; nothing of it was written to the log.

    Args:
        source_id: the source, 16 bytes.
        reason: what is wrong with it.
    """

    def __init__(self, source_id: bytes, reason: str) -> None:
        super().__init__(
            f"source {source_id.hex()} was handed over and did not arrive whole: {reason}. Nothing "
            "of it was written to the log. If it can't be handed over again, move it into the "
            "home's spool: its relay takes in what is whole, and names what is missing"
        )


class SignerRefused(ConfigurationError):
    """The service that holds a key does not sign with it, or it is another key; nothing was signed.

    Whoever mends it there need not start anything again.
    """


class WrongChain(ConfigurationError):
    """The ledger's chain id is not the deployment's."""


class HistoryMissing(ConfigurationError):
    """The chain's nodes have thrown away the state that was asked for; an archive keeps it."""


class ContractMissing(ConfigurationError):
    """No code, or other code than expected, at the contract's address.

    Args:
        text: what happened and what to do.
        expected: hash of the code that was deployed, for a report.
        actual: hash of the code that is there; None if there is none.
    """

    def __init__(self, text: str, expected: str | None = None, actual: str | None = None) -> None:
        super().__init__(text)
        self.expected = expected
        self.actual = actual


class AnotherRelay(ConfigurationError):
    """The lease is held, or was taken over, by another relay."""


class TransactionFailed(ChainError):
    """The chain refused a transaction; the text names the reason."""


class ContractReverted(TransactionFailed):
    """The contract reverted.

    Args:
        name: the contract's error name, such as ``NotWriter``; empty if it gave none.
        text: what happened and what to do.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class TransactionCancelled(TransactionFailed):
    """A self-transfer of ours took the transaction's nonce, because a person asked for it."""


class ForeignNonce(TransactionFailed):
    """A transaction that is not ours used our key's nonce."""


class ErasureRefused(ChainError):
    """A payload store must keep what should be erased; every byte of it is still there.

    Args:
        text: what happened and what to do.
        until: when it may be erased, with a time zone; None while no date is known, as under a
            legal hold.
    """

    def __init__(self, text: str, until: datetime | None = None) -> None:
        super().__init__(text)
        self.until = until


class PromotionDenied(ChainError):
    """A gated change without approval; the text says what is missing."""


class PromotionConflict(PromotionDenied):
    """The state moved meanwhile, contradicts itself or can't be seen; nothing was changed."""


class VerificationFailed(ChainError):
    """Do not trust.

    Args:
        check: name of the failed check, such as ``inclusion``.
        text: what was expected and what was found.
    """

    def __init__(self, check: str, text: str) -> None:
        super().__init__(f"{check}: {text}")
        self.check = check


class SummaryMismatch(VerificationFailed):
    """A readable text, or a name, does not say what the fields under it say: don't sign it."""

    def __init__(self, text: str) -> None:
        super().__init__("summary", text)


class SignatureRefused(VerificationFailed):
    """A signature is not of whom, or not over what, it says."""

    def __init__(self, text: str) -> None:
        super().__init__("signature", text)


class ModelMismatch(VerificationFailed):
    """A model's files, version or alias are not those that were approved."""

    def __init__(self, text: str) -> None:
        super().__init__("model", text)


class PayloadMissing(VerificationFailed):
    """A payload store holds nothing under a digest."""

    def __init__(self, text: str) -> None:
        super().__init__("payload", text)


class PayloadDamaged(VerificationFailed):
    """A payload store holds other bytes than were stored, or they can't be decrypted."""

    def __init__(self, text: str) -> None:
        super().__init__("payload", text)


class InclusionFailed(VerificationFailed):
    """An inclusion proof does not lead to the root."""

    def __init__(self, text: str) -> None:
        super().__init__("inclusion", text)


class ConsistencyFailed(VerificationFailed):
    """A consistency proof does not connect the two roots."""

    def __init__(self, text: str) -> None:
        super().__init__("consistency", text)


class LogMismatch(VerificationFailed):
    """The log can't reproduce the head on chain.

    Args:
        text: what was expected and what was found.
        expected: the same as JSON, for a report.
        actual: what was found, likewise.
    """

    def __init__(
        self,
        text: str,
        expected: dict[str, int | str] | None = None,
        actual: dict[str, int | str] | None = None,
    ) -> None:
        super().__init__("head", text)
        self.expected = expected
        self.actual = actual


class LogBehindChain(LogMismatch):
    """The log is shorter than the head on chain."""


class ChainBehindLog(LogMismatch):
    """The chain no longer holds a head that was final."""


class CallReverted(TransactionFailed):
    """A contract call reverted; the bindings turn it into `ContractReverted`.

    Args:
        revert_data: what the contract returned: selector and arguments of its custom error.
    """

    def __init__(self, revert_data: bytes) -> None:
        super().__init__(f"the contract call reverted with 0x{revert_data[:4].hex()}")
        self.revert_data = revert_data


class TransactionRejected(TransactionFailed):
    """The chain refuses a transaction for ever.

    Args:
        reason: one of ``nonce_too_low``, ``nonce_gap``, ``insufficient_funds``,
            ``invalid_signature``, ``wrong_chain``, ``fee_too_low``, ``gas_limit``, ``other``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
