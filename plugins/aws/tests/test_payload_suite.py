"""`s3:` payload stores pass the conformance suite, on moto as a server, in each kind of bucket.

Where moto is not as AWS: it looks whether an object is there, and writes it, in two steps, which
two requests may mix; `one_at_a_time` mends that. It does not compare a checksum that it is sent
with the bytes, so what S3 refuses there is tried on real AWS only.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.payloads import PayloadStore, open_payload_store
from chain_client.plugin_host import PluginHost
from chain_client.testing.payload_store_suite import PayloadStoreSuite, StoreUnderTest, make_payload
from chain_client.types import Digest
from mlops_chain_aws.clients import LazyClient, Patience, Place
from mlops_chain_aws.payload_settings import PayloadSettings
from mlops_chain_aws.payloads import S3PayloadStore
from mlops_chain_aws.testing.stand_in import REGION, StandIn


@pytest.fixture(scope="module", autouse=True)
def one_at_a_time() -> Iterator[None]:
    """A conditional write is one step, as in S3."""
    from moto.s3.responses import S3Response

    lock, put = threading.Lock(), S3Response.put_object

    def put_alone(self: Any) -> Any:
        with lock:
            return put(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", put_alone)
        yield


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port of ours at which nobody listens."""
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        yield ours.getsockname()[1]


@pytest.fixture(scope="module")
def buckets(aws_server: StandIn) -> StandIn:
    """A bucket of each kind."""
    aws_server.make_bucket("without-versions")
    aws_server.make_bucket("with-versions", versioned=True)
    aws_server.make_bucket("with-retention", locked=True)
    return aws_server


@pytest.fixture(scope="module")
def client(aws_server: StandIn) -> LazyClient:
    """One for all stores: to make one takes longer than most tests."""
    return LazyClient("s3", Place(REGION, aws_server.endpoint_url), Patience())


class InBucket(PayloadStoreSuite):
    """The suite, in a bucket of one kind."""

    bucket: str
    query = ""

    @pytest.fixture
    def store(self, buckets: StandIn, client: LazyClient, closed_port: int) -> StoreUnderTest:
        return store_under_test(buckets, client, self.bucket, self.query, closed_port)


def test_a_store_is_opened_by_its_uri(buckets: StandIn, plugins: PluginHost) -> None:
    opened = open_payload_store(f"s3://with-versions?{buckets.query}", base=Path())
    digest, data = make_payload()
    opened.put(digest, data)
    assert opened.get(digest) == data
    assert opened.uri == "s3://with-versions"


class TestBucketWithoutVersions(InBucket):
    bucket = "without-versions"


class TestBucketWithVersions(InBucket):
    bucket = "with-versions"


class TestBucketWithRetention(InBucket):
    """Erasure passes over the mode GOVERNANCE where the URI says so."""

    bucket = "with-retention"
    query = "&retention=GOVERNANCE&retain_days=2&bypass_governance=true"


def store_under_test(
    aws: StandIn, client: LazyClient, bucket: str, query: str, closed_port: int
) -> StoreUnderTest:
    s3 = client.get()

    def connect() -> PayloadStore:
        settings = PayloadSettings.of(f"s3://{bucket}/a/prefix?{aws.query}{query}")
        return S3PayloadStore(settings, client)

    def nowhere() -> PayloadStore:
        place = Place(REGION, f"http://127.0.0.1:{closed_port}")
        impatient = LazyClient("s3", place, Patience(connect_s=2, attempts=1))
        return S3PayloadStore(PayloadSettings(bucket), impatient)

    def versions(digest: Digest) -> list[str]:
        answer = s3.list_object_versions(Bucket=bucket, Prefix=_key(digest))
        found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        return [each["VersionId"] for each in found]

    def take_away(digest: Digest) -> None:
        for version in versions(digest):
            s3.delete_object(
                Bucket=bucket,
                Key=_key(digest),
                VersionId=version,
                BypassGovernanceRetention=True,
            )

    def replace(digest: Digest, data: bytes) -> None:
        take_away(digest)
        s3.put_object(Bucket=bucket, Key=_key(digest), Body=data)

    count: Callable[[Digest], int] = lambda digest: len(versions(digest))  # noqa: E731
    return StoreUnderTest(connect, nowhere, replace, take_away, count)


def _key(digest: Digest) -> str:
    return f"a/prefix/{digest.hex()}"
