"""What people sign: the six structs of the contract as EIP-712 typed data.

Guarantee: a `Statement` has the digest that the contract and every wallet compute, and its JSON is
what ``eth_signTypedData_v4`` takes. Each struct's text member ``summary`` is readable; the
contract binds its keccak-256. Signatures here are stable. The file around it: `statements`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from chain_client.errors import InvalidInput, SignatureRefused
from chain_client.events import Json
from chain_client.ledger.model_registry_values import ProposalFields
from chain_client.signing import Signer
from chain_client.signing.eip712 import (
    DOMAIN_NAME,
    DOMAIN_VERSION,
    Domain,
    StructType,
    find_signer,
    sign_digest,
    sign_hash_of,
)
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, from_hex, to_hex

Value: TypeAlias = str | int | bytes

PROPOSAL = StructType(
    "Proposal",
    (
        ("model", "bytes32"),
        ("target", "bytes32"),
        ("version", "uint64"),
        ("digest", "bytes32"),
        ("policyHash", "bytes32"),
        ("summary", "string"),
        ("evidenceHash", "bytes32"),
        ("evidenceKinds", "uint32"),
        ("deadline", "uint48"),
        ("requester", "address"),
        ("supersedes", "bytes32"),
        ("nonce", "bytes32"),
    ),
)
APPROVAL = StructType(
    "Approval", (("proposal", "bytes32"), ("meaning", "string"), ("summary", "string"))
)
REJECTION = StructType(
    "Rejection", (("proposal", "bytes32"), ("reason", "bytes32"), ("summary", "string"))
)
WITHDRAWAL = StructType("Withdrawal", (("proposal", "bytes32"), ("summary", "string")))
ROLLBACK = StructType(
    "Rollback",
    (
        ("former", "bytes32"),
        ("sequence", "uint64"),
        ("deadline", "uint48"),
        ("summary", "string"),
    ),
)
REMOVAL = StructType(
    "Removal",
    (
        ("model", "bytes32"),
        ("target", "bytes32"),
        ("sequence", "uint64"),
        ("deadline", "uint48"),
        ("summary", "string"),
    ),
)
STRUCTS: Mapping[str, StructType] = {
    struct.name: struct for struct in (PROPOSAL, APPROVAL, REJECTION, WITHDRAWAL, ROLLBACK, REMOVAL)
}
"""All that the contract takes signatures over, by name."""

MEANING_APPROVAL = "approval"
MEANING_REVIEW = "review"
MEANING_AUTHORSHIP = "authorship"
"""What the signature under a `Proposal` means; the struct itself says so."""

_DOMAIN_MEMBERS = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One struct that somebody is to sign, or signed.

    Args:
        domain: the chain and the registry where the signature counts.
        struct: one of `STRUCTS`.
        values: the members.
    """

    domain: Domain
    struct: StructType
    values: Mapping[str, Value]

    def struct_hash(self) -> Digest:
        """EIP-712's ``hashStruct``; of a `Proposal` it is the proposal's id.

        Raises:
            InvalidInput: a value does not fit.
        """
        return Digest(self.struct.hash(self.values))

    def digest(self) -> Digest:
        """The 32 bytes that a wallet signs."""
        return Digest(sign_hash_of(self.domain, self.struct_hash()))

    @property
    def meaning(self) -> str:
        """What a signature under it means: ``approval``, ``review``, ``authorship``, or the
        struct's name in lower case."""
        if self.struct is APPROVAL:
            return str(self.values["meaning"])
        return MEANING_AUTHORSHIP if self.struct is PROPOSAL else self.struct.name.lower()

    def sign(self, signer: Signer) -> bytes:
        """Signature of 65 bytes.

        Raises:
            ConfigurationError: the key can't be read or unlocked.
        """
        return sign_digest(signer, self.digest())

    def find_signer(self, signature: bytes) -> Address | None:
        """Whose key made a signature over this; None if it is no key's (ERC-1271 or damaged)."""
        return find_signer(self.digest(), signature)

    def check_signed(self, signer: Address, signature: bytes) -> None:
        """See that a key signed this.

        Raises:
            SignatureRefused: it did not.
        """
        if self.find_signer(signature) != signer:
            raise SignatureRefused(
                f"the signature under this {self.struct.name} is not of {to_hex(signer)}: "
                "something was changed after signing, or another key signed"
            )

    def to_typed_data(self) -> dict[str, Json]:
        """The JSON that ``eth_signTypedData_v4`` takes."""
        return {
            "types": {
                "EIP712Domain": _members_json(_DOMAIN_MEMBERS),
                self.struct.name: _members_json(self.struct.members),
            },
            "primaryType": self.struct.name,
            "domain": {
                "name": DOMAIN_NAME,
                "version": DOMAIN_VERSION,
                "chainId": self.domain.chain_id,
                "verifyingContract": to_hex(self.domain.contract),
            },
            "message": {
                name: _value_json(kind, self.values[name]) for name, kind in self.struct.members
            },
        }

    @classmethod
    def from_typed_data(cls, data: object) -> Statement:
        """The statement of such JSON.

        Guarantee: `to_typed_data` of it is the same JSON, but for the spelling of numbers and hex.

        Raises:
            InvalidInput: it is not one of our six structs, in our own domain.
        """
        if isinstance(data, str):  # wallets take it as text, too
            try:
                data = json.loads(data)
            except ValueError:
                raise InvalidInput("the typed data are no JSON") from None
        typed = _object(data, "typedData")
        struct = STRUCTS.get(str(typed.get("primaryType")))
        if struct is None:
            raise InvalidInput(f"typedData.primaryType: expected one of {', '.join(STRUCTS)}")
        types = _object(typed.get("types"), "typedData.types")
        expected = {
            "EIP712Domain": _members_json(_DOMAIN_MEMBERS),
            struct.name: _members_json(struct.members),
        }
        if types != expected:
            raise InvalidInput(f"typedData.types: expected those of {struct.to_text()}")
        domain = _object(typed.get("domain"), "typedData.domain")
        if set(domain) != {name for name, _ in _DOMAIN_MEMBERS} or (
            domain["name"] != DOMAIN_NAME or domain["version"] != DOMAIN_VERSION
        ):
            raise InvalidInput(
                f"typedData.domain: expected name {DOMAIN_NAME!r}, version {DOMAIN_VERSION!r}, "
                "chainId and verifyingContract"
            )
        message = _object(typed.get("message"), "typedData.message")
        if set(message) != {name for name, _ in struct.members}:
            raise InvalidInput(f"typedData.message: expected the members of {struct.to_text()}")
        chain_id = _value(("chainId", "uint256"), domain["chainId"])
        contract = _value(("verifyingContract", "address"), domain["verifyingContract"])
        assert isinstance(chain_id, int)
        assert isinstance(contract, bytes)
        values = {name: _value((name, kind), message[name]) for name, kind in struct.members}
        statement = cls(Domain(chain_id, Address(contract)), struct, values)
        statement.struct_hash()
        return statement


