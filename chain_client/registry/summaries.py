"""The readable texts that people sign, and the check that a text says what the fields say.

A text follows from the fields and names alone, so whoever has them can write it again and compare:
nobody signs a text that lies. Its last line is random, so that nobody can guess the text from its
hash on chain. Signatures here are stable.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from chain_client.errors import SummaryMismatch
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry_values import PolicyInForce, ProposalFields
from chain_client.registry.check_reports import CheckReport, check_bound
from chain_client.registry.durations import show_duration, show_time
from chain_client.registry.evidence import hash_evidence, to_kinds, to_mask
from chain_client.registry.identity import (
    Salt,
    digest_commitment,
    group_id,
    model_id,
    target_id,
)
from chain_client.registry.proposals import (
    PolicyTerms,
    ProposalDocument,
    ProposalNames,
)
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.typed_data import hash_summary
from chain_client.shown_text import escape_unprintable
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, from_hex, to_hex

_SALT_LINE = re.compile(r"\nSalt: (0x[0-9a-f]{64})\Z")
_NONE = bytes(32)

_MEANING = (
    "Meaning: whoever signs the Proposal is its author and asks for this promotion. Whoever signs "
    "an Approval whose meaning is approval agrees that exactly these files become current for this "
    "target; one whose meaning is review says that they were looked at, and counts towards no "
    "quorum. A Rejection or a Withdrawal closes the proposal for ever."
)
_RETURN_MEANING = (
    "Meaning: whoever signs this agrees that it happens at once, without a new proposal, as soon "
    "as enough members of the policy's group have signed."
)


def new_salt_line() -> bytes:
    """32 random bytes for a text's last line."""
    return secrets.token_bytes(32)


def salt_line_of(summary: str) -> bytes:
    """The random bytes at the end of a text.

    Raises:
        SummaryMismatch: it ends with none.
    """
    match = _SALT_LINE.search(summary)
    if match is None:
        raise SummaryMismatch("the text does not end with a salt line; its hash could be guessed")
    return from_hex(match[1])


def write_summary(
    domain: Domain,
    fields: ProposalFields,
    names: ProposalNames,
    terms: PolicyTerms | None,
    salt_line: bytes,
) -> str:
    """The text that a proposal's requester and approvers sign.

    Deterministic: it says the fields and names and nothing else.

    Args:
        domain: chain and registry.
        fields: of the proposal; its ``summary_hash`` is not looked at.
        names: what they stand for.
        terms: the policy in force; None if there is none (break-glass).
        salt_line: 32 random bytes.

    Raises:
        InvalidInput: a deadline that no calendar has.
    """
    requester = to_hex(fields.requester)
    if names.requester:
        requester = f"{_quoted(names.requester)} ({requester})"
    evidence = ", ".join(str(item) for item in names.evidence) or "none"
    takes_up = "" if fields.supersedes == _NONE else to_hex(fields.supersedes)
    return "\n".join(
        [
            f"Promote version {fields.version} of model {_quoted(names.model.name)} to "
            f"{names.target}",
            "",
            *_model_lines(names.model),
            f"Version: {fields.version}",
            f"Target: {names.target}",
            f"Files: digest {to_hex(names.digest)}",
            f"Policy: {_policy_text(terms)}",
            f"Deadline: {show_time(fields.deadline_s)}",
            f"Requester: {requester}",
            f"Evidence: {evidence}",
            *_check_lines(names.checks),
            *([f"Takes up again: proposal {takes_up}"] if takes_up else []),
            *_ending(domain, _MEANING, salt_line),
        ]
    )


