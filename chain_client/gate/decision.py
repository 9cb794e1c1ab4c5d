"""Whether a change of the host may pass the gate: a pure function of what was read.

No I/O here. What is on chain is read by `chain_state`, what the files of a version are by the
adapter. Every refusal is final for the caller: 403 or 409, never a status that clients retry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from chain_client.ledger.model_registry_values import Current, Policy
from chain_client.types import Address, Digest, to_hex

MAX_CLOCK_LAG_S = 300
"""How far the local clock may be behind the newest block."""


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


_CONFLICTS = frozenset(
    {
        Code.CHAIN_UNREACHABLE,
        Code.WRONG_CHAIN,
        Code.CONTRACT_MISSING,
        Code.CHAIN_WENT_BACK,
        Code.CHAIN_INCONSISTENT,
        Code.CLOCK_BEHIND,
        Code.SALT_WRONG,
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
    """

    policy: Policy | None
    current: Current
    is_paused: bool
    successor: Address | None
    block_number: int


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


def decide(
    mode: Mode,
    reading: TargetReading | ModelReading | Trouble,
    change: Change,
    files: FilesCheck | None = None,
    commitment: Digest | None = None,
    emergency: str | None = None,
) -> Decision:
    """What the gate says to a change.

    Args:
        mode: in force.
        reading: of the target for SET and LEAVE, else of the model.
        change: what is wanted.
        files: of the version, where `needs_files` says so.
        commitment: salted digest that `files` give, to be compared with the one on chain.
        emergency: id of the emergency file that ``reading`` takes into account.
    """
    if mode is Mode.OFF:
        return Allowed(is_gated=False)
    if isinstance(reading, Trouble):
        found = _of_trouble(reading, change)
    elif isinstance(reading, ModelReading):
        found = _of_model(reading, change)
    else:
        found = _of_target(reading, change, files, commitment, emergency)
    if isinstance(found, Refused) and mode is Mode.WARN:
        return WouldBlock(found)
    return found


def needs_files(mode: Mode, reading: TargetReading, change: Change) -> bool:
    """Whether the decision depends on the version's files; looking at them costs time."""
    return (
        mode is not Mode.OFF
        and change.action is Action.SET
        and reading.policy is not None
        and reading.current.version == change.version
    )


def clock_trouble(now_s: float, newest_block_s: int, *, is_gated: bool | None) -> Trouble | None:
    """The trouble of a local clock that is behind the chain; None if it is not."""
    lag_s = newest_block_s - now_s
    if lag_s <= MAX_CLOCK_LAG_S:
        return None
    return Trouble(
        Code.CLOCK_BEHIND,
        f"this machine's clock is {int(lag_s)} s behind the newest block",
        is_gated,
    )


_TROUBLE_HELP = {
    Code.CLOCK_BEHIND: "Set the clock of this machine.",
    Code.CHAIN_WENT_BACK: "Put the chain back from its newest copy; `mlops-chain doctor` says "
    "which blocks are missing.",
    Code.CHAIN_UNREACHABLE: "See `mlops-chain doctor`. Until the chain answers, only a rollback "
    "or a removal signed by enough approvers passes: `mlops-chain model rollback --offline`.",
}
_DOCTOR = "See `mlops-chain doctor`."


def _of_trouble(trouble: Trouble, change: Change) -> Decision:
    if trouble.is_gated is False:
        return Allowed(is_gated=False)
    unknown = "" if trouble.is_gated else ", and nothing here says what is gated"
    return Refused(
        trouble.code,
        f"{_what(change)} is refused: {trouble.text}{unknown}.",
        _TROUBLE_HELP.get(trouble.code, _DOCTOR),
    )


def _of_target(
    reading: TargetReading,
    change: Change,
    files: FilesCheck | None,
    commitment: Digest | None,
    emergency: str | None,
) -> Decision:
    if reading.policy is None:
        return Allowed(is_gated=False, sequence=reading.current.sequence)
    what = _what(change)
    if reading.successor is not None:
        return Refused(
            Code.SUCCEEDED,
            f"{what} is refused: the registry was succeeded by {to_hex(reading.successor)}.",
            "Let this home's deployment name the successor.",
        )
    if reading.is_paused:
        return Refused(
            Code.PAUSED,
            f"{what} is refused: the registry is paused.",
            "Ask an administrator to unpause it.",
        )
    if change.action is Action.SET:
        found = _of_set(reading, change, files, commitment)
    else:
        found = _of_leave(reading, change)
    return found or Allowed(True, reading.current.sequence, emergency)


