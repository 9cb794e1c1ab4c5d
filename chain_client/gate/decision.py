"""Whether a change of the host may pass the gate: a pure function of what was read.

No I/O here. What is on chain is read by `chain_state`, what the files of a version are by the
adapter. Every refusal is final for the caller: 403 or 409, never a status that clients retry.
"""

from __future__ import annotations

from chain_client.gate.question import (
    Action,
    Allowed,
    Change,
    Code,
    Decision,
    Files,
    FilesCheck,
    Mode,
    ModelReading,
    Refused,
    TargetReading,
    Trouble,
    WouldBlock,
)
from chain_client.ledger.model_registry_values import Current
from chain_client.registry.texts import UNCHECKED, TextVerdict
from chain_client.shown_text import escape_unprintable, quote_word
from chain_client.types import Digest, to_hex

__all__ = [
    "MAX_CLOCK_LAG_S",
    "Action",
    "Allowed",
    "Change",
    "Code",
    "Decision",
    "Files",
    "FilesCheck",
    "Mode",
    "ModelReading",
    "Refused",
    "TargetReading",
    "Trouble",
    "WouldBlock",
    "clock_trouble",
    "decide",
    "needs_files",
]

MAX_CLOCK_LAG_S = 300
"""How far the local clock may be behind the newest block."""


def decide(
    mode: Mode,
    reading: TargetReading | ModelReading | Trouble,
    change: Change,
    files: FilesCheck | None = None,
    commitment: Digest | None = None,
    emergency: str | None = None,
    text: TextVerdict | None = None,
) -> Decision:
    """What the gate says to a change.

    Args:
        mode: in force.
        reading: of the target for SET and LEAVE, else of the model.
        change: what is wanted.
        files: of the version, where `needs_files` says so.
        commitment: salted digest that `files` give, to be compared with the one on chain.
        emergency: id of the emergency file that ``reading`` takes into account.
        text: what became of the look at the text of ``reading.signed``, likewise.
    """
    if mode is Mode.OFF:
        return Allowed(is_gated=False)
    if isinstance(reading, Trouble):
        found = _of_trouble(reading, change)
    elif isinstance(reading, ModelReading):
        found = _of_model(reading, change)
    else:
        found = _of_target(reading, change, files, commitment, emergency, text)
    if isinstance(found, Refused) and mode is Mode.WARN:
        return WouldBlock(found)
    return found


def needs_files(mode: Mode, reading: TargetReading, change: Change) -> bool:
    """Whether the decision depends on the version's files and on the text that was signed for
    it; looking at them costs time."""
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
    Code.REGISTRY_UNNAMED: "Put deployment.json back from your backup; if it was always so, run "
    "`mlops-chain init`.",
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
    text: TextVerdict | None,
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
        found = _of_set(reading, change, files, commitment) or _of_text(reading, change, text)
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
            f"Run: mlops-chain model propose {quote_word(change.model)} {change.version} "
            f"--target {quote_word(change.target)}",
        )
    if current.is_revoked:
        return Refused(
            Code.REVOKED,
            f"{what} is refused: the version was revoked.",
            f"Run: mlops-chain model rollback {_place(change)}",
        )
    return _of_files(what, change, current, files, commitment)


def _of_files(
    what: str,
    change: Change,
    current: Current,
    files: FilesCheck | None,
    commitment: Digest | None,
) -> Refused | None:
    model = quote_word(change.model)
    verify = (
        f"Run: mlops-chain verify --model {model}. To go back to the version before: "
        f"mlops-chain model rollback {model} --target {quote_word(change.target)}"
    )
    detail = f" ({escape_unprintable(files.detail)})" if files is not None and files.detail else ""
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


def _of_text(reading: TargetReading, change: Change, text: TextVerdict | None) -> Refused | None:
    if reading.signed is None or text is TextVerdict.TRUE:
        return None
    what = _what(change)
    if text is TextVerdict.UNTRUE:
        return Refused(
            Code.TEXT_NOT_TRUE,
            f"{what} is refused: the text that its approvers signed does not say what stands on "
            "chain.",
            "Ask them what they were shown, and revoke the version if they did not want this.",
        )
    if text is TextVerdict.UNCHECKED:
        return Refused(
            Code.NOT_CHECKED,
            f"{what} is refused: {UNCHECKED[text]}.",
            "Revoke the version if nobody wanted this; else propose it again.",
        )
    return Refused(
        Code.TEXT_UNKNOWN,
        f"{what} is refused: the log does not hold the text that its approvers signed, or the "
        "report of checks that it names.",
        "If a relay is still taking it in, try again; else propose it again with "
        "`mlops-chain model propose`.",
    )


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
        f"Run: mlops-chain model remove {_place(change)}",
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
            f"Run: mlops-chain model show {quote_word(change.model)}",
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
        f"End that first; see: mlops-chain model show {quote_word(change.model)}",
    )


def _place(change: Change) -> str:
    """Model and target as words of a command."""
    return f"{quote_word(change.model)} --target {quote_word(change.target)}"


def _what(change: Change) -> str:
    model, target = escape_unprintable(change.model), escape_unprintable(change.target)
    version = change.version
    return {
        Action.SET: f"Giving {target} of {model} to version {version}",
        Action.LEAVE: f"Taking {target} of {model} from version {version}",
        Action.RENAME: f"Renaming or moving {model}",
        Action.DELETE: f"Deleting {model}",
        Action.DELETE_VERSION: f"Deleting version {version} of {model}",
    }[change.action]
