"""One bucket, as the payload store speaks with it: requests, and S3's errors as ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from chain_client.errors import ChainError, ConfigurationError, PayloadStoreUnavailable
from mlops_chain_aws.clients import LazyClient, code_of, status_of, to_ours
from mlops_chain_aws.payload_settings import PayloadSettings

ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
"""Codes for an object, or a version of one, that is not there."""

_CHANGED_ON_ITS_WAY: Final = frozenset(
    {"BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
)
_ARCHIVED: Final = frozenset({"InvalidObjectState"})
_UNKNOWN_REQUEST: Final = frozenset({"NotImplemented", "501"})
_NO_BUCKET: Final = frozenset({"NoSuchBucket", "InvalidBucketName"})
_ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object.

    Args:
        version_id: S3's name of it; ``null`` where the bucket keeps no versions.
        is_marker: it is no bytes, but says that the object was deleted.
        is_current: it is what a request without a version gets.
        modified: when it was stored, by S3's clock.
    """

    version_id: str
    is_marker: bool
    is_current: bool
    modified: datetime

    @property
    def arguments(self) -> dict[str, str]:
        """How a request names it. Not by ``null`` if it need not: some stores know no such name."""
        if self.is_current and self.version_id == "null":
            return {}
        return {"VersionId": self.version_id}


class PayloadBucket:
    """Requests to one bucket. No exception of botocore leaves it but through `errors`.

    Args:
        settings: which bucket.
        client: of S3.
    """

    def __init__(self, settings: PayloadSettings, client: LazyClient) -> None:
        self.settings = settings
        self._client = client

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request for the bucket; botocore's exceptions pass.

        Args:
            operation: boto3's name, such as ``put_object``.
            arguments: of it, without the bucket.
        """
        method = getattr(self._client.get(), operation)
        answer: dict[str, Any] = method(**self.settings.bucket_arguments, **arguments)
        return answer

    def ask_for_bucket(self) -> dict[str, Any]:
        """Whether it is there.

        Raises:
            ConfigurationError: it is not.
            PayloadStoreUnavailable: S3 does not answer now.
        """
        with self.errors("s3:ListBucket"):
            try:
                return self.ask("head_bucket")
            except Exception as exc:
                # A status is all that this request is answered with.
                if is_absent(exc):
                    raise self._no_bucket("404") from None
                raise

    @contextlib.contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Within, S3's errors become ours.

        Args:
            action: the IAM action that is used, such as ``s3:PutObject``.
        """
        try:
            yield
        except Exception as exc:
            if not _is_of_the_network(exc):
                raise
            # What AWS says in words may quote the signed request.
            raise self._to_ours(exc, action) from None

    def list_versions(self, key: str) -> list[Version]:
        """Every version of one object and every mark of its deletion, the oldest first."""
        arguments: dict[str, Any] = {"Prefix": key}
        found: list[Version] = []
        while True:
            with self.errors("s3:ListBucketVersions"):
                page = self.ask("list_object_versions", **arguments)
            for name, is_marker in (("Versions", False), ("DeleteMarkers", True)):
                found += [
                    Version(each["VersionId"], is_marker, each["IsLatest"], each["LastModified"])
                    for each in page.get(name, ())
                    if each["Key"] == key
                ]
            if not page.get("IsTruncated"):
                # S3 lists the newest first, and tells times by the second.
                found.reverse()
                return sorted(found, key=lambda version: version.modified)
            arguments["KeyMarker"] = page["NextKeyMarker"]
            if page.get("NextVersionIdMarker"):
                arguments["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _no_bucket(self, code: str) -> ConfigurationError:
        return ConfigurationError(
            f"there is no bucket for {self.settings.shown} ({code}): make it, or name another one"
        )

    def _to_ours(self, exc: Exception, action: str) -> ChainError:
        code, shown = code_of(exc), self.settings.shown
        if not code and not type(exc).__module__.startswith("botocore"):
            return PayloadStoreUnavailable(
                f"the answer of {shown} broke off ({type(exc).__name__}); try again"
            )
        if code in _NO_BUCKET:
            return self._no_bucket(code)
        if code in _ELSEWHERE:
            return ConfigurationError(
                f"the bucket of {shown} is in another region than is asked ({code}): add its "
                "?region=… to the URI"
            )
        if code in _CHANGED_ON_ITS_WAY:
            return PayloadStoreUnavailable(
                f"what was sent to {shown} did not arrive as it was sent ({code}), and was not "
                "stored; try again"
            )
        if code in _ARCHIVED:
            return ConfigurationError(
                f"a payload in {shown} was moved to an archive ({code}), by a lifecycle rule of "
                "the bucket: restore it there, and let the rule leave payloads where they are"
            )
        if code in _UNKNOWN_REQUEST:
            return ConfigurationError(
                f"{shown} is served by something that does not know {action} ({code}); a store "
                "of payloads needs conditional writes and lists of versions"
            )
        if code.startswith("KMS."):
            return ConfigurationError(
                f"KMS does not let S3 use the key of {shown} ({code}): it must be enabled, and "
                "let these credentials use kms:GenerateDataKey and kms:Decrypt"
            )
        place = self.settings.place.endpoint_url
        at = "" if place is None else f" (at {urlsplit(place).netloc})"
        return to_ours(
            exc, "s3", lambda text: PayloadStoreUnavailable(f"{shown}{at}: {text}"), action
        )


def _is_of_the_network(exc: BaseException) -> bool:
    """Whether it came from botocore, or from what botocore reads an answer with."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    return isinstance(exc, BotoCoreError | ClientError | HTTPError | OSError)


def is_absent(exc: BaseException) -> bool:
    """Whether S3 says that an object is not there."""
    return code_of(exc) in ABSENT


def is_conflict(exc: BaseException) -> bool:
    """Whether another request for the same object was faster: ask again.

    S3 says so by 409 ``ConditionalRequestConflict``, and by 404 where the object that a write
    depends on was deleted meanwhile.
    """
    return status_of(exc) == 409 or code_of(exc) in ("ConditionalRequestConflict", *ABSENT)


def read_clock(answer: dict[str, Any]) -> datetime | None:
    """S3's clock, as an answer tells it."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        told = parsedate_to_datetime(str(date))
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)
