"""Artifacts in S3, as the stand-in tells of them: what is current, its digest, and old versions."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from chain_client.artifact_stores import ArtifactStore, StoredObject
from chain_client.errors import ConfigurationError, HostUnavailable
from mlops_chain_aws.artifact_settings import ArtifactSettings
from mlops_chain_aws.artifacts import S3Artifacts, _sha256, open_s3_artifacts
from mlops_chain_aws.clients import Place
from mlops_chain_aws.locations import S3Location
from mlops_chain_aws.testing.stand_in import StandIn

BUCKET, ROOT = "models", "s3://models/1/artifacts"
KEY = "1/artifacts/"


@pytest.fixture
def s3(aws: StandIn) -> Any:
    """A bucket that keeps versions, and its client."""
    aws.make_bucket(BUCKET, versioned=True)
    return aws.client("s3")


def put(s3: Any, path: str, body: bytes, **more: Any) -> str:
    """Put one file; its version."""
    more = more or {"ChecksumAlgorithm": "SHA256"}
    answer = s3.put_object(Bucket=BUCKET, Key=KEY + path, Body=body, **more)
    return str(answer.get("VersionId"))


def listed(store: ArtifactStore) -> dict[str, StoredObject]:
    """What is current, by path."""
    return {found.path: found for found in store.list()}


def read(store: ArtifactStore, path: str, version: str | None = None) -> bytes | None:
    """The bytes of one file."""
    stream = store.open(path, version)
    if stream is None:
        return None
    with closing(stream):
        return stream.read()


def test_only_what_is_current_is_listed_with_the_version_that_it_is(s3: Any) -> None:
    put(s3, "MLmodel", b"old")
    newest = put(s3, "MLmodel", b"new one")
    put(s3, "deleted", b"x")
    s3.delete_object(Bucket=BUCKET, Key=KEY + "deleted")
    put(s3, "folder/", b"")
    put(s3, "folder/a ?#%20ü", b"y")
    s3.put_object(Bucket=BUCKET, Key="1/artifacts-of-another/z", Body=b"z")
    found = listed(open_s3_artifacts(ROOT))
    assert found.keys() == {"MLmodel", "folder/a ?#%20ü"}
    assert (found["MLmodel"].size, found["MLmodel"].version) == (7, newest)


def test_more_than_a_page_is_listed(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    assert s3.list_object_versions(Bucket=BUCKET)["MaxKeys"] == 10
    for number in range(25):
        for body in (b"old", b"new"):
            put(s3, f"f{number:02}", body)
    assert len(listed(open_s3_artifacts(ROOT))) == 25


def test_the_digest_of_a_single_part_is_that_of_s3(s3: Any) -> None:
    version = put(s3, "data.bin", b"approved")
    put(s3, "data.bin", b"other")
    store = open_s3_artifacts(ROOT)
    found = store.find("data.bin", version)
    assert found is not None
    assert found.sha256 == hashlib.sha256(b"approved").digest()
    current = store.find("data.bin")
    assert current is not None
    assert current.sha256 == hashlib.sha256(b"other").digest()
    assert current.version != version


def test_where_s3_holds_no_sha_256_of_the_whole_object_there_is_no_digest(s3: Any) -> None:
    put(s3, "crc", b"x", ChecksumAlgorithm="CRC32")
    upload = s3.create_multipart_upload(
        Bucket=BUCKET, Key=KEY + "parts", ChecksumAlgorithm="SHA256"
    )
    named = {"Bucket": BUCKET, "Key": KEY + "parts", "UploadId": upload["UploadId"]}
    part = s3.upload_part(**named, PartNumber=1, Body=b"x" * 100, ChecksumAlgorithm="SHA256")
    parts = [{"ETag": part["ETag"], "PartNumber": 1}]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    store = open_s3_artifacts(ROOT)
    for path in ("crc", "parts"):
        found = store.find(path)
        assert found is not None
        assert found.sha256 is None


TOLD = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


@pytest.mark.parametrize(
    ("answer", "is_taken"),
    [
        ({"ChecksumSHA256": TOLD, "ChecksumType": "FULL_OBJECT", "ETag": '"0"'}, True),
        ({"ChecksumSHA256": TOLD, "ETag": '"0"'}, False),
        ({"ChecksumSHA256": TOLD, "ChecksumType": "", "ETag": '"0"'}, False),
        ({"ChecksumSHA256": TOLD, "ChecksumType": "OTHER", "ETag": '"0"'}, False),
        ({"ChecksumSHA256": TOLD, "ChecksumType": "COMPOSITE", "ETag": '"0"'}, False),
        ({"ChecksumSHA256": f"{TOLD}-2", "ChecksumType": "COMPOSITE"}, False),
        ({"ChecksumSHA256": f"{TOLD}-2", "ChecksumType": "FULL_OBJECT"}, False),
        ({"ChecksumSHA256": TOLD, "ETag": '"0-2"'}, False),
        ({"ChecksumSHA256": TOLD}, False),
        ({"ChecksumSHA256": TOLD[:-8], "ChecksumType": "FULL_OBJECT"}, False),
        ({"ChecksumSHA256": "", "ChecksumType": "FULL_OBJECT"}, False),
        ({"ChecksumCRC64NVME": TOLD, "ChecksumType": "FULL_OBJECT"}, False),
    ],
)
def test_only_a_checksum_of_the_whole_object_is_taken(
    answer: dict[str, str], is_taken: bool
) -> None:
    assert _sha256(answer) == (hashlib.sha256(b"x").digest() if is_taken else None)


def test_a_storage_that_does_not_say_of_what_its_checksum_is_is_read(s3: Any) -> None:
    put(s3, "data.bin", b"x")
    untold = answering(s3, head_object={"ChecksumType": None}, get_object={})
    found = untold.find("data.bin")
    assert found is not None
    assert found.sha256 is None
    assert read(untold, "data.bin") == b"x"
    told = open_s3_artifacts(ROOT).find("data.bin")
    assert told is not None
    assert told.sha256 == hashlib.sha256(b"x").digest(), "as S3 says it"


def test_a_version_is_read_after_it_was_overwritten_and_deleted(s3: Any) -> None:
    version = put(s3, "data.bin", b"approved")
    put(s3, "data.bin", b"other")
    s3.delete_object(Bucket=BUCKET, Key=KEY + "data.bin")
    store = open_s3_artifacts(ROOT)
    assert store.find("data.bin") is None
    assert read(store, "data.bin") is None
    assert read(store, "data.bin", version) == b"approved"
    s3.delete_object(Bucket=BUCKET, Key=KEY + "data.bin", VersionId=version)
    assert store.find("data.bin", version) is None
    assert read(store, "data.bin", version) is None


def test_a_version_that_is_a_mark_of_deletion_is_no_file(s3: Any) -> None:
    put(s3, "data.bin", b"approved")
    mark = s3.delete_object(Bucket=BUCKET, Key=KEY + "data.bin")["VersionId"]
    assert open_s3_artifacts(ROOT).find("data.bin", mark) is None


def test_a_bucket_that_keeps_no_versions_names_none(aws: StandIn) -> None:
    aws.make_bucket(BUCKET)
    put(aws.client("s3"), "data.bin", b"x")
    store = open_s3_artifacts(ROOT)
    assert listed(store)["data.bin"].version is None
    found = store.find("data.bin")
    assert found is not None
    assert found.version is None
    assert read(store, "data.bin") == b"x"


def test_what_was_put_before_the_bucket_kept_versions_has_none(aws: StandIn) -> None:
    aws.make_bucket(BUCKET)
    s3 = aws.client("s3")
    put(s3, "before", b"x")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put(s3, "after", b"x")
    found = listed(open_s3_artifacts(ROOT))
    assert found["before"].version is None
    assert found["after"].version is not None


@pytest.mark.parametrize("act", ["list", "find", "open"])
def test_without_the_bucket_no_file_is_said_to_be_missing(aws: StandIn, act: str) -> None:
    store = open_s3_artifacts(ROOT)
    with pytest.raises(HostUnavailable):
        list(store.list()) if act == "list" else getattr(store, act)("data.bin")


class Answering:
    """A client that answers as it is told; for what the stand-in never says.

    Args:
        client: of the stand-in.
        changes: by operation, what its answers say instead; of a listing, what it raises.
    """

    def __init__(self, client: Any, changes: dict[str, Any]) -> None:
        self._client = client
        self._changes = changes

    def get(self) -> Any:
        """As `LazyClient.get`."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "get_paginator":
            return lambda operation: (
                self if operation in self._changes else (self._client.get_paginator(operation))
            )
        return lambda **named: {**getattr(self._client, name)(**named), **self._changes[name]}

    def paginate(self, **_: Any) -> Iterator[Any]:
        """As a paginator."""
        raise self._changes["list_object_versions"]