def write_return_summary(document: ReturnDocument, salt_line: bytes) -> str:
    """The text that approvers of a rollback or removal sign; ``document.summary`` is not used.

    Raises:
        InvalidInput: a deadline that no calendar has.
    """
    former, target = document.former, document.target
    model = _quoted(document.model.name)
    if former is None:
        title = f"Leave {target} of model {model} without a current version"
        back_to = []
    else:
        title = f"Return {target} of model {model} to version {former.version}"
        back_to = [
            f"Version: {former.version}",
            f"Files: digest {to_hex(former.names.digest)}",
            f"Was promoted by: proposal {to_hex(former.id)}",
        ]
    return "\n".join(
        [
            title,
            "",
            *_model_lines(document.model),
            f"Target: {target}",
            *back_to,
            f"After change number: {document.sequence} of this target",
            f"Deadline: {show_time(document.deadline_s)}",
            *_ending(document.domain, _RETURN_MEANING, salt_line),
        ]
    )


def check_summary(
    document: ProposalDocument,
    salt: Salt | None,
    bindings: Mapping[str, Address] | None = None,
) -> None:
    """See that the text of a proposal says what its fields say.

    Args:
        document: the proposal.
        salt: the deployment's. Without it nobody can tell whether names and ids belong together:
            then only the text and the evidence are compared with names and fields. Whether the
            policy was ever set so only the chain tells (`check_terms`).
        bindings: addresses by name, to see that the requester's name is the requester's.

    Raises:
        SummaryMismatch: it does not; the text names what differs. Nobody should sign it.
    """
    fields, names, terms = document.fields, document.names, document.terms
    salt_line = salt_line_of(document.summary)
    _same_text(document.summary, write_summary(document.domain, fields, names, terms, salt_line))
    _same("the text's hash", hash_summary(document.summary), fields.summary_hash)
    _same("the evidence", hash_evidence(salt_line, names.evidence), fields.evidence_hash)
    _same(
        "the kinds of evidence",
        to_mask(item.kind for item in names.evidence),
        fields.evidence_kinds,
    )
    check_bound(names.checks, fields, names.digest, names.evidence)
    _same("the policy", terms is None, fields.policy_hash == _NONE)
    if bindings is not None and names.requester:
        _same("the requester's name", bindings.get(names.requester), fields.requester)
    if salt is None:
        return
    _check_names(salt, names.model, fields.model, str(names.target), fields.target)
    if terms is not None and terms.group:
        _same("the name of the group", group_id(salt, terms.group), terms.policy.group)
    digest = digest_commitment(salt, fields.model, fields.version, names.digest)
    _same("the digest of the files", digest, fields.digest)


def check_terms(document: ProposalDocument, found: PolicyInForce | None) -> None:
    """See that the policy in the text is the one that the fields name.

    Args:
        document: the proposal.
        found: the policy that the chain knows by ``fields.policy_hash``; None if it knows none.

    Raises:
        SummaryMismatch: it is another one.
    """
    terms = document.terms
    if terms is None and document.fields.policy_hash == _NONE:
        return
    if found is None or terms is None or found.policy_hash != document.fields.policy_hash:
        raise SummaryMismatch("the policy that the proposal names was never set on chain")
    _same("the policy", terms.policy, found.policy)
    _same("the kind of policy", terms.is_default, found.is_default)


def check_return_summary(document: ReturnDocument, salt: Salt | None) -> None:
    """See that the text of a rollback or removal says what would be signed.

    Args:
        document: the rollback or removal.
        salt: as for `check_summary`.

    Raises:
        SummaryMismatch: it does not.
    """
    salt_line = salt_line_of(document.summary)
    _same_text(document.summary, write_return_summary(document, salt_line))
    if document.former is not None:
        check_summary(document.former, salt)
        _same("the model", document.former.names.model, document.model)
        _same("the target", document.former.names.target, document.target)
    if salt is not None:
        _check_names(
            salt, document.model, document.model_id, str(document.target), document.target_id
        )


def complete_proposal(
    domain: Domain,
    fields: ProposalFields,
    names: ProposalNames,
    terms: PolicyTerms | None,
    salt_line: bytes,
) -> ProposalDocument:
    """The document of these fields, with its text, and every hash that follows from it.

    Args:
        domain: chain and registry.
        fields: of the proposal; the hashes of summary and evidence, and the kinds of evidence,
            are filled in here.
        names: what they stand for.
        terms: the policy that ``fields.policy_hash`` names; None if there is none.
        salt_line: 32 random bytes.
    """
    filled = replace(
        fields,
        evidence_hash=hash_evidence(salt_line, names.evidence),
        evidence_kinds=to_mask(item.kind for item in names.evidence),
    )
    summary = write_summary(domain, filled, names, terms, salt_line)
    return ProposalDocument(
        domain, replace(filled, summary_hash=hash_summary(summary)), names, terms, summary
    )


