"""S3 by moto, its requests watched, and the refusals of AWS put into its mouth."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from chain_client.types import Digest
from mlops_chain_aws.clients import LazyClient, Patience, Place
from mlops_chain_aws.payload_settings import PayloadSettings
from mlops_chain_aws.payloads import S3PayloadStore
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, REGION, in_process

UNSPOKEN = "AKIASECRETSECRET0000/presigned?X-Amz-Signature=0123456789"
"""Part of what S3 says in words, which no error of ours may repeat."""


@contextlib.contextmanager
def three_buckets() -> Iterator[LazyClient]:
    """Within, moto in this process has buckets ``plain``, ``versions`` and ``locked``."""
    with mock.patch.dict(os.environ, ENVIRONMENT), in_process() as aws:
        aws.make_bucket("plain")
        aws.make_bucket("versions", versioned=True)
        aws.make_bucket("locked", locked=True)
        client = LazyClient("s3", Place(REGION), Patience(attempts=1))
        client.get()
        yield client


class WatchedS3:
    """A client of S3, and what tests do to it.

    Args:
        client: of a moto in this process.
    """

    def __init__(self, client: LazyClient) -> None:
        self.lazy = client
        self.client = client.get()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._registered: list[tuple[str, Callable[..., Any]]] = []
        self.on("provide-client-params.s3.*", self._note)

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Let botocore call it, until the test is over."""
        self.client.meta.events.register(event, handler)
        self._registered.append((event, handler))

    def close(self) -> None:
        """Let it be as it was."""
        for event, handler in self._registered:
            self.client.meta.events.unregister(event, handler)

    def store(self, bucket: str = "plain", query: str = "") -> S3PayloadStore:
        """A store that asks by this client; its payloads are at `key_of`."""
        return S3PayloadStore(PayloadSettings.of(f"s3://{bucket}/p{query}"), self.lazy)

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.asked.append((model.name, dict(params)))

    def versions(self, bucket: str, prefix: str) -> list[dict[str, Any]]:
        """Every version below a prefix, and every mark of a deletion."""
        answer = self.client.list_object_versions(Bucket=bucket, Prefix=prefix)
        return [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]

    def requests(self) -> list[str]:
        """Names of the requests since the last question."""
        names = [name for name, _ in self.asked]
        self.asked.clear()
        return names

    @contextlib.contextmanager
    def saying(
        self, operation: str, status: int, code: str, times: int = 99
    ) -> Iterator[Callable[[], int]]:
        """S3 answers an operation with an error; gives how often it did."""
        said = 0

        def answer(model: Any, **_: Any) -> Any:
            nonlocal said
            if said >= times:
                return None
            said += 1
            return make_answer(status, code if model.name[:4] != "Head" else str(status))

        name = f"before-call.s3.{operation}"
        self.client.meta.events.register(name, answer)
        try:
            yield lambda: said
        finally:
            self.client.meta.events.unregister(name, answer)


def key_of(digest: Digest) -> str:
    """Where a payload of `WatchedS3.store` lies."""
    return f"p/{digest.hex()}"


def make_answer(status: int, code: str) -> Any:
    """An error, as botocore reads it; with words that must not be repeated."""
    from botocore.awsrequest import AWSResponse

    metadata = {"HTTPStatusCode": status, "RequestId": "R1", "HTTPHeaders": {}}
    parsed = {"Error": {"Code": code, "Message": UNSPOKEN}, "ResponseMetadata": metadata}
    return AWSResponse("https://s3/", status, {}, None), parsed
