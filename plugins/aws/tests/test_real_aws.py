"""Signers, payload stores and what S3 tells of artifacts, on real AWS: ``pytest -m real_aws``.

What it needs is in docs/testing.md. Nothing of it runs by default. Asked for without what it needs,
it fails and says what is missing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import SignerRefused
from chain_client.payloads import PayloadStore, open_payload_store
from chain_client.plugin_host import PluginHost
from chain_client.signing import open_signer
from chain_client.testing.payload_store_suite import PayloadStoreSuite, StoreUnderTest
from chain_client.testing.signer_suite import KeyUnderTest, SignerSuite
from chain_client.types import Digest
from mlops_chain_aws.artifacts import open_s3_artifacts

pytestmark = pytest.mark.real_aws


def given(name: str) -> str:
    """What a variable of the tests says."""
    value = os.environ.get(f"MLOPS_CHAIN_AWS_TEST_{name}", "")
    assert value, f"set MLOPS_CHAIN_AWS_TEST_{name}: see plugins/aws/docs/testing.md"
    return value


class TestKmsKey(SignerSuite):
    @pytest.fixture
    def key(self, plugins: PluginHost) -> KeyUnderTest:
        uris = [f"awskms:{given(name)}" for name in ("KMS_KEY", "KMS_OTHER_KEY")]
        nobody = "awskms:alias/mlops-chain-test-nobody-has-this"
        one, two, gone = (lambda uri=uri: open_signer(uri, base=Path()) for uri in (*uris, nobody))
        secrets = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return KeyUnderTest(
            open=one,
            other=two,
            missing=gone,
            secrets=tuple(os.environ[name] for name in secrets if os.environ.get(name)),
            signatures=16,
        )


def test_a_key_of_another_curve_is_refused(plugins: PluginHost) -> None:
    signer = open_signer(f"awskms:{given('KMS_P256_KEY')}", base=Path())
    with pytest.raises(SignerRefused, match="KeySpec is ECC_NIST_P256"):
        signer.address()


class Bucket:
    """A place in a bucket of the account, which has versions and no retention."""

    def __init__(self) -> None:
        import boto3

        self.name = given("BUCKET")
        self.prefix = f"mlops-chain-test/{uuid.uuid4().hex}"
        self.s3: Any = boto3.session.Session().client("s3")

    def versions(self, prefix: str) -> list[tuple[str, str]]:
        """Key and version of all that is there, markers of deletion too."""
        found = []
        for page in self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.name, Prefix=prefix
        ):
            for each in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                found.append((each["Key"], each["VersionId"]))
        return found

    def remove(self, prefix: str) -> None:
        """Every version."""
        for key, version in self.versions(prefix):
            self.s3.delete_object(Bucket=self.name, Key=key, VersionId=version)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """It is left as it was."""
    made = Bucket()
    yield made
    made.remove(made.prefix)


class TestPayloadsInBucket(PayloadStoreSuite):
    @pytest.fixture
    def store(self, bucket: Bucket, plugins: PluginHost) -> StoreUnderTest:
        place = f"{bucket.prefix}/payloads"

        def key(digest: Digest) -> str:
            return f"{place}/{digest.hex()}"

        def replace(digest: Digest, data: bytes) -> None:
            bucket.remove(key(digest))
            bucket.s3.put_object(Bucket=bucket.name, Key=key(digest), Body=data)

        def nowhere() -> PayloadStore:
            query = "region=eu-central-1&endpoint_url=http://127.0.0.1:9"
            return open_payload_store(f"s3://{bucket.name}/{place}?{query}", base=Path())

        return StoreUnderTest(
            connect=lambda: open_payload_store(f"s3://{bucket.name}/{place}", base=Path()),
            nowhere=nowhere,
            replace=replace,
            take_away=lambda digest: bucket.remove(key(digest)),
            count=lambda digest: len(bucket.versions(key(digest))),
        )


def test_s3_tells_the_digest_of_one_part_and_none_of_several(bucket: Bucket) -> None:
    place, named = f"{bucket.prefix}/artifacts", {"Bucket": bucket.name}
    put = bucket.s3.put_object(
        **named, Key=f"{place}/one", Body=b"approved", ChecksumAlgorithm="SHA256"
    )
    parts = {**named, "Key": f"{place}/parts"}
    upload = bucket.s3.create_multipart_upload(**parts, ChecksumAlgorithm="SHA256")
    parts["UploadId"] = upload["UploadId"]
    part = bucket.s3.upload_part(**parts, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256")
    done = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    bucket.s3.complete_multipart_upload(**parts, MultipartUpload={"Parts": done})
    store = open_s3_artifacts(f"s3://{bucket.name}/{place}")
    assert {found.path: found.size for found in store.list()} == {"one": 8, "parts": 1}
    one, several = store.find("one"), store.find("parts")
    assert one is not None
    assert several is not None
    assert (one.sha256, several.sha256) == (hashlib.sha256(b"approved").digest(), None)
    assert one.version == put["VersionId"]
    bucket.s3.put_object(**named, Key=f"{place}/one", Body=b"other")
    bucket.s3.delete_object(**named, Key=f"{place}/one")
    assert [found.path for found in store.list()] == ["parts"]
    assert store.find("one") is None
    stream = store.open("one", one.version)
    assert stream is not None
    with closing(stream):
        assert stream.read() == b"approved"
    bucket.s3.delete_object(**named, Key=f"{place}/one", VersionId=one.version)
    assert store.open("one", one.version) is None
    assert store.find("one", one.version) is None


def test_s3_refuses_bytes_that_are_not_those_of_the_digest_sent_with_them(bucket: Bucket) -> None:
    from botocore.exceptions import ClientError

    forged = base64.b64encode(hashlib.sha256(b"approved").digest()).decode()
    with pytest.raises(ClientError, match=r"BadDigest|InvalidRequest|checksum"):
        bucket.s3.put_object(
            Bucket=bucket.name,
            Key=f"{bucket.prefix}/artifacts/forged",
            Body=b"evil",
            ChecksumSHA256=forged,
        )
