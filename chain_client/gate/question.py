"""What is asked of the gate, what was read for it, and what it answers. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from chain_client.gate.signed_text import SignedText
from chain_client.ledger.model_registry_values import Current, Policy
from chain_client.types import Address, Digest


class Mode(StrEnum):
    """What the gate does with a change that the chain does not approve of."""

    ENFORCE = "enforce"
    WARN = "warn"
    OFF = "off"


class Action(StrEnum):
    """What a caller wants."""

    SET = "set"
    """Give a target to a version: set an alias, move into a stage."""
    LEAVE = "leave"
    """Take a target from a version: delete an alias, move out of a stage."""
    RENAME = "rename"
    """Give a model another name or workspace; what it has stays with it."""
    DELETE = "delete"
    """Delete a model."""
    DELETE_VERSION = "delete-version"
    """Delete a version."""


class Code(StrEnum):
    """Why a change is refused. Stable: programs may look at it."""

    CHAIN_UNREACHABLE = "chain_unreachable"
    WRONG_CHAIN = "wrong_chain"
    CONTRACT_MISSING = "contract_missing"
    CHAIN_WENT_BACK = "chain_went_back"
    CHAIN_INCONSISTENT = "chain_inconsistent"
    CLOCK_BEHIND = "clock_behind"
    SALT_WRONG = "salt_wrong"
    REGISTRY_UNNAMED = "registry_unnamed"
    SUCCEEDED = "registry_succeeded"
    PAUSED = "registry_paused"
    NOT_APPROVED = "not_approved"
    REVOKED = "version_revoked"
    HALF_FINISHED = "half_finished"
    ARCHIVE_NEEDED = "archive_needed"
    REMOVAL_NOT_APPROVED = "removal_not_approved"
    MODEL_IN_USE = "model_in_use"
    VERSION_IN_USE = "version_in_use"
    FILES_UNREACHABLE = "files_unreachable"
    FILES_NOT_ATTESTED = "files_not_attested"
    FILES_CHANGED = "files_changed"
    DIGEST_DIFFERS = "digest_differs"
    TEXT_UNKNOWN = "text_unknown"
    TEXT_NOT_TRUE = "text_not_true"
    NOT_CHECKED = "not_checked"


_CONFLICTS = frozenset(
    {
        Code.CHAIN_UNREACHABLE,
        Code.WRONG_CHAIN,
        Code.CONTRACT_MISSING,
        Code.CHAIN_WENT_BACK,
        Code.CHAIN_INCONSISTENT,
        Code.CLOCK_BEHIND,
        Code.SALT_WRONG,
        Code.REGISTRY_UNNAMED,
        Code.SUCCEEDED,
        Code.PAUSED,
        Code.HALF_FINISHED,
        Code.FILES_UNREACHABLE,
    }
)


class Files(StrEnum):
    """What is known of a version's files."""

    UNCHANGED = "unchanged"
    """The storage has the version that was attested."""
    NOT_ATTESTED = "not_attested"
    CHANGED = "changed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class FilesCheck:
    """What an adapter found of a version's files, without hashing any.

    Args:
        files: whether they are those that were attested.
        digest: model digest that was attested, if any was.
        detail: what was found, for people; never content.
    """

    files: Files
    digest: Digest | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller wants to do, in the host's canonical names.

    Args:
        action: the kind of change.
        model: name of the model.
        target: such as ``alias:champion`` or ``stage:Production``, for SET and LEAVE.
        version: that gets or leaves the target, or is deleted.
        archives_others: whether other versions leave the stage by the same call.
        held: version that has the target in the host now, where the door knows it; 0 for none.
    """

    action: Action
    model: str
    target: str = ""
    version: int = 0
    archives_others: bool = False
    held: int | None = None


@dataclass(frozen=True, slots=True)
class TargetReading:
    """What one block says of a model's target.

    Args:
        policy: in force; None if the target is not gated.
        current: what is current.
        is_paused: the registry is paused.
        successor: the registry that took its place.
        block_number: the block.
        signed: the text that approvers signed for what is current; None where nobody did, as
            after broken glass, or where it was looked at before, as of an emergency.
    """

    policy: Policy | None
    current: Current
    is_paused: bool
    successor: Address | None
    block_number: int
    signed: SignedText | None = None


@dataclass(frozen=True, slots=True)
class ModelReading:
    """What one block says of a model as a whole.

    Args:
        versions: that are current for some gated target, ascending.
        proposed: versions with an open proposal, ascending.
        has_own_policy: a policy was made for this incarnation.
        gated_held: targets that the host has given to a version and that are gated.
        block_number: the block.
    """

    versions: tuple[int, ...]
    proposed: tuple[int, ...]
    has_own_policy: bool
    gated_held: tuple[str, ...]
    block_number: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """The chain can't be read, or not be believed.

    Args:
        code: why.
        text: what happened.
        is_gated: what the snapshot says of it; None if there is no snapshot to ask.
    """

    code: Code
    text: str
    is_gated: bool | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The change may be made.

    Args:
        is_gated: whether a policy stands.
        sequence: of the target when it was read; to be read again after the write.
        emergency: id of the emergency file that allowed it, if one did.
    """

    is_gated: bool
    sequence: int = 0
    emergency: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The change must not be made; asking again later gives the same unless something changes.

    Args:
        code: why.
        reason: one sentence for the caller.
        help: the command that helps, or what else to do.
    """

    code: Code
    reason: str
    help: str

    @property
    def status(self) -> int:
        """403 where an approval is missing; 409 where chain, clock and host don't agree."""
        return 409 if self.code in _CONFLICTS else 403

    def __str__(self) -> str:
        return f"{self.reason} {self.help}"


@dataclass(frozen=True, slots=True)
class WouldBlock:
    """The change may be made, because the gate only warns."""

    refusal: Refused


Decision: TypeAlias = Allowed | WouldBlock | Refused