def _of_set(
    reading: TargetReading, change: Change, files: FilesCheck | None, commitment: Digest | None
) -> Refused | None:
    current, policy = reading.current, reading.policy
    what = _what(change)
    if change.target.startswith("stage:") and not change.archives_others:
        return Refused(
            Code.ARCHIVE_NEEDED,
            f"{what} is refused: a gated stage holds one version.",
            "Call it with archive_existing_versions=True.",
        )
    if current.version != change.version:
        if change.held is not None and current.version and change.held != current.version:
            return _half_finished(change, current.version)
        stands = f"version {current.version} is" if current.version else "no version is"
        return Refused(
            Code.NOT_APPROVED,
            f"{what} is refused: it needs {policy.threshold if policy else 1} approvals on "
            f"chain, and {stands} approved there.",
            f"Run: mlops-chain model propose {change.model} {change.version} "
            f"--target {change.target}",
        )
    if current.is_revoked:
        return Refused(
            Code.REVOKED,
            f"{what} is refused: the version was revoked.",
            f"Run: mlops-chain model rollback {change.model} --target {change.target}",
        )
    return _of_files(what, change, current, files, commitment)


def _of_files(
    what: str,
    change: Change,
    current: Current,
    files: FilesCheck | None,
    commitment: Digest | None,
) -> Refused | None:
    verify = f"Run: mlops-chain verify --model {change.model}"
    detail = f" ({files.detail})" if files is not None and files.detail else ""
    if files is None or files.files is Files.UNREACHABLE:
        return Refused(
            Code.FILES_UNREACHABLE,
            f"{what} is refused: the version's files can't be reached{detail}.",
            "Let the server reach where they are kept.",
        )
    if files.files is Files.NOT_ATTESTED or files.digest is None:
        return Refused(
            Code.FILES_NOT_ATTESTED,
            f"{what} is refused: the digest of the version's files is not attested in the log"
            f"{detail}.",
            verify,
        )
    if files.files is Files.CHANGED:
        return Refused(
            Code.FILES_CHANGED,
            f"{what} is refused: the version's files were changed since they were attested"
            f"{detail}.",
            verify,
        )
    if commitment != current.digest:
        return Refused(
            Code.DIGEST_DIFFERS,
            f"{what} is refused: the version's files are not those that were approved.",
            verify,
        )
    return None


def _of_leave(reading: TargetReading, change: Change) -> Refused | None:
    current = reading.current.version
    if not current:
        return None
    if current != change.version:
        # Versions beside the approved one have no business in a gated stage.
        is_alias = change.target.startswith("alias:")
        return _half_finished(change, current) if is_alias else None
    return Refused(
        Code.REMOVAL_NOT_APPROVED,
        f"{_what(change)} is refused: version {current} is current on chain, and its removal is "
        "not approved.",
        f"Run: mlops-chain model remove {change.model} --target {change.target}",
    )


def _half_finished(change: Change, current: int) -> Refused:
    return Refused(
        Code.HALF_FINISHED,
        f"{_what(change)} is refused: version {current} is current on chain already, and only "
        "its promotion here is unfinished.",
        "Run: mlops-chain sync",
    )


def _of_model(reading: ModelReading, change: Change) -> Decision:
    what = _what(change)
    if change.action is Action.DELETE_VERSION:
        if change.version in reading.versions:
            why = "it is current on chain"
        elif change.version in reading.proposed:
            why = "it is proposed"
        else:
            return Allowed(is_gated=False)
        return Refused(
            Code.VERSION_IN_USE,
            f"{what} is refused: {why}.",
            f"Run: mlops-chain model show {change.model}",
        )
    if reading.versions:
        why = f"version {reading.versions[0]} is current on chain"
    elif reading.proposed:
        why = f"version {reading.proposed[0]} is proposed"
    elif reading.has_own_policy:
        why = "it has a policy of its own"
    elif reading.gated_held and change.action is Action.RENAME:
        why = f"it has {reading.gated_held[0]}, which is gated"
    else:
        return Allowed(is_gated=False)
    return Refused(
        Code.MODEL_IN_USE,
        f"{what} is refused: {why}.",
        f"End that first; see: mlops-chain model show {change.model}",
    )


def _what(change: Change) -> str:
    model, version, target = change.model, change.version, change.target
    return {
        Action.SET: f"Giving {target} of {model} to version {version}",
        Action.LEAVE: f"Taking {target} of {model} from version {version}",
        Action.RENAME: f"Renaming or moving {model}",
        Action.DELETE: f"Deleting {model}",
        Action.DELETE_VERSION: f"Deleting version {version} of {model}",
    }[change.action]
