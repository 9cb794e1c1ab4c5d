"""Whether the text that people signed is known, and says what stands on chain.

The contract binds the hash of a text and can't read it: who signs without the deployment's salt
can be shown a text about another model. Whoever acts on a quorum therefore looks first whether
the log holds the text, and whether the salt confirms it. Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from chain_client.errors import ChainError
from chain_client.log import Log
from chain_client.registry import documents
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import check_return_summary, check_summary
from chain_client.registry.typed_data import hash_summary
from chain_client.signing.eip712 import Domain


class TextVerdict(StrEnum):
    """What became of the look at a text. Only `TRUE` stays so for ever."""

    TRUE = "true"
    """The log holds it, its hash is the one on chain, and it says what the fields say."""
    UNKNOWN = "unknown"
    """The log does not hold it, or not yet."""
    UNTRUE = "untrue"
    """The log holds only texts that say something else than what was signed for."""
    UNCHECKED = "unchecked"
    """The text is true, and says that it was checked by what no admin had applied."""


UNCHECKED = {
    TextVerdict.UNKNOWN: "the log does not hold the report of checks that the proposal names (a "
    "relay may still be taking it in)",
    TextVerdict.UNCHECKED: "the proposal was checked by a configuration that nobody who "
    "administers the registry had applied when it was made, nor since",
}
"""Why a proposal whose text is true is not promoted."""


def is_text_true(log: Log, salt: Salt, domain: Domain, proposal_id: bytes) -> TextVerdict:
    """Whether the text of a proposal can be read and says what stands on chain.

    The id binds the fields, and they bind the text's hash, so the id alone names one text. The
    requester's name in it is not compared with names that are bound: those may change, and the
    text has the address beside the name.

    Args:
        log: the home's.
        salt: the deployment's.
        domain: the registry that a true text names.
        proposal_id: as it stands on chain.
    """
    found = documents.written_proposals(log, proposal_id)
    return _judge(_is_true(document, salt, domain) for document in found)


def find_true(log: Log, salt: Salt, domain: Domain, proposal_id: bytes) -> ProposalDocument | None:
    """The proposal with that id whose text is true; as for `is_text_true`."""
    found = documents.written_proposals(log, proposal_id)
    return next((document for document in found if _is_true(document, salt, domain)), None)


def is_return_text_true(
    log: Log,
    salt: Salt,
    domain: Domain,
    proposal_id: bytes,
    sequence: int,
    summary_hash: bytes,
) -> TextVerdict:
    """Whether the text of a rollback can be read and says what stands on chain.

    A true one has the text of the proposal to which it goes back within it, true as well.

    Args:
        log: the home's.
        salt: the deployment's.
        domain: the registry that a true text names.
        proposal_id: to whose version it goes back.
        sequence: of the target before it, as `ReturnApproved` has it.
        summary_hash: of the text that was signed, as `ReturnApproved` has it.
    """
    found = [
        document
        for document in documents.written_returns(log)
        if document.former is not None
        and document.former.id == proposal_id
        and document.sequence == sequence
        and hash_summary(document.summary) == summary_hash
    ]
    return _judge(_is_true(document, salt, domain) for document in found)


def _is_true(document: ProposalDocument | ReturnDocument, salt: Salt, domain: Domain) -> bool:
    try:
        if isinstance(document, ProposalDocument):
            check_summary(document, salt)
        else:
            check_return_summary(document, salt)
    except ChainError:
        return False
    return document.domain == domain


def _judge(found: Iterable[bool]) -> TextVerdict:
    verdicts = list(found)
    if not verdicts:
        return TextVerdict.UNKNOWN
    return TextVerdict.TRUE if any(verdicts) else TextVerdict.UNTRUE
