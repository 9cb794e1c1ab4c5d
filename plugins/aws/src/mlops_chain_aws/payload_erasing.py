"""Erasing one object: every version of it and every mark of its deletion, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chain_client.errors import ConfigurationError, ErasureRefused, PayloadStoreUnavailable
from mlops_chain_aws.clients import code_of
from mlops_chain_aws.payload_bucket import PayloadBucket, Version, is_absent, read_clock

_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps a version from being deleted.

    Args:
        mode: ``GOVERNANCE`` or ``COMPLIANCE``; None: no retention that still holds.
        until: when the retention ends.
        is_held: whether a legal hold lies on it, which has no date.
    """

    mode: str | None
    until: datetime | None
    is_held: bool


def erase(bucket: PayloadBucket, key: str) -> None:
    """Delete every version; when it returns, a list of S3 has shown that there is none.

    Locks are looked at first, so that a refusal leaves every version where it is.

    Raises:
        ErasureRefused: a version is locked; its date is the last of all locks.
        PayloadStoreUnavailable: S3 does not answer now, or the object is written again and again.
        ConfigurationError: it may not be deleted as this process is configured.
    """
    for _ in range(_ROUNDS):
        versions = bucket.list_versions(key)
        if not versions:
            return
        _refuse_locked(bucket, key, versions)
        for version in versions:
            _delete(bucket, key, version)
    if bucket.list_versions(key):
        raise PayloadStoreUnavailable(
            f"{bucket.settings.shown} got a payload again while it was erased; erase again"
        )


def read_lock(answer: dict[str, Any], now: datetime) -> Lock:
    """The lock that S3 tells of with an object, as far as it still holds.

    Args:
        answer: of HeadObject, or the like.
        now: S3's time.
    """
    until = answer.get("ObjectLockRetainUntilDate")
    holds = until is not None and until > now
    return Lock(
        answer.get("ObjectLockMode") if holds else None,
        until if holds else None,
        answer.get("ObjectLockLegalHoldStatus") == "ON",
    )


def _refuse_locked(bucket: PayloadBucket, key: str, versions: list[Version]) -> None:
    locks = [_look(bucket, key, version) for version in versions if not version.is_marker]
    if any(lock.is_held for lock in locks):
        raise ErasureRefused(
            f"a payload in {bucket.settings.shown} is under a legal hold, which ends when "
            "somebody lifts it; nothing was deleted. Erasing its seed makes it unreadable now"
        )
    passes = bucket.settings.bypasses_governance
    kept = [
        (lock.until, lock.mode)
        for lock in locks
        if lock.until is not None and not (passes and lock.mode == "GOVERNANCE")
    ]
    if not kept:
        return
    until, mode = max(kept)
    raise ErasureRefused(
        f"a payload in {bucket.settings.shown} is under a retention of mode {mode} until "
        f"{until.isoformat(timespec='seconds')}; nothing was deleted. Erasing its seed makes it "
        "unreadable now"
        + (
            "; with bypass_governance=true in the URI, and the permission "
            "s3:BypassGovernanceRetention, it can be deleted too"
            if mode == "GOVERNANCE"
            else ""
        ),
        until,
    )


def _look(bucket: PayloadBucket, key: str, version: Version) -> Lock:
    try:
        answer = bucket.ask("head_object", Key=key, **version.arguments)
    except Exception as exc:
        if is_absent(exc):
            return Lock(None, None, False)
        with bucket.errors("s3:GetObjectVersion"):
            raise
    return read_lock(answer, read_clock(answer) or datetime.now(UTC))


def _delete(bucket: PayloadBucket, key: str, version: Version) -> None:
    arguments: dict[str, Any] = {"Key": key, "VersionId": version.version_id}
    if bucket.settings.bypasses_governance:
        arguments["BypassGovernanceRetention"] = True
    try:
        bucket.ask("delete_object", **arguments)
    except Exception as exc:
        if is_absent(exc):
            return
        if code_of(exc) == "AccessDenied":
            # S3 says the same of a lock and of a permission.
            raise ConfigurationError(
                f"S3 does not let a version of a payload in {bucket.settings.shown} be deleted: "
                "s3:DeleteObjectVersion is missing"
                + (", or s3:BypassGovernanceRetention" if len(arguments) > 2 else "")
                + ", or the version is locked and s3:GetObjectRetention and "
                "s3:GetObjectLegalHold are missing, so that nobody can say until when"
            ) from None
        with bucket.errors("s3:DeleteObjectVersion"):
            raise
