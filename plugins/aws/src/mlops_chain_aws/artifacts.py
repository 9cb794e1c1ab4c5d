"""Artifacts in S3: digests that S3 computed itself, and versions that stay what they are.

``s3://bucket/prefix``, as MLflow names its artifacts. Needed are ``s3:ListBucketVersions`` and
``s3:ListBucket`` on the bucket, ``s3:GetObject`` and ``s3:GetObjectVersion`` on its objects, and
``kms:Decrypt`` where they are encrypted with a key of KMS.

A digest is S3's own SHA-256 of a whole object, which S3 checks against the bytes when it takes
them: nobody who may only write objects can have it say something else. Where S3 holds none, or one
of parts, or does not say of what, the bytes are read.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from typing import Any, Final

from chain_client.artifact_stores import StoredObject
from chain_client.errors import HostUnavailable
from chain_client.types import Digest
from mlops_chain_aws.artifact_settings import ArtifactSettings
from mlops_chain_aws.clients import LazyClient, code_of, to_ours
from mlops_chain_aws.locations import S3Location

_NO_VERSION: Final = "null"
"""The version of what was put while the bucket kept none: overwriting takes its place."""

_GONE: Final = frozenset({"404", "405", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed"})
"""Codes for what is not there; S3 allows no method on the mark of a deletion."""

_NO_LISTING_OF_VERSIONS: Final = frozenset({"NotImplemented", "501"})
"""What some stores that speak S3 answer when they are asked for versions."""


def open_s3_artifacts(location: str) -> S3Artifacts:
    """The files at a location, asked for as MLflow's settings of this process say.

    Raises:
        ConfigurationError: it names no bucket, or a setting is wrong.
    """
    settings = ArtifactSettings.from_environment(os.environ)
    return S3Artifacts(location, settings, settings.client())


class S3Stream:
    """The bytes of one object; botocore compares them with the checksum that S3 holds.

    Args:
        body: of botocore's answer.
    """

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        """See `chain_client.artifact_stores.ArtifactStream`."""
        try:
            return bytes(self._body.read(None if size < 0 else size))
        except Exception as exc:
            raise _unavailable(exc, "s3:GetObject") from None

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()


class S3Artifacts:
    """The files below one location; see `chain_client.artifact_stores.ArtifactStore`.

    Args:
        location: ``s3://bucket`` or ``s3://bucket/prefix``.
        settings: MLflow's, of S3.
        client: of S3.

    Raises:
        ConfigurationError: it names no bucket.
    """

    def __init__(self, location: str, settings: ArtifactSettings, client: LazyClient) -> None:
        self._location = S3Location.of_artifacts(location, settings.place, settings.owner)
        self._prefix = self._location.prefix
        self._client = client

    def list(self) -> Iterator[StoredObject]:
        """Every object that is current: one request for a thousand, and none for its digest."""
        try:
            yield from self._list_versions()
        except Exception as exc:
            if code_of(exc) not in _NO_LISTING_OF_VERSIONS:
                raise self._unavailable(exc, "s3:ListBucketVersions") from None
            # It is the first request that it does not know, so nothing was given yet.
            yield from self._list_objects()

    def _list_versions(self) -> Iterator[StoredObject]:
        pages = self._client.get().get_paginator("list_object_versions")
        for page in pages.paginate(**self._location.bucket_arguments, Prefix=self._prefix):
            current = (each for each in page.get("Versions", ()) if each["IsLatest"])
            yield from self._files(current)

    def _list_objects(self) -> Iterator[StoredObject]:
        pages = self._client.get().get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(**self._location.bucket_arguments, Prefix=self._prefix):
                yield from self._files(page.get("Contents", ()))
        except Exception as exc:
            raise self._unavailable(exc, "s3:ListBucket") from None

    def _files(self, found: Any) -> Iterator[StoredObject]:
        for each in found:
            path, size = each["Key"][len(self._prefix) :], int(each["Size"])
            if size or not (path == "" or path.endswith("/")):
                yield StoredObject(path, size, _version(each))

    def find(self, path: str, version: str | None = None) -> StoredObject | None:
        """One request; the object itself is not sent."""
        try:
            answer = self._client.get().head_object(
                **self._arguments(path, version), ChecksumMode="ENABLED"
            )
        except Exception as exc:
            if not _is_gone(exc, version):
                raise self._unavailable(exc, _action(version)) from None
            self._refuse_without_bucket()
            return None
        _check_version(answer, version)
        return StoredObject(path, int(answer["ContentLength"]), _version(answer), _sha256(answer))

    def open(self, path: str, version: str | None = None) -> S3Stream | None:
        """Get it."""
        try:
            answer = self._client.get().get_object(**self._arguments(path, version))
        except Exception as exc:
            if not _is_gone(exc, version):
                raise self._unavailable(exc, _action(version)) from None
            return None
        stream = S3Stream(answer["Body"])
        try:
            _check_version(answer, version)
        except HostUnavailable:
            stream.close()
            raise
        return stream

    def _arguments(self, path: str, version: str | None) -> dict[str, Any]:
        named = {} if version is None else {"VersionId": version}
        return {**self._location.bucket_arguments, "Key": self._prefix + path, **named}

    def _refuse_without_bucket(self) -> None:
        """An answer to HEAD has no words: without the bucket it looks as if the object is gone."""
        try:
            self._client.get().head_bucket(**self._location.bucket_arguments)
        except Exception as exc:
            raise self._unavailable(exc, "s3:ListBucket") from None

    def _unavailable(self, exc: Exception, action: str) -> HostUnavailable:
        if isinstance(exc, HostUnavailable):
            return exc
        if code_of(exc) == "NoSuchBucket":
            return HostUnavailable(f"there is no bucket {self._location.bucket}")
        return _unavailable(exc, action)


def _unavailable(exc: Exception, action: str) -> HostUnavailable:
    return HostUnavailable(str(to_ours(exc, "s3", HostUnavailable, action)))


def _action(version: str | None) -> str:
    return "s3:GetObject" if version is None else "s3:GetObjectVersion"


def _is_gone(exc: Exception, version: str | None) -> bool:
    # Of another store than the one that gave the version: none there is called so.
    is_foreign = version is not None and code_of(exc) == "InvalidArgument"
    return code_of(exc) in _GONE or is_foreign


def _version(answer: Any) -> str | None:
    version = answer.get("VersionId")
    return None if version in (None, "", _NO_VERSION) else str(version)


def _check_version(answer: Any, version: str | None) -> None:
    if version is not None and answer.get("VersionId") != version:
        raise HostUnavailable("the storage answered with another version than the one asked for")


def _sha256(answer: Any) -> Digest | None:
    """S3's SHA-256 of all bytes of an object; None for none, and for what it may hold instead.

    Of an object of parts it may be a digest of their digests; S3 says of each which it is. Where a
    store does not, nothing else in its answer tells for sure.
    """
    told = answer.get("ChecksumSHA256")
    if not isinstance(told, str) or answer.get("ChecksumType") != "FULL_OBJECT":
        return None
    try:
        digest = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Digest(digest) if len(digest) == 32 else None