def refusal(code: str, status: int) -> Exception:
    """An answer of S3 that is none."""
    from botocore.exceptions import ClientError

    response: Any = {
        "Error": {"Code": code, "Message": "AKIAEXAMPLE's token s3cr3t"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    made: Exception = ClientError(response, "ListObjectVersions")
    return made


def answering(s3: Any, **changes: Any) -> S3Artifacts:
    """The files, with some answers changed."""
    made: Any = Answering(s3, changes)
    return S3Artifacts(ROOT, ArtifactSettings(Place()), made)


def test_another_version_than_the_one_asked_for_is_never_taken_for_it(s3: Any) -> None:
    version = put(s3, "data.bin", b"approved")
    store = answering(s3, head_object={"VersionId": "other"}, get_object={"VersionId": "other"})
    with pytest.raises(HostUnavailable, match="another version"):
        store.find("data.bin", version)
    with pytest.raises(HostUnavailable, match="another version"):
        store.open("data.bin", version)


def test_a_storage_that_can_t_list_versions_is_listed_without_them(s3: Any) -> None:
    put(s3, "data.bin", b"x")
    put(s3, "folder/", b"")
    store = answering(s3, list_object_versions=refusal("NotImplemented", 501))
    assert listed(store) == {"data.bin": StoredObject("data.bin", 1)}


def test_who_may_not_list_versions_is_told_which_action_it_needs_and_no_secret(s3: Any) -> None:
    store = answering(s3, list_object_versions=refusal("AccessDenied", 403))
    with pytest.raises(HostUnavailable, match="s3:ListBucketVersions") as caught:
        list(store.list())
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_stream_that_breaks_is_no_shorter_file(s3: Any) -> None:
    from botocore.response import StreamingBody

    class Torn:
        def read(self, size: int | None = None) -> bytes:
            return b""

        def close(self) -> None:
            pass

    put(s3, "data.bin", b"approved")
    torn: Any = Torn()
    store = answering(s3, get_object={"Body": StreamingBody(torn, 8)})
    with pytest.raises(HostUnavailable):
        read(store, "data.bin")


def test_mlflow_s_settings_of_s3_are_obeyed() -> None:
    settings = ArtifactSettings.from_environment(
        {
            "MLFLOW_S3_ENDPOINT_URL": "https://minio.example",
            "MLFLOW_S3_IGNORE_TLS": "True",
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
            "MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION": "UNSIGNED",
            "MLFLOW_S3_EXPECTED_BUCKET_OWNER": "123456789012",
        }
    )
    place = Place(
        endpoint_url="https://minio.example",
        checks_tls=False,
        addressing="path",
        signature="unsigned",
    )
    assert (settings.place, settings.owner) == (place, "123456789012")
    location = S3Location.of_artifacts("s3://models/any?key#of/it/", place, settings.owner)
    assert (location.prefix, location.place) == ("any?key#of/it/", place)
    owned = {"Bucket": "models", "ExpectedBucketOwner": "123456789012"}
    assert location.bucket_arguments == owned
    from botocore import UNSIGNED

    client = settings.client().get()
    assert client.meta.endpoint_url == "https://minio.example"
    assert client.meta.config.s3 == {"addressing_style": "path"}
    assert client.meta.config.signature_version is UNSIGNED
    assert client._endpoint.http_session._verify is False
    assert settings.client().get() is client


def test_without_settings_boto3_decides_where_s3_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ArtifactSettings.from_environment(os.environ).client().get()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "")
    client = ArtifactSettings.from_environment(os.environ).client().get()
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    assert client._endpoint.http_session._verify is not False


def test_a_setting_that_says_nothing_clear_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MLFLOW_S3_IGNORE_TLS"):
        ArtifactSettings.from_environment({"MLFLOW_S3_IGNORE_TLS": "maybe"})


@pytest.mark.parametrize("location", ["s3://", "s3:/models", "s3://me@models/x", "gs://models/x"])
def test_what_names_no_bucket_is_refused(location: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket"):
        open_s3_artifacts(location)