def proposal_id(fields: ProposalFields) -> Digest:
    """The proposal's id as the contract computes it: its EIP-712 struct hash, which needs only the
    hash of the summary."""
    return Digest(
        keccak256(
            keccak256(PROPOSAL.to_text().encode())
            + b"".join(
                member.rjust(32, b"\0") if isinstance(member, bytes) else member.to_bytes(32, "big")
                for member in fields.to_tuple()
            )
        )
    )


def hash_summary(summary: str) -> Digest:
    """What the contract binds of a readable text: its keccak-256.

    Raises:
        InvalidInput: text that UTF-8 can't hold.
    """
    try:
        return Digest(keccak256(summary.encode()))
    except UnicodeEncodeError:
        raise InvalidInput("the summary holds half a surrogate pair") from None


def state_proposal(domain: Domain, fields: ProposalFields, summary: str) -> Statement:
    """What the requester signs; it means authorship.

    Raises:
        InvalidInput: the fields bind another summary.
    """
    if hash_summary(summary) != fields.summary_hash:
        raise InvalidInput("the proposal binds another summary than this one")
    values: dict[str, Value] = {
        name: value for (name, _), value in zip(PROPOSAL.members, fields.to_tuple())
    }
    return Statement(domain, PROPOSAL, values | {"summary": summary})


def state_approval(
    domain: Domain, proposal: bytes, summary: str, meaning: str = MEANING_APPROVAL
) -> Statement:
    """What an approver signs; ``meaning`` is ``approval`` or ``review``.

    Raises:
        InvalidInput: another meaning.
    """
    if meaning not in (MEANING_APPROVAL, MEANING_REVIEW):
        raise InvalidInput(f"an approval means approval or review, not {meaning[:40]!r}")
    return Statement(
        domain, APPROVAL, {"proposal": proposal, "meaning": meaning, "summary": summary}
    )


def state_rejection(domain: Domain, proposal: bytes, reason: bytes, summary: str) -> Statement:
    """What a member signs to close a proposal; ``reason`` is the hash of a salted text."""
    return Statement(
        domain, REJECTION, {"proposal": proposal, "reason": reason, "summary": summary}
    )


def state_withdrawal(domain: Domain, proposal: bytes, summary: str) -> Statement:
    """What the requester signs to close the own proposal."""
    return Statement(domain, WITHDRAWAL, {"proposal": proposal, "summary": summary})


def state_rollback(
    domain: Domain, former: bytes, sequence: int, deadline_s: int, summary: str
) -> Statement:
    """What a member signs for a return to what the proposal ``former`` made current."""
    return Statement(
        domain,
        ROLLBACK,
        {"former": former, "sequence": sequence, "deadline": deadline_s, "summary": summary},
    )


def state_removal(
    domain: Domain, model: bytes, target: bytes, sequence: int, deadline_s: int, summary: str
) -> Statement:
    """What a member signs for leaving a target without a current version."""
    return Statement(
        domain,
        REMOVAL,
        {
            "model": model,
            "target": target,
            "sequence": sequence,
            "deadline": deadline_s,
            "summary": summary,
        },
    )


def _members_json(members: tuple[tuple[str, str], ...]) -> list[Json]:
    return [{"name": name, "type": kind} for name, kind in members]


def _value_json(kind: str, value: Value) -> Json:
    if isinstance(value, bytes):
        return to_hex(value)
    # As text where JavaScript would round it; wallets read both.
    return str(value) if isinstance(value, int) and value >= 1 << 53 else value


def _value(member: tuple[str, str], value: object) -> Value:
    name, kind = member
    if kind == "string" and isinstance(value, str):
        return value
    if kind.startswith("uint") and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind.startswith("uint") and isinstance(value, str):
        if value.isascii() and value.isdecimal() and len(value) < 80:
            return int(value)
        if value.startswith("0x") and 2 < len(value) <= 66:
            return int.from_bytes(from_hex("0x" + value[2:].rjust(66, "0")), "big")
    if kind in ("bytes32", "address") and isinstance(value, str) and value.startswith("0x"):
        return from_hex(value, size=32 if kind == "bytes32" else 20)
    raise InvalidInput(f"typedData: expected {name} as {kind}")


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: expected an object")
    return value
