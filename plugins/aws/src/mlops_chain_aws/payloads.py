"""``s3://bucket/prefix``: payloads as objects in S3, written once, under their digest in hex.

::

    s3://<bucket>/<prefix>[?region=…&endpoint_url=…&owner=<account id>&kms_key=<id, alias or ARN>
        &retention=GOVERNANCE|COMPLIANCE&retain_days=<days>&bypass_governance=true]

The IAM actions that it needs, and nothing else, on ``arn:aws:s3:::<bucket>``::

    s3:ListBucket                       without it S3 does not say whether an object is there
    s3:ListBucketVersions               reading what was overwritten; erasing
    s3:GetBucketVersioning              with retention
    s3:GetBucketObjectLockConfiguration with retention

and on ``arn:aws:s3:::<bucket>/<prefix>/*``::

    s3:PutObject                        storing
    s3:PutObjectRetention               storing, with retention
    s3:GetObject, s3:GetObjectVersion   reading
    s3:DeleteObjectVersion              erasing (s3:DeleteObject is not used)
    s3:GetObjectRetention               storing, with retention; erasing, where there is object lock
    s3:GetObjectLegalHold               erasing, where there is object lock
    s3:BypassGovernanceRetention        erasing, with bypass_governance

and on the key, where objects are encrypted with one of KMS: ``kms:GenerateDataKey`` (storing) and
``kms:Decrypt`` (reading). A relay stores and reads, whoever verifies reads, and only who erases
needs to delete.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chain_client.errors import (
    ConfigurationError,
    PayloadDamaged,
    PayloadMissing,
    PayloadStoreUnavailable,
)
from chain_client.payloads import MAX_PAYLOAD_BYTES, check_payload
from chain_client.types import Digest
from mlops_chain_aws.clients import LazyClient, Patience, code_of, status_of
from mlops_chain_aws.payload_bucket import (
    PayloadBucket,
    is_absent,
    is_conflict,
    read_clock,
)
from mlops_chain_aws.payload_erasing import erase, read_lock
from mlops_chain_aws.payload_settings import RETENTIONS, PayloadSettings

_logger = logging.getLogger(__name__)

PATIENCE: Final = Patience(connect_s=5, read_s=20, attempts=3, connections=32, reply_s=30)

_READING: Final = "s3:GetObject or s3:ListBucket"
_ATTEMPTS: Final = 6
_SKEW_S: Final = 900
"""AWS refuses a request that is signed by a clock further away."""
_RETAINED_LESS: Final = timedelta(hours=1)
"""How much earlier than asked for a retention may end: what clocks and retries take."""
_VERSIONS_READ: Final = 100


def open_s3_payloads(uri: str) -> S3PayloadStore:
    """The store that a URI names; nobody is asked yet.

    Raises:
        ConfigurationError: it names no bucket, or asks for what does not fit together.
    """
    settings = PayloadSettings.of(uri)
    return S3PayloadStore(settings, LazyClient("s3", settings.place, PATIENCE), uri)


class S3PayloadStore:
    """A payload store in a bucket; see `chain_client.payloads.PayloadStore`.

    An object is written only where there is none (``If-None-Match: *``), with its SHA-256, which S3
    checks before it keeps anything; so two that write the same meet, and none overwrites. In a
    bucket with versions, what was overwritten or deleted by others is still read: the version whose
    digest is right is the payload.

    Args:
        settings: the bucket, and what is asked for.
        client: of S3.
        uri: as it was configured, if settings were read from one: none of the options that those
            take is secret, and an endpoint with a password is none.
    """

    def __init__(self, settings: PayloadSettings, client: LazyClient, uri: str = "") -> None:
        self.uri = settings.shown
        self.shared_uri = uri or settings.shown
        self._settings = settings
        self._bucket = PayloadBucket(settings, client)
        self._is_fit = settings.retention is None

    def put(self, digest: Digest, data: bytes) -> None:
        """As `PayloadStore.put`: one request, where the payload is new."""
        check_payload(digest, data)
        if not self._is_fit:
            self._refuse_without_lock()
            self._is_fit = True
        condition = {"IfNoneMatch": "*"}
        for attempt in range(_ATTEMPTS):
            if attempt:
                _pause(attempt)
            if self._write(digest, data, condition):
                return
            found = self._look(digest)
            if found is None:
                condition = {"IfNoneMatch": "*"}  # erased meanwhile
            elif self._is_whole(digest, found):
                self._retain(digest, found)
                return
            else:
                _logger.warning(
                    "%s held other bytes than payload %s; they are replaced", self.uri, digest.hex()
                )
                condition = {"IfMatch": found["ETag"]}
        raise PayloadStoreUnavailable(
            f"others write and delete payload {digest.hex()} in {self.uri} all the time; try again"
        )

    def get(self, digest: Digest, longest: int = MAX_PAYLOAD_BYTES) -> bytes:
        """As `PayloadStore.get`."""
        current = self._read(digest, longest=longest)
        if current is not None and not _is(digest, current):
            # It may have been changed on its way: it is read again before anybody is blamed.
            current = self._read(digest, longest=longest)
        if current is not None and _is(digest, current):
            return current
        for older in self._read_versions(digest, longest):
            if _is(digest, older):
                _logger.warning(
                    "payload %s was %s in %s; an older version of it was read",
                    digest.hex(),
                    "deleted" if current is None else "overwritten",
                    self.uri,
                )
                return older
        if current is None:
            raise PayloadMissing(f"{self.uri} holds no payload {digest.hex()}")
        raise PayloadDamaged(
            f"{self.uri} holds other bytes than were stored as payload {digest.hex()}"
        )

    def erase(self, digest: Digest) -> None:
        """As `PayloadStore.erase`."""
        erase(self._bucket, self._key(digest))

    def check(self) -> None:
        """As `PayloadStore.check`; whether objects may be written and deleted shows only then."""
        self._refuse_skew(self._bucket.ask_for_bucket())
        nobodys = Digest(bytes(32))
        self._look(nobodys)
        self._bucket.list_versions(self._key(nobodys))
        if self._settings.retention is not None:
            self._refuse_without_lock()

    def _key(self, digest: Digest) -> str:
        return self._settings.prefix + digest.hex()

    def _write(self, digest: Digest, data: bytes, condition: dict[str, str]) -> bool:
        """Write the object, if the condition holds."""
        settings = self._settings
        arguments: dict[str, Any] = {
            "Key": self._key(digest),
            "Body": data,
            "ContentType": "application/octet-stream",
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": _to_base64(digest),
            **condition,
            **settings.encryption_arguments,
        }
        if settings.kms_key is not None:
            arguments["BucketKeyEnabled"] = True
        if settings.retention is not None:
            arguments |= {
                "ObjectLockMode": settings.retention,
                "ObjectLockRetainUntilDate": self._retain_until(),
            }
        with self._bucket.errors("s3:PutObject"):
            try:
                answer = self._bucket.ask("put_object", **arguments)
            except Exception as exc:
                if status_of(exc) == 412 or is_conflict(exc):
                    return False
                raise
        if settings.kms_key is not None and answer.get("ServerSideEncryption") != "aws:kms":
            raise ConfigurationError(
                f"{self.uri} is served by something that does not encrypt with kms_key"
            )
        return True

    def _look(self, digest: Digest) -> dict[str, Any] | None:
        with self._bucket.errors(_READING):
            try:
                return self._bucket.ask(
                    "head_object", Key=self._key(digest), ChecksumMode="ENABLED"
                )
            except Exception as exc:
                if is_absent(exc):
                    return None
                raise

    def _is_whole(self, digest: Digest, found: dict[str, Any]) -> bool:
        """Whether what is there is the payload: by S3's own digest, or by its bytes."""
        if found.get("ChecksumSHA256") == _to_base64(digest):
            return True
        data = self._read(digest)
        return data is not None and _is(digest, data)

    def _retain(self, digest: Digest, found: dict[str, Any]) -> None:
        """What was there before gets the retention that is asked for, if it has less."""
        wanted = self._settings.retention
        if wanted is None:
            return
        lock = read_lock(found, datetime.now(UTC))
        until = found["LastModified"] + timedelta(days=self._settings.retain_days)
        is_kept = (
            lock.mode is not None
            and lock.until is not None
            and RETENTIONS.index(lock.mode) >= RETENTIONS.index(wanted)
            and lock.until >= until - _RETAINED_LESS
        )
        if is_kept or until <= datetime.now(UTC):
            return
        with self._bucket.errors("s3:PutObjectRetention"):
            self._bucket.ask(
                "put_object_retention",
                Key=self._key(digest),
                VersionId=found["VersionId"],
                Retention={"Mode": wanted, "RetainUntilDate": self._retain_until()},
            )

    def _retain_until(self) -> datetime:
        until = datetime.now(UTC) + timedelta(days=self._settings.retain_days)
        return until.replace(microsecond=0)

    def _read(
        self, digest: Digest, version: str | None = None, longest: int = MAX_PAYLOAD_BYTES
    ) -> bytes | None:
        """The bytes that are there, or None; empty if they are too many for a payload."""
        arguments = {"Key": self._key(digest), "ChecksumMode": "ENABLED"}
        if version is not None:
            arguments["VersionId"] = version
        with self._bucket.errors(_READING if version is None else "s3:GetObjectVersion"):
            try:
                answer = self._bucket.ask("get_object", **arguments)
            except Exception as exc:
                if is_absent(exc) or code_of(exc) == "MethodNotAllowed":
                    return None
                raise
            # As its own context, a body would be read past the comparison with S3's checksum.
            with contextlib.closing(answer["Body"]) as body:
                if answer["ContentLength"] > longest:
                    return b""
                try:
                    return bytes(body.read())
                except Exception as exc:
                    if type(exc).__name__ == "FlexibleChecksumError":
                        return b""
                    raise

    def _read_versions(self, digest: Digest, longest: int) -> Iterator[bytes]:
        """Bytes of all versions but the current: the oldest first, for none comes before the
        payload's own."""
        versions = self._bucket.list_versions(self._key(digest))
        others = [each for each in versions if not each.is_marker and not each.is_current]
        for version in others[:_VERSIONS_READ]:
            data = self._read(digest, version.version_id, longest)
            if data is not None:
                yield data

    def _refuse_without_lock(self) -> None:
        with self._bucket.errors("s3:GetBucketVersioning"):
            answer = self._bucket.ask("get_bucket_versioning")
        self._refuse_skew(answer)
        asked = f"{self.uri} was asked for with retention"
        if answer.get("Status") != "Enabled":
            raise ConfigurationError(
                f"{asked}, which needs a bucket with versions, and this one keeps none: make a "
                "bucket with object lock, or leave out retention and retain_days"
            )
        with self._bucket.errors("s3:GetBucketObjectLockConfiguration"):
            try:
                found = self._bucket.ask("get_object_lock_configuration")
            except Exception as exc:
                if code_of(exc) != "ObjectLockConfigurationNotFoundError":
                    raise
                found = {}
        if found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise ConfigurationError(
                f"{asked}, which needs object lock, and it is not enabled for this bucket: enable "
                "it, or leave out retention and retain_days"
            )

    def _refuse_skew(self, answer: dict[str, Any]) -> None:
        """A retention ends by the clock of who asked for it, so that clock has to be right."""
        told = read_clock(answer)
        away_s = 0.0 if told is None else (datetime.now(UTC) - told).total_seconds()
        if abs(away_s) > _SKEW_S:
            raise ConfigurationError(
                f"the clock of this machine is wrong by {away_s:+.0f} s against that of "
                f"{self.uri}: set it by NTP, then try again"
            )


def _is(digest: Digest, data: bytes) -> bool:
    return hashlib.sha256(data).digest() == digest


def _to_base64(digest: Digest) -> str:
    return base64.b64encode(digest).decode()


def _pause(attempt: int) -> None:
    """Let the other request for the same object end."""
    time.sleep(random.uniform(0.5, 1) * 0.05 * 2**attempt)  # noqa: S311 - no secret
