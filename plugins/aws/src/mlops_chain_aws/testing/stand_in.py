"""AWS by moto, in this process or as a server, mended where it is not as AWS and that matters here.

moto 5.2.5 hashes what it is told is a digest already (its pull request 10202); no signature then
leads back to the key. `signing_digests` mends that while it is in force. And HEAD of an object does
not say of what its checksum is, as S3 always does: `telling_checksum_types`.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

REGION = "eu-central-1"

ENVIRONMENT: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIATESTINGTESTING00",
    "AWS_SECRET_ACCESS_KEY": "stand-in/secret-access-key-0000000000000",  # pragma: of nobody
    "AWS_SESSION_TOKEN": "stand-in-session-token",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Variables by which boto3 finds credentials that are nobody's, and looks nowhere else."""


_CHECKSUMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")


@dataclass(frozen=True, slots=True)
class StandIn:
    """An AWS that is nobody's.

    Args:
        endpoint_url: where its server listens; None: moto answers within this process.
    """

    endpoint_url: str | None = None

    @property
    def query(self) -> str:
        """What a URI needs behind its question mark to mean this AWS."""
        return f"region={REGION}" + (
            f"&endpoint_url={self.endpoint_url}" if self.endpoint_url else ""
        )

    def client(self, service: str) -> Any:
        """boto3's client of a service."""
        import boto3

        return boto3.session.Session().client(
            service, region_name=REGION, endpoint_url=self.endpoint_url
        )

    def make_key(
        self, *, alias: str | None = None, spec: str = "ECC_SECG_P256K1", usage: str = "SIGN_VERIFY"
    ) -> str:
        """Make a key in KMS; its ARN. An alias is its name without ``alias/``."""
        kms = self.client("kms")
        key = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
        if alias is not None:
            kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=key["KeyId"])
        return str(key["Arn"])

    def make_bucket(self, name: str, *, versioned: bool = False, locked: bool = False) -> str:
        """Make a bucket; its name. One with object lock is versioned too."""
        s3 = self.client("s3")
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=locked,
        )
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name


@contextmanager
def signing_digests() -> Iterator[None]:
    """Within, moto's KMS signs a digest of 32 bytes as it is, where that is asked for."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from moto.kms.models import KmsBackend
    from moto.kms.responses import KmsResponse

    asked = threading.local()
    respond, sign = KmsResponse.sign, KmsBackend.sign

    def respond_noting(self: Any) -> str:
        asked.digest = self._get_param("MessageType") == "DIGEST"
        try:
            return str(respond(self))
        finally:
            asked.digest = False

    def sign_digest(
        self: Any, key_id: str, message: bytes, signing_algorithm: str
    ) -> tuple[str, bytes, str]:
        arn, signature, algorithm = sign(self, key_id, message, signing_algorithm)
        if getattr(asked, "digest", False) and signing_algorithm == "ECDSA_SHA_256":
            key = self.describe_key(key_id).private_key.private_key
            signature = key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return arn, signature, algorithm

    patched: Any = (KmsResponse, KmsBackend)
    patched[0].sign, patched[1].sign = respond_noting, sign_digest
    try:
        yield
    finally:
        patched[0].sign, patched[1].sign = respond, sign


@contextmanager
def telling_checksum_types() -> Iterator[None]:
    """Within, moto's HEAD of an object says whether its checksum is one of parts' checksums."""
    from moto.s3.responses import S3Response

    answer = S3Response.head_object

    def answer_telling(self: Any, *args: Any, **named: Any) -> Any:
        status, headers, body = answer(self, *args, **named)
        if any(f"x-amz-checksum-{name}" in headers for name in _CHECKSUMS):
            of_parts = "-" in str(headers.get("ETag", ""))
            headers["x-amz-checksum-type"] = "COMPOSITE" if of_parts else "FULL_OBJECT"
        return status, headers, body

    patched: Any = S3Response
    patched.head_object = answer_telling
    try:
        yield
    finally:
        patched.head_object = answer


@contextmanager
def _mended() -> Iterator[None]:
    with signing_digests(), telling_checksum_types():
        yield


@contextmanager
def in_process() -> Iterator[StandIn]:
    """Within, every client of AWS in this process speaks with moto; nothing reaches a network."""
    from moto import mock_aws

    with _mended(), mock_aws():
        yield StandIn()


@contextmanager
def served(port: int = 0) -> Iterator[StandIn]:
    """moto as a server of this process, on loopback; other processes can use it too.

    What it holds is shared with `in_process` of the same process: use one at a time.
    """
    from moto.server import ThreadedMotoServer

    with _mended():
        server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        try:
            yield StandIn("http://{}:{}".format(*server.get_host_and_port()))
        finally:
            server.stop()
            inner = server._server
            if inner is not None:
                inner.server_close()


def main() -> None:
    """Serve until a signal ends it: ``python -m mlops_chain_aws.testing.stand_in``."""
    parser = argparse.ArgumentParser(description="a stand-in for AWS (KMS and S3), on loopback")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with served(parser.parse_args().port) as aws:
        print(aws.endpoint_url, flush=True)  # noqa: T201 - whoever started it reads this
        ended.wait()


if __name__ == "__main__":
    main()