def complete_return(document: ReturnDocument, salt_line: bytes) -> ReturnDocument:
    """The document with its text."""
    return replace(document, summary=write_return_summary(document, salt_line))


def _model_lines(model: ModelIncarnation) -> list[str]:
    made_s, made_ms = divmod(model.creation_ms, 1000)
    lines = [f"Model: {_quoted(model.name)}"]
    if model.workspace:
        lines.append(f"Workspace: {_quoted(model.workspace)}")
    lines.append(f"Registered: {show_time(made_s)} and {made_ms} ms")
    lines.append(f"Database: {_quoted(model.store_id)}")
    return lines


def _ending(domain: Domain, meaning: str, salt_line: bytes) -> list[str]:
    return [
        f"Registry: {to_hex(domain.contract)} on chain {domain.chain_id}",
        meaning,
        f"Salt: {to_hex(salt_line)}",
    ]


def _policy_text(terms: PolicyTerms | None) -> str:
    if terms is None:
        return "none is in force"
    policy = terms.policy
    group = _quoted(terms.group) if terms.group else to_hex(policy.group)
    kind = "default policy" if terms.is_default else "the model's own policy"
    needs = ", ".join(to_kinds(policy.evidence_kinds))
    return (
        f"{policy.threshold} of the group {group} approve; earliest "
        f"{show_duration(policy.min_delay_s)} after it was proposed; open for at most "
        f"{show_duration(policy.expiry_s)}"
        + (f"; evidence needed: {needs}" if needs else "")
        + f" ({kind}, revision {policy.revision})"
    )


def _check_lines(report: CheckReport | None) -> list[str]:
    """What was checked before, and every warning: nobody signs without having been shown it."""
    if report is None:
        return []
    carried_out = "; ".join(
        f"{_quoted(one.name)} by plugin {_quoted(one.plugin)} of {_quoted(one.distribution)} "
        f"{_quoted(one.version)}"
        for one in report.results
    )
    return [
        f"Checks that passed: {carried_out}",
        f"Configuration of the checks: {to_hex(report.configuration)}",
        *(
            f"WARNING of check {_quoted(name)}: {_quoted(finding.text)}"
            for name, finding in report.warnings()
        ),
    ]


def _quoted(text: str) -> str:
    """The text in quotes; what could hide or turn other text is written as an escape. Letters that
    may look like others are told apart by a second form in ASCII."""
    shown = escape_unprintable(json.dumps(text, ensure_ascii=False))
    return shown if shown.isascii() else f"{shown} (in ASCII: {json.dumps(text)})"


def _check_names(
    salt: Salt, name: ModelIncarnation, model: bytes, target: str, target_on_chain: bytes
) -> None:
    expected = model_id(salt, name.store_id, name.workspace, name.name, name.creation_ms)
    _same("the model", expected, model)
    _same("the target", target_id(salt, target), target_on_chain)


def _same(what: str, named: object, signed: object) -> None:
    if named != signed:
        raise SummaryMismatch(
            f"{what} that is named is not what would be signed: nobody should sign this"
        )


def _same_text(text: str, expected: str) -> None:
    if text == expected:
        return
    for line, wanted in zip(text.split("\n"), expected.split("\n")):
        if line != wanted:
            break
    raise SummaryMismatch(
        f"the text does not say what would be signed: it has the line {line[:200]!r}, and the "
        f"fields say {wanted[:200]!r}"
    )


__all__ = [
    "check_return_summary",
    "check_summary",
    "check_terms",
    "complete_proposal",
    "complete_return",
    "new_salt_line",
    "salt_line_of",
    "write_return_summary",
    "write_summary",
]
